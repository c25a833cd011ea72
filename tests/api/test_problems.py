from http import HTTPStatus
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Cookie, Header, HTTPException, Query
from structlog.testing import capture_logs

from app import errors
from app.api.problem_types import ALL, BY_ERROR
from app.errors import ConfigurationError, VaultBffError
from app.settings import Settings
from app.webhooks import errors as webhook_errors
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, pointers, problem
from tests.support.service import running, settings_for

router = APIRouter(prefix="/things")


@router.get("/{number}")
async def read_thing(
    number: int,
    limit: Annotated[int, Query()] = 1,
    x_color: Annotated[str, Header()] = "red",
    taste: Annotated[str, Cookie()] = "sweet",
) -> dict[str, Any]:
    """Return the parameters."""
    return {"number": number, "limit": limit, "color": x_color, "taste": taste}


@router.delete("/{status}")
async def fail_with(status: int, detail: str | None = None) -> None:
    """Raise the framework's own error."""
    raise HTTPException(status, detail, headers={"x-why": "because"})


def leaf_errors(error: type[VaultBffError]) -> set[type[VaultBffError]]:
    """Return the errors that are raised: those without subclasses."""
    subclasses = error.__subclasses__()
    return set().union(*map(leaf_errors, subclasses)) if subclasses else {error}


def test_every_error_has_a_problem_type() -> None:
    """The table has a row for each error that a request can raise, and no other rows."""
    assert set(BY_ERROR) == leaf_errors(VaultBffError) - {ConfigurationError}


def test_every_error_is_in_the_tree() -> None:
    """The trees in the docstrings of the modules name each class."""
    tree = f"{errors.__doc__}{webhook_errors.__doc__}"
    for error in {*leaf_errors(VaultBffError), *VaultBffError.__subclasses__()}:
        assert error.__name__ in tree


async def test_every_problem_type_resolves(service: httpx.AsyncClient) -> None:
    """The URI of a problem type returns a page that tells developers what to do."""
    listed = (await service.get("/problems")).json()

    assert {page["type"] for page in listed} == {f"/problems/{one.slug}" for one in ALL}
    for page in listed:
        assert (await service.get(page["type"])).json() == page
        assert all(one["what_you_can_do"] for one in page["occurrences"])
    assert problem(await service.get("/problems/unheard-of")) == (404, "not-found")


