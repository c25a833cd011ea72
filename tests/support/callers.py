"""Callers who speak HTTP by hand, so cheaply that it is not they who set the pace."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self

PATIENCE_SECONDS: Final = 20.0
"""For so long a caller waits for a connection, and for an answer, that may be late but comes."""

Ended = Literal["answered", "refused", "broken", "hung"]
"""How it ended: with an answer, without a connection, without all of an answer, or not at all."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and how it ended.

    Attributes:
        began: when, before there was a connection for it.
        ended: when.
        how: how.
        status: of the answer; 0 where there is none.
        headers: of the answer, their names in lower case.
        body: of the answer.
    """

    began: float
    ended: float
    how: Ended
    status: int = 0
    headers: dict[str, str] | None = None
    body: bytes = b""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began

    def header(self, name: str) -> str | None:
        """Return a header of the answer, or None."""
        return (self.headers or {}).get(name)


def request(method: str, path: str, token: str | None = None) -> bytes:
    """Return a request as it goes over the wire."""
    authorization = "" if token is None else f"Authorization: Bearer {token}\r\n"
    return (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{authorization}\r\n"
    ).encode()


class Caller:
    """Somebody with one connection, which is made when it is needed, and kept."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def connect(self) -> asyncio.StreamReader:
        """Make the connection if there is none; return what comes over it."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams[0]

    async def sees_the_end(self) -> bool:
        """Tell whether the other end has closed the connection by now."""
        for _ in range(2):  # The event loop looks, and then tells.
            await asyncio.sleep(0)
        return self._streams is not None and (
            self._streams[0].at_eof() or self._streams[0].exception() is not None
        )

    async def ask(self, sent: bytes) -> Asked:
        """Send a request, and wait for what comes of it."""
        began = time.monotonic()
        how: Ended = "refused"
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                reader = await self.connect()
                how = "broken"
                status, headers, body = await self._exchange(reader, sent)
        except TimeoutError:
            how = "hung"
        except (OSError, EOFError):
            pass
        else:
            if headers.get("connection") == "close":
                self.hang_up()
            return Asked(began, time.monotonic(), "answered", status, headers, body)
        self.hang_up()
        return Asked(began, time.monotonic(), how)

    async def _exchange(
        self, reader: asyncio.StreamReader, sent: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        assert self._streams is not None
        self._streams[1].write(sent)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
        named = (line.partition(": ") for line in head[1:-1])
        headers = {name.lower(): value for name, _, value in named}
        body = await reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, body


async def ask_once(port: int, sent: bytes) -> Asked:
    """Send a request over a connection of its own."""
    async with Caller(port) as caller:
        return await caller.ask(sent)


def percentile(seconds: Iterable[float], share: float) -> float:
    """Return what this share of them is not above."""
    ordered = sorted(seconds)
    assert ordered
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
