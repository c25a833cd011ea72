"""Rate limits in a Redis Cluster, behind Sentinel, over TLS, and with minimal rights."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest
import trustme
from redis import Redis

from app.check.dependencies import check_dependencies
from app.limits.build import build_store
from app.limits.guarded import Store
from app.limits.models import Limit, Rate, StoreFailedError
from app.settings import LimitSettings
from emulators.issuer import DevelopmentIssuer
from tests.support import redis_server
from tests.support.ports import free_ports
from tests.support.redis_topologies import (
    SERVICE,
    Cluster,
    cluster,
    command,
    kill,
    monitored_by_sentinel,
    port_of,
    wait_until_replicated,
)
from tests.support.service import settings_for

PASSWORD = "p@ss/word"
ADA = Limit("user", "ada", Rate(3, 3600))
TOTAL = Limit("total", "all", Rate(5, 3600))
REQUIRED_RIGHTS = ("resetchannels", "-@all", "+evalsha", "+eval", "+get", "+set", "+time")
"""The rights in docs/operations.md."""


@dataclass
class TlsRedis:
    """A Redis with TLS.

    Attributes:
        host: its host and port.
        authority: the certificate of the authority that issued its certificate.
        admin: a client with all rights.
    """

    host: str
    authority: Path
    admin: Redis

    def set_user(self, *rules: str) -> None:
        """Give the service's user exactly these rights."""
        command(self.admin, "ACL SETUSER counter reset on", *rules)


@pytest.fixture(autouse=True, scope="module")
def _needs_redis() -> None:
    if reason := redis_server.missing():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run a cluster."""
    with cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@asynccontextmanager
async def open_store(url: str, **settings: object) -> AsyncIterator[Store]:
    """Open a store as the service does with these settings."""
    limits = LimitSettings.model_validate({"store": url, "store_timeout_seconds": 5, **settings})
    built = build_store(limits, lambda _: None)
    try:
        yield built
    finally:
        await built.aclose()


async def remaining(store: Store, limit: Limit = TOTAL) -> int:
    """Count one request; return how many are left."""
    return (await store.admit([limit])).statuses[0].remaining


async def remaining_once_available(store: Store, limit: Limit = TOTAL) -> int:
    """Try until the store has counted one request; return how many are left."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await remaining(store, limit)
            except StoreFailedError:
                await asyncio.sleep(0.05)


def cluster_url(*seeds: Redis) -> str:
    """Return the URL of a cluster with some of its nodes."""
    return "redis+cluster://" + ",".join(f"127.0.0.1:{port_of(seed)}" for seed in seeds)


async def test_processes_share_their_counts_in_a_cluster(nodes: Cluster) -> None:
    """Each process is configured with another node without the keys; two limits are counted."""
    prefix = "shared"
    one, two = nodes.others(prefix)
    async with (
        open_store(cluster_url(one), store_prefix=prefix) as first,
        open_store(cluster_url(two), store_prefix=prefix) as second,
    ):
        decisions = await asyncio.gather(
            *(each.admit([ADA, TOTAL]) for each in (first, second) for _ in range(10))
        )
        left = await remaining(first)

    assert sum(one.admitted for one in decisions) == 3
    assert left == 1
    assert len(nodes.owner(prefix).keys()) == 2


async def test_a_node_that_does_not_respond_is_ignored(nodes: Cluster) -> None:
    """A process that is configured with a dead, a silent and a working node uses the last one."""
    prefix = "seeds"
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        seeds = [one.getsockname()[1] for one in (silent, dead)]
        hosts = ",".join(f"127.0.0.1:{port}" for port in [*seeds, port_of(nodes.spare)])
        async with open_store(
            f"redis+cluster://{hosts}", store_prefix=prefix, store_timeout_seconds=1.5
        ) as store:
            assert await remaining_once_available(store) == 4


async def test_requests_are_counted_while_the_keys_move_to_another_node(nodes: Cluster) -> None:
    """The old node redirects some calls with ASK during the move, and all with MOVED afterwards."""
    prefix = "moving"
    owner, other = nodes.owner(prefix), nodes.others(prefix)[0]
    slot = command(owner, "CLUSTER KEYSLOT", f"{{{prefix}}}:")
    names = {node: command(node, "CLUSTER MYID").decode() for node in (owner, other)}
    async with open_store(cluster_url(owner), store_prefix=prefix) as store:
        before = await remaining(store)
        command(other, f"CLUSTER SETSLOT {slot} IMPORTING", names[owner])
        command(owner, f"CLUSTER SETSLOT {slot} MIGRATING", names[other])
        keys = owner.keys(f"{{{prefix}}}*")
        owner.migrate("127.0.0.1", port_of(other), keys, 0, 5000)
        moving = await remaining(store)
        for node in (other, owner):
            command(node, f"CLUSTER SETSLOT {slot} NODE", names[other])
        moved = await remaining(store)

    assert [before, moving, moved] == [4, 3, 2]


async def test_a_replica_continues_the_count_after_its_primary_was_killed(nodes: Cluster) -> None:
    """Replicated counts are kept, and no restart is needed.

    This test kills a node, so it is the last one that uses the cluster.
    """
    prefix = "failover"
    owner = nodes.owner(prefix)
    nodes.replicate(owner)
    async with open_store(cluster_url(*nodes.others(prefix)), store_prefix=prefix) as store:
        before = [await remaining(store) for _ in range(2)]
        wait_until_replicated(owner, f"{{{prefix}}}:written")
        kill(owner)
        with pytest.raises(StoreFailedError):
            await remaining(store)
        after = await remaining_once_available(store)

    assert before == [4, 3]
    assert after == 2


