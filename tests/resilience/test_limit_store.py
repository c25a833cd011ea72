"""The effects on callers and the operator when the rate limit store fails, moves or recovers."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support import redis_server
from tests.support.http import bearer, problem
from tests.support.measured import takes_less_than
from tests.support.ports import free_ports
from tests.support.redis_server import Endpoint
from tests.support.service import running, settings_for

OVERLOADED = (503, "overloaded")
FAILURES = "vault_bff_rate_limit_store_failures_total"
CAUSES = {"unreachable": "ConnectionError: Connect", "silent": "no response within 0.2 s"}


@pytest.fixture
def silent() -> Iterator[str]:
    """Return the URL of a store that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


@pytest.fixture
def unreachable(unused_tcp_port: int) -> str:
    """Return the URL of a store that refuses connections."""
    return f"redis://127.0.0.1:{unused_tcp_port}/0"


@pytest.mark.parametrize("store", ["unreachable", "silent"])
async def test_each_process_counts_separately_while_the_store_fails_open(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    request: pytest.FixtureRequest,
    store: str,
) -> None:
    """The caller gets a session within the store's timeout, and the rate limit still applies."""
    limits = {
        "store": request.getfixturevalue(store),
        "store_timeout_seconds": 0.2,
        "per_user": "1/hour",
    }
    with capture_logs() as logs:
        async with running(settings_for(issuer.issuer, apideck_url, limits=limits)) as service:
            with takes_less_than(0.2 + 2):
                first = await service.post("/vault-session", headers=bearer(issuer.token()))
            second = await service.post("/vault-session", headers=bearer(issuer.token()))
            metrics = (await service.get("/metrics")).text

    assert first.status_code == 201
    assert first.headers["ratelimit-policy"] == '"user";q=1;w=3600'
    assert problem(second) == (429, "rate-limited")
    assert len(apideck.minted) == 1
    assert f"{FAILURES} 2.0" in metrics
    [event] = [line for line in logs if line["event"].startswith("limit_store_")]
    assert event["event"] == "limit_store_failed"
    assert event["requests"] == "are counted by each process"
    assert event["error"].startswith(f"{limits['store'].split('/')[2]}: {CAUSES[store]}")


@pytest.mark.parametrize("store", ["unreachable", "silent"])
async def test_requests_are_rejected_while_the_store_fails_closed(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    request: pytest.FixtureRequest,
    store: str,
) -> None:
    """The caller gets Retry-After within the store's timeout, and no session is created."""
    limits = {
        "store": request.getfixturevalue(store),
        "store_timeout_seconds": 0.2,
        "when_store_fails": "closed",
    }
    with capture_logs() as logs:
        async with running(settings_for(issuer.issuer, apideck_url, limits=limits)) as service:
            with takes_less_than(0.2 + 2):
                response = await service.post("/vault-session", headers=bearer(issuer.token()))
            metrics = (await service.get("/metrics")).text

    assert problem(response) == OVERLOADED
    assert response.headers["retry-after"] == "1"
    assert apideck.requests == []
    assert f"{FAILURES} 1.0" in metrics
    [event] = [line for line in logs if line["event"].startswith("limit_store_")]
    assert event["event"] == "limit_store_failed"
    assert event["requests"] == "are refused"


async def test_a_store_that_never_responds_delays_only_the_first_callers(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str, silent: str
) -> None:
    """A few callers wait for the timeout, the others do not, and all callers get a session."""
    seconds = 0.4
    limits = {"store": silent, "store_timeout_seconds": seconds}
    async with running(settings_for(issuer.issuer, apideck_url, limits=limits)) as service:
        waited = []
        for _ in range(20):
            started = time.monotonic()
            response = await service.post("/vault-session", headers=bearer(issuer.token()))
            waited.append(time.monotonic() - started)
            assert response.status_code == 201
        metrics = (await service.get("/metrics")).text

    assert len(apideck.minted) == 20
    assert max(waited) < seconds + 1
    assert sum(one >= seconds for one in waited) <= 8
    assert f"{FAILURES} 20.0" in metrics


