"""That whatever happens on the wire reaches the rooms as httpx's own exception."""

import asyncio
import gc
import inspect
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import httpx
import pytest
import trustme

from app.common.transport import AiohttpTransport, NoDescriptorError
from emulators.apideck import ApideckEmulator
from emulators.apideck.emulator import API_KEY
from tests.support import fault_proxy
from tests.support.descriptors import no_descriptors
from tests.support.fault_proxy import Conversation, Fault, FaultProxy, once_good

HEADERS = {
    "authorization": f"Bearer {API_KEY}",
    "x-apideck-app-id": "app",
    "x-apideck-consumer-id": "acme",
    "content-type": "application/json",
}


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


def files() -> int:
    """Return how many this process has open."""
    return len([*Path("/proc/self/fd").iterdir()])


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
        (fault_proxy.breaks_off_chunks, httpx.RemoteProtocolError),
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


async def test_a_name_that_can_be_none_is_a_connect_error(transport: AiohttpTransport) -> None:
    """A label of a host name has at most 63 characters (RFC 1035 section 2.3.4)."""
    with pytest.raises(httpx.ConnectError):
        await ask(transport, f"http://{'x' * 64}.example")


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


async def test_giving_up_over_tls_leaves_no_file_open() -> None:
    """Nobody waits for the farewell of a server that says nothing any more."""
    tls, trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.configure_trust(trust)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def shake_hands() -> ssl.SSLSocket:
            return tls.wrap_socket(listening.accept()[0], server_side=True)

        async with AiohttpTransport(trust) as transport:
            url = f"https://127.0.0.1:{listening.getsockname()[1]}"
            asking = asyncio.create_task(ask(transport, url, seconds=20))
            with await asyncio.to_thread(shake_hands):
                before = files()
                asking.cancel()
                async with asyncio.timeout(10):
                    while files() == before:  # noqa: ASYNC110 - files have no event
                        await asyncio.sleep(0.01)

    assert asking.cancelled()


@pytest.mark.parametrize(
    "fault",
    [
        fault_proxy.black_hole,
        fault_proxy.drips_head,
        fault_proxy.drips_body,
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


async def test_a_connection_on_which_too_much_came_is_not_used_again(
    transport: AiohttpTransport, proxy: FaultProxy
) -> None:
    """The attack: what came unasked is read as the answer to the next request."""
    now = asyncio.Event()
    proxy.coming = [fault_proxy.answers_twice(now)]
    first = await ask(transport, proxy.url)
    now.set()
    await asyncio.sleep(0.1)
    second = await ask(transport, proxy.url)

    assert first.json()["data"] != second.json()["data"]
    assert proxy.connections == 2


async def test_connections_are_used_again(transport: AiohttpTransport, proxy: FaultProxy) -> None:
    """Ten requests, one after the other, need one connection."""
    for _ in range(10):
        await ask(transport, proxy.url)

    assert proxy.connections == 1
    assert proxy.requests == 10


async def test_a_body_that_lasts_until_the_connection_ends_is_read_to_its_end(
    transport: AiohttpTransport, proxy: FaultProxy
) -> None:
    """What is there of it when that happens, and was not read yet, is no less of it."""
    first_is_here = asyncio.Event()

    async def until_the_end(it: Conversation) -> None:
        await it.request()
        it.writer.write(b"HTTP/1.1 200 OK\r\n\r\nfirst, ")
        await first_is_here.wait()
        it.writer.write(b"second")

    proxy.lasting = until_the_end
    request = httpx.Request("POST", f"{proxy.url}/", headers=HEADERS)
    response = await transport.handle_async_request(request)
    body = b""
    async for part in response.aiter_raw():
        body += part
        first_is_here.set()
        await asyncio.sleep(0.1)

    assert body == b"first, second"


async def test_of_a_connection_that_breaks_after_its_answers_nothing_is_said(
    transport: AiohttpTransport, proxy: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    """Their bodies come after their heads, and once it breaks nobody waits for any of them."""
    head_is_here = asyncio.Event()

    async def brings_bodies_late(it: Conversation) -> None:
        for _ in range(3):
            head, end, body = (await it.answer()).partition(fault_proxy.HEAD_END)
            it.writer.write(head + end)
            await head_is_here.wait()
            head_is_here.clear()
            it.writer.write(body)
        await it.request()
        it.reset()

    async def three_times() -> None:
        for _ in range(3):
            request = httpx.Request("POST", f"{proxy.url}/vault/sessions", headers=HEADERS)
            response = await transport.handle_async_request(request)
            head_is_here.set()
            assert b"session_token" in await response.aread()

    proxy.coming = [brings_bodies_late]
    await three_times()
    with pytest.raises(httpx.ReadError):
        await ask(transport, proxy.url)
    await transport.aclose()
    await asyncio.sleep(0)
    # asyncio tells of an error that nobody looked at when its future goes.
    gc.collect()

    assert proxy.connections == 1
    assert caplog.records == []


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


async def test_a_connection_without_a_descriptor_is_an_error_of_its_own(
    transport: AiohttpTransport, proxy: FaultProxy
) -> None:
    """The server is not to blame, so it must not look like a refused connection."""
    with no_descriptors(), pytest.raises(NoDescriptorError) as raised:
        await ask(transport, proxy.url)
    response = await ask(transport, proxy.url)

    assert str(raised.value) == "too many open files"
    assert response.status_code == 200


def test_aiohttp_has_the_private_methods_that_are_overridden() -> None:
    """A new release that renames or changes them must not disable the overrides silently."""
    connector = aiohttp.BaseConnector

    assert list(inspect.signature(connector._get).parameters) == ["self", "key", "traces"]
    assert list(inspect.signature(connector._release).parameters) == [
        "self",
        "key",
        "protocol",
        "should_close",
    ]
