"""Responses of Apideck to another request, mixed up by a proxy or a cache."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support import fault_proxy
from tests.support.fault_proxy import FaultProxy, ProxiedConnection
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


async def test_an_extra_response_reaches_no_caller(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    proxy: FaultProxy,
) -> None:
    """The attack: an extra response on an idle connection becomes the next caller's session."""
    now = asyncio.Event()
    proxy.next_faults = [fault_proxy.sends_extra_response(now)]
    tokens = []
    for tenant in ("acme", "globex", "initech"):
        response = await service.post(
            "/vault-session", headers=bearer(issuer.token(org_id=tenant, sub=tenant))
        )
        tokens.append((tenant, response.json()["session_token"]))
        now.set()
        await asyncio.sleep(0.1)

    assert tokens == [(minted.consumer_id, minted.token) for minted in apideck.minted]


async def test_a_session_of_another_consumer_reaches_no_caller(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    proxy: FaultProxy,
) -> None:
    """The attack: a cache sends the first response to everyone; the others get a 502."""
    first: list[bytes] = []

    async def repeat_first_response(connection: ProxiedConnection) -> None:
        while True:
            response = await connection.response()
            first.append(response)
            connection.writer.write(first[0])

    proxy.fault = repeat_first_response
    responses = [
        await service.post(
            "/vault-session", headers=bearer(issuer.token(org_id=tenant, sub=tenant))
        )
        for tenant in ("acme", "globex")
    ]

    assert responses[0].json()["session_token"] == apideck.minted[0].token
    assert problem(responses[1]) == (502, "apideck-invalid-response")
    assert apideck.minted[0].token not in responses[1].text
    assert [minted.consumer_id for minted in apideck.minted] == ["acme", "globex"]
