"""Asking issuers and applications: bounded in size and time, never redirected."""

import asyncio
from typing import Any

import httpx

from app import strict_json
from app.errors import IdentityProviderUnavailableError

MAX_DOCUMENT_BYTES = 262_144
_OK = 200


class Fetcher:
    """Asks over HTTP, and takes no for an answer.

    Args:
        http: a client that follows no redirects and keeps no cookies.
        timeout_seconds: how long one whole exchange may take.
    """

    def __init__(self, http: httpx.AsyncClient, timeout_seconds: float) -> None:
        self._http = http
        self._timeout = timeout_seconds

    async def get_json(self, url: str, headers: dict[str, str] | None = None) -> Any:
        """Fetch one JSON document.

        Raises:
            IdentityProviderUnavailableError: for everything but a 200 with JSON in it.
        """
        return json_of(url, *await self.get(url, headers))

    async def get(self, url: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """Return the status and body of whatever a GET is answered with.

        Raises:
            IdentityProviderUnavailableError: when nothing comes back in time, or too much.
        """
        return await self._exchange(self._http.build_request("GET", url, headers=headers))

    async def post_form(
        self, url: str, form: dict[str, str], auth: httpx.BasicAuth | None = None
    ) -> tuple[int, bytes]:
        """Return the status and body of whatever a POST of a form is answered with.

        Raises:
            IdentityProviderUnavailableError: when nothing comes back in time, or too much.
        """
        return await self._exchange(self._http.build_request("POST", url, data=form), auth)

    async def _exchange(
        self, request: httpx.Request, auth: httpx.Auth | None = None
    ) -> tuple[int, bytes]:
        request.headers.update({"accept": "application/json", "accept-encoding": "identity"})
        url = str(request.url)
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._http.send(request, stream=True, auth=auth)
                try:
                    return response.status_code, await _body(response, url)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise unavailable(url, f"no answer within {self._timeout:g} s") from None
        except httpx.HTTPError as error:
            raise unavailable(url, type(error).__name__) from None


def json_of(url: str, status: int, body: bytes) -> Any:
    """Return the JSON of a 200.

    Raises:
        IdentityProviderUnavailableError: for another status, or something that is not JSON.
    """
    if status != _OK:
        raise unavailable(url, f"answered {status}")
    try:
        return strict_json.loads(body)
    except strict_json.InvalidJSONError as error:
        raise unavailable(url, f"answered with text that is {error}") from None


def unavailable(url: str, what: str) -> IdentityProviderUnavailableError:
    """Return the error for an identity provider that cannot be asked."""
    return IdentityProviderUnavailableError(
        "The identity provider cannot be reached just now; try again shortly.",
        reason=f"{url}: {what}",
        retry_after=5,
    )


async def _body(response: httpx.Response, url: str) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_DOCUMENT_BYTES:
            raise unavailable(url, f"answered with more than {MAX_DOCUMENT_BYTES} bytes")
    return bytes(body)
