"""What an organisation has connected, asked of Apideck with the key that no browser ever sees."""

import tomllib
from pathlib import Path
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

# The account of the service next door: one application, one key.
_ACCOUNT = tomllib.loads((Path(__file__).parent.parent / "config.toml").read_text())["apideck"]
_AUDIENCE = "vault-bff"
_TIMEOUT_SECONDS = 5.0
_SIGNED_OUT = {"type": "unauthenticated", "detail": "Nobody is signed in."}
_UNKNOWN = {
    "type": "apideck-unavailable",
    "detail": "It cannot be found out just now what is connected.",
}


class Connections:
    """`GET /connections`: the connections of whoever is signed in, and of nobody else.

    Args:
        issuer: who signs people in.
        apideck: where Apideck is.
    """

    def __init__(self, issuer: str, apideck: str) -> None:
        self._issuer = issuer
        self._apideck = apideck

    async def answer(self, request: Request) -> Response:
        """Answer which connectors are connected, or disabled; all others are neither."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            # What surrounds it is on loopback, whatever proxy the environment names.
            async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
                organisation = await self._organisation(client, token)
                if organisation is None:
                    return JSONResponse(_SIGNED_OUT, 401)
                listed = await self._list(client, organisation)
        except (httpx.HTTPError, ValueError, KeyError):
            return JSONResponse(_UNKNOWN, 502)
        return JSONResponse(listed)

    async def _organisation(self, client: httpx.AsyncClient, token: str) -> str | None:
        """Return whose person is signed in, or None.

        The demo's session is the person's access token, as its pages have no other; a real
        application looks into its own session here. Either way nothing that a browser can choose
        says which organisation it is, or anybody could read what others have connected.
        """
        answer = await client.get(f"{self._issuer}/jwks")
        keys = KeySet.import_key_set(answer.raise_for_status().json())
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

    async def _list(self, client: httpx.AsyncClient, organisation: str) -> list[dict[str, Any]]:
        answer = await client.get(
            f"{self._apideck}/vault/connections",
            headers={
                "authorization": f"Bearer {_ACCOUNT['api_key']}",
                "x-apideck-app-id": _ACCOUNT["app_id"],
                # The same that the service makes of the same claim, by `claims.consumer_id`.
                "x-apideck-consumer-id": organisation,
            },
        )
        # Of all that Apideck says, a page needs this much.
        return [
            {
                "unified_api": one["unified_api"],
                "service_id": one["service_id"],
                "state": "connected" if one.get("enabled", True) else "disabled",
            }
            for one in answer.raise_for_status().json()["data"]
            if one["state"] == "callable"
        ]
