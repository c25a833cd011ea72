"""`APIDECK__…`: the Unify apps, and how Apideck is called."""

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

from ..common.urls import origin, web_url
from .groups import Group, Secret

_KEY = re.compile(r"[\x21-\x7e]{8,512}")


def valid_api_key(value: str) -> str:
    """Return `value` if it can be an API key: 8 to 512 printable ASCII characters, no space.

    Raises:
        ValueError: it cannot be one; the message does not quote it.
    """
    if _KEY.fullmatch(value) is None:
        raise ValueError("must be 8 to 512 printable ASCII characters without spaces")
    return value


def _valid_secret(value: SecretStr) -> SecretStr:
    valid_api_key(value.get_secret_value())
    return value


def _without_query(value: str) -> str:
    if "?" in value:
        raise ValueError("must have no query, because paths are appended to it")
    return value


Key = Annotated[Secret, AfterValidator(_valid_secret)]
AppId = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[\x21-\x7e]{1,128}$")]
BaseUrl = Annotated[str, AfterValidator(web_url), AfterValidator(_without_query)]
VaultOrigins = Annotated[
    tuple[Annotated[str, AfterValidator(origin)], ...], Field(min_length=1, max_length=8)
]
UnifyAppName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class _Keyed(Group):
    """Settings with an API key."""

    api_key: Key | None = None
    """The secret API key. Set either this or `api_key_file`."""

    api_key_file: Path | None = None
    """A file that contains only the API key, such as a mounted secret. A new key in it is used
    within seconds, without a restart."""

    previous_api_key_file: Path | None = None
    """A file that contains only the API key that was in use before. Events that Apideck signed with
    it are accepted for `WEBHOOKS__PREVIOUS_KEY_SECONDS` after a start. Only a key that is changed
    together with a restart needs it; remove it afterwards."""

    app_id: AppId
    """The ID of your Unify app in Apideck."""

    @field_validator("api_key_file")
    @classmethod
    def _one_key(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if "api_key" in info.data and (info.data["api_key"] is None) == (value is None):
            raise ValueError("set exactly one of api_key and api_key_file")
        return value


class AdditionalUnifyApp(_Keyed):
    """A further Unify app: another environment, region or brand, with its own key."""

    base_url: BaseUrl | None = None
    """URL of its API; by default that of the first Unify app."""

    vault_origins: VaultOrigins | None = None
    """Origins at which its sessions may open; by default those of the first Unify app."""


class UnifyApp(_Keyed):
    """A Unify app with everything that is needed to call Apideck as it."""

    DEFAULT: ClassVar = "default"
    """The name of the Unify app that the settings outside `unify_apps` describe."""

    base_url: BaseUrl
    """URL of its API."""

    vault_origins: VaultOrigins
    """Origins at which its sessions may open."""


class RetrySettings(Group):
    """Retries after a temporary failure."""

    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """Attempts for one call to Apideck, including the first; 1 means no retries."""

    base_delay_seconds: Annotated[float, Field(gt=0, le=10)] = 0.1
    """Longest delay before the second attempt, in seconds; it doubles with each further attempt.
    The delay is random between zero and that. A Retry-After of Apideck takes precedence."""

    max_delay_seconds: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Longest delay before any attempt, in seconds."""

    budget_ratio: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Retries per call in the long run, which limits the additional load during an outage."""

    budget_reserve: Annotated[int, Field(ge=0, le=1000)] = 10
    """Largest number of retries that can be saved up."""


class BreakerSettings(Group):
    """The circuit breaker, which stops requests while most of them fail."""

    failure_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of failed requests at which it opens."""

    min_requests: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Requests within the window below which it never opens."""

    window_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    """How long a request counts, in seconds."""

    open_seconds: Annotated[float, Field(gt=0, le=300)] = 5.0
    """How long no request is sent, in seconds; then one at a time is tried."""

    probes: Annotated[int, Field(ge=1, le=100)] = 3
    """Consecutive successes after which it closes."""


class ApideckSettings(UnifyApp):
    """The Unify apps, and how Apideck is called."""

    base_url: BaseUrl = "https://unify.apideck.com"
    """URL of Apideck's API. The default is its only production host."""

    vault_origins: VaultOrigins = ("https://vault.apideck.com",)
    """Origins at which a session may open; a session at any other origin is rejected."""

    unify_apps: dict[UnifyAppName, AdditionalUnifyApp] = Field(default_factory=dict)
    """Further Unify apps, each under a name by which issuers and claims select it. The Unify app
    that is described outside this table is named `default`."""

    deadline_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    """Time for one call to Apideck, in seconds: connecting, all attempts and the delays between
    them."""

    attempt_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 4.0
    """Time for one attempt, including connecting, in seconds."""

    max_response_bytes: Annotated[int, Field(ge=1024, le=1_048_576)] = 65_536
    """Largest response body in bytes; a larger one is rejected."""

    max_connections_bytes: Annotated[int, Field(ge=65_536, le=67_108_864)] = 4_194_304
    """Largest response body in bytes to a request for connections: it has every connector, with all
    its settings."""

    retries: RetrySettings = RetrySettings()
    """Retries after a temporary failure."""

    breaker: BreakerSettings = BreakerSettings()
    """The circuit breaker, which stops requests while most of them fail."""

    def all_unify_apps(self) -> dict[str, UnifyApp]:
        """Return each Unify app by its name, with the settings that it inherits from the first."""
        every: dict[str, UnifyApp] = {self.DEFAULT: self}
        for name, further in self.unify_apps.items():
            every[name] = UnifyApp(
                api_key=further.api_key,
                api_key_file=further.api_key_file,
                previous_api_key_file=further.previous_api_key_file,
                app_id=further.app_id,
                base_url=further.base_url or self.base_url,
                vault_origins=further.vault_origins or self.vault_origins,
            )
        return every

    @model_validator(mode="after")
    def _one_default(self) -> Self:
        if self.DEFAULT in self.unify_apps:
            raise ValueError("unify_apps must not contain the name default")
        return self
