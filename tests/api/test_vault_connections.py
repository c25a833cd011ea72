import asyncio
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from structlog.testing import capture_logs

from app.apideck.connections import VaultConnection
from app.main import create_app
from app.settings import Settings
from emulators.apideck import ApideckEmulator, faults
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, pointers, problem
from tests.support.service import APP_ID, running, settings_for

LIST = "/vault-connections"
XERO = f"{LIST}/accounting/xero"
SERVICES = {"kind": "services", "grants": {"onboarding": ["acme"]}}


@pytest.fixture(autouse=True)
def _connected(apideck: ApideckEmulator) -> None:
    """Connect a connector for Ada's organization, and another for Otto's."""
    apideck.connect(APP_ID, "acme", "accounting", "xero")
    apideck.connect(APP_ID, "globex", "crm", "hubspot")


def ids(response: httpx.Response) -> list[str]:
    """Return which connections a response has."""
    assert response.status_code == 200, response.text
    listed = response.json()["connections"]
    return [f"{one['unified_api']}/{one['service_id']}" for one in listed]


async def test_a_person_sees_the_connections_of_their_own_organization(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """The list has every connector, each with its state for the caller's own consumer."""
    response = await service.get(LIST, headers=bearer(issuer.token("ada")))

    states = {one["service_id"]: one["state"] for one in response.json()["connections"]}
    assert (states["xero"], states["hubspot"]) == ("callable", "available")
    [seen] = apideck.requests
    assert (seen.method, seen.path, seen.query) == ("GET", "/vault/connections", "")
    assert seen.header("x-apideck-consumer-id") == "acme"
    assert seen.header("x-apideck-app-id") == APP_ID
    assert seen.header("authorization") == "Bearer sk_demo_opens-nothing"


async def test_a_connection_has_the_fields_that_a_browser_may_see(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """The list and the single response have the same fields, and no others."""
    headers = bearer(issuer.token("ada"))

    listed = (await service.get(LIST, headers=headers)).json()["connections"]
    one = (await service.get(XERO, headers=headers)).json()

    assert one in listed
    assert set(one) == set(VaultConnection.__annotations__)
    assert (one["name"], one["state"], one["health"]) == ("Xero", "callable", "ok")


@pytest.mark.parametrize(
    ("query", "expected", "sent"),
    [
        ("configured=true", ["accounting/xero"], "configured=true"),
        ("unified_api=crm&configured=true", [], "api=crm&configured=true"),
        (
            "unified_api=accounting&configured=false",
            ["accounting/netsuite", "accounting/quickbooks"],
            "api=accounting&configured=false",
        ),
        # An unknown API is not sent: Apideck's error would look like a wrong configuration.
        ("unified_api=time-travel", [], ""),
    ],
)
async def test_a_list_can_be_restricted(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    query: str,
    expected: list[str],
    sent: str,
) -> None:
    """`unified_api` and `configured` restrict it, alone or together."""
    response = await service.get(f"{LIST}?{query}", headers=bearer(issuer.token()))

    assert ids(response) == expected
    assert [one.query for one in apideck.requests] == [sent]


async def test_a_new_customer_has_no_connections(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """The list is empty, even if Apideck does not know the consumer; a connection is a 404."""
    headers = bearer(issuer.token(org_id="new-customer"))

    assert ids(await service.get(LIST, headers=headers)) == []
    assert problem(await service.get(XERO, headers=headers)) == (404, "connection-not-found")
    apideck.fail_connections(faults.error(404, "Consumer was not found"))
    assert ids(await service.get(LIST, headers=headers)) == []


async def test_a_404_that_is_not_about_the_consumer_is_not_an_empty_list(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A wrong base URL must not look like a customer who has connected nothing."""
    apideck.fail_connections(faults.html(404))

    response = await service.get(LIST, headers=bearer(issuer.token()))

    assert problem(response) == (502, "apideck-misconfigured")


@pytest.mark.parametrize("path", [f"{LIST}/crm/none", f"{LIST}/none/xero"])
async def test_an_unknown_connection_is_not_found(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, path: str
) -> None:
    """A request for an unknown connection does not mark the Apideck account as misconfigured."""
    response = await service.get(path, headers=bearer(issuer.token()))
    metrics = (await service.get("/metrics")).text

    assert problem(response) == (404, "connection-not-found")
    assert 'account_state{application="default",state="misconfigured"} 0.0' in metrics


async def test_only_offered_unified_apis_are_shown(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Lists omit other unified APIs, and a request for one is a 404 without a call to Apideck."""
    offered = {"defaults": {"settings": {"unified_apis": ["accounting"]}}}
    async with running(settings_for(issuer.issuer, apideck_url, session=offered)) as service:
        headers = bearer(issuer.token("otto"))
        everything = await service.get(LIST, headers=headers)
        before = len(apideck.requests)
        named = await service.get(LIST, params={"unified_api": "crm"}, headers=headers)
        one = await service.get(f"{LIST}/crm/hubspot", headers=headers)

    assert {one.partition("/")[0] for one in ids(everything)} == {"accounting"}
    assert problem(named) == problem(one) == (404, "connection-not-found")
    assert (pointers(named), pointers(one)) == (["/query/unified_api"], ["/path/unified_api"])
    assert len(apideck.requests) == before


async def test_a_service_names_a_consumer_within_its_grant(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Apideck is not called if the consumer is missing, malformed or outside the grant."""
    identity = {"issuers": {"main": SERVICES}}
    async with running(settings_for(issuer.issuer, apideck_url, identity=identity)) as service:
        headers = bearer(issuer.service_token())

        async def get(path: str, **query: str) -> httpx.Response:
            return await service.get(path, params=query, headers=headers)

        missing = await get(LIST)
        impossible = await get(LIST, consumer_id="a b")
        with capture_logs() as logs:
            foreign = [await get(path, consumer_id="globex") for path in (LIST, XERO)]
        assert apideck.requests == []
        granted = await get(LIST, consumer_id="acme", configured="true")
        one = await get(XERO, consumer_id="acme")

    assert problem(missing) == problem(impossible) == (422, "invalid-request")
    assert {problem(one) for one in foreign} == {(403, "consumer-not-granted")}
    assert {tuple(pointers(one)) for one in (missing, impossible, *foreign)} == {
        ("/query/consumer_id",)
    }
    audited = [one for one in logs if one["event"] == "vault_connections_refused"]
    assert {one["consumer_id"] for one in audited} == {"globex"}
    assert (ids(granted), one.json()["state"]) == (["accounting/xero"], "callable")
    assert {one.header("x-apideck-consumer-id") for one in apideck.requests} == {"acme"}


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("api=crm", "/query/api"),
        ("configured=maybe", "/query/configured"),
        ("unified_api=", "/query/unified_api"),
        ("unified_api=CRM", "/query/unified_api"),
        ("configured=true&configured=true", "/query/configured"),
    ],
)
async def test_an_invalid_query_is_rejected(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    query: str,
    where: str,
) -> None:
    """Unknown, malformed and repeated parameters are named, and Apideck is not called."""
    response = await service.get(f"{LIST}?{query}", headers=bearer(issuer.token()))

    assert problem(response) == (422, "invalid-request")
    assert pointers(response) == [where]
    assert apideck.requests == []


async def test_a_request_for_one_connection_accepts_no_filters(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """A filter parameter is rejected, because the path already names the connection."""
    response = await service.get(f"{XERO}?configured=true", headers=bearer(issuer.token()))

    assert pointers(response) == ["/query/configured"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "PATCH"])
@pytest.mark.parametrize("path", [LIST, XERO])
async def test_connections_can_only_be_read(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, method: str, path: str
) -> None:
    """All other methods are rejected."""
    response = await service.request(method, path, headers=bearer(issuer.token()))

    assert response.status_code == 405


async def test_identical_requests_of_one_caller_share_one_request_to_apideck(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A page that sends the same request several times uses one request of the Apideck plan."""
    apideck.fail_connections(faults.Slow(0.3))
    ada, grace = bearer(issuer.token("ada")), bearer(issuer.token("grace"))

    responses = await asyncio.gather(
        *(service.get(LIST, headers=ada) for _ in range(5)),
        *(service.get(XERO, headers=ada) for _ in range(5)),
        service.get(LIST, params={"configured": "true"}, headers=ada),
        service.get(LIST, headers=grace),
    )

    assert {response.status_code for response in responses} == {200}
    assert len(apideck.requests) == 4


async def test_every_request_logs_one_audit_event(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """The event names the caller, the consumer and Apideck's id of the call."""
    with capture_logs() as logs:
        await service.get(LIST, headers=bearer(issuer.token("ada")))
        await service.get(XERO, headers=bearer(issuer.token("ada")))
        await service.get(f"{LIST}/crm/none", headers=bearer(issuer.token("ada")))
        await service.get(LIST)

    audited = [one for one in logs if one["event"].startswith("vault_connections_")]
    assert [one["event"].removeprefix("vault_connections_") for one in audited] == [
        "read",
        "read",
        "refused",
        "refused",
    ]
    read, one, missing, anonymous = audited
    assert (read["subject"], read["consumer_id"], read["connection"]) == ("ada", "acme", None)
    assert one["connection"] == "accounting/xero"
    assert missing["problem"] == "connection-not-found"
    assert all(len(event["apideck_request_id"]) == 32 for event in (read, one, missing))
    assert (anonymous["problem"], anonymous["subject"]) == ("unauthenticated", None)


async def test_requests_to_apideck_are_counted_by_operation(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """Each uses one request of the Apideck plan, so the metrics have a label for the operation."""
    for path in (LIST, LIST, XERO):
        await service.get(path, headers=bearer(issuer.token()))

    page = (await service.get("/metrics")).text

    counted = 'apideck_requests_total{application="default",operation="'
    assert f'{counted}list_connections",outcome="Read"}} 2.0' in page
    assert f'{counted}get_connection",outcome="Read"}} 1.0' in page
    reads = 'connection_reads_total{caller_kind="user",outcome="read",problem="none"} 3.0'
    assert reads in page


@pytest.mark.parametrize(("path", "template"), [(LIST, LIST), (XERO, f"{LIST}/{{u}}/{{s}}")])
async def test_responses_match_the_document(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    settings: Settings,
    path: str,
    template: str,
) -> None:
    """A real response matches the OpenAPI document, and has every header that it lists."""
    document = create_app(settings).openapi()
    template = template.replace("{u}", "{unified_api}").replace("{s}", "{service_id}")
    described: dict[str, Any] = document["paths"][template]["get"]["responses"]

    response = await service.get(path, headers=bearer(issuer.token()))

    schema = described["200"]["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": document["components"]}).validate(response.json())
    assert {name.lower() for name in described["200"]["headers"]} <= set(response.headers)
    missing = described["404"]["content"]["application/problem+json"]["examples"]
    assert list(missing) == ["connection-not-found"]


def test_a_get_with_a_cookie_needs_no_csrf_header(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """The OpenAPI document requires the CSRF header for sessions only."""
    main = {"credential": {"cookie": "session"}}
    settings = settings_for(issuer.issuer, apideck_url, identity={"issuers": {"main": main}})
    document = create_app(settings).openapi()

    assert document["security"] == [{"cookie-session": [], "csrfHeader": []}]
    assert document["paths"][LIST]["get"]["security"] == [{"cookie-session": []}]
