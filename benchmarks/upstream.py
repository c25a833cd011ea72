"""A stand-in for Apideck that costs as little as it can: `python -m benchmarks.upstream`.

The emulator checks what it is sent, which would be most of what a benchmark measured. This one
responds to a list of connections with 300 connectors, to an event as the operator's target does,
and to everything else with a session, after a delay; to a share of requests with a 503, or by
hanging up.
"""

import argparse
import asyncio
import base64
import json
import random

import uvloop

from benchmarks.samples import CONNECTORS, connection

_CLAIMS = json.dumps({"exp": 4_102_444_800, "consumer": "x" * 300}).encode()
_TOKEN = f"eyJhbGciOiJIUzI1NiJ9.{base64.urlsafe_b64encode(_CLAIMS).decode().rstrip('=')}.signature"


def _ok(data: object) -> bytes:
    body = json.dumps({"status_code": 200, "status": "OK", "data": data}).encode()
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: bench\r\n"
        b"content-length: %d\r\n\r\n%s" % (len(body), body)
    )


SESSION = _ok(
    {
        "session_uri": f"https://vault.apideck.com/session/{_TOKEN}",
        "session_token": _TOKEN,
        "expires_at": "2100-01-01T00:00:00.000Z",
    }
)
OTHERS = {
    b"GET /vault/connections": _ok([connection(number) for number in range(CONNECTORS)]),
    b"POST /events": b"HTTP/1.1 204 No Content\r\n\r\n",
}
"""Responses to what is not a session, by method and path."""
FAILURE = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Upstream(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    def __init__(self, delay_seconds: float, failing: float, hanging_up: float) -> None:
        self._delay = delay_seconds
        self._failing = failing
        self._hanging_up = hanging_up
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer once a request is whole."""
        self._received += data
        head, found, body = self._received.partition(_HEAD_END)
        if not found:
            return
        lower = head.lower()
        at = lower.find(_LENGTH)
        length = 0 if at < 0 else int(lower[at + len(_LENGTH) :].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        self._received = body[length:]
        response = OTHERS.get(head.partition(b" HTTP/")[0], SESSION)
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._answer, response)
        else:
            self._answer(response)

    def _answer(self, response: bytes) -> None:
        if self._transport.is_closing():
            return
        chance = random.random() if self._failing or self._hanging_up else 1.0
        if chance < self._hanging_up:
            self._transport.close()
        else:
            failed = chance < self._hanging_up + self._failing
            self._transport.write(FAILURE if failed else response)  # type: ignore[attr-defined]  # it is a WriteTransport


async def main() -> None:
    """Serve until it is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--failing", type=float, default=0.0, help="share of answers, 0 to 1")
    parser.add_argument("--hanging-up", type=float, default=0.0, help="share of answers, 0 to 1")
    chosen = parser.parse_args()
    server = await asyncio.get_running_loop().create_server(
        lambda: Upstream(chosen.delay, chosen.failing, chosen.hanging_up),
        "127.0.0.1",
        chosen.port,
        backlog=8192,
    )
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
