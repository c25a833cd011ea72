"""Locations of credentials, several credentials in one request, and request forgery.

Apideck must receive no request in each of these attacks.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.service import running, settings_for

ORIGIN = "https://app.example.com"
HEADER = "Cf-Access-Jwt-Assertion"
GENUINE = {
    "origin": ORIGIN,
    "sec-fetch-site": "same-origin",
    "content-type": "application/json",
    "x-vault-session": "1",
}


@pytest.fixture
async def service(
    issuer: DevelopmentIssuer, apideck_url: str, apideck: ApideckEmulator
) -> AsyncIterator[httpx.AsyncClient]:
    """Run a service that accepts tokens in three locations."""
    assert apideck.requests == []
    locations: dict[str, Any] = {
        "main": {"consumer_prefix": "m-"},
        "gateway": {
            "issuer": issuer.issuer,
            "audience": "gateway",
            "token_type": "any",
            "credential": {"header": HEADER},
            "consumer_prefix": "g-",
        },
        "spa": {
            "issuer": issuer.issuer,
            "audience": "spa",
            "token_type": "any",
            "credential": {"cookie": "__Host-session"},
            "consumer_prefix": "s-",
        },
    }
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        identity={"issuers": locations},
        cors={"allow_origins": [ORIGIN]},
        server={"public_url": "https://vault.example.com/bff"},
    )
    async with running(settings) as client:
        yield client


def cookie(issuer: DevelopmentIssuer) -> dict[str, str]:
    """Return a Cookie header with a valid token."""
    return {"cookie": f"theme=dark; __Host-session={issuer.token(aud='spa')}"}


async def test_a_gateways_assertion_is_read_from_its_header(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A signed assertion in the configured header proves who the caller is."""
    headers = {HEADER: issuer.token(aud="gateway", typ="JWT")}

    assert (await service.post("/vault-session", headers=headers)).status_code == 201
    assert apideck.minted[0].consumer_id == "g-ada"


async def test_a_plain_identity_header_proves_nothing(
    service: httpx.AsyncClient, apideck: ApideckEmulator
) -> None:
    """Anyone can send a header without a signature."""
    for headers in (
        {HEADER: "ada"},
        {"X-Forwarded-User": "ada", "X-Auth-Request-Email": "ada@acme.example"},
        {"Remote-User": "ada", "X-Forwarded-For": "127.0.0.1"},
    ):
        assert problem(await service.post("/vault-session", headers=headers))[0] == 401
    assert apideck.requests == []


