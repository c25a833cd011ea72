from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.settings.claims import listed
from app.settings.sources import load_settings

MINIMUM = {
    "APIDECK__API_KEY": "sk_live_0123456789",
    "APIDECK__APP_ID": "app-1",
    "IDENTITY__ISSUERS__MAIN__ISSUER": "https://id.example.com/",
    "IDENTITY__ISSUERS__MAIN__AUDIENCE": "vault-bff",
}


@pytest.fixture(autouse=True)
def _minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in MINIMUM.items():
        monkeypatch.setenv(name, value)


def faults() -> list[str]:
    """Return what is wrong with the settings as they stand."""
    with pytest.raises(ConfigurationError) as error:
        load_settings()
    return list(error.value.faults)


def test_four_lines_are_a_configuration() -> None:
    """Key, app id, issuer and audience are all that an operator has to say."""
    settings = load_settings()

    assert settings.apideck.base_url == "https://unify.apideck.com"
    assert settings.identity.issuers["main"].issuer == "https://id.example.com/"
    assert listed(settings.identity.issuers["main"].audience) == ("vault-bff",)


def test_the_environment_goes_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What both set, the environment decides; what only the file sets, stays."""
    file = tmp_path / "config.toml"
    file.write_text('[apideck]\napp_id = "from-file"\n[server]\nport = 9000\n')
    monkeypatch.setenv("CONFIG_FILE", str(file))

    settings = load_settings()

    assert settings.apideck.app_id == "app-1"
    assert settings.server.port == 9000


def test_every_fault_gets_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is wrong is told at once, each line beginning with the setting's name."""
    monkeypatch.setenv("APIDECK__API_KEY", "sk with spaces")
    monkeypatch.setenv("APIDECK__TYPO", "1")
    monkeypatch.setenv("SERVER__PORT", "99999")
    monkeypatch.setenv("IDENTITY__ISSUERS__MAIN__ISSUER", "http://id.example.com")

    assert [line.partition(":")[0] for line in faults()] == [
        "APIDECK__API_KEY",
        "APIDECK__TYPO",
        "IDENTITY__ISSUERS__MAIN__ISSUER",
        "SERVER__PORT",
    ]
    assert not any("sk with spaces" in line for line in faults())


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("APIDECK__API_KEY_FILE", "/run/secrets/key", "exactly one of api_key and api_key_file"),
        ("APIDECK__VAULT_ORIGINS", "[]", "at least 1 item"),
        ("SESSION__DEFAULT_RETURN_TO", "nowhere", "names no entry"),
        ("SESSION__RETURN_TO__HOME", "https://user@app.example.com", "absolute https"),
        ("SESSION__USERS_MAY_SET", '["consumer_id"]', "names no field"),
        ("SESSION__DEFAULTS__SETTINGS__SESSION_LENGTH", "2h", "longer than max_session_length"),
        ("SESSION__DEFAULTS__SETTINGS__SHOW_LOG", "true", "not permitted"),
        ("CORS__ALLOW_ORIGINS", '["null"]', "absolute https"),
        ("SERVER__PUBLIC_URL", "https://app.example.com/", "must not end with a slash"),
        ("IDENTITY__ISSUERS__MAIN__ALGORITHMS", '["HS256"]', "Input should be 'RS256'"),
        ("IDENTITY__ISSUERS__MAIN__LEEWAY_SECONDS", "301", "less than or equal to 300"),
    ],
)
def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str
) -> None:
    """The fault is told in words, under the name of the setting or of its group."""
    monkeypatch.setenv(name, value)

    line = faults()[0]

    assert complaint in line
    named = line.partition(":")[0]
    assert name.startswith(named) or named == f"{name}__0"


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What must be given and is not is asked for by its name."""
    monkeypatch.delenv("APIDECK__APP_ID")

    assert faults() == ["APIDECK__APP_ID: Field required"]


def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CONFIG_FILE that does not exist stops the start; it is not taken for an empty one."""
    monkeypatch.setenv("CONFIG_FILE", "/nowhere/config.toml")

    assert faults() == ["CONFIG_FILE: there is no such file"]


def test_a_file_that_is_not_toml_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file that cannot be parsed stops the start with one line."""
    file = tmp_path / "config.toml"
    file.write_text("[apideck\n")
    monkeypatch.setenv("CONFIG_FILE", str(file))

    [line] = faults()

    assert line.startswith("settings cannot be read")


def test_a_list_that_is_not_json_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A structured value that is not JSON stops the start without showing it."""
    monkeypatch.setenv("CORS__ALLOW_ORIGINS", "[https://app.example.com")

    [line] = faults()

    assert "cors" in line
    assert "app.example.com" not in line


@pytest.mark.parametrize(("second", "fine"), [("", False), ("b-", True), ("a-x", False)])
def test_several_issuers_need_prefixes_that_cannot_be_confused(
    monkeypatch: pytest.MonkeyPatch, second: str, fine: bool
) -> None:
    """No prefix may be the beginning of another, or two issuers' consumers could be one."""
    monkeypatch.setenv("IDENTITY__ISSUERS__MAIN__CONSUMER_PREFIX", "a-")
    monkeypatch.setenv("IDENTITY__ISSUERS__OTHER__ISSUER", "https://other.example.com")
    monkeypatch.setenv("IDENTITY__ISSUERS__OTHER__AUDIENCE", '["x", "y"]')
    monkeypatch.setenv("IDENTITY__ISSUERS__OTHER__CONSUMER_PREFIX", second)

    if fine:
        assert listed(load_settings().identity.issuers["other"].audience) == ("x", "y")
    else:
        assert "consumer_prefix" in faults()[0]


def test_one_issuer_cannot_be_configured_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two entries for one issuer would leave open which one's rules count."""
    for name in ("ISSUER", "AUDIENCE"):
        monkeypatch.setenv(
            f"IDENTITY__ISSUERS__OTHER__{name}", MINIMUM[f"IDENTITY__ISSUERS__MAIN__{name}"]
        )
    assert "same issuer" in faults()[0]
