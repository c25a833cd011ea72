"""Response bodies, as OpenAPI describes them."""

from datetime import datetime
from typing import Annotated, NotRequired

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, with_config
from typing_extensions import TypedDict

from ..sessions.models import VaultLink

UtcSeconds = Annotated[
    datetime,
    # strftime takes ten times as long.
    PlainSerializer(lambda moment: f"{moment.replace(tzinfo=None).isoformat('T', 'seconds')}Z"),
    Field(json_schema_extra={"format": "date-time"}),
]
_DESCRIBED = ConfigDict(use_attribute_docstrings=True)


class VaultSession(BaseModel):
    """A Vault session. Treat it as a password: it opens the customer's connections."""

    model_config = _DESCRIBED

    redirect_url: Annotated[str, Field(examples=["https://vault.apideck.com/session/eyJ…"])]
    """Where to send the browser, as a top-level navigation."""

    session_token: Annotated[str, Field(examples=["eyJ…"])]
    """The same session for embedding: `ApideckVault.open({token})`. Keep it in memory only."""

    expires_at: Annotated[UtcSeconds, Field(examples=["2026-01-31T12:00:00Z"])]
    """When the session ends, in UTC."""

    @classmethod
    def of(cls, link: VaultLink) -> "VaultSession":
        """Return the response for a link."""
        return cls(
            redirect_url=link.redirect_url,
            session_token=link.session_token,
            expires_at=link.expires_at,
        )


@with_config(_DESCRIBED)
class FieldProblem(TypedDict):
    """What is wrong with one field."""

    pointer: Annotated[str, Field(examples=["/connection/service_id"])]
    """Which field, as a JSON Pointer (RFC 6901) into the body; empty for the whole body. For a
    parameter it begins with `/path`, `/query`, `/header` or `/cookie`."""
    detail: Annotated[str, Field(examples=["This field is required."])]
    """What is wrong with it."""


@with_config(_DESCRIBED)
class Problem(TypedDict):
    """An error (RFC 9457)."""

    type: Annotated[str, Field(json_schema_extra={"format": "uri-reference"})]
    """URI of the type of problem; it resolves on this service."""
    title: str
    """A short name of the type."""
    status: int
    """The HTTP status of the response."""
    detail: str
    """What went wrong this time; it can be shown to a person."""
    request_id: str | None
    """Identifies the request in the operator's log; null if the request could not be read."""
    errors: NotRequired[list[FieldProblem]]
    """For invalid input: each field, and what is wrong with it."""
