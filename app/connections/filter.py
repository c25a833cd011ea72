"""Which connections a caller gets to see. Pure."""

from collections.abc import Collection, Iterable

from ..apideck.connections import VaultConnection


def is_offered(unified_api: str, offered: Collection[str]) -> bool:
    """Tell whether the operator offers a unified API.

    Args:
        unified_api: its id.
        offered: the operator's unified APIs; empty means all, as at Apideck.
    """
    return not offered or unified_api in offered


def visible(
    connections: Iterable[VaultConnection], unified_api: str | None, offered: Collection[str]
) -> list[VaultConnection]:
    """Return the connections that a caller asked for and the operator offers.

    Apideck filters too, but what it returns is not trusted to be what was asked for.

    Args:
        connections: what Apideck returned, in its order.
        unified_api: the only unified API that the caller asked for; None means all.
        offered: the operator's unified APIs; empty means all.
    """
    return [
        connection
        for connection in connections
        if unified_api in {None, connection["unified_api"]}
        and is_offered(connection["unified_api"], offered)
    ]
