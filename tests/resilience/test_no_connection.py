"""Apideck cannot be connected to: what the caller gets and when, and what the metrics say."""

from contextlib import AsyncExitStack

import pytest

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support import fault_proxy
from tests.support.behind import SOON, asked, behind
from tests.support.fault_proxy import FaultProxy
from tests.support.http import bearer, problem
from tests.support.measured import counted, promptly
from tests.support.service import running, settings_for

SLOW = (504, "apideck-timeout")


async def test_a_firewall_that_drops_everything_costs_three_attempts(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Each attempt has its own time, and the caller hears before the deadline."""
    with fault_proxy.never_accepts() as url:
        settings = settings_for(issuer.issuer, apideck_url, **behind(url))
        async with running(settings) as service:
            with promptly(SOON):
                answer = await service.post("/vault-session", headers=bearer(issuer.token()))
            metrics = await counted(service)

    assert problem(answer) == SLOW
    assert metrics == asked(3, "Timeout")
    assert apideck.requests == []


async def test_a_handshake_that_never_ends_costs_three_attempts(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Who accepts a connection and then says nothing of TLS is left, and nobody waits for ever."""
    async with FaultProxy(apideck_url).serve() as proxy:
        proxy.lasting = fault_proxy.black_hole
        url = proxy.url.replace("http://", "https://")
        settings = settings_for(issuer.issuer, apideck_url, **behind(url))
        async with running(settings) as service:
            with promptly(SOON):
                answer = await service.post("/vault-session", headers=bearer(issuer.token()))
            metrics = await counted(service)

    assert problem(answer) == SLOW
    assert (proxy.connections, proxy.requests) == (3, 0)
    assert apideck.requests == []
    assert metrics == asked(3, "Timeout")


async def test_a_connection_that_is_refused_once_costs_the_caller_nothing(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    unused_tcp_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever listens again by the second attempt is asked, and the caller never knows."""
    proxy = FaultProxy(apideck_url)
    url = f"http://127.0.0.1:{unused_tcp_port}"
    settings = settings_for(issuer.issuer, apideck_url, **behind(url))
    async with AsyncExitStack() as stack, running(settings) as service:

        class Waiting:
            """What happens between two attempts."""

            async def sleep(self, _: float) -> None:
                """Listen from now on."""
                await stack.enter_async_context(proxy.serve(port=unused_tcp_port))

        monkeypatch.setattr("app.apideck.retries.asyncio", Waiting())
        with promptly(SOON):
            answer = await service.post("/vault-session", headers=bearer(issuer.token()))
        metrics = await counted(service)

    assert answer.status_code == 201
    assert (proxy.connections, proxy.requests) == (1, 1)
    assert len(apideck.minted) == 1
    assert metrics == {
        'requests_total{application="default",outcome="Unavailable"}': 1,
        'requests_total{application="default",outcome="Minted"}': 1,
        'retries_total{application="default"}': 1,
    }
