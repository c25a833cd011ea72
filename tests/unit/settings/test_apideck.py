"""The settings for Apideck."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import ApideckSettings

_MINIMUM = {"api_key": "sk_0123456789", "app_id": "app"}


def faults(**settings: Any) -> list[str]:
    """Return the message of each fault in these settings."""
    with pytest.raises(ValidationError) as raised:
        ApideckSettings.model_validate(_MINIMUM | settings)
    return [fault["msg"].removeprefix("Value error, ") for fault in raised.value.errors()]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "https://unify.apideck.com/?region=eu",
            "must have no query, because paths are appended to it",
        ),
        ("https://xn--0.example", "must have a valid host name after `xn--`"),
        ("http://unify.apideck.com", "must use https; http is for loopback hosts only"),
    ],
)
def test_an_invalid_base_url_prevents_startup(url: str, message: str) -> None:
    """Otherwise, every request would fail or go to a different path."""
    assert faults(base_url=url) == [message]
    assert faults(unify_apps={"eu": _MINIMUM | {"base_url": url}}) == [message]


def test_the_default_unify_app_cannot_be_configured_twice() -> None:
    """The name `default` is reserved for the Unify app outside the table."""
    assert faults(unify_apps={"default": _MINIMUM}) == [
        "unify_apps must not contain the name default"
    ]


def test_other_unify_apps_inherit_the_urls_of_the_default_one() -> None:
    """They have their own key and app ID."""
    settings = ApideckSettings.model_validate(
        _MINIMUM
        | {
            "base_url": "https://proxy.example/apideck",
            "unify_apps": {"eu": {"api_key": "sk_eu_0123456789", "app_id": "app-eu"}},
        }
    )

    apps = settings.all_unify_apps()
    assert list(apps) == ["default", "eu"]
    assert apps["eu"].base_url == "https://proxy.example/apideck"
    assert apps["eu"].vault_origins == ("https://vault.apideck.com",)
    assert apps["eu"].app_id == "app-eu"
