"""Apideck's answers to somebody else, which a proxy or a cache in between has mixed up."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support import fault_proxy
from tests.support.fault_proxy import Conversation, FaultProxy
from tests.support.http import bearer, problem
from tests.support.service import running, settings_for


@pytest.fixture
async def service(
    issuer: DevelopmentIssuer, proxy: FaultProxy, apideck_url: str
) -> AsyncIterator[httpx.AsyncClient]:
    """Run the service behind the proxy."""
    settings = settings_for(issuer.issuer, apideck_url, apideck={"base_url": proxy.url})
    async with running(settings) as client:
        yield client


async def test_an_answer_too_many_is_nobodys(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    proxy: FaultProxy,
) -> None:
    """What comes unasked on a kept connection shifts no answer to the caller who is next."""
    now = asyncio.Event()
    proxy.coming = [fault_proxy.answers_twice(now)]
    tokens = []
    for tenant in ("acme", "globex", "initech"):
        answer = await service.post(
            "/vault-session", headers=bearer(issuer.token(org_id=tenant, sub=tenant))
        )
        tokens.append((tenant, answer.json()["session_token"]))
        now.set()
        await asyncio.sleep(0.1)

    assert tokens == [(minted.consumer_id, minted.token) for minted in apideck.minted]


async def test_a_session_of_another_consumer_is_given_to_nobody(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    proxy: FaultProxy,
) -> None:
    """A cache that answers everybody with the first answer costs them sessions, and no secret."""
    first: list[bytes] = []

    async def remembers(it: Conversation) -> None:
        while True:
            answer = await it.answer()
            first.append(answer)
            it.writer.write(first[0])

    proxy.lasting = remembers
    asked = [
        await service.post("/vault-session", headers=bearer(issuer.token(org_id=one, sub=one)))
        for one in ("acme", "globex")
    ]

    assert asked[0].json()["session_token"] == apideck.minted[0].token
    assert problem(asked[1]) == (502, "apideck-invalid-response")
    assert apideck.minted[0].token not in asked[1].text
    assert [minted.consumer_id for minted in apideck.minted] == ["acme", "globex"]
