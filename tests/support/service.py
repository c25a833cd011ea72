"""The service under test: the real application, its lifespan run, called over ASGI."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import APIRouter
from starlette.types import ASGIApp, Receive, Scope, Send

from app.main import create_app
from app.settings import Settings
from emulators.apideck.emulator import API_KEY

APP_ID = "app-under-test"
HOME = "https://app.example.com/home"


def settings_for(issuer_url: str, apideck_url: str, **groups: Any) -> Settings:
    """Return settings for a service between an issuer and an Apideck.

    Args:
        issuer_url: the issuer's URL.
        apideck_url: the emulator's URL.
        groups: further settings by group, laid over these.
    """
    base: dict[str, Any] = {
        "apideck": {
            "api_key": API_KEY,
            "app_id": APP_ID,
            "base_url": apideck_url,
            "vault_origins": (apideck_url,),
        },
        "identity": {
            "issuers": {
                "main": {
                    "issuer": issuer_url,
                    "audience": "vault-bff",
                    "claims": {"consumer_id": "org_id", "account_name": "org_name"},
                }
            }
        },
        "session": {"return_to": {"home": HOME}},
    }
    return Settings.model_validate(laid_over(base, groups))


def settings_with_application(
    issuer_url: str, apideck_url: str, whoami_url: str, page_origin: str
) -> Settings:
    """Return settings for a service that also believes an application's own session cookie.

    Args:
        issuer_url: the issuer's URL.
        apideck_url: the emulator's URL.
        whoami_url: the URL at which the application says who is signed in.
        page_origin: the origin of pages that may send the cookie.
    """
    rails = {
        "cookie": "app_session",
        "whoami_url": whoami_url,
        "consumer_prefix": "r-",
        "claims": {"consumer_id": "org_id", "account_name": "org_name"},
    }
    return settings_for(
        issuer_url,
        apideck_url,
        identity={
            "issuers": {"main": {"consumer_prefix": "m-"}},
            "cookie_sessions": {"rails": rails},
        },
        cors={"allow_origins": [page_origin]},
    )


def laid_over(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return settings with further ones laid over them, group by group."""
    merged = dict(base)
    for name, value in more.items():
        below = merged.get(name)
        both = isinstance(value, dict) and isinstance(below, dict)
        merged[name] = laid_over(below, value) if both and below is not None else value
    return merged


@asynccontextmanager
async def running(settings: Settings, *routers: APIRouter) -> AsyncIterator[httpx.AsyncClient]:
    """Run the service for as long as the context lasts; yields a client of it.

    Args:
        settings: the settings of the service.
        routers: further endpoints for it.
    """
    app = create_app(settings)
    for router in routers:
        app.include_router(router)
    async with app.router.lifespan_context(app) as state:
        transport = httpx.ASGITransport(with_state(app, dict(state or {})))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield client


def with_state(app: ASGIApp, state: dict[str, Any]) -> ASGIApp:
    """Give every request its own copy of the lifespan's state, as a server does."""

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    return with_state
