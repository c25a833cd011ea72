"""Opens what the service needs, and closes it in reverse.

The order matters at both ends. Identity opens before Apideck, so that keys are on their way while
the rest is made; and it closes after, because a request that is still finishing has been
authenticated already and needs Apideck only. Nothing here waits for the network: a service whose
issuer is down starts, says on /readyz that it is not ready, and recovers by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Protocol, TypeVar

import httpx
import structlog
from fastapi import FastAPI
from prometheus_client.registry import Collector

from app.apideck.api_key import ApiKey
from app.apideck.client import ApideckClient
from app.apideck.collector import ApideckCollector
from app.common.transport import AiohttpTransport
from app.common.urls import origin_of
from app.errors import ConfigurationError
from app.identity.build import Identity, build_identity
from app.limits.build import build_store
from app.limits.gate import Gate
from app.limits.rates import RateLimits
from app.observability.collectors import JwksCollector
from app.observability.metrics import Metrics
from app.observability.redaction import Redactor
from app.observability.telemetry import Telemetry
from app.sessions.service import SessionService
from app.settings import ApideckSettings, LimitSettings, Settings, TracingSettings
from app.settings.limits import MEMORY
from app.state import AppState, Shutdown

S_co = TypeVar("S_co", covariant=True)

logger = structlog.get_logger(__name__)

_LOOK_EVERY_SECONDS = 1.0
_NO_COOKIES = DefaultCookiePolicy(allowed_domains=[])


def lifespan_of(
    settings: Settings, telemetry: Telemetry, shutdown: Shutdown
) -> Callable[[FastAPI], AbstractAsyncContextManager[AppState]]:
    """Return the lifespan of a service with these settings."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[AppState]:
        redactor, metrics = telemetry.redactor, telemetry.metrics
        async with _without_words(), AsyncExitStack() as stack:
            await _open_tracing(settings.tracing, telemetry, stack)
            identity = await _open_identity(settings, redactor, metrics, stack)
            apideck = await _open_apideck(settings.apideck, telemetry, stack)
            limits = await _open_limits(settings.limits, redactor, metrics, stack)
            metrics.tasks.set_function(lambda: len(asyncio.all_tasks()))
            _collect(metrics, stack, JwksCollector(lambda: _states(identity.jwks)))
            _collect(metrics, stack, ApideckCollector(apideck))
            yield {
                "gate": Gate(settings.limits, metrics),
                "authenticator": identity.authenticator,
                "limits": limits,
                "sessions": SessionService(settings.session, apideck, telemetry.tracing),
                "metrics": metrics,
                "tracing": telemetry.tracing,
                "jwks": identity.jwks,
                "ready_without_jwks": identity.ready_without_jwks,
                "apideck": apideck,
                "shutdown": shutdown,
            }

    return lifespan


async def _open_tracing(
    settings: TracingSettings, telemetry: Telemetry, stack: AsyncExitStack
) -> None:
    for value in settings.headers.values():
        telemetry.redactor.add_secret(value.get_secret_value())
    telemetry.tracing.start()
    stack.push_async_callback(telemetry.tracing.aclose)


async def _open_identity(
    settings: Settings, redactor: Redactor, metrics: Metrics, stack: AsyncExitStack
) -> Identity:
    http = await stack.enter_async_context(
        httpx.AsyncClient(
            transport=AiohttpTransport(),
            follow_redirects=False,
            trust_env=False,
            # An answer's Set-Cookie must not travel with the next one's request.
            cookies=CookieJar(_NO_COOKIES),
        )
    )
    identity = build_identity(settings.identity, trusted_origins(settings), http, metrics)
    for issuer in settings.identity.issuers.values():
        if issuer.introspection is not None:
            redactor.add_secret(issuer.introspection.secret.get_secret_value())
    for jwks in identity.jwks.values():
        await stack.enter_async_context(_in_background(_again_and_again(jwks.refresh_if_due)))
    return identity


async def _open_apideck(
    settings: ApideckSettings, telemetry: Telemetry, stack: AsyncExitStack
) -> dict[str, ApideckClient]:
    clients = {}
    for name, app in settings.all_unify_apps().items():
        key = ApiKey(name, app, telemetry.redactor.add_secret)
        # Connections of its own, so that one application's troubles are not another's.
        transport = AiohttpTransport()
        stack.push_async_callback(transport.aclose)
        clients[name] = ApideckClient(name, settings, key, transport, telemetry)
        # Each by itself: a file that does not answer must not keep the other keys back.
        await stack.enter_async_context(_in_background(_again_and_again(key.refresh)))
    return clients


async def _open_limits(
    settings: LimitSettings, redactor: Redactor, metrics: Metrics, stack: AsyncExitStack
) -> RateLimits:
    url = settings.store.get_secret_value()
    if url != MEMORY:
        # Here, because a service that counts in memory should not wait for the import.
        from app.common.redis_url import redis_secrets  # noqa: PLC0415

        for secret in redis_secrets(url):
            redactor.add_secret(secret)
    store = build_store(settings)
    stack.push_async_callback(store.aclose)
    return RateLimits(settings, store, metrics)


def _collect(metrics: Metrics, stack: AsyncExitStack, collector: Collector) -> None:
    metrics.registry.register(collector)
    stack.callback(metrics.registry.unregister, collector)


class _Observable(Protocol[S_co]):
    def state(self) -> S_co: ...


def _states(telemetry: Mapping[str, _Observable[S_co]]) -> dict[str, S_co]:
    return {name: one.state() for name, one in telemetry.items()}


def trusted_origins(settings: Settings) -> tuple[str, ...]:
    """Return the origins whose pages may send cookies along: the listed ones, and our own."""
    own = origin_of(settings.server.public_url or "")
    return (*settings.cors.allow_origins, *([own] if own else []))


async def _again_and_again(look: Callable[[], Awaitable[None]]) -> None:
    while True:
        await _look(look)
        await asyncio.sleep(_LOOK_EVERY_SECONDS)


async def _look(look: Callable[[], Awaitable[None]]) -> None:
    try:
        await look()
    except Exception:
        # One that fails must end neither the others nor its own next try.
        logger.exception("background_work_failed")


@asynccontextmanager
async def _without_words() -> AsyncIterator[None]:
    """Log what nobody expected by its places: a server would write the message of it, too.

    Raises:
        ConfigurationError: as it is; its words are ours, and name settings only.
        RuntimeError: in place of everything else.
    """
    try:
        yield
    except ConfigurationError:
        raise
    except Exception as error:
        logger.exception("lifespan_failed")
        raise RuntimeError(f"{type(error).__name__}: see lifespan_failed") from None


@asynccontextmanager
async def _in_background(work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
