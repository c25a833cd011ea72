"""What a caller asks for, and what it gets."""

from dataclasses import dataclass

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from ..apideck.connections import VaultConnection


@dataclass(frozen=True, slots=True)
class ConnectionQuery:
    """What a caller asks for.

    Attributes:
        unified_api: the only unified API to list; None lists all that the operator offers.
        configured: whether to list what is connected, or what is not; None lists both.
    """

    unified_api: str | None = None
    configured: bool | None = None


@with_config(ConfigDict(use_attribute_docstrings=True))
class ConnectionList(TypedDict):
    """The connectors that the operator offers, and which of them the customer has connected."""

    connections: list[VaultConnection]
    """In Apideck's order; empty for a customer who has never been seen."""
