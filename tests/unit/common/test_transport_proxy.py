"""Requests through an egress proxy that requires credentials."""

import ssl
from collections.abc import Iterator

import httpx
import pytest
import trustme

from app.common.connect_failures import cause_of
from app.common.egress import EgressProxy
from app.common.transport import AiohttpTransport
from emulators.apideck import ApideckEmulator
from tests.support import egress_proxy as running_proxy
from tests.support.egress_proxy import PASSWORD, USER
from tests.support.fault_proxy import FaultProxy


@pytest.fixture
def egress() -> Iterator[running_proxy.EgressProxy]:
    """Run a proxy."""
    with running_proxy.egress_proxy() as proxy:
        yield proxy


async def status(transport: AiohttpTransport, url: str) -> int:
    """Send a request, and return the status of the response."""
    response = await transport.handle_async_request(httpx.Request("POST", url, content=b"{}"))
    await response.aread()
    await response.aclose()
    return response.status_code


def setting_for(egress: running_proxy.EgressProxy, password: str = PASSWORD) -> EgressProxy:
    """Return the setting for the proxy, without exceptions."""
    return EgressProxy(egress.address, (USER, password))


async def test_a_request_with_tls_goes_through_a_tunnel(
    egress: running_proxy.EgressProxy, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """The tunnel is reused, the host's certificate is checked, and the host gets no credentials."""
    tls, trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority = trustme.CA()
    authority.issue_cert("apideck.example").configure_cert(tls)
    authority.configure_trust(trust)
    async with FaultProxy(apideck_url).serve(tls) as host:
        port = int(host.url.rpartition(":")[2])
        names = ("apideck.example", "evil.example")
        egress.overrides = {f"{name}:{port}": ("127.0.0.1", port) for name in names}
        async with AiohttpTransport(trust, proxy=setting_for(egress)) as transport:
            for _ in range(2):
                assert await status(transport, f"https://{names[0]}:{port}/vault/sessions") == 400
            with pytest.raises(httpx.ConnectError):
                await status(transport, f"https://{names[1]}:{port}/vault/sessions")

    assert egress.targets == [
        ("CONNECT", f"apideck.example:{port}"),
        ("CONNECT", f"evil.example:{port}"),
    ]
    assert [one.header("proxy-authorization") for one in apideck.requests] == [None, None]


async def test_a_request_without_tls_goes_to_the_proxy(
    egress: running_proxy.EgressProxy, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """The proxy receives the whole URL (RFC 9112 section 3.2.2)."""
    assert apideck.requests == []

    async with AiohttpTransport(proxy=setting_for(egress)) as transport:
        assert await status(transport, f"{apideck_url}/vault/sessions") == 400

    assert egress.targets == [("POST", f"{apideck_url}/vault/sessions")]


async def test_an_excepted_host_is_reached_directly(
    egress: running_proxy.EgressProxy, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """The proxy does not see the request."""
    proxy = EgressProxy(egress.address, (USER, PASSWORD), exceptions=("127.0.0.1",))

    async with AiohttpTransport(proxy=proxy) as transport:
        assert await status(transport, f"{apideck_url}/vault/sessions") == 400

    assert (egress.targets, len(apideck.requests)) == ([], 1)


async def test_a_refusal_by_the_proxy_is_a_connect_error(
    egress: running_proxy.EgressProxy,
) -> None:
    """The host has received nothing, so the request can be repeated; the error has no secrets."""
    cases = (("wr0ng-password", "apideck.example", 407), (PASSWORD, "127.0.0.1", 502))
    for password, name, status_of_proxy in cases:
        async with AiohttpTransport(proxy=setting_for(egress, password)) as transport:
            with pytest.raises(httpx.ConnectError) as raised:
                await status(transport, f"https://{name}:1/vault/sessions")
        assert cause_of(raised.value) == f"the egress proxy responded with {status_of_proxy}"
        assert str(raised.value) == "ClientHttpProxyError"

    assert egress.rejected == 1


async def test_an_unreachable_proxy_is_a_connect_error(unused_tcp_port: int) -> None:
    """The transport does not fall back to a direct connection."""
    proxy = EgressProxy(f"http://127.0.0.1:{unused_tcp_port}")
    async with AiohttpTransport(proxy=proxy) as transport:
        with pytest.raises(httpx.ConnectError):
            await status(transport, "https://apideck.example/vault/sessions")
