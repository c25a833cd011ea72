"""What goes over the wire to callers, as OpenAPI describes it."""

from datetime import datetime
from typing import Annotated, NotRequired

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, with_config
from typing_extensions import TypedDict

from app.sessions.models import VaultLink

UtcSeconds = Annotated[
    datetime,
    # Not strftime, which takes ten times as long.
    PlainSerializer(lambda moment: f"{moment.replace(tzinfo=None).isoformat('T', 'seconds')}Z"),
    Field(json_schema_extra={"format": "date-time"}),
]
_DESCRIBED = ConfigDict(use_attribute_docstrings=True)


class VaultSession(BaseModel):
    """The way into the Vault. Treat it as a password: it opens the customer's connections."""

    model_config = _DESCRIBED

    redirect_url: Annotated[str, Field(examples=["https://vault.apideck.com/session/eyJ…"])]
    """Where to send the browser, as a top-level navigation."""

    session_token: Annotated[str, Field(examples=["eyJ…"])]
    """The same session for embedding: `ApideckVault.open({token})`. Keep it in memory only."""

    expires_at: Annotated[UtcSeconds, Field(examples=["2026-01-31T12:00:00Z"])]
    """When the session ends, in UTC."""

    @classmethod
    def of(cls, link: VaultLink) -> "VaultSession":
        """Return the answer that holds a link."""
        return cls(
            redirect_url=link.redirect_url,
            session_token=link.session_token,
            expires_at=link.expires_at,
        )


@with_config(_DESCRIBED)
class FieldProblem(TypedDict):
    """One thing wrong with one field."""

    pointer: Annotated[str, Field(examples=["/connection/service_id"])]
    """Where, as a JSON Pointer (RFC 6901) into the body; empty is the whole body."""
    detail: Annotated[str, Field(examples=["This field is required."])]
    """What is wrong with it."""


@with_config(_DESCRIBED)
class Problem(TypedDict):
    """What went wrong (RFC 9457)."""

    type: Annotated[str, Field(json_schema_extra={"format": "uri-reference"})]
    """URI of the type of problem; it resolves on this service."""
    title: str
    """What it is, in a few words."""
    status: int
    """The HTTP status once more."""
    detail: str
    """What is wrong this time, in words for whoever called."""
    request_id: str | None
    """What finds the request in the operator's log."""
    errors: NotRequired[list[FieldProblem]]
    """For bad input: each field, and its fault."""
