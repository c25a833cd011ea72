"""Which targets and secrets come out of the settings."""

from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from app.errors import ConfigurationError
from app.settings import ApideckSettings, WebhookSettings
from app.webhooks.build import build_targets

ONE, TWO = ("whsec_" + b64encode(letter * 32).decode() for letter in (b"1", b"2"))
APIDECK = ApideckSettings.model_validate(
    {
        "api_key": "sk_live_0123456789",
        "app_id": "app",
        "unify_apps": {"brand": {"api_key": "sk_live_of_the_brand", "app_id": "brand"}},
    }
)


def targets(**settings: Any) -> dict[str, Any]:
    """Return the targets, and check that every secret is redacted."""
    secrets: list[str] = []
    built = build_targets(WebhookSettings.model_validate(settings), APIDECK, secrets.append)
    for target in built.values():
        for signer in target.signers:
            plain = b64encode(signer._whsecret).decode()
            assert {plain, f"whsec_{plain}"} <= set(secrets)
    return built


def test_all_unify_apps_share_the_target_unless_one_has_its_own() -> None:
    """What one does not set is the same as for all."""
    built = targets(
        target_url="https://a.example/hook",
        signing_secret=ONE,
        unify_apps={"brand": {"target_url": "https://b.example/hook"}},
    )
    assert {name: str(one.url) for name, one in built.items()} == {
        "default": "https://a.example/hook",
        "brand": "https://b.example/hook",
    }


def test_a_unify_app_can_be_the_only_one_with_a_target() -> None:
    """Events of the others are not received."""
    brand = {"target_url": "https://b.example/hook", "signing_secret": ONE}
    assert set(targets(unify_apps={"brand": brand})) == {"brand"}
    assert targets() == {}


def test_two_secrets_in_a_file_both_sign(tmp_path: Path) -> None:
    """A receiver with either of them can verify the event."""
    file = tmp_path / "secrets"
    file.write_text(f"{ONE}\n{TWO}\n")
    built = targets(target_url="https://a.example/hook", signing_secret_file=file)

    request = built["default"].request("id", b"{}", datetime.now(UTC))
    for secret in (ONE, TWO):
        Webhook(secret).verify(b"{}", dict(request.headers))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "No such file or directory"),
        (b"secret", "must be whsec_ followed by 24 to 64 bytes in base64"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_a_file_without_a_secret_is_an_error_that_does_not_quote_it(
    tmp_path: Path, content: bytes | None, fault: str
) -> None:
    """The process does not start."""
    file = tmp_path / "secrets"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError) as error:
        targets(target_url="https://a.example/hook", signing_secret_file=file)
    assert error.value.faults == (f"WEBHOOKS: the file {file}: {fault}",)
