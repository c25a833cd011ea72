"""HTTP as httpx speaks it, carried by aiohttp.

httpx's own pool walks through all of its connections on every request and every answer, which
makes it collapse at some hundred requests in flight; docs/adr/0006-transport.md has the figures.
So requests, answers and errors are httpx's, and what moves them is not. Timeouts are not looked
at: whoever asks bounds the whole exchange with `asyncio.timeout`, every phase included.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator

import aiohttp
import aiohttp.tracing
import httpx
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection

_IDLE_SECONDS = 30.0
_DNS_SECONDS = 30


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Carries requests over pooled HTTP/1.1 connections, as many as there are requests in flight.

    It follows no redirect, keeps no cookie, decodes no content and reads no environment variable.
    It asks nothing twice but a GET, once, when its connection breaks before there is an answer
    (RFC 9110 section 9.2.2). It has to be made where an event loop runs.
    """

    def __init__(self, trust: ssl.SSLContext | None = None) -> None:
        """Take whose certificates to trust: those whom the system trusts, unless told otherwise."""
        self._session = aiohttp.ClientSession(
            connector=_Connector(
                ssl=trust or True,
                limit=0,  # The service bounds what is in flight before anything is asked.
                keepalive_timeout=_IDLE_SECONDS,
                ttl_dns_cache=_DNS_SECONDS,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            auto_decompress=False,
            trust_env=False,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, its body as a whole, and return the answer once its headers are here.

        Raises:
            httpx.ConnectError: there is no connection, no such host, or no trust in it.
            httpx.NetworkError: the connection broke.
            httpx.RemoteProtocolError: the connection ended too early, or what came is not HTTP.
        """
        body = await request.aread()
        try:
            answer = await self._session.request(
                request.method,
                str(request.url),
                # As pairs: httpx's Headers look for each name again when asked for its value.
                headers=[
                    (n.decode("latin-1"), v.decode("latin-1")) for n, v in request.headers.raw
                ],
                data=body or None,
                allow_redirects=False,
            )
        # A host name that cannot be one is a ValueError, and of what the system says not all is
        # aiohttp's.
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _httpx_error(error, request) from error
        return httpx.Response(
            answer.status,
            headers=answer.raw_headers,
            stream=_Body(answer, request),
            request=request,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()


class _Connector(aiohttp.TCPConnector):
    """Uses no connection again on which something came unasked, and ends TLS without a farewell.

    aiohttp has no public place for either; tests on sockets tell when these are called no more.
    """

    async def _get(
        self, key: ConnectionKey, traces: list[aiohttp.tracing.Trace]
    ) -> Connection | None:
        """Return a kept connection, or None when there is none that can be used.

        The attack: an answer too many, sent while a connection is idle, would be read as that to
        the next request, and each after it would be one late: everybody gets the session of the
        one before (CWE-444).
        """
        while (connection := await super()._get(key, traces)) is not None:
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()
        return None

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        """Take a connection back, or end it.

        Whoever was given up on need not say goodbye: asyncio waits half a minute for that over
        TLS, with a file open, and in an outage there are thousands of them.
        """
        should_close = should_close or protocol.should_close
        if should_close and key.is_ssl:
            protocol.abort()
        super()._release(key, protocol, should_close=should_close)


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        _end_with_its_connection(self._answer)
        try:
            async for chunk in self._answer.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise _httpx_error(error, self._request) from error

    async def aclose(self) -> None:
        # Gives the connection back when all of it was read, and closes it otherwise.
        self._answer.release()


def _end_with_its_connection(answer: aiohttp.ClientResponse) -> None:
    """Have whoever reads a body hear of it when its connection ends before the body does.

    aiohttp's parser in C closes the connection at a broken chunk, and tells nobody.
    """
    if answer.connection is None or answer.connection.protocol is None:
        return  # The body is all here, as it nearly always is by now.
    closed = answer.connection.protocol.closed
    if closed is None:
        return  # The connection is gone, and the body knows.

    def end(_: object) -> None:
        if not answer.content.is_eof() and answer.content.exception() is None:
            answer.content.set_exception(aiohttp.ClientPayloadError("the connection ended"))

    def stop() -> None:
        closed.remove_done_callback(end)

    closed.add_done_callback(end)
    answer.content.on_eof(stop)
    # Once for each connection, however many answers it brings: of an error that nobody looks at,
    # asyncio would write a line.
    closed.remove_done_callback(_look_at)
    closed.add_done_callback(_look_at)


def _look_at(closed: "asyncio.Future[None]") -> None:
    if not closed.cancelled():
        closed.exception()


def _httpx_error(error: Exception, request: httpx.Request) -> httpx.TransportError:
    """Return httpx's error for one of aiohttp's (which name hosts and files; ours name neither)."""
    name = type(error).__name__
    match error:
        case aiohttp.ClientConnectorError():
            return httpx.ConnectError(name, request=request)
        case aiohttp.ServerDisconnectedError():
            return httpx.RemoteProtocolError("the server hung up", request=request)
        case aiohttp.ClientConnectionError():
            return httpx.ReadError(name, request=request)
        case aiohttp.ClientPayloadError():
            return httpx.RemoteProtocolError("the answer is cut short", request=request)
        case aiohttp.ClientError():
            return httpx.RemoteProtocolError(name, request=request)
        case _:
            return httpx.ConnectError(name, request=request)
