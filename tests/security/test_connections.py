"""Attacks on the connections: leaked credentials, and forged requests to Apideck."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from emulators.apideck import ApideckEmulator, faults
from emulators.apideck.connected import PLANTED
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, pointers, problem
from tests.support.service import APP_ID, running, settings_for

ORIGIN = "https://app.example.com"
LIST = "/vault-connections"
XERO = f"{LIST}/accounting/xero"
PATHS = [LIST, XERO]


@pytest.fixture
async def service(
    issuer: DevelopmentIssuer, apideck_url: str, apideck: ApideckEmulator
) -> AsyncIterator[httpx.AsyncClient]:
    """Run a service that accepts tokens in the Authorization header and in a cookie."""
    apideck.connect(APP_ID, "m-acme", "accounting", "xero")
    apideck.connect(APP_ID, "m-globex", "accounting", "xero")
    spa = {
        "issuer": issuer.issuer,
        "audience": "spa",
        "credential": {"cookie": "__Host-session"},
        "claims": {"consumer_id": "org_id"},
        "consumer_prefix": "spa-",
    }
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        identity={"issuers": {"main": {"consumer_prefix": "m-"}, "spa": spa}},
        cors={"allow_origins": [ORIGIN]},
    )
    async with running(settings) as client:
        yield client


def cookie(issuer: DevelopmentIssuer) -> dict[str, str]:
    """Return a Cookie header with a valid token."""
    return {"cookie": f"__Host-session={issuer.token(aud='spa')}"}


@pytest.mark.parametrize("path", PATHS)
async def test_credentials_at_apideck_are_never_returned(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, path: str
) -> None:
    """The attack: a page reads the credentials of systems that the customer has connected.

    Apideck returns them in `settings`, `form_fields`, `metadata`, `authorize_url` and others.
    """
    with capture_logs() as logs:
        response = await service.get(path, headers=bearer(issuer.token()))

    assert response.status_code == 200
    assert len(apideck.requests) == 1
    for text in (response.text, str(response.headers), str(logs)):
        assert PLANTED not in text
        assert "sk_demo" not in text
    for field in ("authorize_url", "revoke_url", "settings", "form_fields", "metadata"):
        assert f'"{field}"' not in response.text


@pytest.mark.parametrize(
    "fault",
    [
        faults.error(400, PLANTED),
        faults.error(401, PLANTED),
        faults.error(402, PLANTED),
        faults.error(404, PLANTED),
        faults.error(422, PLANTED),
        faults.error(500, PLANTED),
        faults.whole(PLANTED.encode()),
        faults.whole(b'{"data": "' + PLANTED.encode() + b'"}'),
        faults.truncated(),
        faults.redirect(f"https://evil.example/{PLANTED}"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
async def test_apidecks_errors_are_not_passed_on(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    path: str,
    fault: faults.Fault,
) -> None:
    """An error quotes nothing that Apideck sent, to the caller or to the log."""
    apideck.fail_connections(fault)
    with capture_logs() as logs:
        response = await service.get(path, headers=bearer(issuer.token()))

    assert PLANTED not in response.text + str(logs)
    assert {(one.method, one.path) for one in apideck.requests} == {
        ("GET", path.replace("-", "/", 1))
    }


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "more",
    [
        {"params": {"consumer_id": "globex"}},
        {"params": {"consumer_id": "acme"}},
        {"params": {"consumer_id": ""}},
    ],
    ids=["another consumer", "own consumer", "empty"],
)
async def test_a_user_cannot_name_a_consumer(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    path: str,
    more: dict[str, Any],
) -> None:
    """The attack: a person reads another customer's connections by naming that customer."""
    response = await service.get(path, headers=bearer(issuer.token("ada")), **more)

    assert problem(response) == (403, "field-not-permitted")
    assert pointers(response) == ["/query/consumer_id"]
    assert apideck.requests == []


@pytest.mark.parametrize("path", PATHS)
async def test_headers_cookies_and_bodies_name_no_consumer(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, path: str
) -> None:
    """The attack: a header, cookie or body names a consumer; Apideck gets the caller's own one."""
    headers = {
        **bearer(issuer.token("ada")),
        "x-apideck-consumer-id": "globex",
        "x-consumer-id": "globex",
        "x-forwarded-user": "globex",
        "cookie": "consumer_id=globex",
        "content-type": "application/json",
    }

    response = await service.request(
        "GET", path, headers=headers, content=b'{"consumer_id": "globex"}'
    )

    assert response.status_code == 200
    [seen] = apideck.requests
    assert [v for k, v in seen.headers if k == "x-apideck-consumer-id"] == ["m-acme"]
    assert seen.body == b""
    assert "globex" not in str(seen)


