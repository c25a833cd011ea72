"""Real Redis servers that fail over: a cluster, and a primary that Sentinel monitors."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from redis import Redis

from tests.support.ports import free_ports
from tests.support.redis_server import redis_server

NODE_TIMEOUT_MS = 2000
SENTINEL_TIMEOUT_MS = 1000
SERVICE = "mymaster"
_SLOTS = 16_384
_WAIT_SECONDS = 30


class Cluster:
    """Three primaries that share the slots, and a fourth node that can replicate one of them."""

    def __init__(self, nodes: list[Redis]) -> None:
        self.primaries, self.spare = nodes[:3], nodes[3]

    def owner(self, prefix: str) -> Redis:
        """Return the primary that owns the keys of a store."""
        slot: int = command(self.spare, "CLUSTER KEYSLOT", f"{{{prefix}}}:")
        return self.primaries[slot * len(self.primaries) // _SLOTS]

    def others(self, prefix: str) -> list[Redis]:
        """Return the primaries that do not own the keys of a store."""
        return [node for node in self.primaries if node is not self.owner(prefix)]

    def replicate(self, owner: Redis) -> None:
        """Make the fourth node a replica, and wait until it has the data."""
        command(self.spare, "CLUSTER REPLICATE", command(owner, "CLUSTER MYID"))
        until(lambda: replica_is_up(self.spare))
        for node in self.primaries:
            until(partial(_has_a_replica, node))


def command(redis: Redis, text: str, *arguments: Any) -> Any:
    """Run a command, and return its response without decoding it."""
    return redis.execute_command(*text.split(), *arguments, NEVER_DECODE=True)  # type: ignore[no-untyped-call]


def port_of(redis: Redis) -> int:
    """Return the port of a server."""
    port: int = redis.connection_pool.connection_kwargs["port"]
    return port


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true.

    Raises:
        TimeoutError: it takes too long.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


def replica_is_up(redis: Redis) -> bool:
    """Tell whether a replica has the data of its primary."""
    return bool(redis.info("replication").get("master_link_status") == "up")


def wait_until_replicated(redis: Redis, key: str) -> None:
    """Wait until a replica has everything that was written so far."""
    redis.set(key, "last")  # WAIT applies to the writes of its own connection only.
    redis.wait(1, 10_000)


def kill(redis: Redis) -> None:
    """Kill a server, as if its machine lost power."""
    os.kill(int(redis.info("server")["process_id"]), signal.SIGKILL)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Run a cluster until the context ends."""
    with ExitStack() as stack:
        buses, nodes = [], []
        for name in "abcd":
            (folder / name).mkdir()
            bus = free_ports()
            options = ["--cluster-enabled", "yes", "--cluster-port", str(bus)]
            options += ["--cluster-node-timeout", str(NODE_TIMEOUT_MS)]
            url = stack.enter_context(redis_server(folder / name, None, *options))
            nodes.append(stack.enter_context(Redis.from_url(url)))
            buses.append(bus)
        running = Cluster(nodes)
        for i, node in enumerate(running.primaries):
            # Rounded up, because owner() rounds down.
            first, after = (-(-_SLOTS * n // len(running.primaries)) for n in (i, i + 1))
            command(node, "CLUSTER ADDSLOTSRANGE", first, after - 1)
        for i, node in enumerate(nodes):
            command(node, "CLUSTER SET-CONFIG-EPOCH", i + 1)
            command(nodes[0], "CLUSTER MEET 127.0.0.1", port_of(node), buses[i])
        for node in nodes:
            until(partial(_is_complete, node, len(nodes)))
        yield running


def _has_a_replica(node: Redis) -> bool:
    return b"slave" in command(node, "CLUSTER NODES")


def _is_complete(node: Redis, known: int) -> bool:
    info = command(node, "CLUSTER INFO").decode()
    return "cluster_state:ok" in info and f"cluster_known_nodes:{known}" in info


class MonitoredPrimary:
    """A primary with a replica and a sentinel; all of them require the same password."""

    def __init__(self, primary: Redis, replica: Redis, sentinel: Redis) -> None:
        self.primary = primary
        self.replica = replica
        self.sentinel = sentinel


@contextmanager
def monitored_by_sentinel(folder: Path, password: str) -> Iterator[MonitoredPrimary]:
    """Run a primary, a replica and a sentinel until the context ends."""
    with ExitStack() as stack:
        options = ["--requirepass", password, "--masterauth", password]
        servers: list[Redis] = []
        for name in ("primary", "replica"):
            (folder / name).mkdir()
            if servers:
                options += ["--replicaof", f"127.0.0.1 {port_of(servers[0])}"]
            url = stack.enter_context(redis_server(folder / name, None, *options))
            servers.append(stack.enter_context(Redis.from_url(url, password=password)))
        until(lambda: replica_is_up(servers[1]))
        config = folder / "sentinel.conf"
        config.write_text(
            f"requirepass {password}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {port_of(servers[0])} 1\n"
            f"sentinel auth-pass {SERVICE} {password}\n"
            f"sentinel down-after-milliseconds {SERVICE} {SENTINEL_TIMEOUT_MS}\n"
        )
        url = stack.enter_context(redis_server(folder, config=config))
        sentinel = stack.enter_context(Redis.from_url(url, password=password))
        until(lambda: sentinel.sentinel_master(SERVICE)["num-slaves"] == 1)
        yield MonitoredPrimary(servers[0], servers[1], sentinel)
