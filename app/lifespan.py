"""Opens what the service needs, and closes it in reverse.

The order matters at both ends. Identity opens before Apideck, so that keys are on their way while
the rest is made; and it closes after, because a request that is still finishing has been
authenticated already and needs Apideck only. Nothing here waits for the network: a service whose
issuer is down starts, says on /readyz that it is not ready, and recovers by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress

import httpx
from fastapi import FastAPI

from app.apideck.auth import read_api_key
from app.apideck.client import ApideckClient
from app.apideck.transport import apideck_http_client
from app.identity.authenticator import Authenticator, Issuer
from app.identity.jwks import Jwks
from app.identity.jwt import JwtVerifier
from app.observability.redaction import Redactor
from app.sessions.service import SessionService
from app.settings import Settings
from app.state import AppState

_LOOK_EVERY_SECONDS = 1.0


def lifespan_of(
    settings: Settings, redactor: Redactor
) -> Callable[[FastAPI], AbstractAsyncContextManager[AppState]]:
    """Return the lifespan of a service with these settings."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[AppState]:
        async with AsyncExitStack() as stack:
            jwks, authenticator = await _open_identity(settings, stack)
            key = read_api_key(settings.apideck)
            redactor.learn(key.get_secret_value())
            http = await stack.enter_async_context(apideck_http_client(settings.apideck, key))
            sessions = SessionService(settings.session, ApideckClient(settings.apideck, http))
            yield {"authenticator": authenticator, "sessions": sessions, "jwks": jwks}

    return lifespan


async def _open_identity(
    settings: Settings, stack: AsyncExitStack
) -> tuple[dict[str, Jwks], Authenticator]:
    http = await stack.enter_async_context(
        httpx.AsyncClient(follow_redirects=False, trust_env=False)
    )
    jwks: dict[str, Jwks] = {}
    issuers: list[Issuer] = []
    for name, issuer in settings.identity.issuers.items():
        jwks[name] = Jwks(name, issuer, settings.identity, http)
        stack.push_async_callback(jwks[name].aclose)
        issuers.append(Issuer(name, issuer, JwtVerifier(issuer, jwks[name])))
    await stack.enter_async_context(_in_background(_keep_fresh(jwks.values())))
    return jwks, Authenticator(issuers)


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
