"""Asking issuers and applications: bounded in size and time, never redirected."""

import asyncio
from collections import defaultdict
from typing import Any

import httpx

from app.common import strict_json
from app.common.circuit_breaker import CircuitBreaker, CircuitOpenError, Thresholds
from app.errors import IdentityProviderUnavailableError
from app.observability.metrics import Metrics

MAX_DOCUMENT_BYTES = 262_144
_OK = 200
_SERVER_ERROR = 500
_RETRY_AFTER_SECONDS = 5.0


class Fetcher:
    """Asks over HTTP, and takes no for an answer.

    Each endpoint has a circuit breaker, so that nobody waits for one that mostly fails: a caller
    whose token can be checked without it is served, and others are told at once to come again.

    Args:
        http: a client that follows no redirects and keeps no cookies.
        timeout_seconds: how long one whole exchange may take.
        metrics: is told of every exchange.
        thresholds: when an endpoint is not asked any more, and when it is again.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        timeout_seconds: float,
        metrics: Metrics,
        thresholds: Thresholds = Thresholds(),  # noqa: B008 - frozen
    ) -> None:
        self._http = http
        self._timeout = timeout_seconds
        self._requests = metrics.identity_requests
        # By URL: they come from settings and from issuers' own metadata, never from a caller.
        self._breakers = defaultdict[str, CircuitBreaker](lambda: CircuitBreaker(thresholds))

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
        url, outcome = str(request.url), "abandoned"
        try:
            with self._breakers[url].call(_is_failure):
                status, body = await self._ask(request, url, auth)
            outcome = "answered"
        except CircuitOpenError as error:
            outcome = "not-asked"
            raise unavailable(
                url, "not asked, it failed too often just before", retry_after=error.retry_after
            ) from None
        except IdentityProviderUnavailableError:
            outcome = "failed"
            raise
        finally:
            self._requests.labels(request.url.host, outcome).inc()
        return status, body

    async def _ask(
        self, request: httpx.Request, url: str, auth: httpx.Auth | None
    ) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._http.send(request, stream=True, auth=auth)
                try:
                    status, body = response.status_code, await _body(response, url)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise unavailable(url, f"no answer within {self._timeout:g} s") from None
        except httpx.HTTPError as error:
            raise unavailable(url, type(error).__name__) from None
        if status >= _SERVER_ERROR:
            raise unavailable(url, f"answered {status}")
        return status, body


def _is_failure(error: Exception) -> bool:
    return isinstance(error, IdentityProviderUnavailableError)


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


def unavailable(
    url: str, what: str, *, retry_after: float = _RETRY_AFTER_SECONDS
) -> IdentityProviderUnavailableError:
    """Return the error for an identity provider that cannot be asked."""
    return IdentityProviderUnavailableError(
        "The identity provider cannot be reached just now; try again shortly.",
        reason=f"{url}: {what}",
        retry_after=retry_after,
    )


async def _body(response: httpx.Response, url: str) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_DOCUMENT_BYTES:
            raise unavailable(url, f"answered with more than {MAX_DOCUMENT_BYTES} bytes")
    return bytes(body)
