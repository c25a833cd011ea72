from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.settings.claims import listed
from app.settings.faults import FORMS
from app.settings.sources import HOW_TO_BEGIN, load_settings, misspelt

COLOR = r"^[#a-zA-Z0-9(),.% -]{1,64}$"
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


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the path in CONFIG_FILE, where a test can write a file."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("CONFIG_FILE", str(path))
    return path


def faults() -> list[str]:
    """Return the faults of the current settings."""
    with pytest.raises(ConfigurationError) as error:
        load_settings()
    return list(error.value.faults)


def test_four_settings_are_a_complete_configuration() -> None:
    """An operator must set only the key, the app ID, the issuer and the audience."""
    settings = load_settings()

    assert settings.apideck.base_url == "https://unify.apideck.com"
    assert settings.identity.issuers["main"].issuer == "https://id.example.com/"
    assert listed(settings.identity.issuers["main"].audience) == ("vault-bff",)


def test_the_environment_overrides_the_file(file: Path) -> None:
    """The file applies to settings that are not in the environment."""
    file.write_text('[apideck]\napp_id = "from-file"\n[server]\nport = 9000\n')

    settings = load_settings()

    assert settings.apideck.app_id == "app-1"
    assert settings.server.port == 9000


@pytest.mark.parametrize(
    ("given", "port"),
    [({"PORT": "9100"}, 9100), ({"PORT": "9100", "SERVER__PORT": "9001"}, 9001), ({}, 9000)],
)
def test_port_overrides_the_file_and_server_port_overrides_both(
    file: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], port: int
) -> None:
    """Hosting platforms set the variable `PORT`."""
    file.write_text('[apideck]\napp_id = "from-file"\n[server]\nport = 9000\n')
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    assert load_settings().server.port == port


def test_the_error_for_an_invalid_port_names_the_variable_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error names the variable that contains the value."""
    monkeypatch.setenv("PORT", "none")

    assert faults() == ["PORT: must be a whole number"]


def test_other_errors_of_the_server_do_not_name_the_variable_port(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the setting in the group instead."""
    file.write_text('[apideck]\napp_id = "from-file"\n[server]\nworkers = 2\n')
    monkeypatch.setenv("PORT", "9001")

    assert [fault for fault in faults() if fault.startswith("PORT")] == []
    assert any("workers" in fault for fault in faults())


@pytest.mark.parametrize("group_first", [True, False])
def test_a_group_can_be_one_variable(monkeypatch: pytest.MonkeyPatch, *, group_first: bool) -> None:
    """The variable is JSON, and variables for single settings override it, in any order."""
    main = "IDENTITY__ISSUERS__MAIN"
    variables = {
        "SERVER": '{"port": 9000, "host": "0.0.0.0"}',
        main: '{"issuer": "https://id.example.com", "audience": "x"}',
        "SERVER__PORT": "9001",
        f"{main}__REQUIRED_SCOPE": "vault",
    }
    for name in list(variables) if group_first else reversed(variables):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, variables[name])

    settings = load_settings()

    assert settings.server.host == "0.0.0.0"  # noqa: S104 - nothing listens there
    assert settings.server.port == 9001
    assert settings.identity.issuers["main"].required_scope == "vault"


def test_lines_are_counted_as_editors_do(file: Path) -> None:
    """Only a line feed ends a line, with or without a carriage return."""
    file.write_bytes("# a\u2028b\r\n# c\x85d\n[server]\nport = 'x'\n".encode())

    assert any(fault.startswith(f"{file}, line 4: server.port") for fault in faults())


@pytest.mark.parametrize(
    ("value", "origins"),
    [
        ("https://a.example", ["https://a.example"]),
        (" https://a.example, https://b.example,", ["https://a.example", "https://b.example"]),
        ('["https://a.example"]', ["https://a.example"]),
        ("", []),
    ],
)
def test_a_list_can_be_one_value_several_values_or_json(
    monkeypatch: pytest.MonkeyPatch, value: str, origins: list[str]
) -> None:
    """An operator does not need JSON for one origin."""
    monkeypatch.setenv("CORS__ALLOW_ORIGINS", value)

    assert list(load_settings().cors.allow_origins) == origins


