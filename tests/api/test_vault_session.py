from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.settings import Settings
from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, pointers, problem
from tests.support.service import APP_ID, HOME, running, settings_for

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


async def test_a_signed_in_person_gets_a_session_of_their_own(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A POST without a body returns a session with the caller's consumer and metadata."""
    before = datetime.now(UTC)

    response = await service.post("/vault-session", headers=bearer(issuer.token("ada")))

    assert response.status_code == 201
    [minted] = apideck.minted
    assert set(response.json()) == {"redirect_url", "session_token", "expires_at"}
    assert response.json()["redirect_url"] == f"{apideck.vault_origin}/session/{minted.token}"
    assert response.json()["session_token"] == minted.token
    assert response.json()["expires_at"].endswith("Z")
    expires = datetime.fromisoformat(response.json()["expires_at"])
    assert before + HOUR - SECOND < expires <= datetime.now(UTC) + HOUR + SECOND
    assert (minted.app_id, minted.consumer_id) == (APP_ID, "acme")
    assert minted.session == {
        "consumer_metadata": {
            "account_name": "Acme Inc.",
            "user_name": "Ada Byron",
            "email": "ada@acme.example",
            "image": f"{issuer.issuer}/people/ada.svg",
        }
    }


async def test_the_redirect_url_opens_the_vault_with_the_callers_own_data(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """The page that the link opens shows the caller's name, account and e-mail address."""
    minted = await service.post("/vault-session", headers=bearer(issuer.token("otto")))

    async with httpx.AsyncClient() as browser:
        page = await browser.get(minted.json()["redirect_url"])

    assert page.status_code == 200
    for shown in ("Otto Krämer", "Globex GmbH", "otto@globex.example"):
        assert shown in page.text


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"])
async def test_every_supported_signature_algorithm_works(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, algorithm: str
) -> None:
    """Tokens of each algorithm are verified with the issuer's published keys."""
    token = issuer.token(algorithm=algorithm)

    assert (await service.post("/vault-session", headers=bearer(token))).status_code == 201


async def test_permitted_fields_are_sent_to_apideck(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A named target, a connection and the unified APIs become Apideck's own fields."""
    body = {
        "return_to": "home",
        "settings": {"unified_apis": ["accounting"]},
        "connection": {"unified_api": "accounting", "service_id": "xero"},
    }

    response = await service.post("/vault-session", json=body, headers=bearer(issuer.token()))

    [minted] = apideck.minted
    assert minted.session["redirect_uri"] == HOME
    assert minted.session["settings"] == {"unified_apis": ["accounting"]}
    assert response.json()["redirect_url"] == (
        f"{apideck.vault_origin}/integrations/accounting/xero?jwt={minted.token}"
    )


async def test_the_request_to_apideck_is_as_documented(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """API key, app id and consumer id are headers; the caller's headers are not forwarded."""
    await service.post(
        "/vault-session",
        headers={**bearer(issuer.token()), "cookie": "a=b", "x-apideck-consumer-id": "globex"},
    )

    [seen] = apideck.requests
    assert (seen.method, seen.path) == ("POST", "/vault/sessions")
    assert seen.header("authorization") == "Bearer sk_demo_opens-nothing"
    assert seen.header("x-apideck-app-id") == APP_ID
    assert [v for k, v in seen.headers if k == "x-apideck-consumer-id"] == ["acme"]
    assert seen.header("content-type") == "application/json"
    assert seen.header("accept-encoding") == "identity"
    assert seen.header("cookie") is None


@pytest.mark.parametrize(
    ("body", "expected", "where"),
    [
        ({"unknown": 1}, (422, "invalid-request"), ["/unknown"]),
        ({"a/b~c": 1}, (422, "invalid-request"), ["/a~1b~0c"]),
        ({"settings": {"colour": 1}}, (422, "invalid-request"), ["/settings/colour"]),
        ({"settings": []}, (422, "invalid-request"), ["/settings"]),
        (
            {"connection": {"unified_api": "crm"}},
            (422, "invalid-request"),
            ["/connection/service_id"],
        ),
        ({"redirect_uri": None}, (422, "invalid-request"), ["/redirect_uri"]),
        ([], (422, "invalid-request"), [""]),
        ("text", (422, "invalid-request"), [""]),
        ({"consumer_id": "globex"}, (403, "field-not-permitted"), ["/consumer_id"]),
        ({"theme": {"vault_name": "x"}}, (403, "field-not-permitted"), ["/theme/vault_name"]),
        (
            {"redirect_uri": "https://evil.example"},
            (403, "redirect-not-allowed"),
            ["/redirect_uri"],
        ),
        ({"return_to": "nowhere"}, (403, "redirect-not-allowed"), ["/return_to"]),
    ],
)
async def test_invalid_fields_are_listed(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    body: Any,
    expected: tuple[int, str],
    where: list[str],
) -> None:
    """The problem lists each field and what is wrong with it, and Apideck is not called."""
    response = await service.post("/vault-session", json=body, headers=bearer(issuer.token()))

    assert problem(response) == expected
    assert pointers(response) == where
    assert apideck.requests == []


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b'{"a": 1, "a": 1}',
        b"[NaN]",
        b'"\\ud800"',
        b"\xff",
        b"[" * 9000,
        b"9" * 9000,
    ],
)
async def test_ambiguous_json_is_rejected(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, body: bytes
) -> None:
    """A body that two parsers could read differently is a 422, never a 500."""
    headers = {**bearer(issuer.token()), "content-type": "application/json"}

    response = await service.post("/vault-session", content=body, headers=headers)

    assert problem(response) == (422, "invalid-request")
    assert pointers(response) == [""]
    assert apideck.requests == []


async def test_at_most_32_errors_are_listed(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """A body with many mistakes does not make a large response."""
    body = {f"field{i}": i for i in range(100)}

    response = await service.post("/vault-session", json=body, headers=bearer(issuer.token()))

    assert len(response.json()["errors"]) == 32


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", None])
async def test_a_body_must_be_declared_json(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, media_type: str | None
) -> None:
    """A body of another media type, or of none, is a 415."""
    headers = bearer(issuer.token()) | ({"content-type": media_type} if media_type else {})

    response = await service.post("/vault-session", content=b"{}", headers=headers)

    assert problem(response) == (415, "unsupported-media-type")


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_is_at_most_16_kib(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, declared: bool
) -> None:
    """One byte more is a 413, with a declared length and in chunks."""

    async def chunks() -> Any:
        for _ in range(17):
            yield b" " * 1024

    headers = {**bearer(issuer.token()), "content-type": "application/json"}
    content = b" " * 16_385 if declared else chunks()

    response = await service.post("/vault-session", content=content, headers=headers)

    assert problem(response) == (413, "body-too-large")


async def test_a_body_of_exactly_16_kib_is_accepted(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """The limit is inclusive."""
    body = b"{}" + b" " * (16_384 - 2)
    headers = {**bearer(issuer.token()), "content-type": "application/json; charset=utf-8"}

    response = await service.post("/vault-session", content=body, headers=headers)

    assert response.status_code == 201


async def test_a_missing_tenant_claim_is_named(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A person without a tenant gets no session, and the problem names the missing claim."""
    token = issuer.token(omit=["org_id"])

    response = await service.post("/vault-session", headers=bearer(token))

    assert problem(response) == (403, "missing-claim")
    assert "org_id" in response.json()["detail"]
    assert apideck.requests == []


async def test_several_issuers_can_be_configured(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Each issuer has its own rules for tokens, and its users are separate consumers."""
    second = DevelopmentIssuer()
    with second.serve() as url:
        both = {
            "main": {"consumer_prefix": "one-"},
            "second": {
                "issuer": url,
                "audience": ["other", "another"],
                "consumer_prefix": "two-",
                "token_type": "any",
            },
        }
        settings = settings_for(issuer.issuer, apideck_url, identity={"issuers": both})
        async with running(settings) as service:
            for token in (issuer.token(), second.token(aud=["x", "another"], typ=None)):
                response = await service.post("/vault-session", headers=bearer(token))
                assert response.status_code == 201

    assert [minted.consumer_id for minted in apideck.minted] == ["one-acme", "two-ada"]


async def test_the_operators_defaults_apply(
    settings: Settings, issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Every session has the theme, settings and default redirect target of the configuration."""
    session = {
        "default_return_to": "home",
        "max_session_length": "15m",
        "defaults": {"theme": {"vault_name": "Example"}, "settings": {"auto_redirect": True}},
    }
    settings = settings_for(issuer.issuer, apideck_url, session=session)

    async with running(settings) as service:
        await service.post("/vault-session", headers=bearer(issuer.token()))

    [minted] = apideck.minted
    assert minted.session["theme"] == {"vault_name": "Example"}
    assert minted.session["redirect_uri"] == HOME
    assert minted.session["settings"] == {"auto_redirect": True, "session_length": "15m"}
