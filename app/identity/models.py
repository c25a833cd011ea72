"""What identity hands on: the Caller, and nothing of the credential that proved it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.vault import ConsumerMetadata

Claims = Mapping[str, Any]
"""Verified claims about a subject: a JSON object (RFC 7519 section 4)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who proved who they are.

    Attributes:
        kind: whether this is a signed-in person or one of the operator's own services.
        issuer: the operator's name for the issuer or application that vouches for the caller.
        subject: who the caller is to that issuer; with `issuer` it is the caller's identity.
        consumer_id: the consumer that a user acts for, ready to be sent in a header; None for a
            service, which has to name one.
        consumer_metadata: what is known of the consumer, for people to read. Left out of `repr`,
            because a person's name and address belong in no log.
        actor: who acts for the subject, where the token was delegated (RFC 8693 section 4.1).
        unify_app: the operator's name of the Unify app that this caller's sessions are
            made with.
        grant: for which consumers a service may mint: exact ids, prefixes with an asterisk at
            their end, or an asterisk alone.
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
        """What tells this caller from every other: kind, issuer, subject, and who acts for them."""
        return self.kind, self.issuer, self.subject, self.actor

    def may_mint_for(self, consumer_id: str) -> bool:
        """Tell whether a service's grant covers a consumer; a user has no grant."""
        return any(
            consumer_id.startswith(pattern[:-1])
            if pattern.endswith("*")
            else consumer_id == pattern
            for pattern in self.grant
        )
