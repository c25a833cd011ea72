"""The metadata of an issuer: OpenID Connect Discovery 1.0, RFC 8414."""

import math
import time
from collections.abc import Callable
from typing import Any, Final

from ..common.single_flight import SingleFlight
from ..common.urls import PlainHttpUrl, is_loopback, origin_of, service_url, web_url
from ..errors import IdentityProviderUnavailableError
from ..settings import IssuerSettings
from .fetch import Fetcher, unavailable

_MAX_AGE_SECONDS: Final = 600
_UNUSABLE_SECONDS: Final = 30
"""For how long a document is used that lacks what was needed."""


class Discovery:
    """The metadata document of one issuer, fetched when it is first needed, and again later."""

    def __init__(
        self,
        issuer: IssuerSettings,
        fetcher: Fetcher,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer.iss
        self._fetcher = fetcher
        self._clock = clock
        self._document: dict[str, Any] | None = None
        self._fetch_at = -math.inf
        self._flight: SingleFlight[dict[str, Any]] = SingleFlight()

    async def endpoint(self, name: str, configured: str | None) -> str:
        """Return the URL of an endpoint: the configured one, or the one in the metadata.

        Args:
            name: the name of the endpoint in the metadata.
            configured: the URL in the settings, if there is one.

        Raises:
            IdentityProviderUnavailableError: the metadata has no usable URL.
        """
        if configured is not None:
            return configured
        document = await self._current()
        try:
            return self._usable(str(document.get(name)))
        except ValueError as error:
            # The issuer may correct it soon.
            self._fetch_at = min(self._fetch_at, self._clock() + _UNUSABLE_SECONDS)
            raise self._unusable(f"{name} {error}") from None

    async def _current(self) -> dict[str, Any]:
        document = self._document
        if document is None or self._clock() >= self._fetch_at:
            try:
                document = await self._flight.join("document", self._fetch)
            except IdentityProviderUnavailableError:
                if document is None:
                    raise  # Otherwise the endpoints in the old document may well work.
            self._document, self._fetch_at = document, self._clock() + _MAX_AGE_SECONDS
        return document

    def _usable(self, url: str) -> str:
        # The operator's choice of http for the issuer's URL holds for its other endpoints.
        insecure = isinstance(self._issuer, PlainHttpUrl)
        if insecure and origin_of(url) == origin_of(self._issuer):
            return service_url(f"insecure+{url}")
        usable = web_url(url)
        if is_loopback(usable) and not is_loopback(self._issuer):
            raise ValueError("is on a loopback host")
        return usable

    def invalidate(self) -> None:
        """Fetch the document again when it is next needed, because its contents may be outdated."""
        self._document = None

    async def _fetch(self) -> dict[str, Any]:
        url = f"{self._issuer.removesuffix('/')}/.well-known/openid-configuration"
        document = await self._fetcher.get_json(url)
        # Section 4.3: a document of another issuer would lead to the keys of another issuer.
        if not isinstance(document, dict) or document.get("issuer") != self._issuer:
            raise self._unusable("it belongs to another issuer")
        return document

    def _unusable(self, what: str) -> IdentityProviderUnavailableError:
        return unavailable(f"discovery document of {self._issuer}", what, retry_after=30)
