"""Unexpected exceptions outside of requests, and the end of connections at shutdown."""

import asyncio

import pytest
from structlog.testing import capture_logs

from app.apideck.api_key import ApiKey
from app.limits.memory import MemoryStore
from app.settings import Settings
from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.fault_proxy import FaultProxy
from tests.support.http import bearer
from tests.support.service import running, settings_for

MESSAGE = "sk_live_of-an-exception"


async def test_a_failed_background_task_runs_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exception is logged, other tasks continue, and the task runs again after a moment."""
    runs = 0

    async def refresh(_: ApiKey) -> None:
        nonlocal runs
        runs += 1
        raise LookupError(MESSAGE)

    monkeypatch.setattr(ApiKey, "refresh", refresh)
    monkeypatch.setattr("app.lifespan._PERIOD_SECONDS", 0.01)
    with capture_logs() as logs:
        async with running(settings) as service:
            async with asyncio.timeout(5):
                # The issuer's keys may arrive later.
                while runs < 3 or (await service.get("/readyz")).status_code != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    assert {line["event"] for line in logs if line["log_level"] == "error"} == {
        "background_work_failed"
    }


async def test_a_failure_at_shutdown_is_raised_without_its_message(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers log exceptions of the lifespan, so the message of the cause is left out."""

    async def aclose(_: MemoryStore) -> None:
        raise LookupError(MESSAGE)

    monkeypatch.setattr(MemoryStore, "aclose", aclose)
    with capture_logs() as logs, pytest.raises(RuntimeError, match="LookupError") as raised:
        async with running(settings):
            pass

    assert MESSAGE not in str(raised.value)
    assert raised.value.__suppress_context__
    assert "lifespan_failed" in {line["event"] for line in logs}


async def test_connections_to_apideck_are_closed_at_shutdown(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """A keep-alive connection to Apideck is closed when the service shuts down."""
    async with FaultProxy(apideck_url).serve() as proxy:
        settings = settings_for(issuer.issuer, apideck_url, apideck={"base_url": proxy.url})
        async with running(settings) as service:
            await service.post("/vault-session", headers=bearer(issuer.token()))
            assert proxy.open == len(apideck.minted) == 1
        async with asyncio.timeout(20):
            while proxy.open:  # noqa: ASYNC110 - it is not an event
                await asyncio.sleep(0.01)
