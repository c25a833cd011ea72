"""Where a credential may stand, two of them at once, and requests that a browser was tricked into.

What counts in each is what Apideck saw of a refused request: nothing.
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
    """Run a service that takes tokens from three places."""
    assert apideck.requests == []
    places: dict[str, Any] = {
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
        identity={"issuers": places},
        cors={"allow_origins": [ORIGIN]},
        server={"public_url": "https://vault.example.com/bff"},
    )
    async with running(settings) as client:
        yield client


def cookie(issuer: DevelopmentIssuer) -> dict[str, str]:
    """Return the header that carries a good token in the cookie."""
    return {"cookie": f"theme=dark; __Host-session={issuer.token(aud='spa')}"}


async def test_a_gateways_assertion_is_taken_from_its_header(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A signed assertion in the named header proves who is calling."""
    headers = {HEADER: issuer.token(aud="gateway", typ="JWT")}

    assert (await service.post("/vault-session", headers=headers)).status_code == 201
    assert apideck.minted[0].consumer_id == "g-ada"


async def test_a_plain_identity_header_proves_nothing(
    service: httpx.AsyncClient, apideck: ApideckEmulator
) -> None:
    """What a gateway merely says, anybody can say: only a signature counts."""
    for headers in (
        {HEADER: "ada"},
        {"X-Forwarded-User": "ada", "X-Auth-Request-Email": "ada@acme.example"},
        {"Remote-User": "ada", "X-Forwarded-For": "127.0.0.1"},
    ):
        assert problem(await service.post("/vault-session", headers=headers))[0] == 401
    assert apideck.requests == []


async def test_a_token_counts_only_where_its_issuer_puts_it(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A gateway's assertion is no bearer token, and the other way round."""
    for headers in (bearer(issuer.token(aud="gateway")), {HEADER: issuer.token()}):
        assert problem(await service.post("/vault-session", headers=headers))[0] == 401
    assert apideck.requests == []


async def test_two_credentials_are_one_too_many(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """Even two good and equal ones: which of them counts would be anybody's guess."""
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
        answer = await service.post("/vault-session", headers=headers)
        assert problem(answer) == (400, "ambiguous-credentials")
    assert apideck.requests == []


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic dXNlcjpwdw==", "Bearer a b", "Bearer a,b", "token x"]
)
async def test_an_authorization_header_of_another_form_is_refused(
    service: httpx.AsyncClient, apideck: ApideckEmulator, value: str
) -> None:
    """Only a bearer token is one."""
    answer = await service.post("/vault-session", headers={"authorization": value})

    assert problem(answer) == (401, "unauthenticated")
    assert apideck.requests == []


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER  "])
async def test_the_scheme_ignores_case(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, scheme: str
) -> None:
    """RFC 9110 section 11.1 says so."""
    headers = {"authorization": f"{scheme} {issuer.token()}"}

    assert (await service.post("/vault-session", headers=headers)).status_code == 201


@pytest.mark.parametrize("content", ["", '"quoted"', "a b", "a\\b", "x" * 9000])
async def test_a_malformed_cookie_is_no_credential(
    service: httpx.AsyncClient, apideck: ApideckEmulator, content: str
) -> None:
    """What no server would set is refused before anybody is asked about it."""
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
async def test_a_page_of_ours_may_use_the_cookie(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    page: dict[str, str],
) -> None:
    """A listed origin, our own, or the browser's word for it that the page is ours."""
    answer = await service.post("/vault-session", headers={**page, **cookie(issuer)})

    assert answer.status_code == 201
    assert apideck.minted[0].consumer_id == "s-ada"


FORGERIES = {
    "cross-site": {**GENUINE, "sec-fetch-site": "cross-site"},
    "foreign origin": {**GENUINE, "origin": "https://evil.example"},
    "sandboxed frame": {**GENUINE, "origin": "null"},
    "origin that begins alike": {**GENUINE, "origin": f"{ORIGIN}.evil.example"},
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
async def test_a_forged_request_mints_nothing(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, name: str
) -> None:
    """The cookie is good, and the page is not ours: 403."""
    answer = await service.post("/vault-session", headers={**FORGERIES[name], **cookie(issuer)})

    assert problem(answer) == (403, "forbidden-origin")
    assert apideck.requests == []


async def test_headers_that_decide_must_not_stand_twice(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A second Origin behind a proxy's back is refused, not merged."""
    headers = [*GENUINE.items(), *cookie(issuer).items(), ("origin", "https://evil.example")]

    assert problem(await service.post("/vault-session", headers=headers))[0] == 403
    assert apideck.requests == []


async def test_a_bearer_token_needs_none_of_it(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """No browser adds an Authorization header by itself, so no page can be made to forge it."""
    headers = {**bearer(issuer.token()), "sec-fetch-site": "cross-site", "origin": "null"}

    assert (await service.post("/vault-session", headers=headers)).status_code == 201


async def test_cookies_are_announced_to_browsers_where_they_are_used(
    service: httpx.AsyncClient,
) -> None:
    """A page of a listed origin may send cookies along, and the header that must come with them."""
    answer = await service.options(
        "/vault-session",
        headers={
            "origin": ORIGIN,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type,x-vault-session",
        },
    )

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-credentials"] == "true"


async def test_a_service_without_bearer_tokens_says_so(
    issuer: DevelopmentIssuer, apideck_url: str, apideck: ApideckEmulator
) -> None:
    """Where no issuer's tokens come in the Authorization header, one there is refused."""
    place = {"issuers": {"main": {"credential": {"header": HEADER}}}}
    settings = settings_for(issuer.issuer, apideck_url, identity=place)
    async with running(settings) as service:
        answer = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(answer) == (401, "unauthenticated")
    assert apideck.requests == []
