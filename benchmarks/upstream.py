"""A stub of Apideck with minimal CPU cost: `python -m benchmarks.upstream`.

The emulator validates requests, which would use most of the CPU in a benchmark. The stub waits and
returns a fixed response: 300 connectors to a request for connections, a 204 to an event (like the
operator's webhook target), and a session to every other request. It can fail a share of the
requests with a 503 or by closing the connection.
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
"""Responses other than the session, by method and path."""
FAILURE = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Upstream(asyncio.Protocol):
    """One connection, without pipelining.

    Args:
        delay_seconds: time before each response.
        failure_share: share of requests that get a 503, from 0 to 1.
        disconnect_share: share of requests whose connection is closed without a response, from 0
            to 1.
    """

    def __init__(self, delay_seconds: float, failure_share: float, disconnect_share: float) -> None:
        self._delay = delay_seconds
        self._failure_share = failure_share
        self._disconnect_share = disconnect_share
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Respond when a request is complete."""
        self._received += data
        head, head_end, body = self._received.partition(_HEAD_END)
        if not head_end:
            return
        lower = head.lower()
        position = lower.find(_LENGTH)
        length = 0 if position < 0 else int(lower[position + len(_LENGTH) :].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        self._received = body[length:]
        response = OTHERS.get(head.partition(b" HTTP/")[0], SESSION)
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._respond, response)
        else:
            self._respond(response)

    def _respond(self, response: bytes) -> None:
        if self._transport.is_closing():
            return
        draw = random.random() if self._failure_share or self._disconnect_share else 1.0
        if draw < self._disconnect_share:
            self._transport.close()
        else:
            failed = draw < self._disconnect_share + self._failure_share
            self._transport.write(FAILURE if failed else response)  # type: ignore[attr-defined]  # it is a WriteTransport


async def main() -> None:
    """Serve until the process is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each response")
    parser.add_argument(
        "--failure-share", type=float, default=0.0, help="share of requests that get a 503, 0 to 1"
    )
    parser.add_argument(
        "--disconnect-share",
        type=float,
        default=0.0,
        help="share of requests that get no response, 0 to 1",
    )
    arguments = parser.parse_args()
    server = await asyncio.get_running_loop().create_server(
        lambda: Upstream(arguments.delay, arguments.failure_share, arguments.disconnect_share),
        "127.0.0.1",
        arguments.port,
        backlog=8192,
    )
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
