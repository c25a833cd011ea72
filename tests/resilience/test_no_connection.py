"""Failing connections to Apideck: the response to the caller, its time, and the metrics."""

from contextlib import AsyncExitStack

import pytest

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support import fault_proxy
from tests.support.fault_proxy import FaultProxy
from tests.support.http import bearer, problem
from tests.support.measured import apideck_metrics, sessions_requested, takes_less_than
from tests.support.service import running, settings_for
from tests.support.short_timeouts import RESPONSE_SECONDS, apideck_at, metrics_after

SLOW = (504, "apideck-timeout")


async def test_connections_that_never_succeed_are_tried_three_times(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Each attempt has its own timeout, and the caller gets a response before the deadline."""
    with fault_proxy.never_accepts() as url:
        settings = settings_for(issuer.issuer, apideck_url, **apideck_at(url))
        async with running(settings) as service:
            with takes_less_than(RESPONSE_SECONDS):
                response = await service.post("/vault-session", headers=bearer(issuer.token()))
            metrics = await apideck_metrics(service)

    assert problem(response) == SLOW
    assert metrics == metrics_after(3, "Timeout")
    assert apideck.requests == []


async def test_tls_handshakes_that_never_end_are_tried_three_times(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """If the server never completes the handshake, each attempt ends with a timeout."""
    async with FaultProxy(apideck_url).serve() as proxy:
        proxy.fault = fault_proxy.black_hole
        url = proxy.url.replace("http://", "https://")
        settings = settings_for(issuer.issuer, apideck_url, **apideck_at(url))
        async with running(settings) as service:
            with takes_less_than(RESPONSE_SECONDS):
                response = await service.post("/vault-session", headers=bearer(issuer.token()))
            metrics = await apideck_metrics(service)

    assert problem(response) == SLOW
    assert (proxy.connections, proxy.requests) == (3, 0)
    assert apideck.requests == []
    assert metrics == metrics_after(3, "Timeout")


async def test_a_connection_that_is_refused_once_does_not_fail_the_request(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    unused_tcp_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If the server listens when the request is retried, the caller gets a session."""
    proxy = FaultProxy(apideck_url)
    url = f"http://127.0.0.1:{unused_tcp_port}"
    settings = settings_for(issuer.issuer, apideck_url, **apideck_at(url))
    async with AsyncExitStack() as stack, running(settings) as service:

        class Delay:
            """Replaces the delay between two attempts."""

            async def sleep(self, _: float) -> None:
                """Start the proxy."""
                await stack.enter_async_context(proxy.serve(port=unused_tcp_port))

        monkeypatch.setattr("app.apideck.retries.asyncio", Delay())
        with takes_less_than(RESPONSE_SECONDS):
            response = await service.post("/vault-session", headers=bearer(issuer.token()))
        metrics = await apideck_metrics(service)

    assert response.status_code == 201
    assert (proxy.connections, proxy.requests) == (1, 1)
    assert len(apideck.minted) == 1
    assert metrics == {
        sessions_requested("Unavailable"): 1,
        sessions_requested("Minted"): 1,
        'retries_total{application="default"}': 1,
    }
