"""`APIDECK__…`: whom to ask, and with which key."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from app.settings.groups import Group
from app.urls import origin, web_url

_KEY = re.compile(r"[\x21-\x7e]{8,512}")


def valid_api_key(value: str) -> str:
    """Return `value` when it can be an API key: 8 to 512 printable ASCII characters, no space.

    Raises:
        ValueError: otherwise, without quoting it.
    """
    if _KEY.fullmatch(value) is None:
        raise ValueError("must be 8 to 512 printable ASCII characters without spaces")
    return value


def _valid_secret(value: SecretStr) -> SecretStr:
    valid_api_key(value.get_secret_value())
    return value


class ApideckSettings(Group):
    """Whom to ask for sessions, and with which key."""

    api_key: Annotated[SecretStr, AfterValidator(_valid_secret)] | None = None
    """The secret API key. Give it here or in `api_key_file`, not in both."""

    api_key_file: Path | None = None
    """A file that holds the API key and nothing else, such as a mounted secret."""

    app_id: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$")]
    """The id of your Unify application in Apideck."""

    base_url: Annotated[str, AfterValidator(web_url)] = "https://unify.apideck.com"
    """Where Apideck's API is. There is no other production host than the default."""

    vault_origins: tuple[Annotated[str, AfterValidator(origin)], ...] = Field(
        default=("https://vault.apideck.com",), min_length=1
    )
    """Origins that a session may open at; an answer that names any other is refused."""

    deadline_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    """Seconds that one session may take upstream, connecting included."""

    max_response_bytes: Annotated[int, Field(ge=1024, le=1_048_576)] = 65_536
    """Bytes of an answer that are read at most; a longer one is refused."""

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if (self.api_key is None) == (self.api_key_file is None):
            raise ValueError("needs exactly one of api_key and api_key_file")
        return self
