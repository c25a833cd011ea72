"""What callers notice of where requests are counted: that it fails, and that it is back."""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support import redis_server
from tests.support.http import bearer, problem
from tests.support.measured import promptly
from tests.support.service import running, settings_for

OVERLOADED = (503, "overloaded")
FAILURES = "vault_bff_rate_limit_store_failures_total"


@pytest.fixture
def silent() -> Iterator[str]:
    """Return the URL of a store that accepts connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


@pytest.fixture
def absent(unused_tcp_port: int) -> str:
    """Return the URL of a store that is not there."""
    return f"redis://127.0.0.1:{unused_tcp_port}/0"


@pytest.mark.parametrize("store", ["absent", "silent"])
async def test_each_process_counts_while_the_store_fails_where_the_operator_chose_so(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    request: pytest.FixtureRequest,
    store: str,
) -> None:
    """The caller has a session after the store's small timeout, and their limit stands."""
    limits = {
        "store": request.getfixturevalue(store),
        "store_timeout_seconds": 0.2,
        "per_user": "1/hour",
    }
    with capture_logs() as logs:
        async with running(settings_for(issuer.issuer, apideck_url, limits=limits)) as service:
            with promptly(0.2 + 2):
                answer = await service.post("/vault-session", headers=bearer(issuer.token()))
            again = await service.post("/vault-session", headers=bearer(issuer.token()))
            metrics = (await service.get("/metrics")).text

    assert answer.status_code == 201
    assert answer.headers["ratelimit-policy"] == '"user";q=1;w=3600'
    assert problem(again) == (429, "rate-limited")
    assert len(apideck.minted) == 1
    assert f"{FAILURES} 2.0" in metrics
    [told] = [line for line in logs if line["event"].startswith("limit_store_")]
    assert told["event"] == "limit_store_failed"
    assert told["requests"] == "are counted by each process"


@pytest.mark.parametrize("store", ["absent", "silent"])
async def test_requests_that_nobody_counts_are_refused_where_the_operator_chose_so(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    request: pytest.FixtureRequest,
    store: str,
) -> None:
    """The caller is told when to come again, after the small timeout, and nothing is minted."""
    limits = {
        "store": request.getfixturevalue(store),
        "store_timeout_seconds": 0.2,
        "when_store_fails": "closed",
    }
    with capture_logs() as logs:
        async with running(settings_for(issuer.issuer, apideck_url, limits=limits)) as service:
            with promptly(0.2 + 2):
                answer = await service.post("/vault-session", headers=bearer(issuer.token()))
            metrics = (await service.get("/metrics")).text

    assert problem(answer) == OVERLOADED
    assert answer.headers["retry-after"] == "1"
    assert apideck.requests == []
    assert f"{FAILURES} 1.0" in metrics
    [told] = [line for line in logs if line["event"].startswith("limit_store_")]
    assert told["event"] == "limit_store_failed"
    assert told["requests"] == "are refused"


async def test_a_store_that_says_nothing_costs_its_small_timeout_and_soon_not_even_that(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str, silent: str
) -> None:
    """A few callers wait for that long, the others not at all, and all of them have a session."""
    seconds = 0.4
    limits = {"store": silent, "store_timeout_seconds": seconds}
    async with running(settings_for(issuer.issuer, apideck_url, limits=limits)) as service:
        waited = []
        for _ in range(20):
            started = time.monotonic()
            answer = await service.post("/vault-session", headers=bearer(issuer.token()))
            waited.append(time.monotonic() - started)
            assert answer.status_code == 201
        metrics = (await service.get("/metrics")).text

    assert len(apideck.minted) == 20
    assert max(waited) < seconds + 1
    assert sum(one >= seconds for one in waited) <= 8
    assert f"{FAILURES} 20.0" in metrics


@pytest.mark.parametrize(
    ("choice", "meanwhile"), [("open", {201}), ("closed", {503})], ids=["open", "closed"]
)
async def test_a_store_that_comes_back_counts_again_and_the_log_says_so(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    unused_tcp_port: int,
    tmp_path: Path,
    choice: str,
    meanwhile: set[int],
) -> None:
    """Between the two events only this process counts, and then all together, without a restart."""
    if reason := redis_server.missing():
        pytest.skip(reason)
    limits = {
        "store": f"redis://127.0.0.1:{unused_tcp_port}/0",
        "store_timeout_seconds": 5,
        "when_store_fails": choice,
        "store_prefix": f"back-{time.monotonic_ns()}",
        "per_user": "1000000/day",
    }
    with capture_logs() as logs:
        async with running(settings_for(issuer.issuer, apideck_url, limits=limits)) as service:

            async def ask() -> httpx.Response:
                return await service.post("/vault-session", headers=bearer(issuer.token()))

            def told() -> list[Any]:
                named = [(line["event"], line["log_level"]) for line in logs]
                return [one for one in named if one[0].startswith("limit_store_")]

            with redis_server.redis_server(tmp_path, unused_tcp_port):
                assert "ratelimit" in (await ask()).headers
                assert told() == []
            without = [await ask() for _ in range(10)]
            assert told() == [("limit_store_failed", "error")]
            minted = len(apideck.minted)
            with redis_server.redis_server(tmp_path, unused_tcp_port):
                async with asyncio.timeout(20):
                    while ("limit_store_recovered", "info") not in told():
                        await asyncio.sleep(0.05)
                        await ask()
                after = [await ask() for _ in range(5)]

    assert {answer.status_code for answer in without} == meanwhile
    assert all("ratelimit" in answer.headers for answer in without) == (choice == "open")
    assert minted == (11 if choice == "open" else 1)
    assert {answer.status_code for answer in after} == {201}
    assert all("ratelimit" in answer.headers for answer in after)
    assert told() == [("limit_store_failed", "error"), ("limit_store_recovered", "info")]


@pytest.mark.parametrize("shared", [False, True], ids=["memory", "redis"])
async def test_all_callers_together_have_a_limit(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    request: pytest.FixtureRequest,
    shared: bool,
) -> None:
    """Whoever comes after two others is refused, though not beyond a limit of their own."""
    store = request.getfixturevalue("redis_url") if shared else "memory"
    limits = {
        "total": "2/hour",
        "per_user": "5/hour",
        "store": store,
        "store_prefix": f"total-{time.monotonic_ns()}",
        "store_timeout_seconds": 5,
    }
    async with running(settings_for(issuer.issuer, apideck_url, limits=limits)) as service:
        answers = [
            await service.post("/vault-session", headers=bearer(issuer.token(sub=sub)))
            for sub in ("ada", "bob", "eve")
        ]
        metrics = (await service.get("/metrics")).text

    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert problem(answers[2]) == (429, "rate-limited")
    assert 1790 < int(answers[2].headers["retry-after"]) <= 1800
    assert answers[2].headers["ratelimit-policy"] == '"user";q=5;w=3600, "total";q=2;w=3600'
    told = [answer.headers["ratelimit"].split(", ") for answer in answers]
    assert [[one.rpartition(";")[0] for one in limits] for limits in told] == [
        ['"user";r=4', '"total";r=1'],
        ['"user";r=4', '"total";r=0'],
        ['"user";r=5', '"total";r=0'],
    ]
    assert 'vault_bff_rate_limited_total{policy="total"} 1.0' in metrics
    assert len(apideck.requests) == 2
