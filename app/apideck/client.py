"""One call of Apideck's: create a Vault session."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from app.apideck import errors, wire
from app.errors import ApideckError, ApideckTimeoutError
from app.observability.metrics import Metrics
from app.settings import ApideckSettings
from app.urls import origin_of
from app.vault import Connection, Session

_CREATE_SESSION = "/vault/sessions"
_OK = 200


@dataclass(frozen=True, slots=True)
class MintedSession:
    """A session that Apideck made. Whoever has its token has the consumer's connections.

    Attributes:
        session_uri: where the browser goes; holds the token.
        session_token: the token by itself, for embedding. It cannot be revoked.
        expires_at: when the token ends, in UTC.
        request_id: Apideck's id of the call, which its support asks for.
    """

    session_uri: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: datetime
    request_id: str | None

    def url(self, connection: Connection | None = None) -> str:
        """Return where the browser goes: the Vault's first page, or one connector's."""
        if connection is None:
            return self.session_uri
        return (
            f"{origin_of(self.session_uri)}/integrations/{connection['unified_api']}/"
            f"{connection['service_id']}?jwt={self.session_token}"
        )


class ApideckClient:
    """Asks Apideck for Vault sessions."""

    def __init__(
        self, settings: ApideckSettings, http: httpx.AsyncClient, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._http = http
        self._metrics = metrics

    async def create_session(self, consumer_id: str, session: Session) -> MintedSession:
        """Create one session for one consumer.

        Source: https://developers.apideck.com/apis/vault/reference ("Create Session"). A consumer
        that Apideck does not know yet is made by the call.

        Args:
            consumer_id: printable ASCII without spaces; it goes into a header.
            session: what to ask for; what is not in it is not sent.

        Raises:
            ApideckError: when there is no session; every outcome has an error of its own.
        """
        request = self._http.build_request(
            "POST",
            _CREATE_SESSION,
            content=wire.session_body(session),
            headers={"x-apideck-consumer-id": consumer_id, "content-type": "application/json"},
        )
        started = time.perf_counter()
        outcome = "abandoned"
        try:
            minted = await self._within_deadline(request)
            outcome = "minted"
        except ApideckError as error:
            outcome = type(error).__name__.removeprefix("Apideck").removesuffix("Error")
            raise
        finally:
            self._metrics.apideck_requests.labels(outcome).inc()
            self._metrics.apideck_seconds.observe(time.perf_counter() - started)
        return minted

    async def _within_deadline(self, request: httpx.Request) -> MintedSession:
        try:
            async with asyncio.timeout(self._settings.deadline_seconds):
                response = await self._http.send(request, stream=True)
                try:
                    return self._session(response, await self._body(response))
                except ApideckError as error:
                    error.request_id = response.headers.get("request-id")
                    raise
                finally:
                    await response.aclose()
        except TimeoutError:
            raise ApideckTimeoutError(
                "Opening integrations takes too long just now; try again shortly.",
                reason=f"no answer from Apideck within {self._settings.deadline_seconds:g} s",
            ) from None
        except httpx.HTTPError as error:
            raise errors.unreachable(type(error).__name__) from None

    def _session(self, response: httpx.Response, body: bytes) -> MintedSession:
        if response.status_code != _OK:
            raise errors.refusal(response.status_code, response.headers, body)
        try:
            uri, token, expires_at = wire.created(body)
        except wire.InvalidAnswerError as error:
            raise errors.invalid_answer(str(error)) from None
        if origin_of(uri) not in self._settings.vault_origins:
            raise errors.invalid_answer("a session_uri on a host that is no configured Vault")
        return MintedSession(uri, token, expires_at, response.headers.get("request-id"))

    async def _body(self, response: httpx.Response) -> bytes:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise errors.invalid_answer("compressed, which was not asked for")
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._settings.max_response_bytes:
                raise errors.invalid_answer("longer than max_response_bytes")
        return bytes(body)
