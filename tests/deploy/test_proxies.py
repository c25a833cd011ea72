"""The files of deploy/proxies, used by real proxies in front of the service."""

import re
import secrets
from collections.abc import Iterator
from urllib.parse import urljoin

import httpx
import pytest

from app.api.body import MAX_BODY_BYTES
from app.common.http_limits import MAX_HEAD_BYTES
from app.settings.identity import IdentitySettings
from app.settings.limits import LimitSettings
from app.settings.server import ServerSettings
from app.webhooks.signature import MAX_BODY_BYTES as MAX_EVENT_BYTES
from emulators.apideck import ApideckEmulator
from emulators.apideck.faults import Broken
from emulators.issuer import DevelopmentIssuer
from tests.support import proxies
from tests.support.http import bearer, problem
from tests.support.ports import free_ports
from tests.support.process import environment_for, serving
from tests.support.proxies import CLIENT, HOST, PREFIX, PUBLIC_URL, Proxy, Service

DEADLINE_SECONDS = "2"


@pytest.fixture(scope="module")
def service(
    _apideck_server: tuple[ApideckEmulator, str],
    _issuer_server: DevelopmentIssuer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """Run the service with the settings in deploy/proxies/README.md."""
    folder, port = tmp_path_factory.mktemp("service"), free_ports(2)
    environment = {
        **environment_for(_issuer_server.issuer, _apideck_server[1], port),
        "SERVER__INTERNAL_PORT": str(port + 1),
        "SERVER__PUBLIC_URL": PUBLIC_URL,
        "SERVER__TRUSTED_PROXIES": "127.0.0.1",
        "SERVER__ALLOWED_HOSTS": HOST,
        "SERVER__DOCS": "true",
        "APIDECK__DEADLINE_SECONDS": DEADLINE_SECONDS,
        "APIDECK__ATTEMPT_TIMEOUT_SECONDS": DEADLINE_SECONDS,
        "LIMITS__PER_USER": "unlimited",
    }
    with (
        (folder / "out").open("w") as out,
        (folder / "err").open("w") as err,
        serving(environment, into=(out, err)),
    ):
        yield Service(port, port + 1, folder / "out")


@pytest.fixture(scope="module", params=proxies.NAMES)
def proxy(
    request: pytest.FixtureRequest, service: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """Run a proxy in front of the service."""
    if reason := proxies.missing(request.param):
        pytest.skip(reason)
    with proxies.running(request.param, service, tmp_path_factory.mktemp("proxy")) as running:
        yield running


@pytest.fixture
def client(proxy: Proxy) -> Iterator[httpx.Client]:
    """Return a client that sends requests through the proxy."""
    with proxy.client() as client:
        yield client


@pytest.fixture
def headers(issuer: DevelopmentIssuer) -> dict[str, str]:
    """Return the headers of a user's request."""
    return bearer(issuer.token())


def test_a_session_is_created_below_the_prefix(
    client: httpx.Client, headers: dict[str, str], apideck: ApideckEmulator
) -> None:
    """The proxy removes the prefix, and forwards the Host header, the token and the body."""
    response = client.post("/vault-session", headers=headers, json={"return_to": None})

    assert response.status_code == 201
    assert len(apideck.requests) == 1
    assert response.json()["redirect_url"].startswith("http")


@pytest.mark.parametrize("path", ["/vault-session", "/apivault-session", "/"])
def test_paths_outside_the_prefix_do_not_reach_the_service(client: httpx.Client, path: str) -> None:
    """The proxy responds with 404."""
    response = client.post(f"https://127.0.0.1:{client.base_url.port}{path}")

    assert response.status_code == 404
    assert "x-request-id" not in response.headers


@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/%2e%2e/metrics", "/..%2fmetrics"])
def test_probes_and_metrics_are_not_public(client: httpx.Client, path: str) -> None:
    """They are on the internal port, which the proxy does not expose."""
    assert client.get(path).status_code in {400, 404}


def test_the_service_logs_the_address_of_the_client(client: httpx.Client, service: Service) -> None:
    """The log has the client's address, even if the client sends forged forwarding headers."""
    made_up = {
        "x-forwarded-for": "203.0.113.9, 127.0.0.1",
        "x-forwarded-proto": "http",
        "forwarded": "for=203.0.113.9",
        "x-real-ip": "203.0.113.9",
    }
    for headers in ({}, made_up, {**made_up, "connection": "close, x-forwarded-for"}):
        request_id = secrets.token_hex(16)
        client.get("/problems", headers={**headers, "x-request-id": request_id})
        assert service.client_of(request_id) == CLIENT


def test_the_type_of_a_problem_resolves_through_the_proxy(client: httpx.Client) -> None:
    """The type is the public URL with the prefix, and returns the description of the problem."""
    response = client.post("/vault-session")
    url = response.json()["type"]
    page = client.get(url.removeprefix(PUBLIC_URL))

    assert problem(response) == (401, "unauthenticated")
    assert url == f"{PUBLIC_URL}/problems/unauthenticated"
    assert (page.json()["type"], page.json()["title"]) == (url, response.json()["title"])


def test_the_description_of_the_api_has_the_public_url(client: httpx.Client) -> None:
    """The OpenAPI document has the prefix, so that generated clients use it."""
    assert client.get("/openapi.json").json()["servers"] == [{"url": PUBLIC_URL}]


def test_the_interactive_page_finds_its_files_below_the_prefix(client: httpx.Client) -> None:
    """The URLs on the page are relative, so the browser adds the prefix."""
    page = client.get("/docs").text
    urls = re.findall(r"""(?:src=|href=|"url": |url: )["']([^"']+)["']""", page)

    assert len(urls) == 4
    for url in urls:
        assert client.get(urljoin(f"{client.base_url}docs", url)).status_code == 200


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, MAX_EVENT_BYTES + 1])
def test_a_body_with_a_content_length_beyond_the_limit_is_rejected(
    proxy: Proxy, headers: dict[str, str], size: int
) -> None:
    """The client gets a 413 from the service, or from the proxy if the body is even larger."""
    head = _head("POST", "/vault-session", *(f"{name}: {headers[name]}" for name in headers))

    # Some proxies forward a body of the first size only when it is complete.
    body = b"x" * size if size <= MAX_EVENT_BYTES else b""
    length = b"Content-Length: %d\r\n\r\n" % size
    received = proxy.send(head, length, body, until=b"\r\n\r\n")

    assert _statuses(received) == [413]


