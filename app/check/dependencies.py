"""Contacts every configured dependency once, before anything relies on it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack

import httpx

from ..apideck.account_check import CONSUMER
from ..apideck.api_key import ApiKey
from ..apideck.client import ApideckClient
from ..apideck.sessions import create_session
from ..common.connect_failures import cause_of
from ..common.egress import EgressProxy
from ..common.transport import AiohttpTransport
from ..errors import IdentityProviderUnavailableError, VaultBffError
from ..identity.fetch import Fetcher
from ..identity.source import Source
from ..identity.sources import build_sources
from ..limits.build import build_store
from ..limits.models import Limit, Rate, StoreFailedError
from ..observability.telemetry import Telemetry
from ..settings import LimitSettings, Settings
from ..settings.apideck import UnifyApp
from ..settings.limits import MEMORY
from ..vault import Session
from ..webhooks.build import build_targets
from .results import CheckResult

_SHORT = "1m"
_CONNECT_SECONDS = 10.0


async def check_dependencies(settings: Settings) -> AsyncIterator[CheckResult]:
    """Contact every dependency, and yield a result for each.

    Issuers have to return their keys, or to reject a made-up token; applications have to reject a
    made-up cookie; a shared store of rate limits has to count; Apideck has to create a session of
    one minute for each redirect target, for a consumer that it creates if there is none yet; and
    each target of events has to accept a connection, over which nothing is sent.
    """
    async with AsyncExitStack() as stack:
        transport = AiohttpTransport(proxy=settings.egress.egress_proxy())
        http = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, trust_env=False)
        )
        telemetry = Telemetry()
        fetcher = Fetcher(http, settings.identity.fetch_timeout_seconds, telemetry.metrics)
        for source in build_sources(settings.identity, fetcher):
            yield await _probe(source)
        if settings.limits.store.get_secret_value() != MEMORY:
            yield await _count(settings.limits)
        for name, webhook in build_targets(
            settings.webhooks, settings.apideck, lambda _: None
        ).items():
            yield await _connect(name, webhook.url, settings.egress.egress_proxy())
        for name, unify in settings.apideck.all_unify_apps().items():
            key = ApiKey(name, unify, lambda _: None)
            client = ApideckClient(name, settings.apideck, key, transport, telemetry)
            targets: Mapping[str, str | None] = settings.session.return_to or {"": None}
            for target, uri in targets.items():
                yield await _create_session(name, client, target, uri)


async def _probe(source: Source) -> CheckResult:
    try:
        detail = await source.probe()
    except IdentityProviderUnavailableError as error:
        return CheckResult(source.setting, well=False, detail=error.reason or error.detail)
    return CheckResult(source.setting, well=True, detail=detail)


async def _count(settings: LimitSettings) -> CheckResult:
    store = build_store(settings, lambda _: None)
    try:
        # So high that every check is admitted, and so written: without that right, it fails.
        await store.admit([Limit("check", CONSUMER, Rate(1000, 1))])
    except StoreFailedError as error:
        return CheckResult("LIMITS__STORE", well=False, detail=str(error))
    finally:
        await store.aclose()
    return CheckResult("LIMITS__STORE", well=True, detail="counted a request")


async def _connect(name: str, url: httpx.URL, proxy: EgressProxy | None) -> CheckResult:
    """Open a connection as for an event, with TLS if the URL is https, and send nothing."""
    table = "" if name == UnifyApp.DEFAULT else f"UNIFY_APPS__{name.upper()}__"
    about = f"WEBHOOKS__{table}TARGET_URL"
    if proxy is not None and proxy.is_for(url.host):
        detail = "not tried: the egress proxy connects to it"
        return CheckResult(about, well=None, detail=detail)
    is_tls = url.scheme == "https"
    port = url.port or (443 if is_tls else 80)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(url.host, port, ssl=is_tls or None)
    except (OSError, TimeoutError) as error:
        return CheckResult(about, well=False, detail=f"cannot connect: {cause_of(error)}")
    writer.transport.abort()
    return CheckResult(about, well=True, detail="connects")


async def _create_session(
    name: str, client: ApideckClient, target: str, uri: str | None
) -> CheckResult:
    about = "APIDECK" if name == UnifyApp.DEFAULT else f"APIDECK__UNIFY_APPS__{name.upper()}"
    if target:
        about += f" with SESSION__RETURN_TO {target}"
    session = Session(settings={"session_length": _SHORT})
    if uri is not None:
        session["redirect_uri"] = uri
    try:
        await create_session(client, CONSUMER, session)
    except VaultBffError as error:
        return CheckResult(about, well=False, detail=error.reason or error.detail)
    return CheckResult(about, well=True, detail="created a session")
