"""Settings that every way to identify callers has, whatever its kind."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from pydantic import StringConstraints

from .claims import ClaimPaths, UnifyAppChoice, listed
from .credentials import CredentialLocation
from .groups import Group

ConsumerSpace = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
ConsumerPrefix = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{0,32}$")]


class IdentitySourceSettings(Group):
    """One source of callers: an issuer, or an application with cookie sessions."""

    consumer_prefix: ConsumerPrefix = ""
    """A prefix for the consumer ids of this source. If there are several sources of users, each
    needs its own, so that equal claims of two sources are never the same consumer. `consumer_space`
    changes that."""

    consumer_space: ConsumerSpace | None = None
    """A name for the customers of this source. Sources that name the same space share customers:
    they need the same `consumer_prefix`, and as many claims in `claims.consumer_id`. You vouch that
    one directory administers the ids of all of them. A source that names a space of its own may
    have no prefix beside others that have one; ids that begin with the prefix of another space are
    rejected then."""

    claims: ClaimPaths = ClaimPaths()
    """Which claims describe the consumer. Users only."""

    apideck: UnifyAppChoice = UnifyAppChoice()
    """Which of your Unify apps the sessions of its callers belong to."""

    @property
    def consumer_claims(self) -> tuple[str, ...]:
        """The claims that identify the customer."""
        return listed(self.claims.consumer_id)

    @property
    @abstractmethod
    def locations(self) -> tuple[CredentialLocation, ...]:
        """Where its callers put their credentials."""

    @property
    def identifies_users(self) -> bool:
        """Whether its callers are people, each with a consumer, and not services."""
        return True

    @property
    def accepts_opaque_credentials(self) -> bool:
        """Whether it accepts credentials of any form; no two such sources can share a location."""
        return True

    @property
    def shares_locations(self) -> bool:
        """Whether other sources may read credentials from the same locations."""
        return False

    def secrets(self) -> Iterable[str]:
        """Return what the log must not contain."""
        return ()


S = TypeVar("S", bound=IdentitySourceSettings)
S_co = TypeVar("S_co", bound=IdentitySourceSettings, covariant=True)


@dataclass(frozen=True, slots=True)
class ConfiguredSource(Generic[S_co]):
    """A source as the operator configured it.

    Attributes:
        setting: the environment variables of its settings begin with this name.
        name: the operator's name for it, which logs, metrics and audit events use.
        settings: its settings.
        label: names the source in metrics, where the name stands for several issuer URLs.
        reserved_prefixes: what its consumer ids must not begin with, because the prefixes are those
            of other sources.
    """

    setting: str
    name: str
    settings: S_co
    label: str = ""
    reserved_prefixes: tuple[str, ...] = ()
