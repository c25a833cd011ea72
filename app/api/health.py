"""Whether the process is alive, and whether it is ready for requests."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from ..apideck.client import ApideckClient
from ..identity.jwks import JwksState
from ..limits.rates import RateLimits
from ..state import AppState, Workers, app_state
from ..webhooks.service import WebhookService

router = APIRouter(include_in_schema=False)

_READY: Final = "ready"


@router.api_route("/livez", methods=["GET", "HEAD"])
async def livez() -> dict[str, str]:
    """Report that the process responds; it should be restarted when it does not."""
    return {"status": "alive"}


@router.api_route("/readyz", methods=["GET", "HEAD"])
async def readyz(request: Request, response: Response) -> dict[str, Any]:
    """Report whether some callers can be served.

    They are the callers of an issuer whose keys are usable, and callers that are authenticated
    without keys. Apideck, the rate limit store and targets of events do not count: if one is down,
    taking every replica out of service does not help. Their state is reported all the same, without
    their addresses.
    """
    state = app_state(request.scope)
    workers = state.get("workers")
    report = readiness(state) if workers is None else await _readiness_of_all(state, workers)
    if report["status"] != _READY:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return report


async def _readiness_of_all(state: AppState, workers: Workers) -> dict[str, Any]:
    """Return what all workers report; one that is ready is enough."""
    reports = await workers.readiness()
    shutting_down = state["shutdown"].begun
    ready = any(one["status"] == _READY for one in reports.values()) and not shutting_down
    return {
        "status": _READY if ready else "not ready",
        "shutting_down": shutting_down,
        "workers": reports,
    }


def readiness(state: AppState) -> dict[str, Any]:
    """Return what `/readyz` reports of this process.

    Args:
        state: what the lifespan opened, as far as it has.
    """
    if "sources" not in state:  # Only the internal port is open before the service has started.
        return {"status": "starting"}
    keys = {source.label: source.key_state() for source in state["sources"]}
    ready = any(source.ready for source in state["sources"]) and not state["shutdown"].begun
    return {
        "status": _READY if ready else "not ready",
        "shutting_down": state["shutdown"].begun,
        "issuers": {name: _keys(one) for name, one in keys.items() if one is not None},
        "apideck": {name: _upstream(one) for name, one in state["apideck"].items()},
        "limits": _limits(state["limits"]),
        "webhooks": _webhooks(state["webhooks"]),
    }


def _upstream(apideck: ApideckClient) -> dict[str, Any]:
    return {
        "breaker": apideck.breaker,
        "account": apideck.account,
        "key_failing": apideck.key_failing,
    }


def _limits(limits: RateLimits) -> dict[str, Any]:
    return {"store": "shared" if limits.shared else "memory", "failing": limits.store_failing}


def _webhooks(webhooks: WebhookService | None) -> dict[str, Any]:
    if webhooks is None:
        return {}
    return {name: {"target_failing": name in webhooks.failing} for name in webhooks.sources}


def _keys(keys: JwksState) -> dict[str, Any]:
    """Return what anyone may know; the log says why a fetch failed."""
    return {
        "keys": keys.keys,
        "age_seconds": None if keys.age_seconds is None else round(keys.age_seconds),
        "usable": keys.usable,
        "failing": keys.error is not None,
    }