def test_lists_and_tables_are_decoded_at_every_level(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    """This includes groups with custom names, tables of lists, Apideck's objects and the file."""
    monkeypatch.setenv("IDENTITY__ISSUERS__MAIN__AUDIENCE", "a,b")
    monkeypatch.setenv("IDENTITY__ISSUERS__MAIN__CLAIMS__CONSUMER_ID", "org_id")
    monkeypatch.setenv(
        "IDENTITY__ISSUERS__BOTS", '{"issuer": "https://b.example", "audience": "x"}'
    )
    monkeypatch.setenv("IDENTITY__ISSUERS__BOTS__KIND", "services")
    monkeypatch.setenv("IDENTITY__ISSUERS__BOTS__GRANTS__ONBOARDING", "eu-*,us-*")
    monkeypatch.setenv("SESSION__DEFAULTS__SETTINGS__UNIFIED_APIS", "crm,ats")
    monkeypatch.setenv("SESSION__RETURN_TO", '{"home": "https://a.example/home"}')
    file.write_text('[cors]\nallow_origins = "https://a.example"\n')

    settings = load_settings()

    issuers = settings.identity.issuers
    assert issuers["main"].audience == ("a", "b")
    assert issuers["main"].claims.consumer_id == "org_id"
    assert issuers["bots"].grants == {"onboarding": ("eu-*", "us-*")}
    assert settings.session.defaults.settings["unified_apis"] == ["crm", "ats"]
    assert settings.session.return_to == {"home": "https://a.example/home"}
    assert settings.cors.allow_origins == ("https://a.example",)


def test_every_fault_has_its_own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line begins with the name of the setting, and contains no value."""
    monkeypatch.setenv("APIDECK__API_KEY", "sk with spaces")
    monkeypatch.setenv("APIDECK__TYPO", "1")
    monkeypatch.setenv("CORS__ALLOW_ORIGINS", '["https://app.example.com"')
    monkeypatch.setenv("SERVER__PORT", "99999")
    monkeypatch.setenv("IDENTITY__ISSUERS__MAIN__ISSUER", "http://id.example.com")

    assert sorted(line.partition(":")[0] for line in faults()) == [
        "APIDECK__API_KEY",
        "APIDECK__TYPO",
        "CORS__ALLOW_ORIGINS",
        "IDENTITY__ISSUERS__MAIN__ISSUER",
        "SERVER__PORT",
    ]
    assert not any("sk with spaces" in line or "app.example" in line for line in faults())


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("APIDECK__API_KEY_FILE", "/run/key", "set exactly one of api_key and api_key_file"),
        ("APIDECK__VAULT_ORIGINS", "[]", "must not be empty"),
        ("APIDECK__DEADLINE_SECONDS", "soon", "must be a number"),
        ("APIDECK__DEADLINE_SECONDS", "0", "must be more than 0"),
        ("APIDECK__DEADLINE_SECONDS", "nan", "must be at most 60"),
        ("APIDECK__UNIFY_APPS", "eu", "must be a table, or a JSON object"),
        ("APIDECK__UNIFY_APPS", '["eu"]', "must be a table"),
        ("SESSION__DEFAULT_RETURN_TO", "nowhere", "default_return_to must be the name of"),
        ("SESSION__RETURN_TO__HOME", "https://user@app.example.com", "must be an absolute https"),
        ("SESSION__USERS_MAY_SET", "theme,consumer_id", "entry 2 must be one of connection"),
        ("SESSION__DEFAULTS__SETTINGS__SHOW_LOG", "1", "is not a setting; did you mean"),
        ("SESSION__DEFAULTS__THEME__PRIMARY_COLOR", "red;", "must be a CSS color, such as #0a7"),
        ("SESSION__JOIN_IDENTICAL", "perhaps", "must be true or false"),
        ("CORS__ALLOW_ORIGINS", "null", "entry 1 must be an absolute https"),
        ("LIMITS__PER_USER", "7/minutes", "must be unlimited, or a number and /second, /minute"),
        ("LOG__LEVEL", "trace", "must be debug, info, warning or error"),
        ("LOG__LEVEL__X", "debug", "must be debug, info, warning or error"),
        ("SERVER__PUBLIC_URL", "https://app.example.com/", "must not end with a slash"),
        ("SERVER__TRUSTED_PROXIES", "10.0.0.0/99", "entry 1 must be a network, such as 10.0.0.0/8"),
        ("SERVER__PORT", "8000.5", "must be a whole number"),
        ("SERVER__PORT", "0", "must be at least 1"),
        ("TRACING__SERVICE_NAME", "", "must not be empty"),
        ("IDENTITY__ISSUERS__MAIN__ALGORITHMS", "RS256,HS256", "entry 2 must be RS256, RS384"),
        ("IDENTITY__ISSUERS__MAIN__AUDIENCE", "", "must not be empty"),
        ("IDENTITY__ISSUERS__MAIN__LEEWAY_SECONDS", "301", "must be at most 300"),
        ("IDENTITY__ISSUERS__MAIN__AUDIANCE", "x", "is not a setting; did you mean"),
        ("APIDECK__APPLICATIONS__EU__APP_ID", "x", "is now called APIDECK__UNIFY_APPS"),
        ("IDENTITY__APPLICATIONS", "{}", "is now called IDENTITY__COOKIE_SESSIONS"),
        (
            "IDENTITY__ISSUERS__MAIN__APIDECK__APPLICATION",
            "eu",
            "is now called IDENTITY__ISSUERS__MAIN__APIDECK__UNIFY_APP",
        ),
    ],
)
def test_a_fault_has_a_plain_description(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, fault: str
) -> None:
    """One line names the setting or its group, and states what is expected."""
    monkeypatch.setenv(name, value)

    [line] = faults()

    setting, _, description = line.partition(": ")
    assert name.startswith(setting)
    assert description.startswith(fault)


def test_an_invalid_table_key_is_described(file: Path) -> None:
    """The names that an operator chooses also have a required format."""
    file.write_text('[session.return_to]\n"Home Page" = "https://a.example"\n')

    [line] = faults()
    begin = f"{file}, line 2: session.return_to.Home Page: its name must be 1 to 64 lower-case "
    assert line.startswith(begin)


def test_missing_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a whole group is missing, each of its required settings is named."""
    monkeypatch.delenv("APIDECK__APP_ID")
    monkeypatch.delenv("APIDECK__API_KEY")

    assert faults() == [
        "APIDECK__API_KEY_FILE: set exactly one of api_key and api_key_file",
        "APIDECK__APP_ID: is required",
    ]


def test_without_settings_the_error_explains_how_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows the smallest configuration, and corrections of similar names."""
    for name in MINIMUM:
        monkeypatch.delenv(name)
    monkeypatch.setenv("APIDECK_APP_ID", "app-1")

    assert faults() == [
        *HOW_TO_BEGIN,
        "APIDECK_APP_ID: is not a setting; did you mean APIDECK__APP_ID?",
    ]
    assert all(any(line.startswith(f"{name}=") for line in HOW_TO_BEGIN) for name in MINIMUM)


def test_a_fault_in_the_file_has_a_line_number(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """It is the line of the setting, or of the table in which the setting is missing."""
    monkeypatch.delenv("IDENTITY__ISSUERS__MAIN__AUDIENCE")
    monkeypatch.delenv("IDENTITY__ISSUERS__MAIN__ISSUER")
    file.write_text("""\
# Settings
[identity.issuers.main]
issuer = "https://id.example.com"
audiance = '''
[server]
port = "x"'''

[server]
trusted_proxies = [
  "10.0.0.0/8",
  "10.0.0.0/99",
]
[session.defaults]
theme = { primary_color = "red;" }
[apidek]
[apideck.applications.eu]
app_id = "eu"
""")

    assert sorted(line.removeprefix(f"{file}, line ") for line in faults()) == [
        f"14: session.defaults.theme.primary_color: must be {FORMS[COLOR]}",
        "15: apidek: is not a setting; did you mean apideck?",
        "16: apideck.applications: is now called unify_apps",
        "2: identity.issuers.main.audience: is required",
        "4: identity.issuers.main.audiance: is not a setting; did you mean audience?",
        "9: server.trusted_proxies: entry 2 must be a network, such as 10.0.0.0/8",
    ]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"[apideck\n", "is not valid TOML (at line 1, column 9)"),
        (b'[apideck]\napi_key = "secret', "is not valid TOML (at end of document)"),
        (b"[a]\n[a]\n", "is not valid TOML (at line 2, column 3)"),
        (b"\xff", "is not UTF-8 text"),
        (b"a = " + b"[" * 100_000, "is nested too deeply"),
        (None, "No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(file: Path, content: bytes | None, fault: str) -> None:
    """The error contains the path and the reason, but no content of the file."""
    if content is not None:
        file.write_bytes(content)

    assert faults() == [f"CONFIG_FILE: {file}: {fault}"]


def test_a_folder_is_rejected_as_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A mounted directory is a common mistake."""
    monkeypatch.setenv("CONFIG_FILE", str(tmp_path))

    assert faults() == [f"CONFIG_FILE: {tmp_path}: Is a directory"]


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("APIDEK__APP_ID", "APIDECK__APP_ID"),
        ("APIDEK__APPID", "APIDECK__APP_ID"),
        ("SERVER_PORT", "SERVER__PORT"),
        ("server_port", "SERVER__PORT"),
        ("CORS_ALLOW_ORIGINS", "CORS__ALLOW_ORIGINS"),
        ("IDENTITIES__ISSUERS__MAIN__ISSUER", "IDENTITY__ISSUERS__MAIN__ISSUER"),
        ("IDENTITY_ISSUERS_MAIN_AUDIENCE", "IDENTITY__ISSUERS__<name>__AUDIENCE"),
    ],
)
def test_a_misspelt_variable_is_reported(
    monkeypatch: pytest.MonkeyPatch, name: str, suggestion: str
) -> None:
    """It does not prevent startup, because it may belong to another program."""
    monkeypatch.setenv(name, "1")

    load_settings()
    assert list(misspelt()) == [f"{name}: is not a setting; did you mean {suggestion}?"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SESSION", "ubuntu"),
        ("LOG", "debug"),
        ("LIMITS", ""),
        ("Logging__LogLevel__Default", "Warning"),
        ("SESSIONS__SECRET", "x"),
        ("SERVER_PORT", "tcp://10.0.0.1:80"),
        ("SERVER_NAME", "x"),
    ],
)
def test_variables_of_other_programs_are_ignored(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Desktops, Kubernetes and other frameworks set variables with such names."""
    monkeypatch.setenv(name, value)

    load_settings()
    assert list(misspelt()) == []


@pytest.mark.parametrize(("second", "valid"), [("", False), ("b-", True), ("a-x", False)])
def test_several_issuers_need_prefixes_that_cannot_be_confused(
    monkeypatch: pytest.MonkeyPatch, second: str, valid: bool
) -> None:
    """If one prefix began with another, consumers of two issuers could be the same."""
    monkeypatch.setenv("IDENTITY__ISSUERS__MAIN__CONSUMER_PREFIX", "a-")
    monkeypatch.setenv("IDENTITY__ISSUERS__OTHER__ISSUER", "https://other.example.com")
    monkeypatch.setenv("IDENTITY__ISSUERS__OTHER__AUDIENCE", '["x", "y"]')
    monkeypatch.setenv("IDENTITY__ISSUERS__OTHER__CONSUMER_PREFIX", second)

    if valid:
        assert listed(load_settings().identity.issuers["other"].audience) == ("x", "y")
    else:
        assert "consumer_prefix" in faults()[0]


def test_one_issuer_cannot_be_configured_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two entries for one issuer, it would be unclear which rules apply."""
    for name in ("ISSUER", "AUDIENCE"):
        monkeypatch.setenv(
            f"IDENTITY__ISSUERS__OTHER__{name}", MINIMUM[f"IDENTITY__ISSUERS__MAIN__{name}"]
        )
    assert "same issuer" in faults()[0]
