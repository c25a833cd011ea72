"""Every request for a session logs one audit event, whatever its outcome."""

import asyncio
import json
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, HTTPException, Request
from structlog.testing import capture_logs

from app.api.body import session_request
from app.api.caller import CallerDep, audit_record
from app.main import create_app
from app.sessions.models import SessionRequest
from app.settings import Settings
from emulators.apideck import ApideckEmulator, faults
from emulators.apideck.faults import Broken
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer
from tests.support.service import running, settings_for

Log = dict[str, Any]

router = APIRouter()


@router.post("/things/{number}")
async def conflict(
    number: int,
    request: Request,
    _caller: CallerDep,
    body: Annotated[SessionRequest, Depends(session_request)],
) -> None:
    """Raise the framework's own error, as an endpoint of any FastAPI application may."""
    audit = audit_record(request)
    audit.target, audit.connection = body.get("return_to"), str(number)
    raise HTTPException(409)


def audit_events(logs: list[Any]) -> list[Log]:
    """Return the audit events among log events."""
    return [line for line in logs if line["event"].startswith("vault_session_")]


async def test_a_session_logs_one_access_event_and_one_audit_event(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """They contain the caller, the consumer, the outcome and Apideck's id, and no secrets."""
    connection = {"unified_api": "crm", "service_id": "hubspot"}
    body = {"return_to": "home", "connection": connection}

    with capture_logs() as logs:
        response = await service.post("/vault-session", json=body, headers=bearer(issuer.token()))

    audit, access = [line for line in logs if line["event"] != "jwks_changed"]
    assert audit.pop("duration_ms") > 0
    assert len(audit.pop("apideck_request_id")) == 32
    assert audit == {
        "event": "vault_session_minted",
        "log_level": "info",
        "caller_kind": "user",
        "issuer": "main",
        "subject": "ada",
        "actor": None,
        "consumer_id": "acme",
        "target": "home",
        "connection": "crm/hubspot",
        "requested_target": None,
        "fields": (),
        "problem": None,
        "reason": None,
    }
    assert access.pop("duration_ms") > 0
    assert access == {
        "event": "http_request",
        "log_level": "info",
        "method": "POST",
        "route": "/vault-session",
        "status": 201,
        "client": "127.0.0.1",
    }
    assert response.json()["session_token"] not in json.dumps(logs)


@pytest.mark.parametrize(
    ("content", "media_type", "problem"),
    [
        (b"{}", "text/plain", "unsupported-media-type"),
        (b" " * 16_385, "application/json", "body-too-large"),
        (b"[", "application/json", "invalid-request"),
        (b'{"x": 1}', "application/json", "invalid-request"),
        (b'{"return_to": "nowhere"}', "application/json", "redirect-not-allowed"),
    ],
)
async def test_a_rejected_request_logs_one_audit_event(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    content: bytes,
    media_type: str,
    problem: str,
) -> None:
    """The event names the caller and the problem, whichever step rejects the request."""
    headers = {**bearer(issuer.token()), "content-type": media_type}
    with capture_logs() as logs:
        response = await service.post("/vault-session", content=content, headers=headers)

    [event] = audit_events(logs)
    assert (event["event"], event["log_level"]) == ("vault_session_refused", "warning")
    assert (event["problem"], event["subject"]) == (problem, "ada")
    assert response.json()["type"] == f"/problems/{problem}"
    assert response.headers["ratelimit"]
    assert await sessions_counted(service) == {("refused", "user", problem): 1}


async def test_a_rejected_credential_is_audited_with_the_reason(
    service: httpx.AsyncClient,
) -> None:
    """The audit event contains the reason; the response does not."""
    with capture_logs() as logs:
        response = await service.post("/vault-session", headers=bearer("a.b.c"))

    [event] = audit_events(logs)
    assert (event["event"], event["log_level"]) == ("vault_session_refused", "warning")
    assert event["problem"] == "unauthenticated"
    assert event["reason"]
    assert event["reason"] not in response.text


async def test_rejected_tokens_are_audited_with_three_different_reasons(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """A wrong audience, a wrong issuer and a malformed token differ; no other claim is logged."""
    claims: dict[str, Any] = {"name": "Ada Secret", "org_id": "acme-secret"}
    tokens = [
        issuer.token(aud="billing", **claims),
        issuer.token(iss=f"{issuer.issuer}/", **claims),
        "garbage-secret",
    ]
    with capture_logs() as logs:
        responses = [await service.post("/vault-session", headers=bearer(one)) for one in tokens]

    reasons = [event["reason"] for event in audit_events(logs)]
    assert reasons[:2] == [
        "aud does not name this service: received 'billing', expected 'vault-bff'",
        (
            "iss is no configured issuer (iss has a slash too many at its end): "
            f"received '{issuer.issuer}/', expected '{issuer.issuer}'"
        ),
    ]
    assert reasons[2].startswith("not a signed token (JWT): received 14 characters with 1 part")
    assert not any("secret" in reason.lower() for reason in reasons)
    assert {one.json()["detail"] for one in responses} == {
        "Your sign-in is not valid. Please sign in again."
    }


async def test_a_failure_of_apideck_is_audited_with_its_id(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """The event has Apideck's id of the call that failed."""
    apideck.fail(faults.error(401))
    with capture_logs() as logs:
        await service.post("/vault-session", headers=bearer(issuer.token()))

    [event] = audit_events(logs)
    assert (event["event"], event["problem"]) == ("vault_session_failed", "apideck-misconfigured")
    assert len(event["apideck_request_id"]) == 32


@pytest.mark.parametrize(
    ("body", "problem", "fields", "target"),
    [
        ({"consumer_id": "globex"}, "field-not-permitted", ["/consumer_id"], None),
        ({"return_to": "nowhere"}, "redirect-not-allowed", ["/return_to"], "nowhere"),
        (
            {"redirect_uri": "https://me:pw@evil.example/back?code=secret#x"},
            "redirect-not-allowed",
            ["/redirect_uri"],
            "https://evil.example/back",
        ),
        ({"return_to": "home", "theme": 1}, "invalid-request", ["/theme"], "home"),
        ({"x": 1, "y": 2}, "invalid-request", ["/x", "/y"], None),
        (
            {"return_to": "home", "redirect_uri": "https://app.example.com"},
            "invalid-request",
            ["/redirect_uri"],
            "https://app.example.com",
        ),
    ],
)
async def test_a_rejected_request_is_audited_with_the_requested_values(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    body: dict[str, Any],
    problem: str,
    fields: list[str],
    target: str | None,
) -> None:
    """The event has the fields and the redirect target, without user info, query and fragment."""
    with capture_logs() as logs:
        await service.post("/vault-session", json=body, headers=bearer(issuer.token()))

    [event] = audit_events(logs)
    assert event["problem"] == problem
    assert list(event["fields"]) == fields
    assert event["requested_target"] == target
    assert event["consumer_id"] == "acme"
    assert "secret" not in json.dumps(event)
    assert "pw" not in json.dumps(event)


async def test_a_consumer_outside_the_grant_is_audited(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """The event names the consumer that the service requested."""
    main = {"kind": "services", "grants": {"onboarding": ["eu-*"]}}
    settings = settings_for(issuer.issuer, apideck_url, identity={"issuers": {"main": main}})
    async with running(settings) as service:
        with capture_logs() as logs:
            await service.post(
                "/vault-session",
                json={"consumer_id": "us-1"},
                headers=bearer(issuer.service_token()),
            )

    [event] = audit_events(logs)
    assert (event["problem"], event["consumer_id"]) == ("consumer-not-granted", "us-1")
    assert list(event["fields"]) == ["/consumer_id"]


@pytest.mark.parametrize("missing", ["claim", "scope", "role"])
async def test_a_caller_without_a_claim_scope_or_role_is_named_in_the_event(
    issuer: DevelopmentIssuer, apideck_url: str, missing: str
) -> None:
    """The credential is valid, so the event has its issuer and subject."""
    required = {} if missing == "claim" else {f"required_{missing}": "vault"}
    settings = settings_for(issuer.issuer, apideck_url, identity={"issuers": {"main": required}})
    token = issuer.token(omit=["org_id"]) if missing == "claim" else issuer.token()
    async with running(settings) as service:
        with capture_logs() as logs:
            response = await service.post("/vault-session", headers=bearer(token))

    assert response.status_code == 403
    [event] = audit_events(logs)
    assert (event["issuer"], event["subject"]) == ("main", "ada")


@pytest.mark.parametrize(
    ("path", "token", "status", "problem"),
    [
        ("/things/7", "valid", 409, "about:blank"),
        ("/things/seven", "valid", 422, "invalid-request"),
        ("/things/7", "a.b.c", 401, "unauthenticated"),
    ],
)
async def test_any_endpoint_with_an_audit_record_logs_one_audit_event(
    settings: Settings, issuer: DevelopmentIssuer, path: str, token: str, status: int, problem: str
) -> None:
    """FastAPI's errors and invalid parameters log one event, like the service's own errors."""
    async with running(settings, router) as service:
        with capture_logs() as logs:
            headers = bearer(issuer.token() if token == "valid" else token)
            response = await service.post(path, json={"return_to": "home"}, headers=headers)

    assert response.status_code == status
    [event] = audit_events(logs)
    assert (event["event"], event["problem"]) == ("vault_session_refused", problem)
    assert event["target"] == ("home" if status == 409 else None)


@pytest.mark.parametrize("down", ["issuer", "store"])
async def test_a_dependency_that_is_down_is_audited_as_a_failure(
    issuer: DevelopmentIssuer, apideck_url: str, unused_tcp_port: int, down: str
) -> None:
    """If the issuer or the rate limit store is down, the event is not a rejection."""
    store = f"redis://127.0.0.1:{unused_tcp_port}/0"
    limits = {"store": store, "when_store_fails": "closed"} if down == "store" else {}
    issuer.fault = "down" if down == "issuer" else None
    with capture_logs() as logs:
        async with running(settings_for(issuer.issuer, apideck_url, limits=limits)) as service:
            response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert response.status_code == 503
    [event] = audit_events(logs)
    assert event["event"] == "vault_session_failed"


async def test_a_client_that_disconnects_is_audited_as_abandoned(
    settings: Settings, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A disconnect in the middle of the body, or while Apideck responds, logs one event."""
    apideck.fail(Broken("hang"), times=None)
    half = {"type": "http.request", "body": b"{", "more_body": True}
    whole = {"type": "http.request", "body": b"{}", "more_body": False}
    for first in (half, whole):
        with capture_logs() as logs:
            await disconnect_after(settings, issuer.token(), first)
        assert [event["event"] for event in audit_events(logs)] == ["vault_session_abandoned"]
        assert [line["status"] for line in logs if line["event"] == "http_request"] == [499]


async def test_the_body_of_an_unknown_caller_is_not_read(settings: Settings) -> None:
    """The service authenticates the caller before it reads a byte of the body."""
    status, received = await disconnect_after(settings, "a.b.c")

    assert (status, received) == (401, 0)


async def disconnect_after(settings: Settings, token: str, *messages: Log) -> tuple[int, int]:
    """Send a request whose client disconnects after some messages.

    Returns:
        The status of the response, and how often the service tried to receive something.
    """
    app = create_app(settings)
    left = [*messages, {"type": "http.disconnect"}]
    received, status = 0, 0

    async def receive() -> Log:
        nonlocal received
        received += 1
        await asyncio.sleep(0)
        return left.pop(0)

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    headers = [(b"authorization", b"Bearer " + token.encode()), (b"content-type", JSON)]
    scope = {"type": "http", "method": "POST", "path": "/vault-session", "headers": headers}
    async with app.router.lifespan_context(app) as state:
        await app({**scope, "query_string": b"", "state": dict(state or {})}, receive, send)
    return status, received


JSON = b"application/json"


async def sessions_counted(service: httpx.AsyncClient) -> dict[tuple[str, str, str], float]:
    """Return how many requests were counted, by outcome, kind of caller and problem."""
    text = (await service.get("/metrics")).text
    found = {}
    for line in text.splitlines():
        if line.startswith("vault_bff_sessions_total{"):
            labels, _, value = line.partition("{")[2].partition("} ")
            pairs = dict(pair.split("=") for pair in labels.split(","))
            kind, outcome, problem = (pairs[name].strip('"') for name in sorted(pairs))
            found[outcome, kind, problem] = float(value)
    return found
