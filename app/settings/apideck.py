"""`APIDECK__…`: whom to ask, and with which key."""

import re
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from app.common.urls import origin, web_url
from app.settings.groups import Group, Secret

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


Key = Annotated[Secret, AfterValidator(_valid_secret)]
AppId = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[\x21-\x7e]{1,128}$")]
BaseUrl = Annotated[str, AfterValidator(web_url)]
VaultOrigins = Annotated[
    tuple[Annotated[str, AfterValidator(origin)], ...], Field(min_length=1, max_length=8)
]
UnifyAppName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class _Keyed(Group):
    """What has an API key."""

    api_key: Key | None = None
    """The secret API key. Give it here or in `api_key_file`, not in both."""

    api_key_file: Path | None = None
    """A file that holds the API key and nothing else, such as a mounted secret. A new key in it is
    taken into use within seconds, without a restart."""

    app_id: AppId
    """The id of your Unify app in Apideck."""

    @field_validator("api_key_file")
    @classmethod
    def _one_key(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if "api_key" in info.data and (info.data["api_key"] is None) == (value is None):
            raise ValueError("set exactly one of api_key and api_key_file")
        return value


class AdditionalUnifyApp(_Keyed):
    """A further Unify app: another environment, region or brand, with its own key."""

    base_url: BaseUrl | None = None
    """Where its API is; the same as of the first one where this is not given."""

    vault_origins: VaultOrigins | None = None
    """Origins that its sessions may open at; those of the first one where this is not given."""


class UnifyApp(_Keyed):
    """A Unify app with everything that is needed to ask as it."""

    DEFAULT: ClassVar = "default"
    """The name of the application that the settings outside `unify_apps` describe."""

    base_url: BaseUrl
    """Where its API is."""

    vault_origins: VaultOrigins
    """Origins that its sessions may open at."""


class RetrySettings(Group):
    """Asking again after a failure that may pass."""

    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """Requests to Apideck that one session may take, the first included; 1 never asks again."""

    base_delay_seconds: Annotated[float, Field(gt=0, le=10)] = 0.1
    """Seconds before the second attempt at most; each further one doubles it, and chance picks
    from zero to that. A Retry-After of Apideck's counts instead."""

    max_delay_seconds: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Seconds that chance picks from at most."""

    budget_ratio: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Retries per request in the long run, so that an outage brings only so much more traffic."""

    budget_reserve: Annotated[int, Field(ge=0, le=1000)] = 10
    """Retries that quiet times save up at most."""


class BreakerSettings(Group):
    """Not asking while most requests fail."""

    failure_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of failed requests at which asking stops."""

    min_requests: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Requests within the window below which it never does."""

    window_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    """Seconds that a request counts."""

    open_seconds: Annotated[float, Field(gt=0, le=300)] = 5.0
    """Seconds until one request at a time is tried again."""

    probes: Annotated[int, Field(ge=1, le=100)] = 3
    """Tries that must go well, one after the other, before all requests are let through."""


class ApideckSettings(UnifyApp):
    """Whom to ask for sessions, with which key, and for how long."""

    base_url: BaseUrl = "https://unify.apideck.com"
    """Where Apideck's API is. There is no other production host than the default."""

    vault_origins: VaultOrigins = ("https://vault.apideck.com",)
    """Origins that a session may open at; an answer that names any other is refused."""

    unify_apps: dict[UnifyAppName, AdditionalUnifyApp] = Field(default_factory=dict)
    """Further Unify apps, each under a name by which issuers and claims choose it. The one
    that is described here, outside of this table, is named `default`."""

    deadline_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    """Seconds that one session may take upstream: connecting, every attempt, and the waiting in
    between."""

    attempt_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 4.0
    """Seconds that one attempt may take, connecting included."""

    max_response_bytes: Annotated[int, Field(ge=1024, le=1_048_576)] = 65_536
    """Bytes of an answer that are read at most; a longer one is refused."""

    retries: RetrySettings = RetrySettings()
    """Asking again after a failure that may pass."""

    breaker: BreakerSettings = BreakerSettings()
    """Not asking while most requests fail."""

    def all_unify_apps(self) -> dict[str, UnifyApp]:
        """Return each application under its name, with whatever it shares with the first one."""
        every: dict[str, UnifyApp] = {self.DEFAULT: self}
        for name, further in self.unify_apps.items():
            every[name] = UnifyApp(
                api_key=further.api_key,
                api_key_file=further.api_key_file,
                app_id=further.app_id,
                base_url=further.base_url or self.base_url,
                vault_origins=further.vault_origins or self.vault_origins,
            )
        return every

    @model_validator(mode="after")
    def _one_default(self) -> Self:
        if self.DEFAULT in self.unify_apps:
            raise ValueError("default is the name of the Unify app outside of unify_apps")
        return self
