from base64 import b64encode
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from standardwebhooks import Webhook

from app.settings.webhooks import WebhookSettings, WebhookTarget, signing_secrets

URL = "https://app.example.com/webhooks"
OTHER_URL = "https://brand.example.com/webhooks"


def secret(size: int = 32, letter: bytes = b"a") -> str:
    """Return a signing secret with this number of bytes."""
    return "whsec_" + b64encode(letter * size).decode()


SECRET = SecretStr(secret())
OTHER_SECRET = SecretStr(secret(letter=b"b"))


def fault(**given: Any) -> str:
    """Return the message of the first error in these settings."""
    with pytest.raises(ValidationError) as error:
        WebhookSettings(**given)
    faults = error.value.errors(include_url=False, include_input=False, include_context=False)
    return faults[0]["msg"].removeprefix("Value error, ")


def test_nothing_is_forwarded_unless_a_target_is_set() -> None:
    """Without settings, there is no endpoint for events, and no setting is required."""
    settings = WebhookSettings()
    assert settings.target_of("default") is None
    assert settings.event_types == ("vault.connection.*",)
    assert settings.max_age == timedelta(days=7)


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_secret_has_the_format_of_the_specification(size: int) -> None:
    """The library that signs and the libraries that verify decode the same bytes."""
    assert signing_secrets(secret(size)) == (secret(size),)
    assert Webhook(secret(size))._whsecret == b"a" * size


@pytest.mark.parametrize("text", [f"{secret()} {secret(24)}", f"{secret()}\n{secret(24)}\n"])
def test_two_secrets_are_used_during_a_rotation(text: str) -> None:
    """They are separated by a space or a line break."""
    assert signing_secrets(text) == (secret(), secret(24))


@pytest.mark.parametrize(
    "text",
    [
        secret(23),
        secret(65),
        "whsec_",
        "whsec_" + "!" * 44,
        secret()[:-1],
        secret().removeprefix("whsec_"),
        secret().replace("whsec_", "whsk_"),
        secret() + "," + secret(),
        "whsec_" + "_-" * 22,
        f"{secret()} short",
    ],
)
def test_an_invalid_secret_is_rejected(text: str) -> None:
    """The library would ignore characters that are not base64, and sign with the rest."""
    with pytest.raises(ValueError, match=r"^must be whsec_ followed by 24 to 64 bytes in base64$"):
        signing_secrets(text)
    assert "in base64" in fault(target_url=URL, signing_secret=text)


@pytest.mark.parametrize("text", ["", " \n", f"{secret()} {secret()} {secret()}"])
def test_one_or_two_secrets_are_required(text: str) -> None:
    """Two are enough for a rotation."""
    with pytest.raises(ValueError, match=r"^must be one secret, or two with a space between them$"):
        signing_secrets(text)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"target_url": URL}, "a target needs signing_secret or signing_secret_file"),
        (
            {"unify_apps": {"brand": {"target_url": URL}}},
            "a target needs signing_secret or signing_secret_file",
        ),
        ({"signing_secret": SECRET}, "a signing secret needs a target_url"),
        (
            {"unify_apps": {"brand": {"signing_secret_file": "/run/secrets/b"}}},
            "a signing secret needs a target_url",
        ),
        (
            {"target_url": URL, "signing_secret": SECRET, "signing_secret_file": "/run/secrets/a"},
            "takes one of signing_secret and signing_secret_file, not both",
        ),
    ],
)
def test_a_target_needs_a_secret_and_a_secret_needs_a_target(
    given: dict[str, Any], expected: str
) -> None:
    """An event is never forwarded without a signature."""
    assert fault(**given) == expected


@pytest.mark.parametrize(
    "url",
    ["http://app.example.com/", "https://u:p@app.example.com/", "ftp://a.example/", "app.example"],
)
def test_a_target_must_be_an_https_url(url: str) -> None:
    """Events contain data of customers; http is allowed for loopback hosts only."""
    assert "https" in fault(target_url=url, signing_secret=SECRET)
    WebhookSettings(target_url="http://127.0.0.1:9000/hook", signing_secret=SECRET)


@pytest.mark.parametrize("pattern", ["*", "vault.*", "vault.connection.c*", "crm.contact.created"])
def test_a_pattern_is_a_type_with_an_optional_asterisk_at_the_end(pattern: str) -> None:
    """The pattern is not changed."""
    assert WebhookSettings(event_types=(pattern,)).event_types == (pattern,)


@pytest.mark.parametrize(
    "pattern", ["", "**", "*.created", "vault.*.created", "vault..x", ".", "vault.", "a b", "v*\n"]
)
def test_every_other_pattern_is_rejected(pattern: str) -> None:
    """It would match nothing, or appear to match types that it does not match."""
    assert "pattern" in fault(event_types=(pattern,))


def test_at_least_one_event_type_is_required() -> None:
    """Otherwise, the endpoint would drop every event."""
    assert fault(event_types=()).startswith("Tuple should have at least 1 item")


@pytest.mark.parametrize("seconds", [0, 55.1, 60])
def test_the_timeout_is_below_that_of_apideck(seconds: float) -> None:
    """Otherwise, the request of Apideck would time out before the service responds."""
    assert fault(timeout_seconds=seconds).startswith("Input should be")


def test_unify_apps_share_the_target_unless_they_have_their_own() -> None:
    """An app inherits the settings that it does not set."""
    settings = WebhookSettings(
        target_url=URL,
        signing_secret=SECRET,
        unify_apps={
            "brand": WebhookTarget(target_url=OTHER_URL, signing_secret=OTHER_SECRET),
            "region": WebhookTarget(target_url=OTHER_URL),
            "test": WebhookTarget(signing_secret_file=Path("/run/secrets/test")),
        },
    )
    shared = WebhookTarget(target_url=URL, signing_secret=SECRET)
    assert settings.target_of("default") == shared
    assert settings.target_of("another") == shared
    assert settings.target_of("brand") == settings.unify_apps["brand"]
    assert settings.target_of("region") == WebhookTarget(
        target_url=OTHER_URL, signing_secret=SECRET
    )
    assert settings.target_of("test") == WebhookTarget(
        target_url=URL, signing_secret_file=Path("/run/secrets/test")
    )


def test_a_unify_app_can_be_the_only_one_with_a_target() -> None:
    """The other apps then have no endpoint for events."""
    own = WebhookTarget(target_url=OTHER_URL, signing_secret=OTHER_SECRET)
    settings = WebhookSettings(unify_apps={"brand": own})
    assert settings.target_of("brand") == own
    assert settings.target_of("default") is None


def test_plain_http_can_be_enabled_for_a_target_inside_the_cluster() -> None:
    """The URL of the target does not contain the prefix that enables http."""
    url = "insecure+http://backend.apps.svc/webhooks"
    settings = WebhookSettings(target_url=url, signing_secret=SECRET)
    target = settings.target_of("default")

    assert target is not None
    assert target.target_url == "http://backend.apps.svc/webhooks"
