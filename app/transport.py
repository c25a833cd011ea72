"""HTTP as httpx speaks it, carried by aiohttp.

httpx's own pool walks through all of its connections on every request and every answer, which
makes it collapse at some hundred requests in flight; docs/adr/0006-transport.md has the figures.
So requests, answers and errors are httpx's, and what moves them is not. Timeouts are not looked
at: whoever asks bounds the whole exchange with `asyncio.timeout`, every phase included.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import aiohttp
import httpx

_IDLE_SECONDS = 30.0
_DNS_SECONDS = 30


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Carries requests over pooled HTTP/1.1 connections, as many as there are requests in flight.

    It follows no redirect, keeps no cookie, decodes no content, reads no environment variable and
    asks nothing twice. It has to be made where an event loop runs.
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
        """Send a request whose body is in memory, and return the answer once its headers are here.

        Raises:
            httpx.ConnectError: there is no connection, or no trust in its certificate.
            httpx.NetworkError: the connection broke.
            httpx.RemoteProtocolError: the connection ended too early, or what came is not HTTP.
        """
        with _httpx_errors(request):
            answer = await self._session.request(
                request.method,
                str(request.url),
                headers=request.headers,
                data=request.content or None,
                allow_redirects=False,
            )
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
        with _httpx_errors(self._request):
            async for chunk in self._answer.content.iter_any():
                yield chunk

    async def aclose(self) -> None:
        # Gives the connection back when all of it was read, and closes it otherwise.
        self._answer.release()


@contextmanager
def _httpx_errors(request: httpx.Request) -> Iterator[None]:
    """Raise httpx's error for each of aiohttp's (which name hosts and files; ours name neither)."""
    try:
        yield
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(type(error).__name__, request=request) from error
    except aiohttp.ServerDisconnectedError as error:
        raise httpx.RemoteProtocolError("the server hung up", request=request) from error
    except aiohttp.ClientConnectionError as error:
        raise httpx.ReadError(type(error).__name__, request=request) from error
    except aiohttp.ClientPayloadError as error:
        raise httpx.RemoteProtocolError("the answer is cut short", request=request) from error
    except aiohttp.ClientError as error:
        raise httpx.RemoteProtocolError(type(error).__name__, request=request) from error
