"""The connections of an organisation, which the demo's server reads from Apideck."""

import tomllib
from pathlib import Path
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

# The demo uses the same Unify app and API key as the service.
_ACCOUNT = tomllib.loads((Path(__file__).parent.parent / "config.toml").read_text())["apideck"]
_AUDIENCE = "vault-bff"
_TIMEOUT_SECONDS = 5.0
_SIGNED_OUT = {"type": "unauthenticated", "detail": "You are signed out."}
_FAILED = {
    "type": "apideck-unavailable",
    "detail": "Your connections could not be loaded. Please try again in a moment.",
}


class Connections:
    """`GET /connections`: the connections of the user's own organisation.

    Args:
        issuer: the URL of the issuer.
        apideck: the URL of Apideck.
    """

    def __init__(self, issuer: str, apideck: str) -> None:
        self._issuer = issuer
        self._apideck = apideck

    async def respond(self, request: Request) -> Response:
        """Return the connectors that are connected or disabled."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            # Issuer and Apideck are on loopback, so a proxy in the environment must not be used.
            async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
                organisation = await self._organisation(client, token)
                if organisation is None:
                    return JSONResponse(_SIGNED_OUT, 401)
                connections = await self._read(client, organisation)
        except (httpx.HTTPError, ValueError, KeyError):
            return JSONResponse(_FAILED, 502)
        return JSONResponse(connections)

    async def _organisation(self, client: httpx.AsyncClient, token: str) -> str | None:
        """Return the organisation of the user, or None if no user is signed in.

        The demo uses the access token as its session; a real web application uses its own session.
        In both cases the organisation must not depend on anything that a browser can choose, or
        users could read the connections of other organisations.
        """
        response = await client.get(f"{self._issuer}/jwks")
        keys = KeySet.import_key_set(response.raise_for_status().json())
        required = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": _AUDIENCE},
            exp={"essential": True},
            org_id={"essential": True},
        )
        try:
            claims = jwt.decode(token, keys, algorithms=["RS256"]).claims
            required.validate(claims)
        except (JoseError, ValueError):
            return None
        return str(claims["org_id"])

    async def _read(self, client: httpx.AsyncClient, organisation: str) -> list[dict[str, Any]]:
        response = await client.get(
            f"{self._apideck}/vault/connections",
            headers={
                "authorization": f"Bearer {_ACCOUNT['api_key']}",
                "x-apideck-app-id": _ACCOUNT["app_id"],
                # The service uses the same claim: see `claims.consumer_id` in config.toml.
                "x-apideck-consumer-id": organisation,
            },
        )
        # The page needs only these fields.
        return [
            {
                "unified_api": one["unified_api"],
                "service_id": one["service_id"],
                "state": "connected" if one.get("enabled", True) else "disabled",
            }
            for one in response.raise_for_status().json()["data"]
            if one["state"] == "callable"
        ]
