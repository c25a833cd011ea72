"""What a caller gets."""

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from ..apideck.connections import VaultConnection


@with_config(ConfigDict(use_attribute_docstrings=True))
class ConnectionList(TypedDict):
    """The connectors that the operator offers, and which of them the customer has connected."""

    connections: list[VaultConnection]
    """In Apideck's order; empty for a customer who has never been seen."""
