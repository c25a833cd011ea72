"""Opaque tokens, session cookies, services and delegation: which callers get which sessions."""

from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.settings import Settings
from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from emulators.issuer.http import CLIENT_ID, CLIENT_SECRET
from tests.support.cookie_session_app import ADA, CookieSessionApp
from tests.support.http import bearer, pointers, problem
from tests.support.service import running, settings_for, settings_with_application

INTROSPECTION = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
PAGE = {
    "origin": "https://app.example.com",
    "x-vault-session": "1",
    "content-type": "application/json",
    "cookie": "app_session=adas-session; other=1",
}
Run = Callable[..., Any]


@pytest.fixture
def run(issuer: DevelopmentIssuer, apideck_url: str, apideck: ApideckEmulator) -> Run:
    """Return a function that runs a service whose issuer has further settings."""
    assert apideck.requests == []

    def run_with(**main: Any) -> Any:
        identity = {"issuers": {"main": main}}
        return running(settings_for(issuer.issuer, apideck_url, identity=identity))

    return run_with


@pytest.mark.parametrize("authentication", ["client_secret_basic", "client_secret_post"])
async def test_an_opaque_token_is_introspected_once(
    run: Run, issuer: DevelopmentIssuer, apideck: ApideckEmulator, authentication: str
) -> None:
    """The response is cached, and its claims describe the caller."""
    async with run(introspection={**INTROSPECTION, "authentication": authentication}) as service:
        token = issuer.opaque_token("grace")
        for _ in range(3):
            assert (await service.post("/vault-session", headers=bearer(token))).status_code == 201

    assert issuer.counts["introspection"] == 1
    assert apideck.minted[0].consumer_id == "acme"
    assert apideck.minted[0].session["consumer_metadata"]["user_name"] == "Grace Brewster"


@pytest.mark.parametrize(
    "claims",
    [
        {"active": False},
        {"active": "true"},
        {"active": 1},
        {"active": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "billing"},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"iss": 5},
        {"iss": ""},
        {"exp": "9999999999"},
        {"sub": None},
        {"nbf": 9_999_999_999},
    ],
)
async def test_an_invalid_introspection_response_is_rejected(
    run: Run, issuer: DevelopmentIssuer, apideck: ApideckEmulator, claims: dict[str, Any]
) -> None:
    """`active` must be true, and issuer, audience, subject and times are checked."""
    async with run(introspection=INTROSPECTION) as service:
        token = issuer.opaque_token(**claims)
        response = await service.post("/vault-session", headers=bearer(token))

    assert problem(response) == (401, "unauthenticated")
    assert apideck.requests == []


@pytest.mark.parametrize("fault", ["down", "html", "redirect", "oversized"])
async def test_an_issuer_that_cannot_introspect_is_a_503(
    run: Run, issuer: DevelopmentIssuer, apideck: ApideckEmulator, fault: str
) -> None:
    """A token that cannot be checked is not rejected as invalid."""
    async with run(introspection=INTROSPECTION) as service:
        token = issuer.opaque_token()
        issuer.fault = fault
        response = await service.post("/vault-session", headers=bearer(token))

    assert problem(response) == (503, "identity-provider-unavailable")
    assert apideck.requests == []


@pytest.mark.parametrize("fault", ["crash", "oversized", "html"])
async def test_made_up_opaque_tokens_do_not_lock_out_other_callers(
    run: Run, issuer: DevelopmentIssuer, apideck: ApideckEmulator, fault: str
) -> None:
    """Denial of service: an issuer fails for each token that it cannot parse."""
    async with run(introspection=INTROSPECTION) as service:
        await service.post("/vault-session", headers=bearer(issuer.opaque_token()))
        apideck.reset()
        issuer.fault = fault
        for number in range(30):
            response = await service.post("/vault-session", headers=bearer(f"made-up-{number}"))
            assert problem(response) == (503, "identity-provider-unavailable")
        issuer.fault = None
        valid = await service.post("/vault-session", headers=bearer(issuer.opaque_token()))

    assert valid.status_code == 201
    assert len(apideck.minted) == 1


async def test_wrong_credentials_of_the_service_are_a_503(
    run: Run, issuer: DevelopmentIssuer
) -> None:
    """If the issuer rejects the service's credentials, the caller's token is not rejected."""
    wrong = {**INTROSPECTION, "client_secret": "wrong"}
    async with run(introspection=wrong) as service:
        response = await service.post("/vault-session", headers=bearer(issuer.opaque_token()))

    assert problem(response) == (503, "identity-provider-unavailable")