@pytest.mark.parametrize(
    ("choice", "meanwhile"), [("open", {201}), ("closed", {503})], ids=["open", "closed"]
)
async def test_the_store_is_used_again_after_it_recovers(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    unused_tcp_port: int,
    tmp_path: Path,
    choice: str,
    meanwhile: set[int],
) -> None:
    """No restart is needed, and the log has an event for the failure and for the recovery."""
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

            async def request_session() -> httpx.Response:
                return await service.post("/vault-session", headers=bearer(issuer.token()))

            def store_events() -> list[Any]:
                events = [(line["event"], line["log_level"]) for line in logs]
                return [one for one in events if one[0].startswith("limit_store_")]

            with redis_server.redis_server(tmp_path, unused_tcp_port):
                assert "ratelimit" in (await request_session()).headers
                assert store_events() == []
            without = [await request_session() for _ in range(10)]
            assert store_events() == [("limit_store_failed", "error")]
            minted = len(apideck.minted)
            with redis_server.redis_server(tmp_path, unused_tcp_port):
                async with asyncio.timeout(20):
                    while ("limit_store_recovered", "info") not in store_events():
                        await asyncio.sleep(0.05)
                        await request_session()
                after = [await request_session() for _ in range(5)]

    assert {response.status_code for response in without} == meanwhile
    assert all("ratelimit" in response.headers for response in without) == (choice == "open")
    assert minted == (11 if choice == "open" else 1)
    assert {response.status_code for response in after} == {201}
    assert all("ratelimit" in response.headers for response in after)
    assert store_events() == [("limit_store_failed", "error"), ("limit_store_recovered", "info")]


@pytest.mark.parametrize("shared", [False, True], ids=["memory", "redis"])
async def test_the_total_limit_applies_to_all_callers_together(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    request: pytest.FixtureRequest,
    shared: bool,
) -> None:
    """The third caller is rejected, although their own limit is not reached."""
    store = request.getfixturevalue("redis_url") if shared else "memory"
    limits = {
        "total": "2/hour",
        "per_user": "5/hour",
        "store": store,
        "store_prefix": f"total-{time.monotonic_ns()}",
        "store_timeout_seconds": 5,
    }
    async with running(settings_for(issuer.issuer, apideck_url, limits=limits)) as service:
        responses = [
            await service.post("/vault-session", headers=bearer(issuer.token(sub=sub)))
            for sub in ("ada", "bob", "eve")
        ]
        metrics = (await service.get("/metrics")).text

    assert [response.status_code for response in responses] == [201, 201, 429]
    assert problem(responses[2]) == (429, "rate-limited")
    assert 1790 < int(responses[2].headers["retry-after"]) <= 1800
    assert responses[2].headers["ratelimit-policy"] == '"user";q=5;w=3600, "total";q=2;w=3600'
    headers = [response.headers["ratelimit"].split(", ") for response in responses]
    assert [[one.rpartition(";")[0] for one in limits] for limits in headers] == [
        ['"user";r=4', '"total";r=1'],
        ['"user";r=4', '"total";r=0'],
        ['"user";r=5', '"total";r=0'],
    ]
    assert 'vault_bff_rate_limited_total{policy="total"} 1.0' in metrics
    assert len(apideck.requests) == 2


@asynccontextmanager
async def two_servers(
    tmp_path: Path, *, cluster: bool = False
) -> AsyncIterator[tuple[Redis, Redis]]:
    """Run two Redis servers until the context ends; yields a client of each."""
    if reason := redis_server.missing():
        pytest.skip(reason)
    async with AsyncExitStack() as stack:
        clients = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            # By default the bus is 10,000 ports higher, in the range of outgoing connections.
            bus = ["--cluster-enabled", "yes", "--cluster-port", str(free_ports())]
            options = bus if cluster else []
            server = redis_server.redis_server(tmp_path / name, free_ports(), *options)
            clients.append(
                await stack.enter_async_context(Redis.from_url(stack.enter_context(server)))
            )
        yield clients[0], clients[1]


def port_of(redis: Redis) -> int:
    """Return the port of a server."""
    port: int = redis.connection_pool.connection_kwargs["port"]
    return port


