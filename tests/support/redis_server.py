"""Real Redis servers for tests, and an address that can move from one server to another."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from redis.asyncio import Redis

from tests.support.ports import free_ports, is_free

_START_SECONDS = 10


def missing() -> str | None:
    """Return what is missing and how to install it, or None."""
    installed = shutil.which("redis-server") is not None
    return None if installed else "needs Redis: apt-get install redis-server"


@contextmanager
def redis_server(
    folder: Path, port: int | None = None, *options: str, config: Path | None = None
) -> Iterator[str]:
    """Run a Redis until the context ends; yields its URL.

    It stores nothing on disk. With a configuration file it is a sentinel.

    Raises:
        AssertionError: it does not start.
    """
    port = port or free_ports()
    # A replica gets the data immediately: by default its primary waits five seconds for others.
    kind = ["--save", "", "--repl-diskless-sync-delay", "0"] if config is None else ["--sentinel"]
    first = [] if config is None else [str(config)]
    command = ["redis-server", *first, "--port", str(port), "--bind", "127.0.0.1", *kind, *options]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while is_free(port):
            assert process.poll() is None, process.returncode
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(timeout=10)


class Endpoint:
    """A TCP address in front of Redis servers, like that of a managed Redis.

    Attributes:
        url: the URL of the address.
        target: the port to which new connections are forwarded. Open connections do not move.
        connections: the number of connections that were opened.
    """

    def __init__(self, target: int) -> None:
        self.url = ""
        self.target = target
        self.connections = 0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["Endpoint"]:
        """Forward connections until the context ends."""
        forwarding: set[asyncio.Task[None]] = set()

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            upstream = await asyncio.open_connection("127.0.0.1", self.target)
            for pair in ((reader, upstream[1]), (upstream[0], writer)):
                forwarding.add(asyncio.create_task(_copy(*pair)))

        server = await asyncio.start_server(forward, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        try:
            yield self
        finally:
            server.close()
            for task in forwarding:
                task.cancel()
            await asyncio.gather(*forwarding, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError):
            while chunk := await reader.read(65_536):
                writer.write(chunk)
                await writer.drain()
    finally:
        writer.close()


async def wait_until_replicating(replica: Redis) -> None:
    """Return once a replica has the data of its primary.

    Raises:
        TimeoutError: it takes longer than ten seconds.
    """
    async with asyncio.timeout(10):
        # Redis has no event for this.
        while (await replica.info("replication")).get("master_link_status") != "up":  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def join_cluster(owner: Redis, other: Redis) -> None:
    """Join two servers into a cluster where `owner` owns all slots, and wait until both know it.

    Raises:
        TimeoutError: it takes longer than twenty seconds.
    """
    port = owner.connection_pool.connection_kwargs["port"]
    bus = (await owner.config_get("cluster-port"))["cluster-port"]
    await _command(owner, "CLUSTER ADDSLOTSRANGE 0 16383")
    await _command(other, f"CLUSTER MEET 127.0.0.1 {port} {bus}")
    async with asyncio.timeout(20):
        for node in (owner, other):
            # Redis has no event for this.
            while b"cluster_state:ok" not in await _command(node, "CLUSTER INFO"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def _command(redis: Redis, command: str) -> bytes:
    response: bytes = await redis.execute_command(*command.split())  # type: ignore[no-untyped-call]
    return response