async def test_a_signed_token_is_introspected_as_well(run: Run, issuer: DevelopmentIssuer) -> None:
    """With introspection, the issuer decides about signed tokens, too."""
    async with run(introspection=INTROSPECTION) as service:
        response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(response) == (401, "unauthenticated")
    assert issuer.counts["introspection"] == 1


async def test_without_introspection_an_opaque_token_is_rejected(
    run: Run, issuer: DevelopmentIssuer
) -> None:
    """The service rejects it without a request to the issuer."""
    async with run() as service:
        response = await service.post("/vault-session", headers=bearer(issuer.opaque_token()))

    assert problem(response) == (401, "unauthenticated")
    assert issuer.counts["introspection"] == 0


async def test_userinfo_adds_claims_that_a_token_lacks(
    run: Run, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """The service requests name, e-mail address and picture once per token."""
    token = issuer.token(omit=["name", "email", "picture"])
    async with run(userinfo=True) as service:
        for _ in range(3):
            await service.post("/vault-session", headers=bearer(token))
        await service.post("/vault-session", headers=bearer(issuer.token()))

    assert issuer.counts["userinfo"] == 1
    for minted in apideck.minted:
        assert minted.session["consumer_metadata"]["email"] == "ada@acme.example"


async def test_userinfo_is_requested_for_the_next_token_after_a_rejection(
    run: Run, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """One person's token without the scope `openid` does not remove other people's names."""
    async with run(userinfo=True) as service:
        for subject in ("ada", "eve", "grace"):
            issuer.fault = "forbidden" if subject == "eve" else None
            token = issuer.token(sub=subject, name="", omit=["email"])
            await service.post("/vault-session", headers=bearer(token))

    shown = [minted.session["consumer_metadata"].get("user_name") for minted in apideck.minted]
    assert shown == ["Ada Byron", None, "Grace Brewster"]


@pytest.mark.parametrize("fault", ["down", "wrong-subject", "html"])
async def test_without_userinfo_the_session_is_still_created(
    run: Run, issuer: DevelopmentIssuer, apideck: ApideckEmulator, fault: str
) -> None:
    """Userinfo is for display only: a failure is logged once, and the display data is missing."""
    token = issuer.token(omit=["name", "email", "picture"])
    async with run(userinfo=True, jwks_uri=f"{issuer.issuer}/jwks") as service:
        await service.post("/vault-session", headers=bearer(issuer.token()))
        apideck.reset()
        issuer.fault = fault
        with capture_logs() as logs:
            responses = [
                await service.post("/vault-session", headers=bearer(token)) for _ in range(2)
            ]

    assert [response.status_code for response in responses] == [201, 201]
    assert apideck.minted[0].session["consumer_metadata"] == {"account_name": "Acme Inc."}
    assert len([line for line in logs if line["event"].startswith("userinfo_")]) == 1


@pytest.fixture
def application() -> Any:
    """Return an application with cookie sessions."""
    return CookieSessionApp()


def with_application(issuer: DevelopmentIssuer, apideck_url: str, whoami_url: str) -> Settings:
    """Return settings of a service that accepts an application's session cookie."""
    return settings_with_application(issuer.issuer, apideck_url, whoami_url, PAGE["origin"])


async def test_a_session_cookie_of_an_application_identifies_a_caller(
    issuer: DevelopmentIssuer,
    apideck_url: str,
    apideck: ApideckEmulator,
    application: CookieSessionApp,
) -> None:
    """The application receives only that cookie, and its response is cached for some seconds."""
    with application.serve() as whoami_url:
        async with running(with_application(issuer, apideck_url, whoami_url)) as service:
            for _ in range(3):
                response = await service.post("/vault-session", headers=PAGE)
                assert response.status_code == 201

    [seen] = application.received
    assert seen["cookie"] == "app_session=adas-session"
    assert "authorization" not in seen
    assert "origin" not in seen
    assert apideck.minted[0].consumer_id == "r-42"
    assert apideck.minted[0].session["consumer_metadata"] == {
        "account_name": "Acme Inc.",
        "user_name": "Ada Byron",
    }


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, 401), (403, 401), (302, 503), (404, 503), (500, 503), (204, 503)],
)
async def test_an_applications_rejection_is_a_401_and_its_failure_a_503(
    issuer: DevelopmentIssuer,
    apideck_url: str,
    apideck: ApideckEmulator,
    application: CookieSessionApp,
    status: int,
    expected: int,
) -> None:
    """Only 401 and 403 mean that the person is not signed in."""
    application.status = status
    with application.serve() as whoami_url:
        async with running(with_application(issuer, apideck_url, whoami_url)) as service:
            response = await service.post("/vault-session", headers=PAGE)

    assert problem(response)[0] == expected
    assert apideck.requests == []


