"""Settings from any environment: the process starts, or reports faults without values."""

import os
import tempfile
from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st

from app.errors import ConfigurationError
from app.settings import Settings
from app.settings.sources import load_settings

SECRET = "planted-in-the-environment"
PYDANTIC = ("Input", "Value error", "pydantic", "Field required", "validation error", "^[")
"""What faults must not contain: pydantic's own messages, and regular expressions."""
MINIMUM = {
    "APIDECK__API_KEY": SECRET,
    "APIDECK__APP_ID": "app",
    "IDENTITY__ISSUERS__MAIN__ISSUER": "https://id.example.com/",
    "IDENTITY__ISSUERS__MAIN__AUDIENCE": "vault-bff",
}
NAMES = [
    "APIDECK", "APIDECK__API_KEY", "APIDECK__API_KEY_FILE", "APIDECK__BASE_URL",
    "APIDECK__VAULT_ORIGINS", "APIDECK__UNIFY_APPS", "APIDECK__APPLICATIONS__EU__API_KEY",
    "APIDECK__DEADLINE_SECONDS", "APIDECK__RETRIES", "IDENTITY", "IDENTITY__ISSUERS",
    "IDENTITY__ISSUERS__MAIN", "IDENTITY__ISSUERS__MAIN__ISSUER",
    "IDENTITY__ISSUERS__MAIN__ALGORITHMS", "IDENTITY__ISSUERS__MAIN__INTROSPECTION__CLIENT_SECRET",
    "IDENTITY__ISSUERS__MAIN__CLAIMS__CONSUMER_ID", "IDENTITY__ISSUERS__MAIN__GRANTS",
    "IDENTITY__COOKIE_SESSIONS", "SESSION", "SESSION__RETURN_TO", "SESSION__DEFAULTS",
    "SESSION__DEFAULTS__CUSTOM_CONSUMER_SETTINGS", "SESSION__MAX_SESSION_LENGTH", "LIMITS",
    "LIMITS__STORE", "LIMITS__PER_USER", "CORS__ALLOW_ORIGINS", "SERVER__PORT",
    "SERVER__TRUSTED_PROXIES", "SERVER__PUBLIC_URL", "LOG__LEVEL", "SESSION__TYPO", "LOG__LEVEL__X",
]  # fmt: skip
texts = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20
) | st.sampled_from(
    [SECRET, f'["{SECRET}"]', f'{{"x": "{SECRET}"}}', f"https://{SECRET}@x.example", "{}", "[]",
     "null", "true", "1e999", "NaN", "0", "-1", "9" * 5000, '{"a": 1, "a": 2}', '"\\ud800"',
     f'{{"api_key": "{SECRET} {SECRET}"}}', f"redis://:{SECRET}@x", "[[[[", "٣"]
)  # fmt: skip
files = st.none() | st.binary(max_size=50) | st.lists(
    st.sampled_from(
        ["[apideck]", "[identity.issuers.main]", "[session.defaults.theme]", "[[apideck]]", "[log",
         f'api_key = "{SECRET}"', f'app_id = "{SECRET} {SECRET}"', f'audience = ["{SECRET}", 1]',
         f'level = """{SECRET}"', SECRET, f'typo.typo = "{SECRET}"', f"i = {{ x = '{SECRET}' }}",
         "deadline_seconds = nan", "a = 1979-05-27T07:32:00Z", "port = 0x1f90", '"\\ud800" = 1',
         f"custom_consumer_settings = {{ a = 1e400, b = [ '{SECRET}' ] }}", "é = 1", "a.b.c = {}"]
    ),
    max_size=5,
).map("\n".join).map(str.encode)  # fmt: skip


def loaded(environment: dict[str, str], file: bytes | None) -> Settings | None:
    """Return the settings of an environment and of a file, or None if they have faults."""
    with (
        tempfile.NamedTemporaryFile(suffix=".toml") as named,
        patch.dict(os.environ, {**MINIMUM, **environment}, clear=True),
    ):
        if file is not None:
            named.write(file)
            named.flush()
            os.environ["CONFIG_FILE"] = named.name
        try:
            return load_settings()
        except ConfigurationError as error:
            faults = error.faults
    assert faults
    assert not any(SECRET in fault or len(fault) > 500 for fault in faults)
    assert not any(word in fault for fault in faults for word in PYDANTIC)
    return None


@given(environment=st.dictionaries(st.sampled_from(NAMES), texts, max_size=4), file=files)
@example(environment={}, file=None)
@example(environment={}, file=b"\xff")
@example(environment={}, file=f'[apideck]\napi_key = "{SECRET}'.encode())
@example(environment={"SESSION": "[" * 100_000}, file=None)
@example(
    environment={"SESSION__DEFAULTS__CUSTOM_CONSUMER_SETTINGS": '{"x": ' + "9" * 4400 + "}"},
    file=None,
)
@example(environment={"APIDECK": f'{{"api_key": "{SECRET} {SECRET}"}}'}, file=None)
@example(environment={"SERVER__TRUSTED_PROXIES": '["10.0.0.1/99"]'}, file=None)
def test_any_environment_is_settings_or_a_list_of_faults(
    environment: dict[str, str], file: bytes | None
) -> None:
    """Nothing else is raised, and no representation of the settings shows a secret."""
    settings = loaded(environment, file)

    if settings is not None:
        assert SECRET not in repr(settings.apideck)
        assert SECRET not in settings.apideck.model_dump_json()
