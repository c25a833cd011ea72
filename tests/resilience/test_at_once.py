"""Requests at the same moment: Apideck's answers are kept back until all of them are in."""

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


class Noting(SingleFlight[MintedSession]):
    """Joins callers, and knows how many came."""

    came = 0

    async def join(
        self, key: Hashable, start: Callable[[], Coroutine[Any, Any, MintedSession]]
    ) -> MintedSession:
        """Note one caller."""
        type(self).came += 1
        return await super().join(key, start)


@pytest.fixture
def answering() -> asyncio.Event:
    """Return what is set when Apideck may answer."""
    return asyncio.Event()


@pytest.fixture
async def proxy(
    apideck: ApideckEmulator, apideck_url: str, answering: asyncio.Event
) -> AsyncIterator[FaultProxy]:
    """Run a proxy before the emulator that keeps each answer back for as long."""
    assert apideck.requests == []
    proxy = FaultProxy(apideck_url)
    proxy.fault = delays_until(answering)
    async with proxy.serve():
        yield proxy


def patient(proxy: FaultProxy) -> dict[str, Any]:
    """Return the settings of a service that waits for the proxy, however long a test takes."""
    return {"base_url": proxy.url, "deadline_seconds": 60, "attempt_timeout_seconds": 60}


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what the service does in a time of its own."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - it is no event
            await asyncio.sleep(0.005)


async def test_double_clicks_cost_one_session_and_never_join_two_people(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    proxy: FaultProxy,
    answering: asyncio.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same caller's identical requests share one; another caller's has its own."""
    monkeypatch.setattr("app.sessions.service.SingleFlight", Noting)
    monkeypatch.setattr(Noting, "came", 0)
    ada, bob = bearer(issuer.token()), bearer(issuer.token(sub="bob"))
    settings = settings_for(issuer.issuer, apideck_url, apideck=patient(proxy))
    async with running(settings) as service:
        asking = [
            asyncio.create_task(service.post("/vault-session", headers=who))
            for who in (ada, ada, bob)
        ]
        await until(lambda: Noting.came == 3)
        assert not any(one.done() for one in asking)
        answering.set()
        answers = await asyncio.gather(*asking)

    tokens = [answer.json()["session_token"] for answer in answers]
    assert tokens[0] == tokens[1] != tokens[2]
    assert proxy.requests == 2
    assert len(apideck.minted) == 2


async def asked_at_once(
    service: httpx.AsyncClient,
    proxy: FaultProxy,
    answering: asyncio.Event,
    who: dict[str, str],
    *bodies: dict[str, str],
) -> list[str]:
    """Have a caller ask for these, answer once Apideck has each of them; returns the tokens."""
    asking = [
        asyncio.create_task(service.post("/vault-session", json=body, headers=who))
        for body in bodies
    ]
    await until(lambda: proxy.requests == len(bodies))
    assert not any(one.done() for one in asking)
    answering.set()
    return [answer.json()["session_token"] for answer in await asyncio.gather(*asking)]


async def test_identical_requests_are_joined_only_where_the_operator_wants_it(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    proxy: FaultProxy,
    answering: asyncio.Event,
) -> None:
    """With joining off, two identical requests of one caller at once are two sessions."""
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        apideck=patient(proxy),
        session={"join_identical": False},
    )
    async with running(settings) as service:
        tokens = await asked_at_once(service, proxy, answering, bearer(issuer.token()), {}, {})

    assert len(set(tokens)) == 2
    assert {minted.token for minted in apideck.minted} == set(tokens)
    assert proxy.requests == 2


async def test_a_caller_who_wants_two_things_at_once_gets_both(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    proxy: FaultProxy,
    answering: asyncio.Event,
) -> None:
    """The same caller's different requests, each in flight with the other, are two sessions."""
    targets = {name: f"https://app.example.com/{name}" for name in ("start", "end")}
    bodies = [{"return_to": name} for name in targets]
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        apideck=patient(proxy),
        session={"return_to": targets},
    )
    async with running(settings) as service:
        tokens = await asked_at_once(service, proxy, answering, bearer(issuer.token()), *bodies)

    made = {minted.token: minted.session["redirect_uri"] for minted in apideck.minted}
    assert [made[token] for token in tokens] == [*targets.values()]
    assert proxy.requests == 2
