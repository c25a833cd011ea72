from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from app.vault import Connection, ConsumerMetadata, Theme, VaultSettings, session_minutes


@pytest.mark.parametrize(
    ("length", "minutes"),
    [("30m", 30), ("1h", 60), ("24h", 1440), ("7d", 10_080), ("10080m", 10_080)],
)
def test_a_session_length_is_converted_to_minutes(length: str, minutes: int) -> None:
    """A number with m, h or d means minutes, hours or days."""
    assert session_minutes(length) == minutes


@pytest.mark.parametrize(
    "length",
    ["", "1", "h", "0h", "01h", "-1h", "1.5h", "1w", "60s", "1H", "8d", "10081m", " 1h", "१h"],
)
def test_any_other_session_length_is_rejected(length: str) -> None:
    """Another unit, zero, or more than Apideck's maximum of a week is rejected."""
    with pytest.raises(ValueError, match="must be"):
        session_minutes(length)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        (VaultSettings, {"unknown": 1}),
        (VaultSettings, {"show_logs": None}),
        (VaultSettings, {"show_logs": "true"}),
        (VaultSettings, {"allow_actions": ["explode"]}),
        (VaultSettings, {"unified_apis": ["../x"]}),
        (VaultSettings, {"session_length": "2w"}),
        (Theme, {"logo": "javascript:alert(1)"}),
        (Theme, {"primary_color": "red;}body{background:url(x)"}),
        (Theme, {"vault_name": ""}),
        (ConsumerMetadata, {"user_name": "Ada\r\nLovelace"}),
        (ConsumerMetadata, {"email": "x" * 257}),
        (ConsumerMetadata, {"image": "data:image/png;base64,AAAA"}),
        (Connection, {"unified_api": "accounting"}),
        (Connection, {"unified_api": "accounting", "service_id": "quick/books"}),
        (Connection, {"unified_api": "accounting", "service_id": "x?jwt=y"}),
    ],
)
def test_invalid_parts_of_a_session_are_rejected(part: Any, value: dict[str, Any]) -> None:
    """An unknown key, a null, a wrong type or a dangerous string is rejected."""
    with pytest.raises(ValidationError):
        TypeAdapter(part).validate_python(value, strict=True)


def test_the_parts_of_a_session_have_every_field_that_apideck_documents() -> None:
    """There are eleven settings, eight fields of the theme and four of the metadata."""
    assert len(VaultSettings.__annotations__) == 11
    assert len(Theme.__annotations__) == 8
    assert len(ConsumerMetadata.__annotations__) == 4
