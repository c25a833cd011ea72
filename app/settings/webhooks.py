"""`WEBHOOKS__…`: where Apideck's events are forwarded to."""

import binascii
from base64 import b64decode
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from ..common.urls import service_url
from .apideck import UnifyAppName
from .groups import Group

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the prefix that every secret has
MAX_SIGNING_SECRETS: Final = 2

_MIN_SECRET_BYTES = 24
_MAX_SECRET_BYTES = 64
_MAX_TARGET_TIMEOUT_SECONDS = 55.0


def signing_secrets(text: str) -> tuple[str, ...]:
    """Return the one or two signing secrets that a setting or a file holds.

    Source: the Standard Webhooks specification: `whsec_` and 24 to 64 bytes in base64.

    Raises:
        ValueError: otherwise, without quoting it.
    """
    secrets = tuple(text.split())
    if not 1 <= len(secrets) <= MAX_SIGNING_SECRETS:
        raise ValueError("must be one secret, or two with a space between them")
    if not all(map(_is_signing_secret, secrets)):
        raise ValueError(
            f"must be {SECRET_PREFIX} followed by {_MIN_SECRET_BYTES} to {_MAX_SECRET_BYTES} "
            "bytes in base64"
        )
    return secrets


def _is_signing_secret(secret: str) -> bool:
    try:
        # Strict: the library that signs ignores every character that is not base64.
        key = b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        return False
    return secret.startswith(SECRET_PREFIX) and _MIN_SECRET_BYTES <= len(key) <= _MAX_SECRET_BYTES


def _valid_secrets(value: SecretStr) -> SecretStr:
    signing_secrets(value.get_secret_value())
    return value


SigningSecrets = Annotated[SecretStr, AfterValidator(_valid_secrets)]
TargetUrl = Annotated[str, AfterValidator(service_url)]
EventPattern = Annotated[
    str, StringConstraints(pattern=r"^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.?\*)?)$")
]


class WebhookTarget(Group):
    """Where events are forwarded to, and with which secret they are signed."""

    target_url: TargetUrl | None = None
    """The endpoint of your own backend that receives Apideck's events."""

    signing_secret: SigningSecrets | None = None
    """The secret that forwarded events are signed with, as the Standard Webhooks specification
    writes it: `whsec_` and 24 to 64 random bytes in base64. Two secrets with a space between them
    are both used, so that a receiver can change from one to the other. Give it here or in
    `signing_secret_file`, not in both."""

    signing_secret_file: Path | None = None
    """A file that holds the secret, or both, and nothing else. New secrets in it are used within
    seconds, without a restart."""

    @property
    def has_secret(self) -> bool:
        """Whether a secret is given."""
        return self.signing_secret is not None or self.signing_secret_file is not None

    @model_validator(mode="after")
    def _at_most_one_source(self) -> Self:
        if self.signing_secret is not None and self.signing_secret_file is not None:
            raise ValueError("takes one of signing_secret and signing_secret_file, not both")
        return self


class WebhookSettings(WebhookTarget):
    """Where Apideck's events are forwarded to. Without a target there is no such endpoint."""

    unify_apps: dict[UnifyAppName, WebhookTarget] = Field(default_factory=dict)
    """Other targets for some of your Unify apps, by the name of the app. What is not given there
    is the same as outside of this table."""

    event_types: Annotated[tuple[EventPattern, ...], Field(min_length=1, max_length=32)] = (
        "vault.connection.*",
    )
    """Types of the events to forward. An asterisk at the end stands for any ending, dots
    included."""

    previous_key_seconds: Annotated[int, Field(ge=0, le=86_400)] = 600
    """Seconds after a change of the API key in which events signed with the previous key are still
    accepted. Use 0 if the previous key has leaked."""

    max_age_hours: Annotated[int, Field(ge=1, le=720)] = 168
    """Hours after which an event is rejected as a replay. Apideck delivers failed events again, so
    allow for the longest outage of your backend."""

    timeout_seconds: Annotated[float, Field(gt=0, le=_MAX_TARGET_TIMEOUT_SECONDS)] = 20.0
    """Seconds that the target may take to respond. Apideck itself waits for 60."""

    max_in_flight: Annotated[int, Field(ge=1, le=10_000)] = 32
    """Events that one process forwards to one target at the same time; more are rejected with a
    503, and Apideck delivers them again."""

    @property
    def max_age(self) -> timedelta:
        """The age at which an event is rejected."""
        return timedelta(hours=self.max_age_hours)

    @property
    def enabled(self) -> bool:
        """Whether the events of any Unify app are forwarded."""
        return bool(self.target_urls)

    @property
    def target_urls(self) -> frozenset[str]:
        """The URLs that events are forwarded to. Each has slots of its own."""
        targets: list[WebhookTarget] = [self, *self.unify_apps.values()]
        return frozenset(one.target_url for one in targets if one.target_url is not None)

    def target_of(self, unify_app: str) -> WebhookTarget | None:
        """Return where the events of a Unify app go, or None if they go nowhere."""
        own = self.unify_apps.get(unify_app, WebhookTarget())
        target_url = own.target_url or self.target_url
        if target_url is None:
            return None
        secret = own if own.has_secret else self
        # Not validated again: a URL with http is valid only as the operator wrote it.
        return WebhookTarget.model_construct(
            target_url=target_url,
            signing_secret=secret.signing_secret,
            signing_secret_file=secret.signing_secret_file,
        )

    @model_validator(mode="after")
    def _targets_have_secrets(self) -> Self:
        targets: list[WebhookTarget] = [self, *self.unify_apps.values()]
        if any(one.target_url and not (one.has_secret or self.has_secret) for one in targets):
            raise ValueError("a target needs signing_secret or signing_secret_file")
        if any(one.has_secret and not (one.target_url or self.target_url) for one in targets):
            raise ValueError("a signing secret needs a target_url")
        return self
