"""The OpenAPI document describes exactly what the service does."""

import functools
import json
import runpy
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from openapi_spec_validator import validate

from app.api.problem_types import BY_ERROR
from app.api.problems import Problems
from app.api.responses import OF_SESSIONS
from app.errors import ConnectionNotFoundError, FieldError, UnauthenticatedError, VaultBffError
from app.main import create_app
from app.settings import Settings
from app.webhooks.errors import WebhookError
from emulators.apideck import ApideckEmulator, faults
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer
from tests.support.service import running, settings_for

ROOT = Path(__file__).parent.parent.parent
PATH = "/vault-session"
WEBHOOK = "/webhooks/apideck"
WEBHOOKS = {
    "target_url": "https://app.example.com/events",
    "signing_secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
}
LIST = "/vault-connections"


@pytest.fixture
def document(settings: Settings) -> dict[str, Any]:
    """Return the document."""
    return create_app(settings).openapi()


@functools.cache
def document_at(public_url: str | None) -> dict[str, Any]:
    """Return the document of a service at a public URL; cached, because this is slow."""
    server = {"public_url": public_url}
    settings = settings_for(
        "https://id.example.com", "https://apideck.example.com", server=server, webhooks=WEBHOOKS
    )
    return create_app(settings).openapi()


def check(
    document: dict[str, Any], status: int, media_type: str, response: Any, path: str = PATH
) -> None:
    """Check a response against its description."""
    content = document["paths"][path]["post"]["responses"][str(status)]["content"]
    schema = {**content[media_type]["schema"], "components": document["components"]}
    Draft202012Validator(schema).validate(response)


def error_of(kind: type[VaultBffError]) -> VaultBffError:
    """Return an error with every attribute that an error can have."""
    if kind is UnauthenticatedError:
        return UnauthenticatedError("Sign in.", reason="expired")
    return kind("Correct it.", errors=[FieldError("/theme/logo", "This is no URL.")], retry_after=3)


def test_the_document_is_valid_openapi(issuer: DevelopmentIssuer, apideck_url: str) -> None:
    """A validator accepts the document of a service that has every kind of credential."""
    issuers = {
        "main": {"consumer_prefix": "a-"},
        "gateway": {
            "issuer": "https://gateway.example",
            "audience": "x",
            "credential": {"header": "X-Assertion"},
            "consumer_prefix": "b-",
        },
        "web": {
            "issuer": "https://web.example",
            "audience": "x",
            "credential": {"cookie": "__Host-token"},
            "consumer_prefix": "c-",
        },
    }
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        identity={"issuers": issuers},
        cors={"allow_origins": ["https://app.example.com"]},
        webhooks=WEBHOOKS,
    )

    document = create_app(settings).openapi()

    validate(document)
    assert document["security"] == [
        {"bearer": []},
        {"header-x-assertion": []},
        {"cookie-__Host-token": [], "csrfHeader": []},
    ]
    assert set(document["components"]["securitySchemes"]) == {
        "bearer",
        "header-x-assertion",
        "cookie-__Host-token",
        "csrfHeader",
        "apideckSignature",
    }
    for path in (WEBHOOK, f"{WEBHOOK}/{{name}}"):
        assert document["paths"][path]["post"]["security"] == [{"apideckSignature": []}]


def test_the_document_in_the_docs_is_current() -> None:
    """`make docs` writes the same text, so a review shows every change of the API."""
    reference = runpy.run_path(str(ROOT / "docs" / "reference.py"))

    assert (ROOT / "docs" / "openapi.json").read_text() == reference["openapi"]()


