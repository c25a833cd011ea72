"""The whole of identity in one call: a request's headers in, a Caller out."""

from collections.abc import Collection, Mapping

from app.identity.credentials import CredentialFinder, CredentialLocation, Headers
from app.identity.csrf import check_page
from app.identity.models import Caller
from app.identity.sources import Source
from app.identity.token_rules import invalid


class Authenticator:
    """Establishes who is calling."""

    def __init__(
        self,
        sources: Mapping[CredentialLocation, Source],
        origins: Collection[str],
        csrf_header: str,
    ) -> None:
        """Take what there is to believe.

        Args:
            sources: who knows what the credentials at each place prove.
            origins: the exact origins of pages that may send a cookie along.
            csrf_header: the header that such a page must send, in lower case.
        """
        self._sources = sources
        self._finder = CredentialFinder(sources)
        self._origins = frozenset(origins)
        self._csrf_header = csrf_header

    async def authenticate(self, headers: Headers) -> Caller:
        """Return the caller that a request's credential proves.

        Args:
            headers: the request's headers as ASGI gives them.

        Raises:
            IdentityError: when there is no such caller, or it cannot be known just now.
        """
        credential = self._finder.find(headers)
        source = self._sources.get(credential.place)
        if source is None:
            raise invalid("no issuer's tokens are taken from the Authorization header")
        if credential.place.kind == "cookie":
            check_page(headers, self._origins, self._csrf_header)
        return await source.caller(credential.value)