async def test_the_new_primary_continues_the_count_after_a_sentinel_failover(
    tmp_path: Path,
) -> None:
    """Of three sentinels one is silent and one is dead; primary and sentinel require a password."""
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    with (
        monitored_by_sentinel(tmp_path, PASSWORD) as monitored,
        socket.create_server(("127.0.0.1", 0)) as silent,
        socket.socket() as dead,
    ):
        dead.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in (silent, dead)] + [port_of(monitored.sentinel)]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        async with open_store(
            f"redis+sentinel://{hosts}/{SERVICE}/3",
            store_password_file=file,
            store_sentinel_password_file=file,
            store_timeout_seconds=1.5,
        ) as store:
            before = await remaining_once_available(store)
            database = monitored.primary.info("keyspace")
            wait_until_replicated(monitored.primary, "written")
            kill(monitored.primary)
            after = await remaining_once_available(store)

    assert (before, after) == (4, 3)
    assert list(database) == ["db3"]


@pytest.fixture(scope="module")
def tls_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    """Run a Redis that accepts TLS only, with a certificate of a private authority."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    port = free_ports()
    options = {
        "--port": "0",
        "--tls-port": str(port),
        "--tls-cert-file": "cert.pem",
        "--tls-key-file": "key.pem",
        "--tls-ca-cert-file": "ca.pem",
        "--tls-auth-clients": "no",
        "--unixsocket": "admin.sock",
    }
    with (
        redis_server.redis_server(folder, port, *chain.from_iterable(options.items())),
        Redis.from_url(f"unix://{folder}/admin.sock") as admin,
    ):
        yield TlsRedis(f"localhost:{port}", folder / "ca.pem", admin)


async def test_a_private_certificate_authority_is_trusted_if_configured(
    tls_redis: TlsRedis,
) -> None:
    """Without the authority's certificate nothing is counted, and the error has the reason."""
    async with open_store(f"rediss://{tls_redis.host}?ssl_ca_certs={tls_redis.authority}") as store:
        assert await remaining(store) == 4
    async with open_store(f"rediss://{tls_redis.host}") as store:
        with pytest.raises(StoreFailedError, match="certificate verify failed"):
            await remaining(store)


@pytest.mark.parametrize(
    ("revoked", "message"),
    [
        (None, None),
        ("-evalsha", "the user may not run evalsha"),
        ("-eval", "the user may not run eval"),
        ("-get", "the user may not run get"),
        ("-set", "the user may not run set"),
        ("-time", "the user may not run time"),
        ("resetkeys", "the user may not access the keys"),
    ],
)
async def test_a_redis_user_needs_exactly_the_documented_rights(
    tls_redis: TlsRedis,
    tmp_path: Path,
    issuer: DevelopmentIssuer,
    apideck_url: str,
    revoked: str | None,
    message: str | None,
) -> None:
    """With these rights `check` passes; without one of them it names the missing right."""
    tls_redis.admin.script_flush()
    revoked_rights = [] if revoked is None else [revoked]
    tls_redis.set_user("~{vault-bff}:*", *REQUIRED_RIGHTS, *revoked_rights, f">{PASSWORD}")
    (tmp_path / "password").write_text(PASSWORD)
    limits = {
        "store": f"rediss://counter@{tls_redis.host}?ssl_ca_certs={tls_redis.authority}",
        "store_password_file": tmp_path / "password",
        "store_timeout_seconds": 5,
    }

    settings = settings_for(issuer.issuer, apideck_url, limits=limits)
    results = [one async for one in check_dependencies(settings)]

    [result] = [one for one in results if one.about == "LIMITS__STORE"]
    assert (result.well, result.detail.rpartition(": ")[2]) == (
        message is None,
        message or "counted a request",
    )


async def test_a_new_password_in_the_file_is_used_without_a_restart(
    tls_redis: TlsRedis, tmp_path: Path
) -> None:
    """The next connection uses the new password, and both passwords are reported for redaction."""
    tls_redis.set_user("~{rotated}:*", *REQUIRED_RIGHTS, ">first-password")
    file = tmp_path / "password"
    file.write_text("first-password")
    redacted: list[str] = []
    limits = LimitSettings.model_validate(
        {
            "store": f"rediss://counter@{tls_redis.host}?ssl_ca_certs={tls_redis.authority}",
            "store_prefix": "rotated",
            "store_password_file": file,
            "store_timeout_seconds": 5,
        }
    )
    store = build_store(limits, redacted.append)
    before = await remaining(store)
    tls_redis.set_user("~{rotated}:*", *REQUIRED_RIGHTS, ">second-password")
    tls_redis.admin.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(StoreFailedError, match="AuthenticationError"):
        await remaining(store)
    file.write_text("second-password")
    after = await remaining(store)
    file.write_text("")
    tls_redis.admin.client_kill_filter(_type="normal", skipme=True)
    tls_redis.set_user("reset")
    with pytest.raises(StoreFailedError):
        await remaining(store)
    with pytest.raises(StoreFailedError, match=r"LIMITS__STORE_PASSWORD_FILE: must be printable"):
        await remaining(store)
    await store.aclose()

    assert (before, after) == (4, 3)
    assert {"first-password", "second-password"} < set(redacted)
