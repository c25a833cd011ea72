"""The HTTP transport of httpx, implemented with aiohttp.

The connection pool of httpx scans all of its connections for every request and every response, and
collapses with more than about thirty requests in flight (encode/httpx#3215);
docs/adr/0006-transport.md has the measurements. So requests, responses and exceptions are those of
httpx, and aiohttp moves the bytes. Timeouts of a request are ignored: the caller limits the whole
exchange with `asyncio.timeout`.
"""

import asyncio
import errno
import ssl
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
import aiohttp.tracing
import httpx
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection

from .egress import EgressProxy

_IDLE_SECONDS: Final = 30.0
_DNS_CACHE_SECONDS: Final = 30


class NoDescriptorError(httpx.ConnectError):
    """This process or machine has no file descriptor left for a connection."""


# The first class that matches counts; a ConnectError is what is left, such as a ValueError for a
# host name that cannot exist.
_HTTPX_ERRORS: Final[tuple[tuple[type[Exception], type[httpx.TransportError]], ...]] = (
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    # The egress proxy did not open a connection; the host has received nothing.
    (aiohttp.ClientHttpProxyError, httpx.ConnectError),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError),
    (aiohttp.ClientConnectionError, httpx.ReadError),
    (aiohttp.ClientError, httpx.RemoteProtocolError),
    (Exception, httpx.ConnectError),
)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends requests over pooled HTTP/1.1 connections, one for each request in flight.

    It follows no redirect, keeps no cookie, decodes no content and reads no environment variable.
    It repeats nothing but a GET, once, if its connection breaks before there is a response
    (RFC 9110 section 9.2.2). Create it in a running event loop.
    """

    def __init__(
        self, trust: ssl.SSLContext | None = None, *, proxy: EgressProxy | None = None
    ) -> None:
        """Create the connection pool.

        Args:
            trust: the certificate authorities to trust; by default those of the system.
            proxy: the proxy for requests to hosts that are not among its exceptions.
        """
        self._proxy = proxy
        self._session = aiohttp.ClientSession(
            connector=_Connector(
                ssl=trust or True,
                limit=0,  # Admission limits the requests in flight.
                keepalive_timeout=_IDLE_SECONDS,
                ttl_dns_cache=_DNS_CACHE_SECONDS,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            auto_decompress=False,
            trust_env=False,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request with its whole body, and return the response once its headers are here.

        Raises:
            httpx.ConnectError: no connection, no such host, or no trust in its certificate;
                `NoDescriptorError` if there is no file descriptor for a connection.
            httpx.NetworkError: the connection broke.
            httpx.RemoteProtocolError: the connection ended too early, or the response is not HTTP.
        """
        body = await request.aread()
        # As pairs, because the mapping of httpx searches all headers for each value.
        headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in request.headers.raw]
        proxy = self._proxy
        if proxy is not None and not proxy.is_for(request.url.host):
            proxy = None
        credentials = None if proxy is None else proxy.headers()
        if credentials and request.url.scheme == "http":
            headers += credentials.items()  # aiohttp adds them to a CONNECT only.
        try:
            response = await self._session.request(
                request.method,
                str(request.url),
                headers=headers,
                data=body or None,
                allow_redirects=False,
                proxy=None if proxy is None else proxy.url,
                proxy_headers=credentials,
            )
        # aiohttp lets some errors of the system through, and a ValueError for an impossible name.
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _httpx_error(error, request) from error
        return httpx.Response(
            response.status,
            headers=response.raw_headers,
            stream=_Body(response, request),
            request=request,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()


class _Connector(aiohttp.TCPConnector):
    """Never reuses a connection with unread data, and aborts TLS connections that it gives up.

    aiohttp offers no public way to do either, so two private methods are overridden. Tests with
    real sockets fail when aiohttp no longer calls them.
    """

    async def _get(
        self, key: ConnectionKey, traces: list[aiohttp.tracing.Trace]
    ) -> Connection | None:
        """Return an idle connection, or None if there is none that can be used.

        The attack: a server or proxy sends an extra response on an idle connection. aiohttp takes
        it as the response to the next request, and each later response is one request late: every
        caller gets the session of the one before (CWE-444).

        Source: https://github.com/aio-libs/aiohttp/issues/13656.
        """
        while (connection := await super()._get(key, traces)) is not None:
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()
        return None

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        """Return a connection to the pool, or close it.

        asyncio keeps the socket of a closed TLS connection for up to 30 seconds, until the server
        has closed its side. During an outage of the server that would be thousands of sockets.
        """
        should_close = should_close or protocol.should_close
        if should_close and key.is_ssl:
            protocol.abort()
        super()._release(key, protocol, should_close=should_close)


class _Body(httpx.AsyncByteStream):
    """The body of a response, read as it arrives."""

    def __init__(self, response: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        _fail_when_connection_ends(self._response)
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise _httpx_error(error, self._request) from error

    async def aclose(self) -> None:
        # Returns the connection to the pool if the body was read completely, and closes it if not.
        self._response.release()


def _fail_when_connection_ends(response: aiohttp.ClientResponse) -> None:
    """Make reading a body fail when its connection ends before the body does.

    The C parser of aiohttp closes the connection at an invalid chunk, and does not tell the reader.
    """
    if response.connection is None or response.connection.protocol is None:
        return  # The whole body is here, which is nearly always the case.
    closed = response.connection.protocol.closed
    if closed is None:
        return  # The connection has ended, and the body knows.

    def fail(_: object) -> None:
        if not response.content.is_eof() and response.content.exception() is None:
            response.content.set_exception(aiohttp.ClientPayloadError("the connection ended"))

    def body_is_complete() -> None:
        closed.remove_done_callback(fail)

    closed.add_done_callback(fail)
    response.content.on_eof(body_is_complete)
    # Once for each connection: asyncio logs an exception of a future that was never retrieved.
    closed.remove_done_callback(_mark_retrieved)
    closed.add_done_callback(_mark_retrieved)


def _mark_retrieved(closed: "asyncio.Future[None]") -> None:
    if not closed.cancelled():
        closed.exception()


def _httpx_error(error: Exception, request: httpx.Request) -> httpx.TransportError:
    """Return the exception of httpx for one of aiohttp.

    Only its class is named, because the message may contain host names and paths; `cause_of` says
    more.
    """
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        return NoDescriptorError("too many open files", request=request)
    kind = next(kind for cause, kind in _HTTPX_ERRORS if isinstance(error, cause))
    return kind(type(error).__name__, request=request)
