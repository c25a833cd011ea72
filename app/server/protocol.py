"""One HTTP/1.1 connection: uvicorn's own protocol, with bounds on what a client can make it hold.

uvicorn keeps the headers of a request however many there are, and waits for the rest of a request,
and for a client to read its responses, without a time limit. Both cost an attacker nothing and need
no credential (CWE-400, CWE-770). It also accepts two Host headers and treats chunked trailers as
headers. docs/adr/0009-bounded-http.md has the alternatives.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, Literal

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from ..common.http_limits import MAX_HEAD_BYTES
from ..state import DISCONNECTED, Shutdown

MAX_PIPELINED: Final = 8
"""Requests of one connection that wait for those before them; hardly any client sends two."""
_UNREAD_SECONDS: Final = 0.1
"""How long an idle connection is kept at shutdown. A request that has arrived by then, or is about
to, would otherwise be discarded unread."""


class _UnacceptableError(Exception):
    """The head of a request is not acceptable; the parser reports it as malformed HTTP."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection, whose requests must arrive, and whose responses must be read, in time."""

    def __init__(
        self,
        *args: Any,
        seconds: float,
        max_body_bytes: Callable[[str], int],
        rejections: Mapping[int, bytes],
        shutdown: Shutdown,
        **kwargs: Any,
    ) -> None:
        """Prepare for a connection.

        Args:
            args: what uvicorn passes.
            seconds: how long a request may take to arrive, from its first byte (or from the
                connection's beginning) to its last; and how long a response may stay unread.
            max_body_bytes: returns the longest body that is accepted at a path. Of a longer one, a
                byte more is kept for the application, which is enough to see that it is too long.
            rejections: by status, the headers and the body of the response to a request that
                cannot be passed to the application: 400, 408 and 431.
            shutdown: whether the process has been asked to stop.
            kwargs: what uvicorn passes.
        """
        super().__init__(*args, **kwargs)
        self._seconds = seconds
        self._max_body_bytes_at = max_body_bytes
        self._max_body_bytes = 0
        self._rejections = rejections
        self._shutdown = shutdown
        self._status: int = HTTPStatus.BAD_REQUEST
        self._running: RequestResponseCycle | None = None
        self._disconnected: asyncio.Future[None] = self.loop.create_future()
        self._receiving: Literal["head", "body"] | None = None
        self._unparsed_bytes = 0
        self._receive_by: float | None = None
        self._unread_since: float | None = None
        self._watchdog: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        if self.client is not None:
            # As the operator's settings and the log have it: a port for IPv6 and IPv4 reports a
            # client with IPv4 by an IPv4-mapped address (RFC 4291 section 2.5.5.2).
            self.client = (self.client[0].removeprefix("::ffff:"), self.client[1])
        self._receive_by = self.loop.time() + self._seconds
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request in progress, and release everything that refers to the connection.

        The garbage collector runs rarely, so reference cycles would fill the memory.
        """
        super().connection_lost(exc)
        self._disconnected.set_result(None)
        # uvicorn tells only the newest request, which may be queued behind the one in progress.
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        for cycle, _ in self.pipeline:
            cycle.on_response = lambda: None
        self.pipeline.clear()
        self._unset_keepalive_if_required()  # uvicorn leaves this timer running after an error.
        if self._watchdog is not None:
            self._watchdog.cancel()

    def shutdown(self) -> None:
        """Close the connection, after the response to a request that is in progress or unread."""
        if self._is_idle():
            self.loop.call_later(_UNREAD_SECONDS, self._close_after_response)
        else:
            self._close_after_response()

    def data_received(self, data: bytes) -> None:
        """Parse what was received, and reject a head or a trailer that does not end."""
        self._unparsed_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._unparsed_bytes > MAX_HEAD_BYTES:
            self._reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._is_idle() and self._receive_by is None and self.timeout_keep_alive_task is None:
            # It was not a request, or the rest of one that was answered before: uvicorn has stopped
            # this timer, and starts it with the next response only.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_message_begin(self) -> None:
        """Start the request's deadline."""
        self._receiving = "head"
        self._unparsed_bytes = 0
        if self._receive_by is None:
            self._receive_by = self.loop.time() + self._seconds
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Pass the request on, unless its head is too large or has not exactly one Host."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise _UnacceptableError
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() != "1.0"):
            raise _UnacceptableError  # RFC 9112 section 3.2
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _UnacceptableError
        if self.parser.should_upgrade() and any(
            name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
            for name, value in self.headers
        ):
            # llhttp skips the body of a request with Upgrade, and takes it for the next request.
            raise _UnacceptableError
        super().on_headers_complete()
        self._max_body_bytes = self._max_body_bytes_at(self.scope["path"])
        self._receiving = "body"
        if self.expect_100_continue or self.parser.should_upgrade():
            # A client that gets the final response first may send the body or not, so what follows
            # on the connection could be either (RFC 9110 section 10.1.1). Of what follows a request
            # to upgrade, llhttp loses the beginning.
            self.cycle.keep_alive = False
        # uvicorn appends trailers to this list. They are not headers (RFC 9110 section 6.5.1), and
        # some proxies pass them on unchecked, so they are discarded.
        self.headers = deque(maxlen=0)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """Pass a part of the body on, but keep no more of it than the application would read."""
        self._unparsed_bytes = 0
        super().on_body(body[: self._max_body_bytes + 1 - len(self.cycle.body)])

    def on_message_complete(self) -> None:
        """End the request's deadline."""
        self._receiving = self._receive_by = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text, not ours
        """Reject malformed HTTP."""
        self._reject(self._status)

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing: any client can ask for an upgrade, and uvicorn advises to support it."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        # uvicorn calls this when the requests before this one on its connection are answered.
        self._running = cycle
        if self._shutdown.begun:
            cycle.keep_alive = False  # The response says so: the next request goes elsewhere.
        cycle.scope["extensions"] = {DISCONNECTED: {"future": self._disconnected}}
        super()._start_asgi_task(cycle, app)

    def _is_idle(self) -> bool:
        return self._running is None or self._running.response_complete

    def _close_after_response(self) -> None:
        super().shutdown()
        if self._running is not None:
            # uvicorn marks only the newest request. One that is queued must not begin any more: its
            # turn might be after the end of the grace period.
            self._running.keep_alive = False

    def _watch(self) -> None:
        """Enforce the deadlines. One timer for both of them costs less than starting several."""
        now = self.loop.time()
        self._check_received(now)
        if not self.transport.get_write_buffer_size():
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        elif now >= self._unread_since + self._seconds:
            self.transport.abort()
        due = now + self._seconds
        due = due if self._receive_by is None else min(due, self._receive_by)
        self._watchdog = self.loop.call_at(due, self._watch)

    def _check_received(self, now: float) -> None:
        if self._receive_by is None:
            return
        if self.flow.read_paused:
            self._receive_by = now + self._seconds  # It is the server that does not read.
        elif now >= self._receive_by:
            self._receive_by = None
            if self._receiving == "head":
                self._reject(HTTPStatus.REQUEST_TIMEOUT)
            else:
                # Either no request was begun, or the application has it and notices.
                self.transport.close()

    def _reject(self, status: int) -> None:
        """Close the connection, after a response unless another one is due or was begun."""
        if self._receiving == "body":
            responds = self.cycle is self._running and not self.cycle.response_started
        else:
            responds = self._is_idle()
        if responds:
            defaults = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
            self.transport.write(
                b"".join(
                    [
                        STATUS_LINE[status],
                        *defaults,
                        b"connection: close\r\n",
                        self._rejections[status],
                    ]
                )
            )
        self.transport.close()
