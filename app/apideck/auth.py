"""The API key: where it comes from, and how it is put on a request."""

from collections.abc import Generator
from pathlib import Path

import httpx
from pydantic import SecretStr

from app.errors import ConfigurationError
from app.settings import ApideckSettings
from app.settings.apideck import valid_api_key


class ApiKeyAuth(httpx.Auth):
    """Puts the secret API key on every request as a bearer token, and shows it to nobody."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the Authorization header (https://developers.apideck.com/get-started)."""
        request.headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        yield request


def read_api_key(settings: ApideckSettings) -> SecretStr:
    """Return the API key from the settings, or from the file that they name.

    Raises:
        ConfigurationError: when the file cannot be read, or what it holds cannot be a key.
    """
    if settings.api_key is not None:
        return settings.api_key
    try:
        return SecretStr(valid_api_key(_text(settings.api_key_file).strip()))
    except OSError as error:
        fault = error.strerror or "cannot be read"
    except ValueError as error:
        fault = str(error)
    raise ConfigurationError([f"APIDECK__API_KEY_FILE: {fault}"])


def _text(path: Path | None) -> str:
    # The settings hold exactly one of key and file, so there is one here.
    return "" if path is None else path.read_text(encoding="utf-8")
