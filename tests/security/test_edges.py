"""Pages of other origins, methods, hosts, and headers that proxies set."""

import json

import httpx
import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.process import environment_for, serving, url
from tests.support.service import running, settings_for

ORIGIN = "https://app.example.com"
# The client and the ASGI server resolve these to `/vault-session` before the service is called.
RESOLVED_PATHS = frozenset(
    {"/./vault-session", "/x/../vault-session", "/vault%2Dsession", "/livez/../vault-session"}
)


async def test_pages_of_listed_origins_may_call(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """A preflight and the request itself are allowed for the exact origin, without cookies."""
    cors = {"allow_origins": [ORIGIN]}
    async with running(settings_for(issuer.issuer, apideck_url, cors=cors)) as service:
        preflight = await service.options(
            "/vault-session",
            headers={
                "origin": ORIGIN,
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization,content-type",
            },
        )
        response = await service.post(
            "/vault-session", headers={**bearer(issuer.token()), "origin": ORIGIN}
        )

    assert preflight.status_code == 200
    for one in (preflight, response):
        assert one.headers["access-control-allow-origin"] == ORIGIN
        assert "access-control-allow-credentials" not in one.headers
        assert "Origin" in one.headers["vary"]


async def test_pages_may_read_the_request_id_and_their_limits(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """A page of another origin can read the request id, its rate limits, and Retry-After."""
    cors = {"allow_origins": [ORIGIN]}
    headers = {**bearer(issuer.token()), "origin": ORIGIN}
    settings = settings_for(issuer.issuer, apideck_url, cors=cors, limits={"per_user": "1/hour"})
    async with running(settings) as service:
        responses = [await service.post("/vault-session", headers=headers) for _ in range(2)]

    assert [response.status_code for response in responses] == [201, 429]
    always = {"x-request-id", "ratelimit", "ratelimit-policy"}
    for response, more in zip(responses, (set(), {"retry-after"}), strict=True):
        exposed = set(response.headers["access-control-expose-headers"].split(", "))
        assert exposed == {*always, "retry-after"}
        assert {*always, *more} <= set(response.headers)


def preflight(origin: str, method: str, headers: str) -> dict[str, str]:
    """Return the headers of a preflight request."""
    return {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": headers,
    }


@pytest.mark.parametrize(
    ("origin", "method", "headers", "named"),
    [
        ("https://evil.example", "POST", "authorization", "https://evil.example"),
        ("null", "POST", "authorization", "null"),
        ("https://app.example.com.evil.example", "POST", "authorization", "evil.example"),
        ("http://app.example.com", "POST", "authorization", "http://app.example.com"),
        ("capacitor://localhost", "POST", "authorization", "capacitor://localhost"),
        (ORIGIN, "DELETE", "authorization", "DELETE"),
        (ORIGIN, "POST", "authorization, x-apideck-consumer-id", "x-apideck-consumer-id"),
    ],
)
async def test_other_pages_methods_and_headers_are_rejected(
    issuer: DevelopmentIssuer,
    apideck_url: str,
    origin: str,
    method: str,
    headers: str,
    named: str,
) -> None:
    """The problem and the log name what was rejected, and both have the request's id."""
    cors = {"allow_origins": [ORIGIN]}
    async with running(settings_for(issuer.issuer, apideck_url, cors=cors)) as service:
        with capture_logs(processors=[merge_contextvars]) as logs:
            response = await service.options(
                "/vault-session", headers=preflight(origin, method, headers)
            )

    assert problem(response) == (403, "forbidden-origin")
    assert named in response.json()["detail"]
    assert "access-control-allow-origin" not in response.headers
    assert "Origin" in response.headers["vary"]
    [event] = [line for line in logs if line["event"] == "preflight_rejected"]
    assert named in json.dumps(event)
    assert event["origin"] == origin
    assert event["request_id"] == response.json()["request_id"] == response.headers["x-request-id"]


async def test_a_listed_page_may_be_on_a_public_network(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """Browsers ask before a public page calls a service on a private network."""
    cors = {"allow_origins": [ORIGIN]}
    ask = {"access-control-request-private-network": "true"}
    async with running(settings_for(issuer.issuer, apideck_url, cors=cors)) as service:
        allowed, rejected = [
            await service.options(
                "/vault-session", headers={**preflight(origin, "POST", "authorization"), **ask}
            )
            for origin in (ORIGIN, "https://evil.example")
        ]

    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-private-network"] == "true"
    assert problem(rejected) == (403, "forbidden-origin")
    assert "access-control-allow-private-network" not in rejected.headers


async def test_a_rejected_preflight_without_headers_is_logged_without_any(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """The log does not list an empty name."""
    cors = {"allow_origins": [ORIGIN]}
    sent = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    async with running(settings_for(issuer.issuer, apideck_url, cors=cors)) as service:
        with capture_logs() as logs:
            response = await service.options("/vault-session", headers=sent)

    assert problem(response) == (403, "forbidden-origin")
    [event] = [line for line in logs if line["event"] == "preflight_rejected"]
    assert event["headers"] == []


async def test_a_rejected_preflight_is_logged_short_and_printable(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """An anonymous client cannot write control characters or long texts into the log."""
    cors = {"allow_origins": [ORIGIN]}
    sent = [
        (b"origin", b"https://evil.example\x1b[2J\x9b" + b"x" * 5000),
        (b"access-control-request-method", b"POST"),
        (b"access-control-request-headers", b"x" * 5000),
    ]
    async with running(settings_for(issuer.issuer, apideck_url, cors=cors)) as service:
        with capture_logs() as logs:
            response = await service.options("/vault-session", headers=sent)

    assert response.status_code == 403
    [event] = [line for line in logs if line["event"] == "preflight_rejected"]
    assert len(json.dumps(event)) < 600
    for text in (event["origin"], response.text):
        assert text.isprintable()
        assert text.isascii()


async def test_a_rejected_preflight_is_logged_with_few_of_its_headers(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """The attack: an anonymous client names thousands of headers, and each would be logged."""
    cors = {"allow_origins": [ORIGIN]}
    sent = ", ".join(["authorization", *(f"x-{i}" for i in range(4000))])
    async with running(settings_for(issuer.issuer, apideck_url, cors=cors)) as service:
        with capture_logs() as logs:
            response = await service.options(
                "/vault-session", headers=preflight(ORIGIN, "POST", sent)
            )

    assert problem(response) == (403, "forbidden-origin")
    assert len(response.content) < 600
    [event] = [line for line in logs if line["event"] == "preflight_rejected"]
    assert event["headers"] == [f"x-{i}" for i in range(16)]


@pytest.mark.parametrize(
    "origin",
    [
        "capacitor://localhost",
        "tauri://localhost",
        "ionic://localhost",
        "http://acme.localhost:3000",
        "http://tauri.localhost",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
    ],
)
async def test_native_shells_and_local_development_servers_can_be_listed(
    issuer: DevelopmentIssuer, apideck_url: str, origin: str
) -> None:
    """Their pages may call; pages of the same host in a browser may not."""
    cors = {"allow_origins": [origin]}
    async with running(settings_for(issuer.issuer, apideck_url, cors=cors)) as service:
        listed = await service.options(
            "/vault-session", headers=preflight(origin, "POST", "authorization")
        )
        other = await service.options(
            "/vault-session", headers=preflight("https://localhost", "POST", "authorization")
        )

    assert listed.status_code == 200
    assert listed.headers["access-control-allow-origin"] == origin
    assert problem(other) == (403, "forbidden-origin")


async def test_pages_may_send_trace_headers_and_those_the_operator_adds(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """Trace context and baggage are always allowed; other headers are a setting."""
    cors = {"allow_origins": [ORIGIN], "allow_headers": ["X-Tenant"]}
    sent = "authorization,traceparent,tracestate,baggage,x-tenant"
    async with running(settings_for(issuer.issuer, apideck_url, cors=cors)) as service:
        response = await service.options("/vault-session", headers=preflight(ORIGIN, "POST", sent))

    assert response.status_code == 200
    allowed = response.headers["access-control-allow-headers"].lower().replace(" ", "").split(",")
    assert set(sent.split(",")) <= set(allowed)


async def test_only_configured_hosts_are_served(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """A request for another host name is rejected, and the problem has the request id."""
    server = {"allowed_hosts": ["vault.example.com"]}
    async with running(settings_for(issuer.issuer, apideck_url, server=server)) as service:
        known = await service.get("/livez", headers={"host": "vault.example.com:8000"})
        other = await service.get("/livez", headers={"host": "evil.example"})

    assert known.status_code == 200
    assert problem(other) == (421, "misdirected-request")
    assert other.json()["request_id"] == other.headers["x-request-id"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_only_post_mints(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, method: str
) -> None:
    """A link, an image or a prefetch with a valid credential is a 405."""
    response = await service.request(method, "/vault-session", headers=bearer(issuer.token()))

    assert response.status_code == 405
    assert apideck.requests == []


@pytest.mark.parametrize("host", ["evil.example", "vault-session", "127.0.0.1@evil.example", ""])
async def test_no_decision_depends_on_the_host(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, host: str
) -> None:
    """No decision depends on the Host header, and no response or request contains it."""
    unknown = await service.post("/vault-session", headers={"host": host})
    known = await service.post("/vault-session", headers={**bearer(issuer.token()), "host": host})

    assert problem(unknown) == (401, "unauthenticated")
    assert known.status_code == 201
    assert "evil" not in unknown.text + known.text.replace(apideck.vault_origin, "")
    assert all("evil" not in value for _, value in apideck.requests[0].headers)


async def test_authentication_follows_the_route_not_the_path(
    service: httpx.AsyncClient, apideck: ApideckEmulator
) -> None:
    """Another spelling of the path is not found, or is the same route and needs a credential."""
    for path in (
        "/vault-session/",
        "//vault-session",
        "/./vault-session",
        "/x/../vault-session",
        "/vault%2Dsession",
        "/VAULT-SESSION",
        "/vault-session;x",
        "/livez/../vault-session",
    ):
        # Relative to a URL, `//vault-session` would be a host.
        response = await service.post(service.base_url.copy_with(raw_path=path.encode()))
        assert "location" not in response.headers, path
        assert response.status_code == (401 if path in RESOLVED_PATHS else 404), path
    assert apideck.requests == []


@pytest.mark.parametrize(("trusted", "seen"), [(None, "127.0.0.1"), ("127.0.0.0/8", "203.0.113.9")])
def test_forwarded_headers_are_used_from_configured_networks_only(
    issuer: DevelopmentIssuer,
    apideck_url: str,
    apideck: ApideckEmulator,
    unused_tcp_port: int,
    trusted: str | None,
    seen: str,
) -> None:
    """The service takes the client address only from the headers of a listed proxy."""
    assert apideck.requests == []
    environment = environment_for(issuer.issuer, apideck_url, unused_tcp_port)
    # IPv4 clients must not be logged with IPv4-mapped addresses.
    environment["SERVER__HOST"] = "::"
    if trusted is not None:
        environment["SERVER__TRUSTED_PROXIES"] = json.dumps([trusted])
    forwarded = {
        "x-forwarded-for": "203.0.113.9",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "evil.example",
        "x-forwarded-user": "ada",
    }
    with serving(environment) as process:
        response = httpx.post(url(environment, "/vault-session"), headers=forwarded)
        process.terminate()
        out, _ = process.communicate(timeout=15)

    assert response.status_code == 401
    assert apideck.requests == []
    events = [json.loads(line) for line in out.splitlines()]
    [access] = [event for event in events if event.get("route") == "/vault-session"]
    assert access["client"] == seen
