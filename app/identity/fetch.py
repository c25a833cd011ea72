"""Fetching JSON documents from an issuer: bounded in size and time, never redirected."""

import asyncio
from typing import Any

import httpx

from app import strict_json
from app.errors import IdentityProviderUnavailableError

MAX_DOCUMENT_BYTES = 262_144
_OK = 200


async def get_json(http: httpx.AsyncClient, url: str, *, timeout_seconds: float) -> Any:
    """Fetch one JSON document.

    Args:
        http: a client that follows no redirects.
        url: an https URL, or http on a loopback host.
        timeout_seconds: how long the whole exchange may take.

    Raises:
        IdentityProviderUnavailableError: for everything but a 200 with JSON in it.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            request = http.build_request("GET", url, headers={"accept": "application/json"})
            response = await http.send(request, stream=True)
            try:
                if response.status_code != _OK:
                    raise _unavailable(url, f"answered {response.status_code}")
                return strict_json.loads(await _body(response, url))
            finally:
                await response.aclose()
    except TimeoutError:
        raise _unavailable(url, f"no answer within {timeout_seconds:g} s") from None
    except httpx.HTTPError as error:
        raise _unavailable(url, type(error).__name__) from None
    except strict_json.InvalidJSONError as error:
        raise _unavailable(url, f"answered with text that is {error}") from None


async def _body(response: httpx.Response, url: str) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_DOCUMENT_BYTES:
            raise _unavailable(url, f"answered with more than {MAX_DOCUMENT_BYTES} bytes")
    return bytes(body)


def _unavailable(url: str, what: str) -> IdentityProviderUnavailableError:
    return IdentityProviderUnavailableError(
        "The identity provider cannot be reached just now; try again shortly.",
        reason=f"{url}: {what}",
        retry_after=5,
    )
