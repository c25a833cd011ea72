"""The Caller: all that the rest of the service knows of a credential."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..vault import ConsumerMetadata

Claims = Mapping[str, Any]
"""A JSON object: the claims of a token (RFC 7519 section 4), or its header."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller.

    Attributes:
        kind: a person who is signed in, or one of the operator's services.
        issuer: the operator's name for the source that identified the caller.
        subject: identifies the caller to that source.
        consumer_id: the consumer of a user, valid in a header; None for a service, which names a
            consumer in each request.
        consumer_metadata: display data about the consumer. Not in `repr`, because names and
            addresses of people must not be logged.
        actor: who acts for the subject, if the token was delegated (RFC 8693 section 4.1).
        unify_app: the operator's name of the Unify app for the caller's sessions.
        grant: the consumers for which a service may start sessions: ids, prefixes that end in an
            asterisk, or an asterisk alone.
    """

    kind: Literal["user", "service"]
    issuer: str
    subject: str
    consumer_id: str | None
    consumer_metadata: ConsumerMetadata = field(default_factory=ConsumerMetadata, repr=False)
    actor: str | None = None
    unify_app: str = "default"
    grant: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[str, str, str, str | None]:
        """What distinguishes this caller from every other one."""
        return self.kind, self.issuer, self.subject, self.actor

    def may_act_for(self, consumer_id: str) -> bool:
        """Return whether the grant of a service covers a consumer; users have no grant."""
        return any(
            consumer_id.startswith(pattern[:-1])
            if pattern.endswith("*")
            else consumer_id == pattern
            for pattern in self.grant
        )
