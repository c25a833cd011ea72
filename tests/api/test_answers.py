import json

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from starlette.middleware import Middleware
from structlog.testing import capture_logs

from app import errors
from app.api.audited import AuditedRoute
from app.api.problem_types import ALL, BY_ERROR
from app.errors import ConfigurationError, VaultBffError
from app.middleware.request_context import RequestContextMiddleware
from app.observability.metrics import Metrics
from app.settings import Settings
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.service import running, settings_for, with_state


def leaves(error: type[VaultBffError]) -> set[type[VaultBffError]]:
    """Return the errors that are raised: those without others below them."""
    below = error.__subclasses__()
    return set().union(*map(leaves, below)) if below else {error}


def test_every_error_has_its_problem() -> None:
    """No error that a request can end in is without a row, and no row without an error."""
    assert set(BY_ERROR) == leaves(VaultBffError) - {ConfigurationError}


def test_every_error_stands_in_the_drawing() -> None:
    """The tree at the top of the module names each class."""
    drawn = errors.__doc__ or ""
    for error in {*leaves(VaultBffError), *VaultBffError.__subclasses__()}:
        assert error.__name__ in drawn


async def test_every_problem_type_resolves(service: httpx.AsyncClient) -> None:
    """The URI that a problem names says what to do about it."""
    listed = (await service.get("/problems")).json()

    assert {page["type"] for page in listed} == {f"/problems/{one.slug}" for one in ALL}
    for page in listed:
        assert (await service.get(page["type"])).json() == page
    assert problem(await service.get("/problems/unheard-of")) == (404, "not-found")


