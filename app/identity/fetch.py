"""HTTP requests to issuers and to cookie-session applications: bounded, never redirected."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx

from ..common import strict_json
from ..common.circuit_breaker import CircuitBreaker, CircuitOpenError, Thresholds
from ..common.connect_failures import cause_of
from ..common.transport import NoDescriptorError
from ..errors import IdentityProviderUnavailableError
from ..observability.metrics import Metrics

MAX_RESPONSE_BYTES = 262_144

_RETRY_AFTER_SECONDS = 5.0
# What a proxy or an overloaded server responds with, whatever the credential in the request is.
_ENDPOINT_FAILING = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)


@dataclass(frozen=True, slots=True)
class Response:
    """A response, read completely.

    Attributes:
        url: the URL of the endpoint.
        status: the status code.
        body: the body; None if it has more than `MAX_RESPONSE_BYTES`.
    """

    url: str
    status: int
    body: bytes | None = field(repr=False)

    def json(self) -> Any:
        """Return the JSON document of a 200.

        Raises:
            IdentityProviderUnavailableError: for another status, or a body that is not JSON.
        """
        if self.status != HTTPStatus.OK:
            raise unavailable(self.url, f"responded with {self.status}")
        if self.body is None:
            raise unavailable(self.url, f"responded with more than {MAX_RESPONSE_BYTES} bytes")
        try:
            return strict_json.loads(self.body)
        except strict_json.InvalidJSONError as error:
            raise unavailable(self.url, f"responded with text that is {error}") from None


class Fetcher:
    """Sends requests to the endpoints of issuers and cookie-session applications.

    Each endpoint has a circuit breaker, so that callers do not wait for one that is down. Only
    failures that no credential can cause open it: timeouts, refused connections, 502, 503 and 504.

    The attack: an endpoint responds with 500 to cookies that it cannot parse. If that counted,
    anyone could lock out every caller with a few made-up cookies.

    Args:
        http: a client that follows no redirects and keeps no cookies.
        timeout_seconds: the time limit for a whole exchange.
        metrics: counts every exchange.
        thresholds: when a breaker opens, and when it closes.
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
        self._out_of_descriptors = metrics.out_of_descriptors.labels("identity")
        # By URL: URLs are in the settings and in issuers' metadata, and never in a request.
        self._breakers = defaultdict[str, CircuitBreaker](lambda: CircuitBreaker(thresholds))

    async def get_json(self, url: str) -> Any:
        """Return the JSON document at a URL.

        Raises:
            IdentityProviderUnavailableError: unless the response is a 200 with JSON.
        """
        return (await self.get(url)).json()

    async def get(self, url: str, headers: dict[str, str] | None = None) -> Response:
        """Return the response to a GET request, whatever its status.

        Raises:
            IdentityProviderUnavailableError: there is no response, or the endpoint fails.
        """
        return await self._exchange(self._http.build_request("GET", url, headers=headers))

    async def post_form(
        self, url: str, form: dict[str, str], auth: httpx.BasicAuth | None = None
    ) -> Response:
        """Return the response to a POST request with a form, whatever its status.

        Raises:
            IdentityProviderUnavailableError: there is no response, or the endpoint fails.
        """
        return await self._exchange(self._http.build_request("POST", url, data=form), auth)

    async def _exchange(self, request: httpx.Request, auth: httpx.Auth | None = None) -> Response:
        request.headers.update({"accept": "application/json", "accept-encoding": "identity"})
        url, outcome = str(request.url), "abandoned"
        try:
            with self._breakers[url].call(_is_endpoint_failing):
                response = await self._send(request, url, auth)
            failed = response.status >= HTTPStatus.INTERNAL_SERVER_ERROR or response.body is None
            outcome = "failed" if failed else "answered"
        except CircuitOpenError as error:
            outcome = "not-asked"
            raise unavailable(
                url,
                "no request sent, because the last ones failed",
                endpoint_failing=True,
                retry_after=error.retry_after,
            ) from None
        except NoDescriptorError:
            outcome = "out-of-descriptors"
            self._out_of_descriptors.inc()
            raise unavailable(
                url, "no file descriptor left for a connection: raise the limit on open files"
            ) from None
        except IdentityProviderUnavailableError:
            outcome = "failed"
            raise
        finally:
            self._requests.labels(request.url.raw_host.decode("ascii"), outcome).inc()
        return response

    async def _send(self, request: httpx.Request, url: str, auth: httpx.Auth | None) -> Response:
        try:
            async with asyncio.timeout(self._timeout):
                try:
                    response = await self._receive(request, url, auth)
                except (httpx.RemoteProtocolError, httpx.ReadError):
                    # The server may have closed a pooled connection. Every request here can be
                    # repeated, introspection included: it only reads.
                    response = await self._receive(request, url, auth)
        except (TimeoutError, httpx.TimeoutException):
            what = f"no response within {self._timeout:g} s"
            raise unavailable(url, what, endpoint_failing=True) from None
        except NoDescriptorError:
            raise
        except httpx.HTTPError as error:
            refused = isinstance(error, httpx.ConnectError)
            raise unavailable(url, cause_of(error), endpoint_failing=refused) from None
        if response.status in _ENDPOINT_FAILING:
            raise unavailable(url, f"responded with {response.status}", endpoint_failing=True)
        return response

    async def _receive(self, request: httpx.Request, url: str, auth: httpx.Auth | None) -> Response:
        received = await self._http.send(request, stream=True, auth=auth)
        try:
            return Response(url, received.status_code, await _body(received))
        finally:
            await received.aclose()


def unavailable(
    url: str,
    what: str,
    *,
    endpoint_failing: bool = False,
    retry_after: float = _RETRY_AFTER_SECONDS,
) -> IdentityProviderUnavailableError:
    """Return the error for a credential that an endpoint did not check.

    Args:
        url: the URL of the endpoint.
        what: what the endpoint did, for the operator.
        endpoint_failing: whether every credential is affected, not only this one.
        retry_after: seconds after which the caller may try again.
    """
    error = IdentityProviderUnavailableError(
        "Your sign-in cannot be checked right now. Try again shortly.",
        reason=f"{url}: {what}",
        retry_after=retry_after,
    )
    error.endpoint_failing = endpoint_failing
    return error


def _is_endpoint_failing(error: Exception) -> bool | None:
    if isinstance(error, NoDescriptorError):
        return None  # The endpoint got no request.
    return isinstance(error, IdentityProviderUnavailableError) and error.endpoint_failing


async def _body(response: httpx.Response) -> bytes | None:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            return None
    return bytes(body)
