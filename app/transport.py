"""HTTP as httpx speaks it, carried by aiohttp.

httpx's own pool walks through all of its connections on every request and every answer, which
makes it collapse at some hundred requests in flight; docs/adr/0006-transport.md has the figures.
So requests, answers and errors are httpx's, and what moves them is not. Timeouts are not looked
at: whoever asks bounds the whole exchange with `asyncio.timeout`, every phase included.
"""

from collections.abc import AsyncIterator

import aiohttp
import httpx

_IDLE_SECONDS = 30.0
_DNS_SECONDS = 30


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Carries requests over pooled HTTP/1.1 connections, as many as there are requests in flight.

    It follows no redirect, keeps no cookie, decodes no content and reads no environment variable.
    It asks nothing twice but a GET, once, when its connection breaks before there is an answer
    (RFC 9110 section 9.2.2). It has to be made where an event loop runs.
    """

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
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
            httpx.ConnectError: there is no connection, or no trust in its certificate.
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
        except aiohttp.ClientError as error:
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


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._answer.content.iter_any():
                yield chunk
        except aiohttp.ClientError as error:
            raise _httpx_error(error, self._request) from error

    async def aclose(self) -> None:
        # Gives the connection back when all of it was read, and closes it otherwise.
        self._answer.release()


def _httpx_error(error: aiohttp.ClientError, request: httpx.Request) -> httpx.TransportError:
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
        case _:
            return httpx.RemoteProtocolError(name, request=request)