def test_a_chunked_body_beyond_the_limit_is_rejected(proxy: Proxy, headers: dict[str, str]) -> None:
    """The proxy responds and closes the connection; the client may not receive the response."""
    head = _head("POST", "/vault-session", *(f"{name}: {headers[name]}" for name in headers))
    size = 4 * MAX_EVENT_BYTES
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size)

    received = proxy.send(head, b"Transfer-Encoding: chunked\r\n\r\n", body)

    assert _statuses(received) in ([413], [])


def test_headers_as_large_as_the_service_accepts_are_forwarded(client: httpx.Client) -> None:
    """The proxy does not reject a request because of large cookies or tokens."""
    response = client.get("/problems", headers={"cookie": "x" * (MAX_HEAD_BYTES - 2000)})

    assert response.status_code == 200


def test_headers_that_are_too_large_are_rejected(proxy: Proxy) -> None:
    """The client gets a 400 or 431 from the proxy or from the service."""
    received = proxy.send(_head("GET", "/problems", f"Cookie: {'x' * 2 * MAX_HEAD_BYTES}"), b"\r\n")

    assert _statuses(received) in ([400], [431])


def test_the_proxy_waits_for_the_deadline_of_the_service(
    client: httpx.Client, headers: dict[str, str], apideck: ApideckEmulator
) -> None:
    """If Apideck does not respond, the client gets the service's 504."""
    apideck.fail(Broken("hang"), times=None)

    response = client.post("/vault-session", headers=headers)

    assert problem(response) == (504, "apideck-timeout")