async def test_a_token_is_accepted_at_its_configured_location_only(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A gateway's assertion is not a bearer token, and a bearer token is not an assertion."""
    for headers in (bearer(issuer.token(aud="gateway")), {HEADER: issuer.token()}):
        assert problem(await service.post("/vault-session", headers=headers))[0] == 401
    assert apideck.requests == []


async def test_a_request_with_two_credentials_is_rejected(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """Even two equal and valid ones, because proxies and services disagree about which counts."""
    token, assertion = issuer.token(), issuer.token(aud="gateway")
    session = cookie(issuer)["cookie"]
    pairs: list[list[tuple[str, str]]] = [
        [("authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}")],
        [("authorization", f"Bearer {token}"), (HEADER, assertion)],
        [("authorization", f"Bearer {token}"), ("cookie", session)],
        [(HEADER, assertion), (HEADER, assertion)],
        [("cookie", session), ("cookie", session)],
        [("cookie", f"{session}; __Host-session=other")],
    ]
    for headers in pairs:
        response = await service.post("/vault-session", headers=headers)
        assert problem(response) == (400, "ambiguous-credentials")
    assert apideck.requests == []


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic dXNlcjpwdw==", "Bearer a b", "Bearer a,b", "token x"]
)
async def test_a_malformed_authorization_header_is_rejected(
    service: httpx.AsyncClient, apideck: ApideckEmulator, value: str
) -> None:
    """Only a bearer token is accepted."""
    response = await service.post("/vault-session", headers={"authorization": value})

    assert problem(response) == (401, "unauthenticated")
    assert apideck.requests == []


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER  "])
async def test_the_scheme_ignores_case(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, scheme: str
) -> None:
    """RFC 9110 section 11.1 requires that the case of the scheme is ignored."""
    headers = {"authorization": f"{scheme} {issuer.token()}"}

    assert (await service.post("/vault-session", headers=headers)).status_code == 201


@pytest.mark.parametrize("content", ["", '"quoted"', "a b", "a\\b", "x" * 9000])
async def test_a_malformed_cookie_is_rejected(
    service: httpx.AsyncClient, apideck: ApideckEmulator, content: str
) -> None:
    """The service rejects it before it sends any request."""
    headers = {**GENUINE, "cookie": f"__Host-session={content}"}

    assert problem(await service.post("/vault-session", headers=headers))[0] == 401
    assert apideck.requests == []


@pytest.mark.parametrize(
    "page",
    [
        GENUINE,
        {**GENUINE, "sec-fetch-site": "same-site"},
        {**GENUINE, "origin": "https://vault.example.com"},
        {k: v for k, v in GENUINE.items() if k != "sec-fetch-site"},
        {k: v for k, v in GENUINE.items() if k != "origin"},
        {**GENUINE, "content-type": "application/json; charset=utf-8"},
    ],
)
async def test_a_page_of_an_allowed_origin_may_use_the_cookie(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    page: dict[str, str],
) -> None:
    """The origin is listed, is the service's own, or the browser sends `same-origin`."""
    response = await service.post("/vault-session", headers={**page, **cookie(issuer)})

    assert response.status_code == 201
    assert apideck.minted[0].consumer_id == "s-ada"


FORGERIES = {
    "cross-site": {**GENUINE, "sec-fetch-site": "cross-site"},
    "foreign origin": {**GENUINE, "origin": "https://evil.example"},
    "sandboxed frame": {**GENUINE, "origin": "null"},
    "origin with the same beginning": {**GENUINE, "origin": f"{ORIGIN}.evil.example"},
    "origin on another port": {**GENUINE, "origin": f"{ORIGIN}:8443"},
    "origin without TLS": {**GENUINE, "origin": "http://app.example.com"},
    "neither origin nor site": {
        k: v for k, v in GENUINE.items() if k not in {"origin", "sec-fetch-site"}
    },
    "same site without an origin": {
        **{k: v for k, v in GENUINE.items() if k != "origin"},
        "sec-fetch-site": "same-site",
    },
    "navigation": {**{k: v for k, v in GENUINE.items() if k != "origin"}, "sec-fetch-site": "none"},
    "without the header": {k: v for k, v in GENUINE.items() if k != "x-vault-session"},
    "form": {**GENUINE, "content-type": "application/x-www-form-urlencoded"},
    "plain text": {**GENUINE, "content-type": "text/plain"},
    "no content type": {k: v for k, v in GENUINE.items() if k != "content-type"},
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_forged_request_starts_no_session(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, name: str
) -> None:
    """A request with a valid cookie from a page of another origin is a 403."""
    response = await service.post("/vault-session", headers={**FORGERIES[name], **cookie(issuer)})

    assert problem(response) == (403, "forbidden-origin")
    assert apideck.requests == []


async def test_a_header_that_the_csrf_checks_read_must_not_occur_twice(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A request with a second Origin header is rejected; the headers are not merged."""
    headers = [*GENUINE.items(), *cookie(issuer).items(), ("origin", "https://evil.example")]

    assert problem(await service.post("/vault-session", headers=headers))[0] == 403
    assert apideck.requests == []


async def test_a_bearer_token_needs_no_csrf_protection(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """No browser adds an Authorization header automatically."""
    headers = {**bearer(issuer.token()), "sec-fetch-site": "cross-site", "origin": "null"}

    assert (await service.post("/vault-session", headers=headers)).status_code == 201


async def test_a_preflight_allows_cookies_if_a_source_uses_them(
    service: httpx.AsyncClient,
) -> None:
    """A page of an allowed origin may send cookies and the header that they require."""
    response = await service.options(
        "/vault-session",
        headers={
            "origin": ORIGIN,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type,x-vault-session",
        },
    )

    assert response.status_code == 200
    assert response.headers["access-control-allow-credentials"] == "true"


async def test_a_bearer_token_is_rejected_if_no_source_accepts_bearer_tokens(
    issuer: DevelopmentIssuer, apideck_url: str, apideck: ApideckEmulator
) -> None:
    """Every issuer of this service reads its tokens from another location."""
    elsewhere = {"issuers": {"main": {"credential": {"header": HEADER}}}}
    settings = settings_for(issuer.issuer, apideck_url, identity=elsewhere)
    async with running(settings) as service:
        response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(response) == (401, "unauthenticated")
    assert apideck.requests == []