async def test_with_a_public_url_the_type_is_absolute(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """If the operator configures the public URL, a type is an absolute URI."""
    server = {"public_url": "https://vault.example.com/bff"}
    async with running(settings_for(issuer.issuer, apideck_url, server=server)) as service:
        response = await service.post("/vault-session")

    assert response.json()["type"] == "https://vault.example.com/bff/problems/unauthenticated"


async def test_unknown_paths_and_methods_are_problems(service: httpx.AsyncClient) -> None:
    """The framework's own errors have the same form as all others."""
    assert problem(await service.get("/nowhere")) == (404, "not-found")
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        response = await service.request(method, "/vault-session")
        assert problem(response) == (405, "method-not-allowed")
        assert response.headers["allow"] == "POST"


async def test_parameters_work_as_in_any_fastapi_application(settings: Settings) -> None:
    """Path, query, header and cookie parameters reach the endpoint."""
    async with running(settings, router) as service:
        response = await service.get(
            "/things/7?limit=2", headers={"x-color": "blue", "cookie": "taste=sour"}
        )

    assert response.json() == {"number": 7, "limit": 2, "color": "blue", "taste": "sour"}


async def test_an_invalid_parameter_is_a_problem(settings: Settings) -> None:
    """The problem lists each invalid parameter, and does not repeat its value."""
    async with running(settings, router) as service:
        response = await service.get("/things/seven?limit=two")

    assert problem(response) == (422, "invalid-request")
    assert pointers(response) == ["/path/number", "/query/limit"]
    assert "seven" not in response.text


@pytest.mark.parametrize("status", [400, 402, 409, 418, 451, 500, 503])
async def test_an_http_exception_keeps_its_status(settings: Settings, status: int) -> None:
    """Any status that an endpoint raises is a problem with that status and the same headers."""
    async with running(settings, router) as service:
        response = await service.delete(f"/things/{status}")

    body = response.json()
    assert (response.status_code, body["status"]) == (status, status)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-why"] == "because"
    assert body["request_id"] == response.headers["x-request-id"]
    if status != 400:
        assert (body["type"], body["title"]) == ("about:blank", HTTPStatus(status).phrase)


@pytest.mark.parametrize("status", [404, 409])
async def test_the_detail_of_an_http_exception_is_kept(settings: Settings, status: int) -> None:
    """The detail that an endpoint raises is the detail of the problem."""
    async with running(settings, router) as service:
        response = await service.delete(f"/things/{status}?detail=It+is+gone.")

    assert response.status_code == status
    assert response.json()["detail"] == "It is gone."


async def test_every_response_has_the_security_headers(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """Successes, errors, problem pages and probes have the security headers."""
    responses = [
        await service.post("/vault-session", headers=bearer(issuer.token())),
        await service.post("/vault-session"),
        await service.get("/nowhere"),
        await service.get("/livez"),
        await service.get("/problems"),
        await service.get("/openapi.json"),
    ]
    for response in responses:
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"


async def test_an_unexpected_error_is_a_problem_with_all_the_headers(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The caller gets a problem without the exception's message; the log has the traceback."""

    def fail(*_: object) -> None:
        raise RuntimeError("secret words")

    monkeypatch.setattr("app.sessions.service.plan_session", fail)

    with capture_logs() as logs:
        response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(response) == (500, "internal-error")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["ratelimit"]
    assert "secret words" not in response.text
    events = {line["event"]: line for line in logs}
    assert events["unexpected_error"]["exc_info"] is True
    assert events["vault_session_failed"]["problem"] == "internal-error"
    assert events["http_request"]["status"] == 500


@pytest.mark.parametrize("error", [*BY_ERROR, None], ids=lambda one: getattr(one, "__name__", ""))
def test_a_title_is_short_and_advice_is_a_sentence(error: type[VaultBffError] | None) -> None:
    """A title fits into a heading; the advice on the page is a complete sentence."""
    for one in [BY_ERROR[error]] if error else ALL:
        assert 5 < len(one.title) <= 32
        assert not one.title.endswith(".")
        assert one.advice.endswith(".")


def test_details_can_be_shown_to_a_person() -> None:
    """No detail of a problem type contains an HTTP term."""
    words = ("header", "HTTP", "JSON", "Authorization", "status", "method", "body", "media type")
    for one in ALL:
        assert not any(word.lower() in one.detail.lower() for word in words), one.detail


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("abc-DEF_123.456", True), ("short", False), ("x" * 65, False), ("inject\x01ion", False)],
)
async def test_a_valid_request_id_of_the_client_is_kept(
    service: httpx.AsyncClient, sent: str, kept: bool
) -> None:
    """The service returns a valid id, and replaces any other value."""
    response = await service.get("/livez", headers={"x-request-id": sent})

    assert (response.headers["x-request-id"] == sent) is kept
    assert len(response.headers["x-request-id"]) >= 8


@pytest.mark.parametrize("path", ["/vault-session/", "/livez/", "/problems/", "/docs/"])
async def test_a_path_with_a_trailing_slash_is_not_found(
    issuer: DevelopmentIssuer, apideck_url: str, path: str
) -> None:
    """The path is not found, and no redirect is built from the Host header."""
    server = {"docs": True}
    async with running(settings_for(issuer.issuer, apideck_url, server=server)) as service:
        for method in ("GET", "POST"):
            response = await service.request(method, path, headers={"host": "evil.example"})
            assert problem(response) == (404, "not-found")
            assert "location" not in response.headers
            assert "evil" not in response.text