@pytest.mark.parametrize(
    "claims", [[], "ada", {}, {**ADA, "sub": None}, {**ADA, "sub": True}, {**ADA, "sub": ""}]
)
async def test_an_invalid_response_of_an_application_is_a_503(
    issuer: DevelopmentIssuer,
    apideck_url: str,
    apideck: ApideckEmulator,
    application: CookieSessionApp,
    claims: Any,
) -> None:
    """A response without a usable subject identifies no caller."""
    application.sessions["adas-session"] = claims
    with application.serve() as whoami_url:
        async with running(with_application(issuer, apideck_url, whoami_url)) as service:
            response = await service.post("/vault-session", headers=PAGE)

    assert problem(response) == (503, "identity-provider-unavailable")
    assert apideck.requests == []


async def test_made_up_cookies_do_not_lock_out_other_callers(
    issuer: DevelopmentIssuer,
    apideck_url: str,
    apideck: ApideckEmulator,
    application: CookieSessionApp,
) -> None:
    """Denial of service: an application responds with 500 to each cookie that it cannot parse."""
    application.status_for_unknown = 500
    with application.serve() as whoami_url:
        async with running(with_application(issuer, apideck_url, whoami_url)) as service:
            for number in range(30):
                made_up = {**PAGE, "cookie": f"app_session=made-up-{number}"}
                response = await service.post("/vault-session", headers=made_up)
                assert problem(response) == (503, "identity-provider-unavailable")
            valid = await service.post("/vault-session", headers=PAGE)

    assert valid.status_code == 201
    assert [minted.consumer_id for minted in apideck.minted] == ["r-42"]


async def test_a_cookie_never_gives_the_session_of_another_person(
    issuer: DevelopmentIssuer,
    apideck_url: str,
    apideck: ApideckEmulator,
    application: CookieSessionApp,
) -> None:
    """Neither a cache nor a cookie in the application's response leads to another session."""
    application.sessions["ottos-session"] = {"sub": 8, "org_id": 43}
    with application.serve() as whoami_url:
        async with running(with_application(issuer, apideck_url, whoami_url)) as service:
            for value in ("adas-session", "ottos-session", "adas-session", "nobodys"):
                await service.post(
                    "/vault-session", headers={**PAGE, "cookie": f"app_session={value}"}
                )

    assert [minted.consumer_id for minted in apideck.minted] == ["r-42", "r-43", "r-42"]
    assert [seen["cookie"] for seen in application.received] == [
        "app_session=adas-session",
        "app_session=ottos-session",
        "app_session=nobodys",
    ]


SERVICES = {
    "kind": "services",
    "required_scope": "vault:sessions",
    "grants": {"onboarding": ["acme", "eu-*"], "admin": ["*"]},
}


