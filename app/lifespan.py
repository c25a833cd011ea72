"""Opens what the service needs, and closes it in reverse.

The order matters at both ends. Identity opens before Apideck, so that keys are on their way while
the rest is made; and it closes after, because a request that is still finishing has been
authenticated already and needs Apideck only. Nothing here waits for the network: a service whose
issuer is down starts, says on /readyz that it is not ready, and recovers by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
from fastapi import FastAPI

from app.apideck.auth import read_api_key
from app.apideck.client import ApideckClient
from app.apideck.transport import apideck_http_client
from app.identity.build import Identity, build_identity, client_secret
from app.identity.jwks import Jwks
from app.observability.metrics import JwksCollector, Metrics
from app.observability.redaction import Redactor
from app.sessions.service import SessionService
from app.settings import Settings
from app.state import AppState
from app.urls import origin_of

_LOOK_EVERY_SECONDS = 1.0
_NO_COOKIES = DefaultCookiePolicy(allowed_domains=[])


def lifespan_of(
    settings: Settings, redactor: Redactor, metrics: Metrics
) -> Callable[[FastAPI], AbstractAsyncContextManager[AppState]]:
    """Return the lifespan of a service with these settings."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[AppState]:
        async with AsyncExitStack() as stack:
            identity = await _open_identity(settings, redactor, stack)
            key = read_api_key(settings.apideck)
            redactor.learn(key.get_secret_value())
            http = await stack.enter_async_context(apideck_http_client(settings.apideck, key))
            apideck = ApideckClient(settings.apideck, http, metrics)
            metrics.registry.register(
                collector := JwksCollector(
                    lambda: {name: jwks.state() for name, jwks in identity.jwks.items()}
                )
            )
            stack.callback(metrics.registry.unregister, collector)
            yield {
                "authenticator": identity.authenticator,
                "sessions": SessionService(settings.session, apideck),
                "metrics": metrics,
                "jwks": identity.jwks,
            }

    return lifespan


async def _open_identity(settings: Settings, redactor: Redactor, stack: AsyncExitStack) -> Identity:
    http = await stack.enter_async_context(
        # It keeps no cookies: an answer's Set-Cookie must not travel with the next one's request.
        httpx.AsyncClient(follow_redirects=False, trust_env=False, cookies=CookieJar(_NO_COOKIES))
    )
    identity = build_identity(settings.identity, trusted_origins(settings), http)
    for name, issuer in settings.identity.issuers.items():
        if issuer.introspection is not None:
            redactor.learn(client_secret(name, issuer.introspection))
    await stack.enter_async_context(_in_background(_keep_fresh(identity.jwks.values())))
    return identity


def trusted_origins(settings: Settings) -> tuple[str, ...]:
    """Return the origins whose pages may send cookies along: the listed ones, and our own."""
    own = origin_of(settings.server.public_url or "")
    return (*settings.cors.allow_origins, *([own] if own else []))


async def _keep_fresh(sets: Iterable[Jwks]) -> None:
    while True:
        await asyncio.gather(*(one.refresh_if_due() for one in sets))
        await asyncio.sleep(_LOOK_EVERY_SECONDS)


@asynccontextmanager
async def _in_background(work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
