"""HTTP that a stranger cannot make last for ever: uvicorn's own, with bounds on what comes in.

uvicorn keeps whatever a request's head brings, however much that is, and waits for the rest of a
request for as long as its sender likes. Both cost an attacker nothing and need no credential. Here
a head has a size, and a whole request a time in which it must have arrived (CWE-400, CWE-770).
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from app.crowded_http import Answer, CrowdedProtocol, Door

MAX_HEAD_BYTES: Final = 32_768
"""Bytes of a request's line and headers; the longest credential is a quarter of that."""

MAX_PIPELINED: Final = 8
"""Requests on one connection that wait for those before them; hardly a client sends two."""

_UNREAD_SECONDS: Final = 0.1
"""When the process ends, an idle connection is kept for so long: what has come over it by then, or
is on its way, would be thrown away unread with it."""

BAD_REQUEST, REQUEST_TIMEOUT, HEAD_TOO_LARGE = 400, 408, 431

Refusal = Callable[[int], Answer]
"""Makes a refusal, by its status."""


class _HeadError(Exception):
    """The head of the request is not to be had as it is."""


class BoundedProtocol(CrowdedProtocol):
    """One connection. Subclasses say for how long, and how a refusal looks.

    An answer has as long to be taken as a request has to come.
    """

    seconds: float
    body_bytes: int
    refusal: Refusal

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._in_head = self._receiving = False
        self._head_bytes = self._hosts = 0
        self._status = BAD_REQUEST

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        self._stop_taking()
        if self._ending is not None:
            self._ending.cancel()
        # uvicorn leaves this one running for a connection that broke, with all that hangs on it.
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for a caller to take what was answered, but not for ever."""
        super().pause_writing()
        self._have_it_taken()

    def resume_writing(self) -> None:
        """Write on."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_taking()

    def on_response_complete(self) -> None:
        """Go on to the next request, or end."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._have_it_taken()

    def shutdown(self) -> None:
        """End once the request in flight has its answer; one that nobody has read yet is one."""
        if self._is_idle():
            self._ending = self.loop.call_later(_UNREAD_SECONDS, self._end)
        else:
            self._end()

    def _end(self) -> None:
        super().shutdown()
        if self.transport.is_closing():
            self._have_it_taken()

    def timeout_keep_alive_handler(self) -> None:
        """End: nothing was asked for long enough."""
        super().timeout_keep_alive_handler()
        self._have_it_taken()

    def data_received(self, data: bytes) -> None:
        """Take what came, unless it is more than a head may be."""
        in_body = self._receiving and not self._in_head
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and not in_body:  # Else a part of it is of the body before.
            # The parser says nothing of a header before it is whole.
            self._head_bytes += len(data)
            if self._head_bytes > 2 * MAX_HEAD_BYTES:
                self._refuse(HEAD_TOO_LARGE)
                return
        if self._receiving:
            self._wait()
        elif self._is_idle() and self.timeout_keep_alive_task is None:
            # What came was the rest of a request that has its answer, or nothing at all.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._in_head = self._receiving = True
        self._head_bytes = self._hosts = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count the request's target."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count one header; one after the body (a trailer) is none (RFC 9110 section 6.5.1).

        uvicorn would put it among the others, while the handler already looks at them: a
        credential, or what a proxy is there to strip, would come in by the back door.
        """
        self._count(len(name) + len(value) + 4)
        if not self._in_head:
            return
        self._hosts += name.lower() == b"host"
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Go on to the body, if there is one host that it is for (RFC 9112 section 3.2)."""
        self._in_head = False
        if self._hosts != 1 and (self._hosts or self.parser.get_http_version() != "1.0"):
            raise _HeadError
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _HeadError
        super().on_headers_complete()
        if self.expect_100_continue:
            # Whoever is answered before being told to go on may send the body, or not: what follows
            # could be either (RFC 9110 section 10.1.1).
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Keep no more of a body than somebody would read, and one byte to tell that it is more."""
        if not self._is_idle():
            body = body[: self.body_bytes + 1 - len(self.cycle.body)]
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait no longer: it is all here."""
        self._receiving = False
        self._stop_waiting()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words, not ours
        """Answer what is not HTTP, or too much of it."""
        self._refuse(self._status)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            self._status = HEAD_TOO_LARGE
            raise _HeadError

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.seconds, self._too_late)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        if self._in_head:
            self._refuse(REQUEST_TIMEOUT)
        else:
            # Nothing was asked yet; or the handler has the head, and hears that nobody is there.
            self.transport.close()
            self._have_it_taken()

    def _refuse(self, status: int) -> None:
        self._stop_waiting()
        self.write(type(self).refusal(status), last=True)
        self._have_it_taken()

    def _have_it_taken(self) -> None:
        """End the connection, should what was written not be taken in time."""
        if self._taking is None and self.transport.get_write_buffer_size():
            self._taking = self.loop.call_later(self.seconds, self.transport.abort)

    def _stop_taking(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None


def bounded(seconds: float, body_bytes: int, refusal: Refusal, door: Door) -> type[BoundedProtocol]:
    """Return the protocol of connections on which a request has so long to arrive.

    Args:
        seconds: from its first byte, or from the connection's beginning, to its last byte.
        body_bytes: the most that anybody reads of a body; of a longer one, so much is there.
        refusal: makes the answer to a request that cannot be read.
        door: says which requests need a place.
    """
    bounds = {
        "seconds": seconds,
        "body_bytes": body_bytes,
        "refusal": staticmethod(refusal),
        "door": door,
    }
    return type("Bounded", (BoundedProtocol,), bounds)
