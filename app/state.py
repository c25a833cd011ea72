"""What a request may reach: opened by the lifespan, handed to every request."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from app.apideck.client import ApideckClient
from app.identity.authenticator import Authenticator
from app.identity.jwks import Jwks
from app.limits.gate import Gate
from app.limits.rates import RateLimits
from app.observability.metrics import Metrics
from app.observability.tracing import Tracing
from app.sessions.service import SessionService


@dataclass(slots=True)
class Shutdown:
    """Whether the process was told to end; it serves for a while longer, but is not ready."""

    begun: bool = False


class AppState(TypedDict):
    """The state of the running service."""

    gate: Gate
    authenticator: Authenticator
    limits: RateLimits
    sessions: SessionService
    jwks: Mapping[str, Jwks]
    ready_without_jwks: bool
    apideck: Mapping[str, ApideckClient]
    shutdown: Shutdown
    metrics: Metrics
    tracing: Tracing


def came(scope: Mapping[str, Any]) -> float:
    """Return when a request came, by `time.perf_counter`: before it waited for a place, if it did.

    Args:
        scope: the request's ASGI scope.
    """
    noted: float | None = scope.get("state", {}).get("came")
    return time.perf_counter() if noted is None else noted
