"""Whether the process is alive, and whether it is ready for requests."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response

from ..apideck.client import ApideckClient
from ..identity.jwks import JwksState
from ..state import app_state

router = APIRouter(include_in_schema=False)


@router.api_route("/livez", methods=["GET", "HEAD"])
async def livez() -> dict[str, str]:
    """Report that the process responds; it should be restarted when it does not."""
    return {"status": "alive"}


@router.api_route("/readyz", methods=["GET", "HEAD"])
async def readyz(request: Request, response: Response) -> dict[str, Any]:
    """Report whether some callers can be served.

    They are the callers of an issuer whose keys are usable, and callers that are authenticated
    without keys. Apideck does not count: if it is down, taking every replica out of service does
    not help. Its state is reported all the same.
    """
    state = app_state(request.scope)
    if "sources" not in state:  # Only the internal port is open before the service has started.
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return {"status": "starting"}
    keys = {source.label: source.key_state() for source in state["sources"]}
    ready = any(source.ready for source in state["sources"]) and not state["shutdown"].begun
    if not ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE.value
    return {
        "status": "ready" if ready else "not ready",
        "shutting_down": state["shutdown"].begun,
        "issuers": {name: _keys(one) for name, one in keys.items() if one is not None},
        "apideck": {name: _upstream(one) for name, one in state["apideck"].items()},
    }


def _upstream(apideck: ApideckClient) -> dict[str, Any]:
    return {
        "breaker": apideck.breaker,
        "account": apideck.account,
        "key_failing": apideck.key_failing,
    }


def _keys(keys: JwksState) -> dict[str, Any]:
    """Return what anyone may know; the log says why a fetch failed."""
    return {
        "keys": keys.keys,
        "age_seconds": None if keys.age_seconds is None else round(keys.age_seconds),
        "usable": keys.usable,
        "failing": keys.error is not None,
    }
