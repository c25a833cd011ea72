import pytest
from pydantic import ValidationError

from app.settings import ApideckSettings, LimitSettings, TracingSettings
from app.settings.groups import Group

APIDECK = {"app_id": "app", "api_key": "sk_live_0123456789"}


def headers(**values: str) -> dict[str, dict[str, str]]:
    """Return settings with tracing headers."""
    return {"headers": {name.replace("_", "-"): value for name, value in values.items()}}


def test_whitespace_around_a_secret_is_removed() -> None:
    """A variable that was set from a file ends with a line feed, which no header can contain."""
    apideck = ApideckSettings.model_validate(
        {"app_id": " app\n", "api_key": "sk_live_0123456789\r\n"}
    )
    tracing = TracingSettings.model_validate(headers(x_team="hcaik-1\n", authorization=" Bearer a"))
    limits = LimitSettings.model_validate({"store": "redis://:pw@127.0.0.1:6379/0\n"})

    assert apideck.app_id == "app"
    assert apideck.api_key is not None
    assert apideck.api_key.get_secret_value() == "sk_live_0123456789"
    assert tracing.headers["x-team"].get_secret_value() == "hcaik-1"
    assert tracing.headers["authorization"].get_secret_value() == "Bearer a"
    assert limits.store.get_secret_value() == "redis://:pw@127.0.0.1:6379/0"


@pytest.mark.parametrize("secret", ["", " ", "\n", "a\nb", "a\rb: c", "é", "\x7f", "a" * 4097])
def test_a_secret_that_cannot_be_sent_is_rejected(secret: str) -> None:
    """Only printable ASCII can be sent in a header, and a secret must not be empty."""
    groups: list[tuple[type[Group], dict[str, object]]] = [
        (TracingSettings, dict(headers(x_team=secret))),
        (ApideckSettings, {**APIDECK, "api_key": secret}),
        (LimitSettings, {"store": f"redis://:{secret}@127.0.0.1/0" if secret.strip() else secret}),
    ]
    for group, values in groups:
        with pytest.raises(ValidationError) as error:
            group.model_validate(values)
        assert len(error.value.errors()) == 1
        assert not secret.strip() or secret not in str(error.value)


@pytest.mark.parametrize("name", ["", "x team", "x:team", "x\nteam", "é", "x" * 65])
def test_a_header_name_that_cannot_be_sent_is_rejected(name: str) -> None:
    """The name of a header is a token (RFC 9110 section 5.1)."""
    with pytest.raises(ValidationError):
        TracingSettings.model_validate({"headers": {name: "value"}})


def test_the_log_redacts_tracing_headers_except_known_names() -> None:
    """A credential is also redacted without its scheme; the name of a tenant is not a secret."""
    tracing = TracingSettings.model_validate(
        headers(authorization="Api-Token dt0c01.abc", x_scope_orgid="tenant-1")
    )

    assert list(tracing.secrets()) == ["Api-Token dt0c01.abc", "dt0c01.abc"]
