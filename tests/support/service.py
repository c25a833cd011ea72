"""The service under test: the real ASGI app with its lifespan, called without sockets."""

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
    """Return settings for a service that uses this issuer and this Apideck.

    Args:
        issuer_url: the issuer's URL.
        apideck_url: the emulator's URL.
        groups: further settings by group, which override these.
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
    return Settings.model_validate(merged_settings(base, groups))


def settings_with_application(
    issuer_url: str, apideck_url: str, whoami_url: str, page_origin: str
) -> Settings:
    """Return settings for a service that also accepts the session cookie of an application.

    Args:
        issuer_url: the issuer's URL.
        apideck_url: the emulator's URL.
        whoami_url: the application's "who am I" endpoint.
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


def merged_settings(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return settings in which `more` overrides `base`, also within groups."""
    merged = dict(base)
    for name, value in more.items():
        old = merged.get(name)
        are_groups = isinstance(value, dict) and isinstance(old, dict)
        merged[name] = merged_settings(old, value) if are_groups and old is not None else value
    return merged


@asynccontextmanager
async def running(settings: Settings, *routers: APIRouter) -> AsyncIterator[httpx.AsyncClient]:
    """Run the service until the context ends; yields a client of the service.

    Args:
        settings: the settings of the service.
        routers: additional endpoints.
    """
    app = create_app(settings)
    for router in routers:
        app.include_router(router)
    async with app.router.lifespan_context(app) as state:
        transport = httpx.ASGITransport(with_state(app, dict(state or {})))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield client


def with_state(app: ASGIApp, state: dict[str, Any]) -> ASGIApp:
    """Give every request a copy of the lifespan's state, as a server does."""

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    return with_state
