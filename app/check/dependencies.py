"""Contacts every configured dependency once, before anything relies on it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack

import httpx

from app.apideck.api_key import ApiKey
from app.apideck.client import ApideckClient
from app.apideck.sessions import create_session
from app.check.results import CheckResult
from app.common.transport import AiohttpTransport
from app.errors import IdentityProviderUnavailableError, VaultBffError
from app.identity.fetch import Fetcher
from app.identity.source import Source
from app.identity.sources import build_sources
from app.limits.build import build_store
from app.limits.models import Limit, Rate, StoreFailedError
from app.observability.telemetry import Telemetry
from app.settings import LimitSettings, Settings
from app.settings.limits import MEMORY
from app.vault import Session

CONSUMER = "vault-bff-check"
"""The consumer of the sessions; Apideck creates it if it does not exist."""
_SHORT = "1m"


async def check_dependencies(settings: Settings) -> AsyncIterator[CheckResult]:
    """Contact every dependency, and yield a result for each.

    Issuers have to return their keys, or to reject a made-up token; applications have to reject a
    made-up cookie; a shared store of rate limits has to count; and Apideck has to create a session
    of one minute for each redirect target.
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
    store = build_store(settings)
    try:
        await store.admit([Limit("check", CONSUMER, Rate(1, 1))])
    except StoreFailedError as error:
        return CheckResult("LIMITS__STORE", well=False, detail=str(error))
    finally:
        await store.aclose()
    return CheckResult("LIMITS__STORE", well=True, detail="counts")


async def _create_session(
    name: str, client: ApideckClient, target: str, uri: str | None
) -> CheckResult:
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
