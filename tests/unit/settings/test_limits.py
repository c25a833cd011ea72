"""The settings for rate limits."""

from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.settings.sources import load_settings

_MINIMUM = {
    "APIDECK__API_KEY": "sk_0123456789",
    "APIDECK__APP_ID": "app",
    "IDENTITY__ISSUERS__MAIN__ISSUER": "https://id.example.com",
    "IDENTITY__ISSUERS__MAIN__AUDIENCE": "vault-bff",
    "IDENTITY__ISSUERS__MAIN__CLAIMS__CONSUMER_ID": "org_id",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _MINIMUM.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ("redis://:hunter2@redis:6379/0?family=0", "has the query parameter family"),
        ("redis://:hunter2@redis/0?ssl_cert_reqs=CERT_NONE", "has the query parameter ssl_cert_re"),
        ("rediss://:hunter2@redis/0?ssl_cert_reqs=CERT_NONE", "Flag: CERT_NONE"),
        ("redis://:hunter2@redis/0?foo=bar", "has the query parameter foo"),
        ("redis://:hun?ter2@redis/0", "must percent-encode @, /, ? and #"),
    ],
)
def test_a_store_that_the_redis_client_cannot_use_prevents_startup(
    monkeypatch: pytest.MonkeyPatch, store: str, message: str
) -> None:
    """The error names the setting and the reason, and contains no password."""
    monkeypatch.setenv("LIMITS__STORE", store)

    with pytest.raises(ConfigurationError) as raised:
        load_settings()

    [fault] = raised.value.faults
    assert fault.startswith("LIMITS__STORE: ")
    assert message in fault
    assert "ter2" not in fault


def test_a_store_that_the_redis_client_can_use_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No connection is opened."""
    monkeypatch.setenv("LIMITS__STORE", "rediss://:hunter2@redis.invalid:6379/1")

    assert load_settings().limits.store.get_secret_value().startswith("rediss://")


@pytest.mark.parametrize(
    ("store", "setting", "content", "message"),
    [
        ("memory", "STORE", "hunter2", "needs a store that is not memory"),
        ("redis://:one@redis", "STORE", "hunter2", "takes a password in store or in store_passw"),
        ("redis://redis?password=one", "STORE", "hunter2", "not both"),
        ("redis://redis", "STORE_SENTINEL", "hunter2", "goes with redis+sentinel:// only"),
        ("redis+sentinel://a/m?sentinel_password=one", "STORE_SENTINEL", "hunter2", "not both"),
        ("redis://redis", "STORE", "", "cannot be used: must be printable ASCII"),
        ("redis://redis", "STORE", "hunter2\nhunter3", "cannot be used: must be printable ASCII"),
        ("redis://redis", "STORE", None, "cannot be used: No such file or directory"),
    ],
)
def test_an_invalid_password_file_prevents_startup(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    store: str,
    setting: str,
    content: str | None,
    message: str,
) -> None:
    """The error contains the reason, and no password."""
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("LIMITS__STORE", store)
    monkeypatch.setenv(f"LIMITS__{setting}_PASSWORD_FILE", str(file))

    with pytest.raises(ConfigurationError) as raised:
        load_settings()

    [fault] = raised.value.faults
    assert fault.startswith("LIMITS")
    assert message in fault
    assert "hunter" not in fault
