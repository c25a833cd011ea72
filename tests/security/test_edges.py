"""The edge: pages of other origins, methods, hosts, and what a proxy may say."""

import json

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.process import environment_for, serving, url
from tests.support.service import running, settings_for

ORIGIN = "https://app.example.com"


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
        answer = await service.post(
            "/vault-session", headers={**bearer(issuer.token()), "origin": ORIGIN}
        )

    assert preflight.status_code == 200
    for one in (preflight, answer):
        assert one.headers["access-control-allow-origin"] == ORIGIN
        assert "access-control-allow-credentials" not in one.headers
        assert "Origin" in one.headers["vary"]


async def test_pages_may_read_what_tells_them_where_they_stand(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """A page of another origin sees the request's id, its limits, and when to ask again."""
    cors = {"allow_origins": [ORIGIN]}
    headers = {**bearer(issuer.token()), "origin": ORIGIN}
    settings = settings_for(issuer.issuer, apideck_url, cors=cors, limits={"per_user": "1/hour"})
    async with running(settings) as service:
        answers = [await service.post("/vault-session", headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 429]
    told = {"x-request-id", "ratelimit", "ratelimit-policy"}
    for answer, more in zip(answers, (set(), {"retry-after"}), strict=True):
        exposed = set(answer.headers["access-control-expose-headers"].split(", "))
        assert exposed == {*told, "retry-after"}
        assert {*told, *more} <= set(answer.headers)


@pytest.mark.parametrize(
    ("origin", "method", "headers"),
    [
        ("https://evil.example", "POST", "authorization"),
        ("null", "POST", "authorization"),
        ("https://app.example.com.evil.example", "POST", "authorization"),
        (ORIGIN, "DELETE", "authorization"),
        (ORIGIN, "POST", "x-apideck-consumer-id"),
    ],
)
async def test_other_pages_may_not(
    issuer: DevelopmentIssuer, apideck_url: str, origin: str, method: str, headers: str
) -> None:
    """A preflight for another origin, method or header is refused as a problem."""
    cors = {"allow_origins": [ORIGIN]}
    async with running(settings_for(issuer.issuer, apideck_url, cors=cors)) as service:
        preflight = await service.options(
            "/vault-session",
            headers={
                "origin": origin,
                "access-control-request-method": method,
                "access-control-request-headers": headers,
            },
        )

    assert problem(preflight) == (403, "forbidden-origin")
    assert "access-control-allow-origin" not in preflight.headers
    assert "Origin" in preflight.headers["vary"]


async def test_only_known_hosts_are_served_where_they_are_configured(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """A request for another host name goes no further."""
    server = {"allowed_hosts": ["vault.example.com"]}
    async with running(settings_for(issuer.issuer, apideck_url, server=server)) as service:
        known = await service.get("/livez", headers={"host": "vault.example.com:8000"})
        other = await service.get("/livez", headers={"host": "evil.example"})

    assert known.status_code == 200
    assert problem(other) == (421, "misdirected-request")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_nothing_but_post_mints(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, method: str
) -> None:
    """A link, an image or a prefetch with a good credential is a 405."""
    answer = await service.request(method, "/vault-session", headers=bearer(issuer.token()))

    assert answer.status_code == 405
    assert apideck.requests == []


@pytest.mark.parametrize("host", ["evil.example", "vault-session", "127.0.0.1@evil.example", ""])
async def test_no_decision_is_made_on_the_host(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, host: str
) -> None:
    """Whatever it says, a stranger stays one, and nothing of it comes back or goes to Apideck."""
    stranger = await service.post("/vault-session", headers={"host": host})
    known = await service.post("/vault-session", headers={**bearer(issuer.token()), "host": host})

    assert problem(stranger) == (401, "unauthenticated")
    assert known.status_code == 201
    assert "evil" not in stranger.text + known.text.replace(apideck.vault_origin, "")
    assert all("evil" not in value for _, value in apideck.requests[0].headers)


async def test_authentication_follows_the_route_not_the_path(
    service: httpx.AsyncClient, apideck: ApideckEmulator
) -> None:
    """No spelling of the path reaches the handler without a credential."""
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
        answer = await service.post(path)
        assert answer.status_code in {307, 401, 404}, path
    assert apideck.requests == []


@pytest.mark.parametrize(("trusted", "seen"), [(None, "127.0.0.1"), ("127.0.0.0/8", "203.0.113.9")])
def test_forwarded_headers_count_from_configured_networks_only(
    issuer: DevelopmentIssuer,
    apideck_url: str,
    apideck: ApideckEmulator,
    unused_tcp_port: int,
    trusted: str | None,
    seen: str,
) -> None:
    """By default nobody is believed; a listed proxy is, about where a request came from."""
    assert apideck.requests == []
    environment = environment_for(issuer.issuer, apideck_url, unused_tcp_port)
    if trusted is not None:
        environment["SERVER__TRUSTED_PROXIES"] = json.dumps([trusted])
    forwarded = {
        "x-forwarded-for": "203.0.113.9",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "evil.example",
        "x-forwarded-user": "ada",
    }
    with serving(environment) as process:
        answer = httpx.post(url(environment, "/vault-session"), headers=forwarded)
        process.terminate()
        out, _ = process.communicate(timeout=15)

    assert answer.status_code == 401
    assert apideck.requests == []
    events = [json.loads(line) for line in out.splitlines()]
    [access] = [event for event in events if event.get("route") == "/vault-session"]
    assert access["client"] == seen
