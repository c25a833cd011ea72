"""Authentication: from the headers of a request to its caller."""

from collections import defaultdict
from collections.abc import Collection, Iterable

from ..errors import InsufficientScopeError, MissingClaimError
from ..settings import IdentitySettings
from ..settings.credentials import CredentialLocation
from .credentials import Credential, CredentialFinder, Headers
from .csrf import check_page, check_reading_page
from .findings import invalid
from .models import Caller
from .source import Source
from .token_cache import VerifiedTokenCache
from .unrecognized import unrecognized


class Authenticator:
    """Identifies the callers of requests."""

    def __init__(
        self, sources: Iterable[Source], settings: IdentitySettings, origins: Collection[str]
    ) -> None:
        """Group the sources by the locations of their credentials.

        Args:
            sources: every configured source.
            settings: the size of token caches, and the header that requests with a cookie need.
            origins: the exact origins of pages that may send requests with a cookie.
        """
        sources = tuple(sources)
        by_location: dict[CredentialLocation, list[Source]] = defaultdict(list)
        for source in sources:
            for location in source.locations:
                by_location[location].append(source)
        self._locations = {
            location: SourcesAtLocation(
                found, VerifiedTokenCache(settings.remembered_tokens), sources
            )
            for location, found in by_location.items()
        }
        self._finder = CredentialFinder(by_location)
        self._origins = frozenset(origins)
        self._csrf_header = settings.csrf_header

    async def authenticate(self, headers: Headers, *, reads_only: bool = False) -> Caller:
        """Return the caller that the credential of a request proves.

        Args:
            headers: the headers of the request as ASGI provides them.
            reads_only: whether the request changes nothing, so that it needs no header against
                forged requests.

        Raises:
            IdentityError: there is no such caller, or that cannot be checked right now.
        """
        credential = self._finder.find(headers)
        sources = self._locations.get(credential.location)
        if sources is None:
            raise invalid("no issuer accepts tokens in the Authorization header")
        if credential.location.in_cookies:
            if reads_only:
                check_reading_page(headers, self._origins)
            else:
                check_page(headers, self._origins, self._csrf_header)
        return await sources.caller(credential)


class SourcesAtLocation:
    """The sources whose callers put their credentials into one location."""

    def __init__(
        self,
        sources: Iterable[Source],
        cache: VerifiedTokenCache,
        everywhere: Iterable[Source] = (),
    ) -> None:
        """Create the authenticator of one location.

        Args:
            sources: the sources in this location.
            cache: remembers the tokens in this location.
            everywhere: all sources; they explain which issuer a token in the wrong location is of.
        """
        self._sources = tuple(sources)
        self._everywhere = tuple(everywhere)
        self._cache = cache

    async def caller(self, credential: Credential) -> Caller:
        """Return the caller that a credential proves.

        Raises:
            IdentityError: there is no such caller, or that cannot be checked right now.
        """
        cached = self._cache.get(credential.value)
        if cached is not None:
            return cached
        source = self._source_of(credential)
        try:
            caller = await source.caller(credential)
        except (InsufficientScopeError, MissingClaimError) as error:
            error.issuer = source.name  # The credential is valid, so the audit event has both.
            raise
        proof = source.proof(credential)
        if proof is not None:
            self._cache.add(credential.value, caller, proof)
        return caller

    def _source_of(self, credential: Credential) -> Source:
        for source in self._sources:
            if source.recognizes(credential):
                return source
        raise unrecognized(credential, self._sources, self._everywhere)
