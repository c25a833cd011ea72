"""What a request may reach: opened by the lifespan, handed to every request."""

from collections.abc import Mapping
from typing import TypedDict

from app.identity.authenticator import Authenticator
from app.identity.jwks import Jwks
from app.observability.metrics import Metrics
from app.sessions.service import SessionService


class AppState(TypedDict):
    """The state of the running service."""

    authenticator: Authenticator
    sessions: SessionService
    jwks: Mapping[str, Jwks]
    metrics: Metrics
