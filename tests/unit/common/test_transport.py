"""Every network error becomes an exception of httpx."""

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
from tests.support.fault_proxy import Fault, FaultProxy, ProxiedConnection, after_one_success

HEADERS = {
    "authorization": f"Bearer {API_KEY}",
    "x-apideck-app-id": "app",
    "x-apideck-consumer-id": "acme",
    "content-type": "application/json",
}


@pytest.fixture
def many_files() -> Iterator[None]:
    """Raise the limit on open files, because both ends of a thousand connections need them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    """Return the transport."""
    async with AiohttpTransport() as transport:
        yield transport


async def request_session(
    transport: AiohttpTransport, url: str, seconds: float = 5, method: str = "POST"
) -> httpx.Response:
    """Request a session, and read the whole response."""
    request = httpx.Request(method, f"{url}/vault/sessions", headers=HEADERS, content=b"{}")
    async with asyncio.timeout(seconds):
        response = await transport.handle_async_request(request)
        try:
            await response.aread()
        finally:
            await response.aclose()
    return response


def open_files() -> int:
    """Return how many files this process has open."""
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.mark.parametrize(
    ("fault", "exception"),
    [
        # Whether the system reports the end or a reset depends on what is sent first. Either is
        # retried in the same way: tests/resilience/test_faults_on_the_wire.py.
        (fault_proxy.closes_after_accept, (httpx.RemoteProtocolError, httpx.ReadError)),
        (fault_proxy.resets_after_accept, httpx.ReadError),
        (fault_proxy.closes_after_request, httpx.RemoteProtocolError),
        (fault_proxy.resets_after_request, httpx.ReadError),
        (fault_proxy.closes_in_head, httpx.RemoteProtocolError),
        (fault_proxy.sends_no_http, httpx.RemoteProtocolError),
        (fault_proxy.sends_endless_headers, httpx.RemoteProtocolError),
        (fault_proxy.sends_two_lengths, httpx.RemoteProtocolError),
        (fault_proxy.resets_in_body, httpx.RemoteProtocolError),
        (fault_proxy.closes_in_body, httpx.RemoteProtocolError),
        (fault_proxy.sends_invalid_chunk, httpx.RemoteProtocolError),
    ],
)
async def test_a_failed_exchange_raises_an_exception_of_httpx(
    transport: AiohttpTransport,
    proxy: FaultProxy,
    fault: Fault,
    exception: type[httpx.HTTPError] | tuple[type[httpx.HTTPError], ...],
) -> None:
    """The exception has httpx's class and the request, and the next exchange succeeds."""
    proxy.next_faults = [fault]

    with pytest.raises(exception) as raised:
        await request_session(transport, proxy.url)
    response = await request_session(transport, proxy.url)

    assert type(raised.value) in (exception if isinstance(exception, tuple) else (exception,))
    assert raised.value.request.method == "POST"
    assert response.status_code == 200


@pytest.mark.parametrize(("method", "requests"), [("POST", 1), ("GET", 2)])
async def test_only_idempotent_requests_are_repeated(
    transport: AiohttpTransport, proxy: FaultProxy, method: str, requests: int
) -> None:
    """When a connection breaks, a POST is not repeated, and a GET is repeated once."""
    proxy.fault = fault_proxy.closes_after_request

    with pytest.raises(httpx.RemoteProtocolError):
        await request_session(transport, proxy.url, method=method)

    assert proxy.requests == requests


@pytest.mark.parametrize(
    "fault", [fault_proxy.closes_after_accept, fault_proxy.resets_after_accept]
)
async def test_a_broken_idle_connection_is_detected(
    transport: AiohttpTransport, proxy: FaultProxy, fault: Fault
) -> None:
    """The transport does not reuse it, or the request fails immediately."""
    proxy.next_faults = [after_one_success(fault)]
    await request_session(transport, proxy.url)

    try:
        response = await request_session(transport, proxy.url)
    except httpx.TransportError:
        response = await request_session(transport, proxy.url)

    assert response.status_code == 200
    assert proxy.connections == 2


async def test_a_refused_connection_is_a_connect_error(
    transport: AiohttpTransport, unused_tcp_port: int
) -> None:
    """The port is closed."""
    with pytest.raises(httpx.ConnectError):
        await request_session(transport, f"http://127.0.0.1:{unused_tcp_port}")


async def test_an_impossible_host_name_is_a_connect_error(transport: AiohttpTransport) -> None:
    """Its label has more than 63 characters (RFC 1035 section 2.3.4)."""
    with pytest.raises(httpx.ConnectError):
        await request_session(transport, f"http://{'x' * 64}.example")


async def test_an_unknown_host_name_is_a_connect_error(transport: AiohttpTransport) -> None:
    """The top-level domain `invalid` never exists (RFC 6761 section 6.4)."""
    with pytest.raises(httpx.ConnectError):
        await request_session(transport, "http://apideck.invalid", seconds=30)


async def test_a_server_without_tls_is_a_connect_error(
    transport: AiohttpTransport, proxy: FaultProxy
) -> None:
    """A failed TLS handshake counts as a failed connection."""
    proxy.fault = fault_proxy.sends_no_http

    with pytest.raises(httpx.ConnectError):
        await request_session(transport, proxy.url.replace("http:", "https:"))