async def test_a_service_mints_within_its_grant(
    run: Run, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """The service names the consumer and its metadata; the audit event names the service."""
    body = {
        "consumer_id": "eu-globex",
        "consumer_metadata": {"account_name": "Globex"},
        "theme": {"vault_name": "Globex"},
    }
    async with run(**SERVICES) as service:
        with capture_logs() as logs:
            response = await service.post(
                "/vault-session", json=body, headers=bearer(issuer.service_token())
            )

    assert response.status_code == 201
    [minted] = apideck.minted
    assert minted.consumer_id == "eu-globex"
    assert minted.session == {
        "consumer_metadata": {"account_name": "Globex"},
        "theme": {"vault_name": "Globex"},
    }
    audit = next(line for line in logs if line["event"] == "vault_session_minted")
    assert (audit["caller_kind"], audit["subject"]) == ("service", "onboarding")
    assert audit["consumer_id"] == "eu-globex"


@pytest.mark.parametrize(
    ("client", "body", "expected"),
    [
        ("onboarding", {"consumer_id": "globex"}, (403, "consumer-not-granted")),
        ("stranger", {"consumer_id": "acme"}, (403, "consumer-not-granted")),
        ("onboarding", {}, (422, "invalid-request")),
        ("admin", {"consumer_id": "a\r\nx-apideck-app-id: b"}, (422, "invalid-request")),
        ("admin", {"consumer_id": "ä"}, (422, "invalid-request")),
    ],
)
async def test_a_service_mints_nothing_outside_its_grant(
    run: Run,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    client: str,
    body: dict[str, Any],
    expected: tuple[int, str],
) -> None:
    """A service cannot name a consumer outside its grant, omit it, or split a header with it."""
    async with run(**SERVICES) as service:
        response = await service.post(
            "/vault-session", json=body, headers=bearer(issuer.service_token(client))
        )

    assert problem(response) == expected
    assert pointers(response) == ["/consumer_id"]
    assert apideck.requests == []


@pytest.mark.parametrize(
    "claims", [{"scope": "other"}, {"scope": "vault:sessions2 x"}, {"scope": 5}]
)
async def test_a_service_needs_the_required_scope(
    run: Run, issuer: DevelopmentIssuer, apideck: ApideckEmulator, claims: dict[str, Any]
) -> None:
    """A valid token without the required scope is a 403 that names the scope."""
    async with run(**SERVICES) as service:
        response = await service.post(
            "/vault-session",
            json={"consumer_id": "acme"},
            headers=bearer(issuer.service_token(**claims)),
        )

    assert problem(response) == (403, "insufficient-scope")
    assert "vault:sessions" in response.json()["detail"]
    assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
    assert apideck.requests == []


async def test_a_service_needs_the_required_role(
    run: Run, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """The role is read from the configured claim; part of another role's name is not the role."""
    rule = {**SERVICES, "required_scope": None, "required_role": "minter", "role_claim": "/app/r"}
    async with run(**rule) as service:
        responses = [
            await service.post(
                "/vault-session",
                json={"consumer_id": "acme"},
                headers=bearer(issuer.service_token(app={"r": roles})),
            )
            for roles in (["reader", "minter"], "minter", "token minter", ["reader"], None)
        ]

    assert [response.status_code for response in responses] == [201, 201, 403, 403, 403]
    assert len(apideck.requests) == 2


async def test_a_delegated_token_mints_for_its_subject_and_both_are_audited(
    run: Run, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """The outermost actor of a chain is in the audit event (RFC 8693 section 4.1)."""
    act = {"sub": "agent", "act": {"sub": "earlier"}}
    async with run() as service:
        with capture_logs() as logs:
            await service.post("/vault-session", headers=bearer(issuer.token(act=act)))

    assert apideck.minted[0].consumer_id == "acme"
    audit = next(line for line in logs if line["event"] == "vault_session_minted")
    assert (audit["subject"], audit["actor"]) == ("ada", "agent")


async def test_a_delegated_service_token_is_rejected(
    run: Run, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """It is ambiguous whether the grant of the subject or of the actor applies."""
    async with run(**SERVICES) as service:
        response = await service.post(
            "/vault-session",
            json={"consumer_id": "acme"},
            headers=bearer(issuer.service_token("admin", act={"sub": "onboarding"})),
        )

    assert problem(response) == (401, "unauthenticated")
    assert apideck.requests == []


async def test_users_and_services_of_one_issuer_have_different_audiences(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """One identity provider can issue tokens for both, each with its own rules."""
    both = {"robots": {**SERVICES, "issuer": issuer.issuer, "audience": "vault-bff-services"}}
    settings = settings_for(issuer.issuer, apideck_url, identity={"issuers": both})
    async with running(settings) as service:
        robot = await service.post(
            "/vault-session",
            json={"consumer_id": "acme"},
            headers=bearer(issuer.service_token(aud="vault-bff-services")),
        )
        person = await service.post("/vault-session", headers=bearer(issuer.token()))
        mixed = await service.post(
            "/vault-session",
            json={"consumer_id": "globex"},
            headers=bearer(issuer.token(scope="vault:sessions")),
        )

    assert [robot.status_code, person.status_code] == [201, 201]
    assert problem(mixed) == (403, "field-not-permitted")


@pytest.mark.parametrize("field", ["consumer_id", "consumer_metadata"])
@pytest.mark.parametrize("where", ["query", "header", "body"])
async def test_a_user_cannot_choose_a_consumer_or_its_metadata(
    run: Run, issuer: DevelopmentIssuer, apideck: ApideckEmulator, field: str, where: str
) -> None:
    """Such a field is rejected in the body, and never sent to Apideck from a query or a header."""
    value: Any = "globex" if field == "consumer_id" else {"user_name": "Otto"}
    headers = bearer(issuer.token())
    async with run() as service:
        if where == "body":
            response = await service.post("/vault-session", json={field: value}, headers=headers)
            assert problem(response) == (403, "field-not-permitted")
            assert pointers(response) == [f"/{field}"]
            assert apideck.requests == []
            return
        query = {field: "globex"} if where == "query" else None
        extra = {"x-apideck-consumer-id": "globex", "x-consumer-metadata": "globex"}
        await service.post(
            "/vault-session",
            params=query,
            headers={**headers, **(extra if where == "header" else {})},
        )

    [seen] = apideck.requests
    assert seen.header("x-apideck-consumer-id") == "acme"
    assert b"globex" not in seen.body
