"""Whether the process lives, and whether it can do its job."""

from typing import Any

from fastapi import APIRouter, Response

from app.api.dependencies import StateDep
from app.apideck.client import ApideckClient
from app.identity.jwks import JwksState

router = APIRouter(include_in_schema=False)

_UNAVAILABLE = 503


@router.get("/livez")
async def livez() -> dict[str, str]:
    """Say that the process answers; restart it when it does not."""
    return {"status": "alive"}


@router.get("/readyz")
async def readyz(state: StateDep, response: Response) -> dict[str, Any]:
    """Say whether some callers can be served.

    They are those of an issuer whose keys are at hand, and those who are told without keys. Apideck
    has no say: were it down, taking every replica out of service would help nobody. What is known
    of it is told all the same.
    """
    issuers = {name: jwks.state() for name, jwks in state["jwks"].items()}
    some = state["ready_without_jwks"] or any(one.usable for one in issuers.values())
    ready = some and not state["shutdown"].begun
    if not ready:
        response.status_code = _UNAVAILABLE
    return {
        "status": "ready" if ready else "not ready",
        "shutting_down": state["shutdown"].begun,
        "issuers": {name: _public(one) for name, one in issuers.items()},
        "apideck": {name: _upstream(one) for name, one in state["apideck"].items()},
    }


def _upstream(apideck: ApideckClient) -> dict[str, Any]:
    return {
        "breaker": apideck.breaker,
        "account": apideck.account,
        "key_failing": apideck.key_failing,
    }


def _public(keys: JwksState) -> dict[str, Any]:
    """Return what strangers may know; why a fetch failed is for the log."""
    return {
        "keys": keys.keys,
        "age_seconds": None if keys.age_seconds is None else round(keys.age_seconds),
        "usable": keys.usable,
        "failing": keys.error is not None,
    }
