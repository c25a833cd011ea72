from collections.abc import Collection

import pytest

from app.apideck.connections import VaultConnection
from app.connections.filter import is_offered, visible

CRM = VaultConnection(unified_api="crm", service_id="hubspot")
HRIS = VaultConnection(unified_api="hris", service_id="personio")
ACCOUNTING = VaultConnection(unified_api="accounting", service_id="xero")
ALL = [CRM, HRIS, ACCOUNTING]


@pytest.mark.parametrize(
    ("unified_api", "offered", "expected"),
    [
        (None, (), ALL),
        (None, ("crm", "accounting"), [CRM, ACCOUNTING]),
        (None, ("time-travel",), []),
        ("hris", (), [HRIS]),
        ("hris", ("hris", "crm"), [HRIS]),
        ("hris", ("crm",), []),
        ("time-travel", (), []),
    ],
)
def test_a_caller_sees_the_requested_connections_that_the_operator_offers(
    unified_api: str | None, offered: Collection[str], expected: list[VaultConnection]
) -> None:
    """Other connections are not returned, and the order is that of Apideck."""
    assert visible(ALL, unified_api, offered) == expected


def test_without_a_list_every_unified_api_is_offered() -> None:
    """This includes unified APIs that Apideck adds later."""
    assert is_offered("time-travel", ())
    assert is_offered("crm", ("crm",))
    assert not is_offered("hris", ("crm",))
