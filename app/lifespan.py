"""Opens what the service needs, and closes it in reverse order.

Tracing opens first and closes last, so that it covers the rest. Identity opens before Apideck, so
that the issuers' keys are being fetched while the rest opens. Nothing here waits for the network:
a service whose issuer is down starts, reports on /readyz that it is not ready, and recovers.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
import structlog
from fastapi import FastAPI
from prometheus_client.registry import Collector

from .apideck.account_check import AccountCheck
from .apideck.api_key import ApiKey
from .apideck.client import ApideckClient
from .apideck.collector import ApideckCollector
from .apideck.connection_calls import GET_CONNECTION, LIST_CONNECTIONS
from .apideck.sessions import CREATE_SESSION
from .common.transport import AiohttpTransport
from .common.urls import origin_of
from .connections.service import ConnectionService
from .errors import ConfigurationError
from .identity.authenticator import Authenticator
from .identity.collector import JwksCollector
from .identity.fetch import Fetcher
from .identity.source import Source
from .identity.sources import build_sources
from .limits.build import build_store
from .limits.rates import RateLimits
from .observability.log_writer import WRITER
from .observability.metrics import Metrics
from .observability.redaction import Redactor
from .observability.telemetry import Telemetry
from .sessions.service import SessionService
from .settings import ApideckSettings, LimitSettings, Settings
from .state import AppState, Shutdown
from .webhooks.build import build_secret_files, build_webhooks
from .webhooks.service import WebhookService

logger = structlog.get_logger(__name__)

_PERIOD_SECONDS = 1.0
_NO_COOKIES = DefaultCookiePolicy(allowed_domains=[])


def lifespan_of(
    settings: Settings, telemetry: Telemetry, shutdown: Shutdown
) -> Callable[[FastAPI], AbstractAsyncContextManager[AppState]]:
    """Return the lifespan of a service.

    Args:
        settings: everything that an operator can set.
        telemetry: what the service reports about itself.
        shutdown: reports when the process has been asked to stop.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[AppState]:
        redactor, metrics = telemetry.redactor, telemetry.metrics
        async with _flushed_log(), _sanitized_errors(), AsyncExitStack() as stack:
            for secret in settings.secrets():
                redactor.add_secret(secret)
            telemetry.tracing.start()
            stack.push_async_callback(telemetry.tracing.aclose)
            sources = await _open_identity(settings, metrics, stack)
            keys = await _open_keys(settings.apideck, redactor, stack)
            apideck = await _open_apideck(settings, keys, telemetry, stack)
            webhooks = await _open_webhooks(settings, keys, telemetry, stack)
            limits = await _open_limits(settings.limits, redactor, metrics, stack)
            metrics.tasks.set_function(lambda: len(asyncio.all_tasks()))
            _collect(metrics, stack, JwksCollector(sources))
            _collect(metrics, stack, ApideckCollector(apideck))
            yield {
                "authenticator": Authenticator(
                    sources, settings.identity, _trusted_origins(settings)
                ),
                "limits": limits,
                "sessions": SessionService(settings.session, apideck, telemetry.tracing),
                "connections": ConnectionService(settings.session, apideck),
                "webhooks": webhooks,
                "metrics": metrics,
                "tracing": telemetry.tracing,
                "sources": sources,
                "apideck": apideck,
                "shutdown": shutdown,
            }

    return lifespan


async def _open_identity(
    settings: Settings, metrics: Metrics, stack: AsyncExitStack
) -> tuple[Source, ...]:
    http = await stack.enter_async_context(
        httpx.AsyncClient(
            transport=AiohttpTransport(proxy=settings.egress.egress_proxy()),
            follow_redirects=False,
            trust_env=False,
            # No cookie of one response is sent with the next request.
            cookies=CookieJar(_NO_COOKIES),
        )
    )
    fetcher = Fetcher(http, settings.identity.fetch_timeout_seconds, metrics)
    sources = tuple(build_sources(settings.identity, fetcher))
    for source in sources:
        if source.refresh is not None:
            await stack.enter_async_context(_in_background(source.refresh))
    return sources


async def _open_keys(
    settings: ApideckSettings, redactor: Redactor, stack: AsyncExitStack
) -> dict[str, ApiKey]:
    keys = {}
    for name, app in settings.all_unify_apps().items():
        keys[name] = ApiKey(name, app, redactor.add_secret)
        # Each in a task of its own: a file that blocks must not delay the other keys.
        await stack.enter_async_context(_in_background(keys[name].refresh))
    return keys


async def _open_apideck(
    settings: Settings,
    keys: Mapping[str, ApiKey],
    telemetry: Telemetry,
    stack: AsyncExitStack,
) -> dict[str, ApideckClient]:
    clients = {}
    for name, key in keys.items():
        # Each has its own connections, so that the failures of one do not affect another.
        transport = AiohttpTransport(proxy=settings.egress.egress_proxy())
        stack.push_async_callback(transport.aclose)
        clients[name] = ApideckClient(name, settings.apideck, key, transport, telemetry)
        clients[name].prepare(CREATE_SESSION, LIST_CONNECTIONS, GET_CONNECTION)
        await stack.enter_async_context(_in_background(AccountCheck(clients[name]).run_if_due))
    return clients


async def _open_webhooks(
    settings: Settings, keys: Mapping[str, ApiKey], telemetry: Telemetry, stack: AsyncExitStack
) -> WebhookService | None:
    if not settings.webhooks.enabled:
        return None
    transport = AiohttpTransport(proxy=settings.egress.egress_proxy())
    stack.push_async_callback(transport.aclose)
    service = build_webhooks(settings.webhooks, settings.apideck, keys, transport, telemetry)
    add_secret = telemetry.redactor.add_secret
    for file in build_secret_files(settings.webhooks, service, add_secret):
        await stack.enter_async_context(_in_background(file.refresh))
    return service


async def _open_limits(
    settings: LimitSettings, redactor: Redactor, metrics: Metrics, stack: AsyncExitStack
) -> RateLimits:
    store = build_store(settings, redactor.add_secret)
    stack.push_async_callback(store.aclose)
    return RateLimits(settings, store, metrics)


def _collect(metrics: Metrics, stack: AsyncExitStack, collector: Collector) -> None:
    metrics.registry.register(collector)
    stack.callback(metrics.registry.unregister, collector)


def _trusted_origins(settings: Settings) -> tuple[str, ...]:
    """Return the origins whose pages may send cookies: the listed ones and the service's own."""
    own = origin_of(settings.server.public_url or "")
    return (*settings.cors.allow_origins, *([own] if own else []))


async def _run_periodically(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
        except Exception:
            # It must neither prevent the next run, nor end anything else.
            logger.exception("background_work_failed")
        await asyncio.sleep(_PERIOD_SECONDS)


@asynccontextmanager
async def _flushed_log() -> AsyncIterator[None]:
    """Write the rest of the log at the end.

    Some servers let a signal end the process right after the lifespan.
    """
    try:
        yield
    finally:
        await asyncio.to_thread(WRITER.flush)


@asynccontextmanager
async def _sanitized_errors() -> AsyncIterator[None]:
    """Log an unexpected exception without its message, which the server would log.

    Raises:
        ConfigurationError: unchanged; its message is ours, and names settings only.
        RuntimeError: instead of any other exception.
    """
    try:
        yield
    except ConfigurationError:
        raise
    except Exception as error:
        logger.exception("lifespan_failed")
        raise RuntimeError(f"{type(error).__name__}: see lifespan_failed") from None


@asynccontextmanager
async def _in_background(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run some work every second for as long as the context lasts."""
    task = asyncio.create_task(_run_periodically(work))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