@pytest.mark.parametrize(
    "segment",
    [
        # An HTTP client resolves "..", but sends these segments unchanged.
        "..%2fsessions",
        "%2e%2e",
        "%2e%2e%2fsessions",
        "..%252fsessions",
        "%252e%252e",
        "..;",
        "..\\sessions",
        "..%5csessions",
        "xero%00",
        "xero%0d%0aX-Evil:%201",
        "xero%3fapi=crm",
        "xero%23",
        "xero;a=b",
        "xero%20",
        "%ef%bc%8e%ef%bc%8e",
        "XERO",
        "-xero",
        "x" * 65,
        "xero@evil.example",
        "xero:80",
        "*",
        "%2a",
    ],
)
@pytest.mark.parametrize("position", ["service_id", "unified_api"])
async def test_no_segment_reaches_another_path_of_apideck(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    segment: str,
    position: str,
) -> None:
    """The attack: a segment that leads to another part of Apideck's API, with the API key."""
    path = f"accounting/{segment}" if position == "service_id" else f"{segment}/xero"

    response = await service.get(f"{LIST}/{path}", headers=bearer(issuer.token()))

    assert response.status_code in {404, 405, 422}
    assert apideck.requests == []


@pytest.mark.parametrize("value", ["crm&configured=true", "../x", "crm%26a=b", "crm#", "crm\n"])
async def test_no_parameter_adds_to_apidecks_query(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, value: str
) -> None:
    """The attack: a value that becomes several parameters of the request to Apideck."""
    response = await service.get(
        LIST, params={"unified_api": value}, headers=bearer(issuer.token())
    )

    assert problem(response) == (422, "invalid-request")
    assert apideck.requests == []


@pytest.mark.parametrize(
    "page",
    [
        {},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "null"},
        {"origin": "null", "sec-fetch-site": "same-origin"},
        {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
        {"origin": "https://app.example.com.evil.example"},
        {"origin": "http://app.example.com"},
        {"origin": "https://app.example.com:444"},
        {"origin": "HTTPS://app.example.com"},
        {"origin": ""},
        {"referer": f"{ORIGIN}/"},
        {"x-vault-session": "1", "content-type": "application/json"},
    ],
)
@pytest.mark.parametrize("path", PATHS)
async def test_a_page_of_another_origin_reads_nothing_with_a_cookie(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    path: str,
    page: dict[str, str],
) -> None:
    """The attack: another site includes the URL, and the browser adds the person's cookie."""
    response = await service.get(path, headers={**cookie(issuer), **page})

    assert problem(response) == (403, "forbidden-origin")
    assert apideck.requests == []


@pytest.mark.parametrize(
    "page",
    [
        {"origin": ORIGIN},
        {"origin": ORIGIN, "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "same-origin"},
    ],
)
@pytest.mark.parametrize("path", PATHS)
async def test_a_page_of_a_listed_origin_reads_with_a_cookie(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    path: str,
    page: dict[str, str],
) -> None:
    """A listed Origin, or `Sec-Fetch-Site: same-origin`, is enough without a custom header."""
    apideck.connect(APP_ID, "spa-acme", "accounting", "xero")
    response = await service.get(path, headers={**cookie(issuer), **page})

    assert response.status_code == 200
    assert apideck.requests[0].header("x-apideck-consumer-id") == "spa-acme"
    for name, value in {
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-type": "application/json",
    }.items():
        assert response.headers[name] == value
    assert "Origin" in response.headers["vary"]


async def test_a_cookie_needs_the_csrf_header_to_start_a_session(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A read may omit the CSRF header, but a request for a session may not."""
    headers = {**cookie(issuer), "origin": ORIGIN, "content-type": "application/json"}

    response = await service.post("/vault-session", headers=headers, json={})

    assert problem(response) == (403, "forbidden-origin")
    assert apideck.requests == []


async def test_pages_of_listed_origins_may_get_and_post(service: httpx.AsyncClient) -> None:
    """CORS allows these two methods and no others."""

    async def preflight(method: str, origin: str = ORIGIN) -> httpx.Response:
        headers = {
            "origin": origin,
            "access-control-request-method": method,
            "access-control-request-headers": "authorization",
        }
        return await service.options(LIST, headers=headers)

    allowed = await preflight("GET")
    assert allowed.status_code == 200
    methods = allowed.headers["access-control-allow-methods"]
    assert {one.strip() for one in methods.split(",")} == {"GET", "POST"}
    for method in ("PUT", "DELETE", "PATCH"):
        assert problem(await preflight(method)) == (403, "forbidden-origin")
    foreign = await preflight("GET", "https://evil.example")
    assert "access-control-allow-origin" not in foreign.headers


async def test_a_response_about_another_connection_is_rejected(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """The attack: a cache in front of Apideck mixes up responses."""
    apideck.fail_connections(faults.data(service_id="quickbooks"))

    response = await service.get(XERO, headers=bearer(issuer.token()))

    assert problem(response) == (502, "apideck-invalid-response")


@pytest.mark.parametrize(
    "token", ["none", "forged", "expired", "of another audience", "without a tenant"]
)
@pytest.mark.parametrize("path", PATHS)
async def test_without_a_valid_credential_apideck_is_not_called(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    path: str,
    token: str,
) -> None:
    """The same credentials are required as for sessions, and are checked before the query."""
    headers = {
        "none": {},
        "forged": bearer("e30.e30.e30"),
        "expired": bearer(issuer.token(expires_in=-120)),
        "of another audience": bearer(issuer.token(aud="other")),
        "without a tenant": bearer(issuer.token(omit=["org_id"])),
    }[token]

    response = await service.get(path, headers=headers, params={"unknown": "1"})

    expected = (403, "missing-claim") if token == "without a tenant" else (401, "unauthenticated")
    assert problem(response) == expected
    assert apideck.requests == []
