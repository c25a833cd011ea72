"""Rate limits in a Redis Cluster, behind Sentinel, over TLS, and with the least rights."""

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
    port_of,
    replicated,
    watched_by_sentinel,
)
from tests.support.service import settings_for

PASSWORD = "p@ss/word"
ADA = Limit("user", "ada", Rate(3, 3600))
TOTAL = Limit("total", "all", Rate(5, 3600))
LEAST = ("resetchannels", "-@all", "+evalsha", "+eval", "+get", "+set", "+time")
"""What docs/operations.md tells the operator to allow."""


@dataclass
class Secured:
    """A Redis with TLS.

    Attributes:
        host: its host and port.
        authority: the certificate of the authority that issued its own.
        admin: a client with all rights.
    """

    host: str
    authority: Path
    admin: Redis

    def set_user(self, *rules: str) -> None:
        """Give the user of the service these rights and no others."""
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
async def store(url: str, **settings: object) -> AsyncIterator[Store]:
    """Return a store as the service builds it from its settings."""
    limits = LimitSettings.model_validate({"store": url, "store_timeout_seconds": 5, **settings})
    built = build_store(limits, lambda _: None)
    try:
        yield built
    finally:
        await built.aclose()


async def remaining(counting: Store, limit: Limit = TOTAL) -> int:
    """Count one request; returns how many are left."""
    return (await counting.admit([limit])).statuses[0].remaining


