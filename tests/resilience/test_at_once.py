"""Concurrent requests: Apideck responds once all of them have arrived."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable
from typing import Any

import httpx
import pytest

from app.apideck.models import MintedSession
from app.common.single_flight import SingleFlight
from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.fault_proxy import FaultProxy, delays_until
from tests.support.http import bearer
from tests.support.service import running, settings_for


class Counting(SingleFlight[MintedSession]):
    """Joins identical calls, and counts the callers."""

    callers = 0

    async def join(
        self, key: Hashable, start: Callable[[], Coroutine[Any, Any, MintedSession]]
    ) -> MintedSession:
        """Count a caller."""
        type(self).callers += 1
        return await super().join(key, start)


@pytest.fixture
def may_respond() -> asyncio.Event:
    """Return the event after which Apideck responds."""
    return asyncio.Event()


@pytest.fixture
async def proxy(
    apideck: ApideckEmulator, apideck_url: str, may_respond: asyncio.Event
) -> AsyncIterator[FaultProxy]:
    """Run a proxy in front of the emulator that delays each response until that event."""
    assert apideck.requests == []
    proxy = FaultProxy(apideck_url)
    proxy.fault = delays_until(may_respond)
    async with proxy.serve():
        yield proxy


def long_deadlines(proxy: FaultProxy) -> dict[str, Any]:
    """Return settings for requests to the proxy with deadlines that no test reaches."""
    return {"base_url": proxy.url, "deadline_seconds": 60, "attempt_timeout_seconds": 60}


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - it is not an event
            await asyncio.sleep(0.005)


async def test_a_double_click_creates_one_session_and_two_users_get_two(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    proxy: FaultProxy,
    may_respond: asyncio.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Identical requests of one caller share a session; another caller gets a separate one."""
    monkeypatch.setattr("app.sessions.service.SingleFlight", Counting)
    monkeypatch.setattr(Counting, "callers", 0)
    ada, bob = bearer(issuer.token()), bearer(issuer.token(sub="bob"))
    settings = settings_for(issuer.issuer, apideck_url, apideck=long_deadlines(proxy))
    async with running(settings) as service:
        requests = [
            asyncio.create_task(service.post("/vault-session", headers=caller))
            for caller in (ada, ada, bob)
        ]
        await until(lambda: Counting.callers == 3)
        assert not any(request.done() for request in requests)
        may_respond.set()
        responses = await asyncio.gather(*requests)

    tokens = [response.json()["session_token"] for response in responses]
    assert tokens[0] == tokens[1] != tokens[2]
    assert proxy.requests == 2
    assert len(apideck.minted) == 2


async def sessions_at_once(
    service: httpx.AsyncClient,
    proxy: FaultProxy,
    may_respond: asyncio.Event,
    caller: dict[str, str],
    *bodies: dict[str, str],
) -> list[str]:
    """Request these sessions for a caller at the same time; return their tokens."""
    requests = [
        asyncio.create_task(service.post("/vault-session", json=body, headers=caller))
        for body in bodies
    ]
    await until(lambda: proxy.requests == len(bodies))
    assert not any(request.done() for request in requests)
    may_respond.set()
    return [response.json()["session_token"] for response in await asyncio.gather(*requests)]


async def test_identical_requests_are_joined_only_if_configured(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    proxy: FaultProxy,
    may_respond: asyncio.Event,
) -> None:
    """With `join_identical = false`, two identical requests of a caller create two sessions."""
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        apideck=long_deadlines(proxy),
        session={"join_identical": False},
    )
    async with running(settings) as service:
        tokens = await sessions_at_once(service, proxy, may_respond, bearer(issuer.token()), {}, {})

    assert len(set(tokens)) == 2
    assert {minted.token for minted in apideck.minted} == set(tokens)
    assert proxy.requests == 2


async def test_different_requests_of_a_caller_create_separate_sessions(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    proxy: FaultProxy,
    may_respond: asyncio.Event,
) -> None:
    """This also holds while both requests are in flight."""
    targets = {name: f"https://app.example.com/{name}" for name in ("start", "end")}
    bodies = [{"return_to": name} for name in targets]
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        apideck=long_deadlines(proxy),
        session={"return_to": targets},
    )
    async with running(settings) as service:
        tokens = await sessions_at_once(
            service, proxy, may_respond, bearer(issuer.token()), *bodies
        )

    created = {minted.token: minted.session["redirect_uri"] for minted in apideck.minted}
    assert [created[token] for token in tokens] == [*targets.values()]
    assert proxy.requests == 2