async def test_with_a_public_url_the_type_is_absolute(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """Where the operator says how the service is reached, a type is a whole URI."""
    server = {"public_url": "https://vault.example.com/bff"}
    async with running(settings_for(issuer.issuer, apideck_url, server=server)) as service:
        answer = await service.post("/vault-session")

    assert answer.json()["type"] == "https://vault.example.com/bff/problems/unauthenticated"


async def test_unknown_paths_and_methods_are_problems(service: httpx.AsyncClient) -> None:
    """The framework's own refusals have the same form as all others."""
    assert problem(await service.get("/nowhere")) == (404, "not-found")
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        answer = await service.request(method, "/vault-session")
        assert problem(answer) == (405, "method-not-allowed")
        assert answer.headers["allow"] == "POST"


async def test_every_answer_stays_out_of_caches(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """Success, refusal, problem page and probe all carry the protective headers."""
    answers = [
        await service.post("/vault-session", headers=bearer(issuer.token())),
        await service.post("/vault-session"),
        await service.get("/nowhere"),
        await service.get("/livez"),
        await service.get("/problems"),
        await service.get("/openapi.json"),
    ]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


async def test_an_unexpected_error_is_a_problem_with_all_the_headers(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bug shows the caller a request id, the log where it is, and neither of them its words."""

    def fail(*_: object) -> None:
        raise RuntimeError("secret words")

    monkeypatch.setattr("app.sessions.service.plan_session", fail)

    with capture_logs() as logs:
        answer = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(answer) == (500, "internal-error")
    assert answer.headers["cache-control"] == "no-store"
    assert "secret words" not in answer.text
    events = {line["event"]: line for line in logs}
    assert events["unexpected_error"]["exc_info"] is True
    assert events["vault_session_failed"]["problem"] == "internal-error"
    assert events["http_request"]["status"] == 500


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("abc-DEF_123.456", True), ("short", False), ("x" * 65, False), ("inject\x01ion", False)],
)
async def test_a_callers_request_id_is_kept_where_it_is_one(
    service: httpx.AsyncClient, sent: str, kept: bool
) -> None:
    """A plain id comes back; anything else is replaced."""
    answer = await service.get("/livez", headers={"x-request-id": sent})

    assert (answer.headers["x-request-id"] == sent) is kept
    assert len(answer.headers["x-request-id"]) >= 8


async def test_one_access_and_one_audit_event_for_every_request(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """A mint leaves who, for whom, what came of it and Apideck's id, and nothing secret."""
    connection = {"unified_api": "crm", "service_id": "hubspot"}
    body = {"return_to": "home", "connection": connection}

    with capture_logs() as logs:
        answer = await service.post("/vault-session", json=body, headers=bearer(issuer.token()))

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
    assert answer.json()["session_token"] not in json.dumps(logs)


async def test_a_refusal_is_audited_with_its_reason(service: httpx.AsyncClient) -> None:
    """The operator reads why; the caller does not."""
    with capture_logs() as logs:
        answer = await service.post("/vault-session", headers=bearer("a.b.c"))

    audit = next(line for line in logs if line["event"] == "vault_session_refused")
    assert (audit["problem"], audit["log_level"]) == ("unauthenticated", "warning")
    assert audit["reason"] not in answer.text


@pytest.mark.parametrize("down", ["issuer", "store"])
async def test_what_others_are_to_blame_for_is_audited_as_a_failure(
    issuer: DevelopmentIssuer, apideck_url: str, unused_tcp_port: int, down: str
) -> None:
    """Of an issuer or a store that is down, a 503 says that nobody was refused for a reason."""
    store = f"redis://127.0.0.1:{unused_tcp_port}/0"
    limits = {"store": store, "when_store_fails": "closed"} if down == "store" else {}
    issuer.fault = "down" if down == "issuer" else None
    with capture_logs() as logs:
        async with running(settings_for(issuer.issuer, apideck_url, limits=limits)) as service:
            answer = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert answer.status_code == 503
    [audit] = [line["event"] for line in logs if line["event"].startswith("vault_session_")]
    assert audit == "vault_session_failed"


async def test_an_audited_route_is_audited_however_it_is_mounted() -> None:
    """FastAPI has two ways to call a route, and each leaves the event behind."""
    router = APIRouter(route_class=AuditedRoute)

    @router.post("/session")
    async def endpoint(_: Request) -> Response:
        return Response("made")

    app = FastAPI(middleware=[Middleware(RequestContextMiddleware)])
    app.include_router(router)
    transport = httpx.ASGITransport(with_state(app, {"metrics": Metrics()}))
    with capture_logs() as logs:
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            answer = await client.post("/session")

    assert answer.text == "made"
    assert [line["event"] for line in logs] == ["vault_session_minted"]


def test_an_audited_route_refuses_what_would_not_happen() -> None:
    """A check that is declared as a dependency would be described, and never made."""
    router = APIRouter(route_class=AuditedRoute)

    with pytest.raises(TypeError):

        @router.post("/session", dependencies=[Depends(lambda: None)])
        async def endpoint(_: Request) -> Response:
            return Response()


async def test_probes_are_quiet(service: httpx.AsyncClient) -> None:
    """Liveness and readiness do not fill the log at its usual level."""
    with capture_logs() as logs:
        await service.get("/livez")
        await service.get("/readyz")

    assert [line["log_level"] for line in logs if line["event"] == "http_request"] == ["debug"] * 2


async def test_readiness_follows_the_issuers_keys(
    settings: Settings, issuer: DevelopmentIssuer
) -> None:
    """Without any usable keys the service is not ready, with them it is."""
    issuer.fault = "down"
    async with running(settings) as service:
        assert (
            await service.post("/vault-session", headers=bearer(issuer.token()))
        ).status_code == 503
        answer = await service.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["issuers"]["main"] == {
        "keys": 0,
        "age_seconds": None,
        "usable": False,
        "failing": True,
    }

    issuer.fault = None
    async with running(settings) as service:
        await service.post("/vault-session", headers=bearer(issuer.token()))
        answer = await service.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["issuers"]["main"]["keys"] == 3


async def test_a_service_that_needs_no_keys_is_ready_without_any(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """Where every token is asked about, there is nothing to wait for."""
    introspection = {"client_id": "vault-bff", "client_secret": "opens-nothing"}
    issuers = {"main": {"introspection": introspection}}
    settings = settings_for(issuer.issuer, apideck_url, identity={"issuers": issuers})
    async with running(settings) as service:
        answer = await service.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["issuers"] == {}


@pytest.mark.parametrize(("switched_on", "status"), [(True, 200), (False, 404)])
async def test_the_interactive_page_is_there_when_it_is_switched_on(
    issuer: DevelopmentIssuer, apideck_url: str, switched_on: bool, status: int
) -> None:
    """It loads scripts from elsewhere, so nobody has it without asking."""
    server = {"docs": switched_on}
    async with running(settings_for(issuer.issuer, apideck_url, server=server)) as service:
        assert (await service.get("/docs")).status_code == status