async def once_it_counts(counting: Store, limit: Limit = TOTAL) -> int:
    """Count requests until the store has counted one; returns how many are left."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await remaining(counting, limit)
            except StoreFailedError:
                await asyncio.sleep(0.05)


def cluster_url(*seeds: Redis) -> str:
    """Return the URL of a cluster with some of its nodes."""
    return "redis+cluster://" + ",".join(f"127.0.0.1:{port_of(seed)}" for seed in seeds)


async def test_processes_share_one_count_in_a_cluster(nodes: Cluster) -> None:
    """Each knows another node, none of which has the keys; several limits count at once."""
    prefix = "shared"
    one, two = nodes.others(prefix)
    async with (
        store(cluster_url(one), store_prefix=prefix) as first,
        store(cluster_url(two), store_prefix=prefix) as second,
    ):
        decisions = await asyncio.gather(
            *(each.admit([ADA, TOTAL]) for each in (first, second) for _ in range(10))
        )
        left = await remaining(first)

    assert sum(one.admitted for one in decisions) == 3
    assert left == 1
    assert len(nodes.owner(prefix).keys()) == 2


async def test_a_node_that_does_not_respond_is_left_out(nodes: Cluster) -> None:
    """A process that knows a dead, a silent and a living node soon counts with the others."""
    prefix = "seeds"
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        seeds = [one.getsockname()[1] for one in (silent, dead)]
        hosts = ",".join(f"127.0.0.1:{port}" for port in [*seeds, port_of(nodes.spare)])
        async with store(
            f"redis+cluster://{hosts}", store_prefix=prefix, store_timeout_seconds=1.5
        ) as counting:
            assert await once_it_counts(counting) == 4


async def test_counting_goes_on_while_the_keys_move_to_another_node(nodes: Cluster) -> None:
    """The node that they leave redirects some calls (ASK), and later all (MOVED)."""
    prefix = "moving"
    owner, other = nodes.owner(prefix), nodes.others(prefix)[0]
    slot = command(owner, "CLUSTER KEYSLOT", f"{{{prefix}}}:")
    names = {node: command(node, "CLUSTER MYID").decode() for node in (owner, other)}
    async with store(cluster_url(owner), store_prefix=prefix) as counting:
        before = await remaining(counting)
        command(other, f"CLUSTER SETSLOT {slot} IMPORTING", names[owner])
        command(owner, f"CLUSTER SETSLOT {slot} MIGRATING", names[other])
        keys = owner.keys(f"{{{prefix}}}*")
        owner.migrate("127.0.0.1", port_of(other), keys, 0, 5000)
        moving = await remaining(counting)
        for node in (other, owner):
            command(node, f"CLUSTER SETSLOT {slot} NODE", names[other])
        moved = await remaining(counting)

    assert [before, moving, moved] == [4, 3, 2]


async def test_after_the_owner_of_the_keys_has_died_its_replica_counts_on(nodes: Cluster) -> None:
    """What was replicated still counts. No restart is needed. The last test of the cluster."""
    prefix = "failover"
    owner = nodes.owner(prefix)
    nodes.replicate(owner)
    async with store(cluster_url(*nodes.others(prefix)), store_prefix=prefix) as counting:
        before = [await remaining(counting) for _ in range(2)]
        replicated(owner, f"{{{prefix}}}:written")
        kill(owner)
        with pytest.raises(StoreFailedError):
            await remaining(counting)
        after = await once_it_counts(counting)

    assert before == [4, 3]
    assert after == 2


async def test_after_a_failover_by_sentinel_the_new_primary_counts_on(tmp_path: Path) -> None:
    """Of three sentinels one is silent and one dead. Primary and sentinels want a password."""
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    with (
        watched_by_sentinel(tmp_path, PASSWORD) as watched,
        socket.create_server(("127.0.0.1", 0)) as silent,
        socket.socket() as dead,
    ):
        dead.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in (silent, dead)] + [port_of(watched.sentinel)]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        async with store(
            f"redis+sentinel://{hosts}/{SERVICE}/3",
            store_password_file=file,
            store_sentinel_password_file=file,
            store_timeout_seconds=1.5,
        ) as counting:
            before = await once_it_counts(counting)
            database = watched.primary.info("keyspace")
            replicated(watched.primary, "written")
            kill(watched.primary)
            after = await once_it_counts(counting)

    assert (before, after) == (4, 3)
    assert list(database) == ["db3"]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
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
        yield Secured(f"localhost:{port}", folder / "ca.pem", admin)


async def test_a_private_authority_is_trusted_once_it_is_named(secured: Secured) -> None:
    """Without its certificate, nothing is counted, and the error says why."""
    async with store(f"rediss://{secured.host}?ssl_ca_certs={secured.authority}") as counting:
        assert await remaining(counting) == 4
    async with store(f"rediss://{secured.host}") as counting:
        with pytest.raises(StoreFailedError, match="certificate verify failed"):
            await remaining(counting)


@pytest.mark.parametrize(
    ("taken", "named"),
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
async def test_a_user_needs_the_documented_rights_and_no_others(
    secured: Secured,
    tmp_path: Path,
    issuer: DevelopmentIssuer,
    apideck_url: str,
    taken: str | None,
    named: str | None,
) -> None:
    """With them the check before a start passes; without any of them it names the one missing."""
    secured.admin.script_flush()
    taken_away = [] if taken is None else [taken]
    secured.set_user("~{vault-bff}:*", *LEAST, *taken_away, f">{PASSWORD}")
    (tmp_path / "password").write_text(PASSWORD)
    limits = {
        "store": f"rediss://counter@{secured.host}?ssl_ca_certs={secured.authority}",
        "store_password_file": tmp_path / "password",
        "store_timeout_seconds": 5,
    }

    settings = settings_for(issuer.issuer, apideck_url, limits=limits)
    results = [one async for one in check_dependencies(settings)]

    [result] = [one for one in results if one.about == "LIMITS__STORE"]
    assert (result.well, result.detail.rpartition(": ")[2]) == (named is None, named or "counts")


async def test_a_new_password_in_the_file_is_used_without_a_restart(
    secured: Secured, tmp_path: Path
) -> None:
    """From the next connection on; the log contains neither password."""
    secured.set_user("~{rotated}:*", *LEAST, ">first-password")
    file = tmp_path / "password"
    file.write_text("first-password")
    known: list[str] = []
    limits = LimitSettings.model_validate(
        {
            "store": f"rediss://counter@{secured.host}?ssl_ca_certs={secured.authority}",
            "store_prefix": "rotated",
            "store_password_file": file,
            "store_timeout_seconds": 5,
        }
    )
    counting = build_store(limits, known.append)
    before = await remaining(counting)
    secured.set_user("~{rotated}:*", *LEAST, ">second-password")
    secured.admin.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(StoreFailedError, match="AuthenticationError"):
        await remaining(counting)
    file.write_text("second-password")
    after = await remaining(counting)
    file.write_text("")
    secured.admin.client_kill_filter(_type="normal", skipme=True)
    secured.set_user("reset")
    with pytest.raises(StoreFailedError):
        await remaining(counting)
    with pytest.raises(StoreFailedError, match=r"LIMITS__STORE_PASSWORD_FILE: must be printable"):
        await remaining(counting)
    await counting.aclose()

    assert (before, after) == (4, 3)
    assert {"first-password", "second-password"} < set(known)
