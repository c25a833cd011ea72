"""The HTTP endpoints of the issuer."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64decode
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import BaseRoute, Route

from emulators.issuer.people import PEOPLE

if TYPE_CHECKING:
    from emulators.issuer.issuer import DevelopmentIssuer

CLIENT_ID = "vault-bff"
CLIENT_SECRET = "opens-nothing"

_TOKEN_SECONDS = 300
_BASIC = f"Basic {b64encode(f'{CLIENT_ID}:{CLIENT_SECRET}'.encode()).decode()}"


def routes(issuer: DevelopmentIssuer) -> list[BaseRoute]:
    """Return the routes of an issuer."""
    pages = Pages(issuer)
    return [
        Route("/.well-known/openid-configuration", pages.discovery),
        Route("/jwks", pages.jwks),
        Route("/people", pages.people),
        Route("/people/{id}.svg", pages.picture),
        Route("/token", pages.client_credentials, methods=["POST"]),
        Route("/token", pages.token_json),
        Route("/token/{id}", pages.token_text),
        Route("/introspect", pages.introspect, methods=["POST"]),
        Route("/userinfo", pages.userinfo),
        Route("/rotate", pages.rotate, methods=["POST"]),
    ]


class Pages:
    """The endpoints of an issuer."""

    def __init__(self, issuer: DevelopmentIssuer) -> None:
        self._issuer = issuer

    async def discovery(self, _: Request) -> Response:
        """Return the discovery document (OpenID Connect Discovery 1.0)."""
        issuer = self._issuer.issuer
        named = f"{issuer}/other" if self._issuer.fault == "wrong-issuer" else issuer
        return self._document(
            "discovery",
            {
                "issuer": named,
                "jwks_uri": f"{issuer}/jwks",
                "token_endpoint": f"{issuer}/token",
                "introspection_endpoint": f"{issuer}/introspect",
                "userinfo_endpoint": f"{issuer}/userinfo",
                "grant_types_supported": ["client_credentials"],
                "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA"],
            },
        )

    async def jwks(self, _: Request) -> Response:
        """Return the JWK Set (RFC 7517)."""
        keys = self._issuer.keys.published()
        if self._issuer.fault == "malformed-key":
            keys = [{"kty": "RSA", "kid": "broken", "n": "!", "e": 5}, *keys]
        return self._document("jwks", {"keys": keys})

    async def people(self, _: Request) -> Response:
        """Return the people who can sign in."""
        issuer = self._issuer.issuer
        listed = [{"id": p.id, **p.claims(issuer)} for p in PEOPLE.values()]
        return _allow_any_origin(JSONResponse(listed))

    async def picture(self, request: Request) -> Response:
        """Return the picture of a person."""
        person = PEOPLE.get(request.path_params["id"])
        if person is None:
            return _unknown_person()
        return _allow_any_origin(Response(person.picture(), media_type="image/svg+xml"))

    async def token_json(self, request: Request) -> Response:
        """Return a token for `?person=`, like a sign-in; with `&expired`, an expired one."""
        person = request.query_params.get("person", "")
        if person not in PEOPLE:
            return _unknown_person()
        return _allow_any_origin(_token_response(self._token(person, request)))

    async def token_text(self, request: Request) -> Response:
        """Return a token as plain text, for a shell; with `?expired`, an expired one."""
        person = request.path_params["id"]
        if person not in PEOPLE:
            return _unknown_person()
        return PlainTextResponse(self._token(person, request))

    async def client_credentials(self, request: Request) -> Response:
        """Return a token for a service (RFC 6749 section 4.4); any client secret is accepted.

        `audience` names the API that the token is for, as with Auth0; by default that of people.
        """
        form = dict(parse_qsl((await request.body()).decode()))
        if form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        # Auth0 and others select the audience by this parameter.
        audience = {"aud": form["audience"]} if "audience" in form else {}
        client = form.get("client_id", "onboarding")
        return _token_response(self._issuer.service_token(client, **audience))

    async def introspect(self, request: Request) -> Response:
        """Return the state of an opaque token (RFC 7662) to an authenticated client."""
        form = dict(parse_qsl((await request.body()).decode()))
        posted = (form.get("client_id"), form.get("client_secret"))
        if request.headers.get("authorization") != _BASIC and posted != (CLIENT_ID, CLIENT_SECRET):
            return JSONResponse({"error": "invalid_client"}, 401)
        known = self._issuer.opaque.get(form.get("token", ""), {"active": False})
        return self._document("introspection", dict(known))

    async def userinfo(self, request: Request) -> Response:
        """Return the claims of a token's subject (OpenID Connect Core section 5.3)."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        payload = token.split(".")[1] if token.count(".") == 2 else ""
        subject = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)) or "{}")
        person = PEOPLE.get(subject.get("sub", ""))
        if person is None:
            return JSONResponse({"error": "invalid_token"}, 401)
        named = "mallory" if self._issuer.fault == "wrong-subject" else person.id
        return self._document("userinfo", {**person.claims(self._issuer.issuer), "sub": named})

    async def rotate(self, _: Request) -> Response:
        """Rotate the signing key."""
        self._issuer.keys.rotate()
        return JSONResponse({"keys": [key["kid"] for key in self._issuer.keys.published()]})

    def _token(self, person: str, request: Request) -> str:
        expired = "expired" in request.query_params
        return self._issuer.token(person, expires_in=-3600 if expired else _TOKEN_SECONDS)

    def _document(self, name: str, content: dict[str, object]) -> Response:
        self._issuer.counts[name] += 1
        faults: dict[str | None, Response] = {
            "down": PlainTextResponse("down", 503),
            "crash": PlainTextResponse("crash", 500),
            "forbidden": JSONResponse({"error": "insufficient_scope"}, 403),
            "html": HTMLResponse("<h1>Maintenance</h1>"),
            "redirect": RedirectResponse(f"{self._issuer.issuer}/elsewhere"),
            "oversized": JSONResponse({**content, "padding": "x" * 300_000}),
        }
        return faults.get(self._issuer.fault, JSONResponse(content))


def _token_response(token: str) -> Response:
    body = {"access_token": token, "token_type": "Bearer", "expires_in": _TOKEN_SECONDS}
    return JSONResponse(body, headers={"cache-control": "no-store"})


def _unknown_person() -> Response:
    return _allow_any_origin(
        JSONResponse({"error": "unknown_person", "people": sorted(PEOPLE)}, 404)
    )


def _allow_any_origin(response: Response) -> Response:
    # The issuer is for development only, so any page can read its responses.
    response.headers["access-control-allow-origin"] = "*"
    return response
