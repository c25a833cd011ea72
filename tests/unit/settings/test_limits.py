"""Tests of the settings of limits."""

import pytest

from app.errors import ConfigurationError
from app.settings.sources import load_settings

_SMALLEST = {
    "APIDECK__API_KEY": "sk_0123456789",
    "APIDECK__APP_ID": "app",
    "IDENTITY__ISSUERS__MAIN__ISSUER": "https://id.example.com",
    "IDENTITY__ISSUERS__MAIN__AUDIENCE": "vault-bff",
    "IDENTITY__ISSUERS__MAIN__CLAIMS__CONSUMER_ID": "org_id",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _SMALLEST.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ("redis://:hunter2@redis:6379/0?family=0", "has the query parameter family"),
        ("redis://:hunter2@redis/0?ssl_cert_reqs=CERT_NONE", "has the query parameter ssl_cert_re"),
        ("rediss://:hunter2@redis/0?ssl_cert_reqs=CERT_NONE", "Flag: CERT_NONE"),
        ("redis://:hunter2@redis/0?foo=bar", "has the query parameter foo"),
        ("redis://:hun?ter2@redis/0", "must percent-encode @, /, ? and #"),
    ],
)
def test_a_store_that_the_redis_client_cannot_use_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, store: str, words: str
) -> None:
    """The one line names the setting and what is wrong with it, and shows no password."""
    monkeypatch.setenv("LIMITS__STORE", store)

    with pytest.raises(ConfigurationError) as raised:
        load_settings()

    [fault] = raised.value.faults
    assert fault.startswith("LIMITS__STORE: ")
    assert words in fault
    assert "ter2" not in fault


def test_a_store_that_the_redis_client_can_use_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No connection is opened."""
    monkeypatch.setenv("LIMITS__STORE", "rediss://:hunter2@redis.invalid:6379/1")

    assert load_settings().limits.store.get_secret_value().startswith("rediss://")
