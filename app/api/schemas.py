"""What goes over the wire to callers, as OpenAPI describes it."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from app.sessions.models import VaultLink

UtcSeconds = Annotated[datetime, PlainSerializer(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}")]


class VaultSession(BaseModel):
    """The way into the Vault. Treat it as a password: it opens the customer's connections."""

    model_config = ConfigDict(use_attribute_docstrings=True)

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


class FieldProblem(BaseModel):
    """One thing wrong with one field."""

    pointer: str
    detail: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    """URI of the type of problem; it resolves on this service."""
    title: str
    """What it is, in a few words."""
    status: int
    """The HTTP status once more."""
    detail: str
    """What is wrong this time, in words for whoever called."""
    request_id: str | None
    """What finds the request in the operator's log."""
    errors: list[FieldProblem] | None = None
    """For bad input: each field, by a JSON Pointer (RFC 6901) into the body, and its fault."""