@pytest.mark.parametrize("kind", BY_ERROR, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("public_url", [None, "https://vault.example.com"])
def test_every_problem_matches_the_document(
    kind: type[VaultBffError], public_url: str | None
) -> None:
    """The response to each error matches the schema and the headers of its status."""
    document = document_at(public_url)
    response = Problems(public_url).of(error_of(kind), "0" * 32)
    path = LIST if kind is ConnectionNotFoundError else PATH
    path = WEBHOOK if issubclass(kind, WebhookError) else path
    [operation] = document["paths"][path].values()
    described = operation["responses"][str(response.status_code)]

    schema = described["content"][response.media_type]["schema"]
    body = json.loads(bytes(response.body))
    Draft202012Validator({**schema, "components": document["components"]}).validate(body)
    if "www-authenticate" in response.headers:
        assert "WWW-Authenticate" in described["headers"]


def test_events_have_no_rate_limit_and_any_media_type() -> None:
    """The operations for events have no rate-limit headers, and no 415."""
    paths = document_at(None)["paths"]

    for path in (WEBHOOK, f"{WEBHOOK}/{{name}}"):
        responses = paths[path]["post"]["responses"]
        assert "415" not in responses
        assert not any("RateLimit" in one["headers"] for one in responses.values())


def test_every_example_matches_its_schema(document: dict[str, Any]) -> None:
    """Examples of requests and problems match their schemas."""
    operation = document["paths"][PATH]["post"]
    for status, response in operation["responses"].items():
        for media_type, content in response["content"].items():
            for example in content.get("examples", {}).values():
                check(document, int(status), media_type, example["value"])
    body = operation["requestBody"]["content"]["application/json"]
    schema = {**body["schema"], "components": document["components"]}
    for example in body["examples"].values():
        Draft202012Validator(schema).validate(example["value"])
    with pytest.raises(ValidationError):
        Draft202012Validator(schema).validate({"consumer": "acme"})


@pytest.mark.parametrize(
    ("slug", "status", "body"),
    [
        ("invalid-request", 422, {"connection": {"unified_api": "accounting"}}),
        ("field-not-permitted", 403, {"theme": {"logo": "https://x.example/l.png"}}),
        ("redirect-not-allowed", 403, {"return_to": "nowhere"}),
        ("consumer-not-granted", 403, {"consumer_id": "globex"}),
        ("apideck-rejected-request", 422, {"theme": {"logo": "https://x.example/l.png"}}),
    ],
)
async def test_an_example_lists_errors_as_the_service_does(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    slug: str,
    status: int,
    body: dict[str, Any],
) -> None:
    """The example of a problem has the same pointer and detail as a real response."""
    main: dict[str, Any] = {}
    session: dict[str, Any] = {}
    token = issuer.token()
    if slug == "consumer-not-granted":
        main = {"kind": "services", "grants": {"onboarding": ["acme"]}}
        token = issuer.service_token()
    if slug == "apideck-rejected-request":
        session = {"users_may_set": ["theme"]}
        apideck.fail(faults.error(400, {"theme.logo": "is too large"}))
    settings = settings_for(
        issuer.issuer, apideck_url, identity={"issuers": {"main": main}}, session=session
    )

    async with running(settings) as service:
        response = await service.post(PATH, json=body, headers=bearer(token))

    assert (response.status_code, response.json()["type"]) == (status, f"/problems/{slug}")
    responses = create_app(settings).openapi()["paths"][PATH]["post"]["responses"]
    content = responses[str(status)]["content"]["application/problem+json"]
    assert content["examples"][slug]["value"]["errors"] == response.json()["errors"]


def test_every_problem_of_the_operation_is_documented(document: dict[str, Any]) -> None:
    """Each problem has an example, which does not match the schema of another status."""
    responses = document["paths"][PATH]["post"]["responses"]
    for problem in OF_SESSIONS:
        content = responses[str(problem.status)]["content"]["application/problem+json"]
        assert problem.slug in content["examples"]
    overloaded = responses["503"]["content"]["application/problem+json"]["examples"]["overloaded"]
    with pytest.raises(ValidationError):
        check(document, 429, "application/problem+json", overloaded["value"])


def test_every_field_is_described(document: dict[str, Any]) -> None:
    """Every schema and every field has a description."""
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"], name
        if "allOf" not in schema:
            for field, value in schema["properties"].items():
                assert "description" in value or "$ref" in value, f"{name}.{field}"


async def test_a_session_matches_the_document(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    document: dict[str, Any],
) -> None:
    """A real response matches the document, and has every header that the document lists."""
    response = await service.post(PATH, headers=bearer(issuer.token()))

    assert len(apideck.minted) == 1
    check(document, 201, "application/json", response.json())
    documented = document["paths"][PATH]["post"]["responses"]["201"]["headers"]
    assert {name.lower() for name in documented} <= set(response.headers)
