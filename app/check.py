"""Asking everybody whom the settings name, once, before anything depends on it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx

from app.apideck.api_key import ApiKey
from app.apideck.client import ApideckClient
from app.apideck.sessions import create_session
from app.common.transport import AiohttpTransport
from app.errors import IdentityProviderUnavailableError, VaultBffError
from app.identity.fetch import Fetcher
from app.identity.source import Source
from app.identity.sources import build_sources
from app.limits.build import build_store
from app.limits.models import Limit, Rate, StoreFailedError
from app.observability.telemetry import Telemetry
from app.settings import LimitSettings, Settings
from app.settings.apideck import UnifyApp
from app.settings.limits import MEMORY
from app.vault import Session
from app.webhooks.build import build_targets

CONSUMER = "vault-bff-check"
"""The consumer that sessions are made for; Apideck makes it when it does not know it."""
_SHORT = "1m"
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of asking somebody.

    Attributes:
        about: the setting that names them.
        well: whether they answer as they should.
        detail: what they answer, without any secret.
    """

    about: str
    well: bool
    detail: str

    def __str__(self) -> str:
        """Return the finding as a line."""
        return f"{'ok  ' if self.well else 'FAIL'} {self.about}: {self.detail}"


async def check_dependencies(settings: Settings) -> AsyncIterator[CheckResult]:
    """Ask, and yield a finding for each answer.

    Issuers are asked for their keys or about a token that is none, applications about a cookie that
    is none, a shared store of the limits to count, and Apideck for a session of a minute for each
    redirect target. To each target of events a connection is opened, and nothing is sent.
    """
    async with AsyncExitStack() as stack:
        transport = AiohttpTransport()
        http = await stack.enter_async_context(httpx.AsyncClient(transport=transport))
        telemetry = Telemetry()
        fetcher = Fetcher(http, settings.identity.fetch_timeout_seconds, telemetry.metrics)
        for source in build_sources(settings.identity, fetcher):
            yield await _responds(source)
        if settings.limits.store.get_secret_value() != MEMORY:
            yield await _counts(settings.limits)
        targets = build_targets(settings.webhooks, settings.apideck, lambda _: None)
        for name, target in targets.items():
            yield await _connects(name, target.url)
        for name, unify in settings.apideck.all_unify_apps().items():
            key = ApiKey(name, unify, lambda _: None)
            client = ApideckClient(name, settings.apideck, key, transport, telemetry)
            returns: Mapping[str, str | None] = settings.session.return_to or {"": None}
            for return_to, uri in returns.items():
                yield await _mints(name, client, return_to, uri)


async def _responds(source: Source) -> CheckResult:
    try:
        detail = await source.probe()
    except IdentityProviderUnavailableError as error:
        return CheckResult(source.setting, well=False, detail=error.reason or error.detail)
    return CheckResult(source.setting, well=True, detail=detail)


async def _counts(settings: LimitSettings) -> CheckResult:
    store = build_store(settings)
    try:
        await store.admit([Limit("check", CONSUMER, Rate(1, 1))])
    except StoreFailedError as error:
        return CheckResult("LIMITS__STORE", well=False, detail=str(error))
    finally:
        await store.aclose()
    return CheckResult("LIMITS__STORE", well=True, detail="counts")


async def _connects(name: str, url: httpx.URL) -> CheckResult:
    """Open a connection as for an event, with TLS if the URL is https, and send nothing."""
    table = "" if name == UnifyApp.DEFAULT else f"UNIFY_APPS__{name.upper()}__"
    about = f"WEBHOOKS__{table}TARGET_URL"
    is_tls = url.scheme == "https"
    port = url.port or (443 if is_tls else 80)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(url.host, port, ssl=is_tls or None)
    except (OSError, TimeoutError) as error:
        return CheckResult(about, well=False, detail=f"cannot connect: {type(error).__name__}")
    writer.transport.abort()
    return CheckResult(about, well=True, detail="connects")


async def _mints(name: str, client: ApideckClient, target: str, uri: str | None) -> CheckResult:
    about = "APIDECK" if name == "default" else f"APIDECK__UNIFY_APPS__{name.upper()}"
    if target:
        about += f" with SESSION__RETURN_TO {target}"
    session = Session(settings={"session_length": _SHORT})
    if uri is not None:
        session["redirect_uri"] = uri
    try:
        await create_session(client, CONSUMER, session)
    except VaultBffError as error:
        return CheckResult(about, well=False, detail=error.reason or error.detail)
    return CheckResult(about, well=True, detail="made a session")