async def test_an_untrusted_certificate_is_a_connect_error(
    transport: AiohttpTransport, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """An attacker between the service and Apideck does not get the API key."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    async with FaultProxy(apideck_url).serve(tls) as proxy:
        with pytest.raises(httpx.ConnectError) as raised:
            await request_session(transport, proxy.url)

    assert isinstance(raised.value.__cause__, aiohttp.ClientConnectorCertificateError)
    assert apideck.requests == []


async def test_a_cancelled_request_over_tls_leaves_no_file_open() -> None:
    """The transport does not wait for an unresponsive server to close TLS."""
    tls, trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.configure_trust(trust)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def shake_hands() -> ssl.SSLSocket:
            return tls.wrap_socket(listening.accept()[0], server_side=True)

        async with AiohttpTransport(trust) as transport:
            url = f"https://127.0.0.1:{listening.getsockname()[1]}"
            request = asyncio.create_task(request_session(transport, url, seconds=20))
            with await asyncio.to_thread(shake_hands):
                before = open_files()
                request.cancel()
                async with asyncio.timeout(10):
                    while open_files() == before:  # noqa: ASYNC110 - files have no event
                        await asyncio.sleep(0.01)

    assert request.cancelled()


@pytest.mark.parametrize(
    "fault",
    [
        fault_proxy.black_hole,
        fault_proxy.drips_head,
        fault_proxy.drips_body,
    ],
)
async def test_a_cancelled_request_closes_its_connection(
    transport: AiohttpTransport, proxy: FaultProxy, fault: Fault
) -> None:
    """The caller sets the time limit, and the connection is closed with the request."""
    proxy.next_faults = [fault]

    with pytest.raises(TimeoutError):
        await request_session(transport, proxy.url, seconds=0.2)
    response = await request_session(transport, proxy.url)

    assert response.status_code == 200
    assert proxy.connections == 2


async def test_the_timeout_of_the_caller_includes_connecting(
    transport: AiohttpTransport,
) -> None:
    """A connection that the server never accepts ends with the timeout."""
    with fault_proxy.never_accepts() as url, pytest.raises(TimeoutError):
        await request_session(transport, url, seconds=0.2)


async def test_a_connection_with_unread_data_is_not_reused(
    transport: AiohttpTransport, proxy: FaultProxy
) -> None:
    """The attack: an extra response is taken as the response to the next request."""
    now = asyncio.Event()
    proxy.next_faults = [fault_proxy.sends_extra_response(now)]
    first = await request_session(transport, proxy.url)
    now.set()
    await asyncio.sleep(0.1)
    second = await request_session(transport, proxy.url)

    assert first.json()["data"] != second.json()["data"]
    assert proxy.connections == 2


async def test_connections_are_reused(transport: AiohttpTransport, proxy: FaultProxy) -> None:
    """Ten requests in sequence need one connection."""
    for _ in range(10):
        await request_session(transport, proxy.url)

    assert proxy.connections == 1
    assert proxy.requests == 10


async def test_a_body_that_ends_with_the_connection_is_read_completely(
    transport: AiohttpTransport, proxy: FaultProxy
) -> None:
    """Data that arrives before the connection ends is part of the body, even if read later."""
    first_arrived = asyncio.Event()

    async def without_length(connection: ProxiedConnection) -> None:
        await connection.request()
        connection.writer.write(b"HTTP/1.1 200 OK\r\n\r\nfirst, ")
        await first_arrived.wait()
        connection.writer.write(b"second")

    proxy.fault = without_length
    request = httpx.Request("POST", f"{proxy.url}/", headers=HEADERS)
    response = await transport.handle_async_request(request)
    body = b""
    async for part in response.aiter_raw():
        body += part
        first_arrived.set()
        await asyncio.sleep(0.1)

    assert body == b"first, second"


async def test_a_connection_that_breaks_after_its_responses_is_not_logged(
    transport: AiohttpTransport, proxy: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    """The bodies arrive after their headers, and are complete when the connection breaks."""
    headers_arrived = asyncio.Event()

    async def sends_bodies_late(connection: ProxiedConnection) -> None:
        for _ in range(3):
            head, end, body = (await connection.response()).partition(fault_proxy.HEAD_END)
            connection.writer.write(head + end)
            await headers_arrived.wait()
            headers_arrived.clear()
            connection.writer.write(body)
        await connection.request()
        connection.reset()

    async def send_three_requests() -> None:
        for _ in range(3):
            request = httpx.Request("POST", f"{proxy.url}/vault/sessions", headers=HEADERS)
            response = await transport.handle_async_request(request)
            headers_arrived.set()
            assert b"session_token" in await response.aread()

    proxy.next_faults = [sends_bodies_late]
    await send_three_requests()
    with pytest.raises(httpx.ReadError):
        await request_session(transport, proxy.url)
    await transport.aclose()
    await asyncio.sleep(0)
    # asyncio logs an exception that was never retrieved when its future is collected.
    gc.collect()

    assert proxy.connections == 1
    assert [one for one in caplog.records if one.name == "asyncio"] == []


@pytest.mark.usefixtures("many_files")
async def test_a_thousand_requests_are_in_flight_at_once(
    transport: AiohttpTransport, proxy: FaultProxy
) -> None:
    """No request waits for another or fails; the next thousand reuse the connections."""
    all_arrived = asyncio.Barrier(1000)

    async def responds_late(connection: ProxiedConnection) -> None:
        while True:
            await connection.request()
            await all_arrived.wait()
            await asyncio.sleep(0.3)
            connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    proxy.fault = responds_late
    for _ in range(2):
        requests = (request_session(transport, proxy.url, seconds=25) for _ in range(1000))
        responses = await asyncio.gather(*requests)
        assert [(response.status_code, response.content) for response in responses] == [
            (200, b"{}")
        ] * 1000

    assert proxy.requests == 2000
    assert proxy.connections == 1000


async def test_running_out_of_descriptors_is_a_separate_error(
    transport: AiohttpTransport, proxy: FaultProxy
) -> None:
    """It is not the server's fault, so it must not look like a refused connection."""
    with no_descriptors(), pytest.raises(NoDescriptorError) as raised:
        await request_session(transport, proxy.url)
    response = await request_session(transport, proxy.url)

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
