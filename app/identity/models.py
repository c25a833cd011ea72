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
        issuer: the operator's name for the issuer that vouches for the caller.
        subject: who the caller is to that issuer; with `issuer` it is the caller's identity.
        consumer_id: the consumer that the caller acts for, ready to be sent in a header.
        consumer_metadata: what is known of the consumer, for people to read. Left out of `repr`,
            because a person's name and address belong in no log.
    """

    kind: Literal["user", "service"]
    issuer: str
    subject: str
    consumer_id: str
    consumer_metadata: ConsumerMetadata = field(repr=False)