class CountingService:
    """A service whose rate limits are counted in the Redis behind an endpoint, with its log."""

    def __init__(self, service: httpx.AsyncClient, token: str, logs: list[Any]) -> None:
        self._service = service
        self._token = token
        self.logs = logs

    async def remaining(self) -> int:
        """Request a session; return how much of the quota the caller has left."""
        response = await self._service.post("/vault-session", headers=bearer(self._token))
        assert response.status_code == 201
        return int(response.headers["ratelimit"].partition("r=")[2].partition(";")[0])

    @property
    def failures(self) -> list[str]:
        """The errors in the log about failures of the store."""
        return [line["error"] for line in self.logs if line["event"] == "limit_store_failed"]


@asynccontextmanager
async def counting_service(
    endpoint: Endpoint, issuer: DevelopmentIssuer, apideck_url: str
) -> AsyncIterator[CountingService]:
    """Run a service that counts in the Redis behind an endpoint."""
    limits = {"store": endpoint.url, "store_timeout_seconds": 5, "per_user": "100/day"}
    with capture_logs() as logs:
        async with running(settings_for(issuer.issuer, apideck_url, limits=limits)) as service:
            yield CountingService(service, issuer.token(), logs)


async def test_after_a_failover_requests_are_counted_by_the_new_primary(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str, tmp_path: Path
) -> None:
    """The old primary responds READONLY to one request; later requests use the new primary."""
    async with two_servers(tmp_path) as (old, new):
        await new.replicaof("127.0.0.1", str(port_of(old)))
        await redis_server.wait_until_replicating(new)
        async with (
            Endpoint(port_of(old)).serve() as endpoint,
            counting_service(endpoint, issuer, apideck_url) as service,
        ):
            before = [await service.remaining() for _ in range(3)]
            # WAIT applies to the writes of its own connection only.
            await old.set("written", "last")
            await old.wait(1, 5000)
            await new.replicaof("NO", "ONE")
            await old.replicaof("127.0.0.1", str(port_of(new)))
            endpoint.target = port_of(new)
            meanwhile = await service.remaining()
            after = [await service.remaining() for _ in range(3)]

    assert before == [99, 98, 97]
    assert meanwhile == 99  # This process counted it in memory.
    assert after == [96, 95, 94]
    assert service.failures == [f"{endpoint.url.split('/')[2]}: ReadOnlyError"]
    assert [line["event"] for line in service.logs].count("limit_store_recovered") == 1
    assert len(apideck.minted) == 7


async def test_a_connection_to_a_node_without_the_keys_is_closed_immediately(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str, tmp_path: Path
) -> None:
    """The node responds MOVED, and the next connection may reach the node that owns the keys."""
    async with two_servers(tmp_path, cluster=True) as (owner, other):
        await redis_server.join_cluster(owner, other)
        async with (
            Endpoint(port_of(other)).serve() as endpoint,
            counting_service(endpoint, issuer, apideck_url) as service,
        ):
            moved = [await service.remaining() for _ in range(2)]
            endpoint.target = port_of(owner)
            after = [await service.remaining() for _ in range(2)]

    assert moved == [99, 98]
    assert after == [99, 98]
    assert service.failures == [f"{endpoint.url.split('/')[2]}: MovedError"]
    assert len(apideck.minted) == 4


async def test_a_probe_of_the_breaker_uses_a_new_connection(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str, tmp_path: Path
) -> None:
    """Connections are closed after failures, so the store may move in the meantime."""
    async with two_servers(tmp_path) as (old, new):
        await old.replicaof("127.0.0.1", str(port_of(new)))
        await redis_server.wait_until_replicating(old)
        async with (
            Endpoint(port_of(old)).serve() as endpoint,
            counting_service(endpoint, issuer, apideck_url) as service,
        ):
            for _ in range(8):
                await service.remaining()
            endpoint.target = port_of(new)
            async with asyncio.timeout(20):
                while "limit_store_recovered" not in {line["event"] for line in service.logs}:
                    await asyncio.sleep(0.05)
                    await service.remaining()
            counted = await new.keys("*")

    assert len(counted) == 1
    assert endpoint.connections == 6  # One for each of five failures, and one for the probe.
    assert apideck.minted