@pytest.mark.parametrize(
    ("file", "connections", "body", "response_seconds", "idle_seconds"),
    [
        (
            "nginx.conf",
            "max_conns=(.*);",
            "client_max_body_size (.*);",
            "proxy_read_timeout (.*)s;",
            "keepalive_timeout (.*)s;",
        ),
        (
            "haproxy.cfg",
            "default-server .* maxconn (.*)",
            "req.body_size gt (.*) }",
            "timeout server (.*)s",
            None,  # HAProxy closes idle connections to servers after a few seconds.
        ),
        (
            "Caddyfile",
            "max_conns_per_host (.*)",
            "max_size (.*)",
            "response_header_timeout (.*)s",
            "keepalive (.*)s",
        ),
        (
            "traefik/dynamic/vault-bff.yaml",
            "amount: (.*)",
            "maxRequestBodyBytes: (.*)",
            "responseHeaderTimeout: (.*)s",
            "idleConnTimeout: (.*)s",
        ),
    ],
)
def test_limits_match_those_of_the_service(
    file: str, connections: str, body: str, response_seconds: str, idle_seconds: str | None
) -> None:
    """A proxy has the same limits, waits longer, and closes idle connections earlier."""
    text = (proxies.FILES / file).read_text()

    def value(pattern: str) -> str:
        [found] = re.findall(rf"^\s*.*\b{pattern}", text, re.MULTILINE)
        return str(found)

    limits = LimitSettings()
    assert int(value(connections)) == limits.max_in_flight + limits.max_waiting
    assert value(body) in {"256k", "256KiB", str(MAX_EVENT_BYTES)}
    assert MAX_EVENT_BYTES == 256 * 1024
    fetch_seconds = IdentitySettings.model_fields["fetch_timeout_seconds"].default
    longest_deadline = 60  # APIDECK__DEADLINE_SECONDS cannot be more.
    longest = limits.max_wait_seconds + 2 * fetch_seconds + longest_deadline
    assert int(value(response_seconds)) > longest
    assert idle_seconds is None or int(value(idle_seconds)) < ServerSettings().keep_alive_seconds


_SMUGGLED = b"GET %b/problems HTTP/1.1\r\nHost: %b\r\nX-Request-ID: %b\r\n\r\n"


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        # By its length the body ends before the hidden request, by its chunks after it.
        ("Content-Length: 4\r\nTransfer-Encoding: chunked", b"%(size)x\r\n%(hidden)b\r\n0\r\n\r\n"),
        # If the malformed header is accepted, the body ends before it; by its length after it.
        ("Content-Length: %(total)d\r\nTransfer-Encoding : chunked", b"0\r\n\r\n%(hidden)b"),
        ("Content-Length: %(total)d\r\nTransfer-Encoding: xchunked", b"0\r\n\r\n%(hidden)b"),
        ("Content-Length: %(total)d\r\nTransfer_Encoding: chunked", b"0\r\n\r\n%(hidden)b"),
        (
            "Content-Length: %(total)d\r\nX: y\r\n Transfer-Encoding: chunked",
            b"0\r\n\r\n%(hidden)b",
        ),
        # With one of the two lengths the body ends before it.
        ("Content-Length: %(total)d\r\nContent-Length: 5", b"0\r\n\r\n%(hidden)b"),
    ],
)
def test_no_request_can_be_smuggled_in_the_body_of_another(
    proxy: Proxy, client: httpx.Client, service: Service, framing: str, body: bytes
) -> None:
    """Proxy and service agree where a request ends (CWE-444)."""
    hidden_id, later_id = secrets.token_hex(16), secrets.token_hex(16)
    hidden = _SMUGGLED % (PREFIX.encode(), HOST.encode(), hidden_id.encode())
    text = body % {b"hidden": hidden, b"size": len(hidden)}
    framed = framing % {"total": len(text)}

    received = proxy.send(_head("POST", "/vault-session", framed), b"\r\n", text)
    client.get("/problems", headers={"x-request-id": later_id})

    assert len(_statuses(received)) == 1
    service.client_of(later_id)
    assert hidden_id not in service.logged()


def _head(method: str, path: str, *lines: str) -> bytes:
    first = f"{method} {PREFIX}{path} HTTP/1.1"
    return "\r\n".join([first, f"Host: {HOST}", "Connection: close", *lines, ""]).encode()


def _statuses(received: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", received)]
