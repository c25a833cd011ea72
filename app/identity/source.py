"""What every way to identify callers provides, whatever its kind."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

from ..errors import IdentityProviderUnavailableError, UnauthenticatedError
from ..settings.identity_source import ConfiguredSource, IdentitySourceSettings
from .credentials import Credential
from .jwks import JwksState
from .models import Caller, Claims
from .token_cache import Proof
from .token_rules import TokenRules

_MADE_UP = "vault-bff-check-made-up-credential"


class Source(ABC):
    """One configured source of callers, such as an issuer.

    Attributes:
        setting: names its settings in the output of `check`.
        name: the operator's name for it.
        label: names it in metrics and readiness; the name, and its issuer URL if there are several.
        reserved_prefixes: what its consumer ids must not begin with.
        locations: where its callers put their credentials.
        rules: the rules for its tokens; None if its credentials are no tokens.
        refresh: background work, called every second while the service runs; None if there is none.
    """

    rules: TokenRules | None = None

    def __init__(self, configured: ConfiguredSource[IdentitySourceSettings]) -> None:
        self.setting = configured.setting
        self.name = configured.name
        self.label = configured.label or configured.name
        self.reserved_prefixes = configured.reserved_prefixes
        self.locations = configured.settings.locations
        self.refresh: Callable[[], Awaitable[None]] | None = None

    @abstractmethod
    def recognizes(self, credential: Credential) -> bool:
        """Return whether this source has to check a credential; nothing in it is verified yet.

        Raises:
            UnauthenticatedError: the credential is malformed.
        """

    @abstractmethod
    async def caller(self, credential: Credential) -> Caller:
        """Return the caller that a credential proves.

        Raises:
            IdentityError: it proves none, or that cannot be checked right now.
        """

    @abstractmethod
    async def probe(self) -> str:
        """Return how the network service behind this source responds, for `check --live`.

        Raises:
            IdentityProviderUnavailableError: it does not respond as it should.
        """

    def proof(self, _: Credential) -> Proof | None:
        """Return what a credential that was just verified depends on; None if it is not cached."""
        return None

    def key_state(self) -> JwksState | None:
        """Return the state of the keys that verify its tokens; None if it needs no keys."""
        return None

    @property
    def ready(self) -> bool:
        """Whether it can identify callers at this moment."""
        keys = self.key_state()
        return keys is None or keys.usable


async def probe_with_made_up_credential(check: Callable[[str], Awaitable[Claims]]) -> str:
    """Return "responds" if a made-up credential is rejected.

    Raises:
        IdentityProviderUnavailableError: there is no usable response, or it was accepted.
    """
    try:
        await check(_MADE_UP)
    except UnauthenticatedError:
        return "responds"
    raise IdentityProviderUnavailableError(
        "The identity provider cannot be used.", reason="accepts a made-up credential"
    )
