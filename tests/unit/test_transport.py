"""That whatever happens on the wire reaches the rooms as httpx's own exception."""

import asyncio
import resource
import ssl
from collections.abc import AsyncIterator, Iterator

import aiohttp
import httpx
import pytest
import trustme

from app.transport import AiohttpTransport
from emulators.apideck import ApideckEmulator
from emulators.apideck.emulator import API_KEY
from tests.support import fault_proxy
from tests.support.fault_proxy import Conversation, Fault, FaultProxy, once_good

HEADERS = {
    "authorization": f"Bearer {API_KEY}",
    "x-apideck-app-id": "app",
    "x-apideck-consumer-id": "acme",
    "content-type": "application/json",
}


@pytest.fixture
async def proxy(apideck: ApideckEmulator, apideck_url: str) -> AsyncIterator[FaultProxy]:
    """Run a fault proxy before the emulator."""
    assert apideck.requests == []
    async with FaultProxy(apideck_url).serve() as proxy:
        yield proxy


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process have both ends of a thousand connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    """Return the transport."""
    async with AiohttpTransport() as transport:
        yield transport


async def ask(
    transport: AiohttpTransport, url: str, seconds: float = 5, method: str = "POST"
) -> httpx.Response:
    """Ask for a session, and read all of the answer."""
    request = httpx.Request(method, f"{url}/vault/sessions", headers=HEADERS, content=b"{}")
    async with asyncio.timeout(seconds):
        response = await transport.handle_async_request(request)
        try:
            await response.aread()
        finally:
            await response.aclose()
    return response


@pytest.mark.parametrize(
    ("fault", "exception"),
    [
        (fault_proxy.closes_after_accept, httpx.RemoteProtocolError),
        (fault_proxy.resets_after_accept, httpx.ReadError),
        (fault_proxy.closes_after_request, httpx.RemoteProtocolError),
        (fault_proxy.resets_after_request, httpx.ReadError),
        (fault_proxy.closes_in_head, httpx.RemoteProtocolError),
        (fault_proxy.speaks_no_http, httpx.RemoteProtocolError),
        (fault_proxy.sends_endless_headers, httpx.RemoteProtocolError),
        (fault_proxy.contradicts_itself, httpx.RemoteProtocolError),
        (fault_proxy.resets_in_body, httpx.RemoteProtocolError),
        (fault_proxy.closes_in_body, httpx.RemoteProtocolError),
    ],
)
async def test_a_broken_exchange_is_an_exception_of_httpx(
    transport: AiohttpTransport, proxy: FaultProxy, fault: Fault, exception: type[httpx.HTTPError]
) -> None:
    """Each has httpx's class for it, knows its request, and the next exchange is well."""
    proxy.coming = [fault]

    with pytest.raises(exception) as raised:
        await ask(transport, proxy.url)
    answer = await ask(transport, proxy.url)

    assert type(raised.value) is exception
    assert raised.value.request.method == "POST"
    assert answer.status_code == 200


@pytest.mark.parametrize(("method", "connections"), [("POST", 1), ("GET", 2)])
async def test_only_what_may_be_repeated_is_asked_for_twice(
    transport: AiohttpTransport, proxy: FaultProxy, method: str, connections: int
) -> None:
    """A connection that breaks is no reason to send a POST again, and for a GET it is one, once."""
    proxy.lasting = fault_proxy.closes_after_request

    with pytest.raises(httpx.RemoteProtocolError):
        await ask(transport, proxy.url, method=method)

    assert proxy.requests == connections


@pytest.mark.parametrize(
    "fault", [fault_proxy.closes_after_accept, fault_proxy.resets_after_accept]
)
async def test_a_kept_connection_that_broke_is_found_out(
    transport: AiohttpTransport, proxy: FaultProxy, fault: Fault
) -> None:
    """A connection that ended while it was idle is not used again, or its request fails at once."""
    proxy.coming = [once_good(fault)]
    await ask(transport, proxy.url)

    try:
        answer = await ask(transport, proxy.url)
    except httpx.TransportError:
        answer = await ask(transport, proxy.url)

    assert answer.status_code == 200
    assert proxy.connections == 2


async def test_a_refused_connection_is_a_connect_error(
    transport: AiohttpTransport, unused_tcp_port: int
) -> None:
    """Nobody listens there."""
    with pytest.raises(httpx.ConnectError):
        await ask(transport, f"http://127.0.0.1:{unused_tcp_port}")


async def test_a_name_that_does_not_exist_is_a_connect_error(transport: AiohttpTransport) -> None:
    """The name `invalid` exists nowhere (RFC 6761 section 6.4)."""
    with pytest.raises(httpx.ConnectError):
        await ask(transport, "http://apideck.invalid", seconds=30)


async def test_a_server_that_speaks_no_tls_is_a_connect_error(
    transport: AiohttpTransport, proxy: FaultProxy
) -> None:
    """TLS that cannot be agreed on is no connection."""
    proxy.lasting = fault_proxy.speaks_no_http

    with pytest.raises(httpx.ConnectError):
        await ask(transport, proxy.url.replace("http:", "https:"))


async def test_a_certificate_that_nobody_vouches_for_is_a_connect_error(
    transport: AiohttpTransport, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Whoever stands between us and Apideck is not told the key."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    async with FaultProxy(apideck_url).serve(tls) as proxy:
        with pytest.raises(httpx.ConnectError) as raised:
            await ask(transport, proxy.url)

    assert isinstance(raised.value.__cause__, aiohttp.ClientConnectorCertificateError)
    assert apideck.requests == []


@pytest.mark.parametrize(
    "fault",
    [
        fault_proxy.black_hole,
        fault_proxy.drips_head,
        fault_proxy.drips_body,
        fault_proxy.breaks_off_chunks,
    ],
)
async def test_giving_up_closes_the_connection(
    transport: AiohttpTransport, proxy: FaultProxy, fault: Fault
) -> None:
    """Whoever asks decides how long; what was under way is given up, and its connection with it."""
    proxy.coming = [fault]

    with pytest.raises(TimeoutError):
        await ask(transport, proxy.url, seconds=0.2)
    answer = await ask(transport, proxy.url)

    assert answer.status_code == 200
    assert proxy.connections == 2


async def test_a_connection_that_is_never_made_ends_with_the_callers_patience(
    transport: AiohttpTransport,
) -> None:
    """Connecting is bounded like everything else."""
    with fault_proxy.never_accepts() as url, pytest.raises(TimeoutError):
        await ask(transport, url, seconds=0.2)


async def test_connections_are_used_again(transport: AiohttpTransport, proxy: FaultProxy) -> None:
    """Ten requests, one after the other, need one connection."""
    for _ in range(10):
        await ask(transport, proxy.url)

    assert proxy.connections == 1
    assert proxy.requests == 10


@pytest.mark.usefixtures("many_files")
async def test_a_thousand_requests_are_in_flight_at_once(
    transport: AiohttpTransport, proxy: FaultProxy
) -> None:
    """None waits for another and none fails; the next thousand use the same connections."""
    all_are_here = asyncio.Barrier(1000)

    async def answers_late(it: Conversation) -> None:
        while True:
            await it.request()
            await all_are_here.wait()
            await asyncio.sleep(0.3)
            it.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    proxy.lasting = answers_late
    for _ in range(2):
        asked = (ask(transport, proxy.url, seconds=25) for _ in range(1000))
        answers = await asyncio.gather(*asked)
        assert [(one.status_code, one.content) for one in answers] == [(200, b"{}")] * 1000

    assert proxy.requests == 2000
    assert proxy.connections == 1000
