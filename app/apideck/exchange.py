"""One request to Apideck, and what its answer means."""

import asyncio
from typing import cast

import httpx
from opentelemetry.trace import Span, SpanKind

from app.apideck import error_mapping as errors
from app.apideck import wire
from app.apideck.api_key import ApiKey
from app.apideck.models import MintedSession
from app.common.transport import NoDescriptorError
from app.common.urls import origin_of
from app.errors import ApideckError, ApideckInvalidResponseError
from app.observability.tracing import Tracing
from app.settings.apideck import UnifyApp

_OK = 200


class Exchange:
    """Asks Apideck once, as one Unify app."""

    def __init__(
        self,
        app: UnifyApp,
        key: ApiKey,
        transport: httpx.AsyncBaseTransport,
        tracing: Tracing,
        max_response_bytes: int,
    ) -> None:
        """Take whom to ask, and how.

        Args:
            app: the application to ask as.
            key: its API key, whatever it is at the time.
            transport: what carries requests. It must follow no redirect: the key, app and consumer
                headers would go wherever the redirect points.
            tracing: makes a span of each request.
            max_response_bytes: bytes of an answer that are read at most.
        """
        self._key = key
        self._transport = transport
        self._tracing = tracing
        self._max_bytes = max_response_bytes
        self._vault_origins = app.vault_origins
        self._url = httpx.URL(f"{app.base_url.rstrip('/')}/vault/sessions")
        self._attributes = {
            "http.request.method": "POST",
            "server.address": self._url.host,
            "url.template": self._url.path,
        }
        # Made once: of a request, making its URL and headers anew would be the dearest part.
        self._headers = httpx.Headers(
            {
                "x-apideck-app-id": app.app_id,
                "content-type": "application/json",
                "accept": "application/json",
                # Answers are small, and what is not compressed cannot be a decompression bomb.
                "accept-encoding": "identity",
                "user-agent": "vault-bff",
            }
        )

    async def create_session(
        self, consumer_id: str, body: bytes, timeout_seconds: float
    ) -> MintedSession:
        """Create one session for one consumer.

        Source: https://developers.apideck.com/apis/vault/reference ("Create Session").

        Args:
            consumer_id: printable ASCII without spaces; it goes into a header.
            body: the Session as JSON.
            timeout_seconds: how long all of it may take, connecting included.

        Raises:
            ApideckError: when there is no session; `transient` where asking again may help.
        """
        with self._tracing.span("POST", self._attributes, kind=SpanKind.CLIENT) as span:
            return await self._create(consumer_id, body, timeout_seconds, span)

    async def _create(
        self, consumer_id: str, body: bytes, timeout_seconds: float, span: Span
    ) -> MintedSession:
        key = self._key.current
        # With a stream httpx adds no header of its own; the transport knows host and length.
        request = httpx.Request(
            "POST", self._url, headers=self._headers, stream=httpx.ByteStream(body)
        )
        request.headers["x-apideck-consumer-id"] = consumer_id
        request.headers["authorization"] = f"Bearer {key.get_secret_value()}"
        if trace := self._tracing.headers_to_apideck():
            request.headers.update(trace)
        response: httpx.Response | None = None
        try:
            async with asyncio.timeout(timeout_seconds):
                response = await self._transport.handle_async_request(request)
                span.set_attribute("http.response.status_code", response.status_code)
                if response.status_code != _OK:
                    said = await self._what_it_says(response)
                    raise errors.refusal(response.status_code, response.headers, said)
                return self._session(consumer_id, response, await self._read(response))
        except TimeoutError:
            raise errors.too_slow(timeout_seconds, answered=response is not None) from None
        except NoDescriptorError:
            raise errors.out_of_descriptors() from None
        except httpx.HTTPError as error:
            raise errors.unreachable(error, answered=response is not None) from None
        except ApideckError as error:
            if response is not None:
                error.request_id = response.headers.get("request-id")
                # The key was changed while this was under way, so the refusal is of the old one.
                outdated = response.status_code == errors.UNAUTHORIZED
                error.transient |= outdated and key is not self._key.current
            raise
        finally:
            if response is not None:
                await response.aclose()

    def _session(self, consumer_id: str, response: httpx.Response, body: bytes) -> MintedSession:
        """Return the session that an answer holds.

        The attack: an answer to somebody else's request, which a proxy or a cache in between mixed
        up. Whoever got it would have another customer's connections.
        """
        try:
            made = wire.created(body)
        except wire.InvalidAnswerError as error:
            raise errors.invalid_answer(str(error)) from None
        if made.consumer_id not in {None, consumer_id}:
            raise errors.invalid_answer("a session of another consumer than was asked for")
        if origin_of(made.session_uri) not in self._vault_origins:
            raise errors.invalid_answer("a session_uri on a host that is no configured Vault")
        return MintedSession(
            made.session_uri,
            made.session_token,
            made.expires_at,
            response.headers.get("request-id"),
        )

    async def _what_it_says(self, response: httpx.Response) -> bytes:
        """Return the body of a refusal; nothing of one that cannot be read, for the status can."""
        try:
            return await self._read(response)
        except (ApideckInvalidResponseError, httpx.HTTPError):
            return b""

    async def _read(self, response: httpx.Response) -> bytes:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise errors.invalid_answer("compressed, which was not asked for")
        body = bytearray()
        # The stream itself: what httpx counts and cuts to size on top is of no use here.
        async for chunk in cast("httpx.AsyncByteStream", response.stream):
            body += chunk
            if len(body) > self._max_bytes:
                raise errors.invalid_answer("longer than max_response_bytes")
        return bytes(body)
