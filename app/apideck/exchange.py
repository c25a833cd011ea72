"""One HTTP request to Apideck, and the meaning of its response."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Generic, TypeVar, cast

import httpx
from opentelemetry.trace import Span, SpanKind

from ..common.transport import NoDescriptorError
from ..errors import ApideckError, ApideckInvalidResponseError
from ..observability.tracing import Tracing
from ..settings.apideck import UnifyApp
from . import error_mapping as errors
from .api_key import ApiKey
from .wire import InvalidResponseError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """An operation of Apideck's API.

    Attributes:
        name: its name in the metrics.
        method: its HTTP method.
        path: its path below the base URL; a template where it depends on the request.
        success: the label of successful requests in the metrics.
        is_large: whether its responses are limited by `max_connections_bytes`.
        not_found: which 404 means that what was requested does not exist: none of them, one that
            Apideck names `EntityNotFoundError`, or all. Any other 404 is a wrong base URL or app.
    """

    name: str
    method: str
    path: str
    success: str
    is_large: bool = False
    not_found: errors.NotFound = "none"


@dataclass(frozen=True, slots=True)
class Call:
    """What one call of an operation sends.

    Attributes:
        consumer_id: printable ASCII without spaces; it becomes a header.
        content: the body, as JSON.
        target: path and query below the base URL, percent-encoded; None for the operation's path.
    """

    consumer_id: str
    content: bytes = field(default=b"", repr=False)
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Result(Generic[T]):
    """What Apideck returned with status 200.

    Attributes:
        value: the content of the response.
        request_id: Apideck's ID of the request; Apideck's support asks for it.
    """

    value: T
    request_id: str | None


class Exchange:
    """Sends requests of one operation as one Unify app."""

    def __init__(  # noqa: PLR0913 - everything that requests have in common
        self,
        operation: Operation,
        app: UnifyApp,
        key: ApiKey,
        transport: httpx.AsyncBaseTransport,
        tracing: Tracing,
        *,
        max_response_bytes: int,
    ) -> None:
        """Prepare what is the same for every request.

        Args:
            operation: the operation.
            app: the Unify app.
            key: its API key, which may change at any time.
            transport: sends requests. It must not follow redirects: key, app ID and consumer ID
                would be sent wherever a redirect leads.
            tracing: creates a span for each request.
            max_response_bytes: the largest body that is read.
        """
        self._method = operation.method
        self._key = key
        self._transport = transport
        self._tracing = tracing
        self._not_found = operation.not_found
        self._max_bytes = max_response_bytes
        # URL and headers are built once: that would be most of the cost of a request.
        self._base_url = app.base_url.rstrip("/")
        self._url = httpx.URL(self._base_url + operation.path)
        self._attributes = {
            "http.request.method": operation.method,
            "server.address": self._url.host,
            "url.template": httpx.URL(self._base_url).path.rstrip("/") + operation.path,
        }
        self._headers = httpx.Headers(
            {
                "x-apideck-app-id": app.app_id,
                "content-type": "application/json",
                "accept": "application/json",
                # A body that is not compressed cannot expand.
                "accept-encoding": "identity",
                "user-agent": "vault-bff",
            }
        )

    async def send(
        self, call: Call, read: Callable[[bytes], T], timeout_seconds: float
    ) -> Result[T]:
        """Send one request for one consumer.

        Args:
            call: what to send.
            read: returns the content of a body with status 200, or raises an
                `InvalidResponseError`.
            timeout_seconds: time for the whole exchange, including connecting.

        Raises:
            ApideckError: there is no result; `transient` if a retry may help.
            OutOfDescriptorsError: no request was sent.
        """
        with self._tracing.span(self._method, self._attributes, kind=SpanKind.CLIENT) as span:
            return await self._send(call, read, timeout_seconds, span)

    async def _send(
        self, call: Call, read: Callable[[bytes], T], timeout_seconds: float, span: Span
    ) -> Result[T]:
        key = self._key.current
        response: httpx.Response | None = None
        try:
            async with asyncio.timeout(timeout_seconds):
                response = await self._transport.handle_async_request(
                    self._request(key.get_secret_value(), call)
                )
                span.set_attribute("http.response.status_code", response.status_code)
                if response.status_code != HTTPStatus.OK:
                    body = await self._error_body(response)
                    raise errors.error_of(
                        response.status_code, response.headers, body, self._not_found
                    )
                body = await self._body(response)
                return Result(_content(body, read), response.headers.get("request-id"))
        except TimeoutError:
            raise errors.timed_out(timeout_seconds, headers_received=response is not None) from None
        except NoDescriptorError:
            raise errors.out_of_descriptors() from None
        except httpx.HTTPError as error:
            raise errors.no_response(error, headers_received=response is not None) from None
        except ApideckError as error:
            if response is not None:
                error.request_id = response.headers.get("request-id")
                # A new key is in use by now, and Apideck has rejected the old one.
                rejected = response.status_code == HTTPStatus.UNAUTHORIZED
                error.transient |= rejected and key is not self._key.current
            raise
        finally:
            if response is not None:
                await response.aclose()

    def _request(self, api_key: str, call: Call) -> httpx.Request:
        url = self._url if call.target is None else httpx.URL(self._base_url + call.target)
        # With a stream httpx adds no headers of its own; the transport adds host and length.
        request = httpx.Request(
            self._method, url, headers=self._headers, stream=httpx.ByteStream(call.content)
        )
        request.headers["x-apideck-consumer-id"] = call.consumer_id
        request.headers["authorization"] = f"Bearer {api_key}"
        if trace := self._tracing.headers_to_apideck():
            request.headers.update(trace)
        return request

    async def _error_body(self, response: httpx.Response) -> bytes:
        """Return the body of an error, or nothing if it is unreadable: the status is enough."""
        try:
            return await self._body(response)
        except (ApideckInvalidResponseError, httpx.HTTPError):
            return b""

    async def _body(self, response: httpx.Response) -> bytes:
        encoding = response.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise errors.invalid_response(
                f"content-encoding {encoding[:40]!r}, expected 'identity'"
            )
        body = bytearray()
        # The stream itself, because counting and chunking by httpx would be wasted.
        async for chunk in cast("httpx.AsyncByteStream", response.stream):
            body += chunk
            if len(body) > self._max_bytes:
                raise errors.invalid_response(f"more than {self._max_bytes} bytes")
        return bytes(body)


def _content(body: bytes, read: Callable[[bytes], T]) -> T:
    try:
        return read(body)
    except InvalidResponseError as error:
        raise errors.invalid_response(str(error)) from None
