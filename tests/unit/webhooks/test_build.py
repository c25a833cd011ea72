"""The targets and secrets that are built from the settings."""

from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from structlog.testing import capture_logs

from app.apideck.api_key import ApiKey
from app.errors import ConfigurationError
from app.observability.telemetry import Telemetry
from app.settings import ApideckSettings, WebhookSettings
from app.webhooks.build import build_secret_files, build_targets, build_webhooks
from app.webhooks.relay import Target
from app.webhooks.secret_file import SigningSecretFile

ONE, TWO = ("whsec_" + b64encode(letter * 32).decode() for letter in (b"1", b"2"))
APIDECK = ApideckSettings.model_validate(
    {
        "api_key": "sk_live_0123456789",
        "app_id": "app",
        "unify_apps": {"brand": {"api_key": "sk_live_of_the_brand", "app_id": "brand"}},
    }
)


def targets(**settings: Any) -> dict[str, Any]:
    """Return the targets, and check that every secret is redacted."""
    secrets: list[str] = []
    built = build_targets(WebhookSettings.model_validate(settings), APIDECK, secrets.append)
    for target in built.values():
        for signer in target.signers:
            plain = b64encode(signer._whsecret).decode()
            assert {plain, f"whsec_{plain}"} <= set(secrets)
    return built


def test_all_unify_apps_share_the_target_unless_one_has_its_own() -> None:
    """An app inherits the settings that it does not set."""
    built = targets(
        target_url="https://a.example/hook",
        signing_secret=ONE,
        unify_apps={"brand": {"target_url": "https://b.example/hook"}},
    )
    assert {name: str(one.url) for name, one in built.items()} == {
        "default": "https://a.example/hook",
        "brand": "https://b.example/hook",
    }


def test_a_unify_app_can_be_the_only_one_with_a_target() -> None:
    """The service receives no events of the other apps."""
    brand = {"target_url": "https://b.example/hook", "signing_secret": ONE}
    assert set(targets(unify_apps={"brand": brand})) == {"brand"}
    assert targets() == {}


def test_two_secrets_in_a_file_both_sign(tmp_path: Path) -> None:
    """A receiver with either secret can verify the event."""
    file = tmp_path / "secrets"
    file.write_text(f"{ONE}\n{TWO}\n")
    built = targets(target_url="https://a.example/hook", signing_secret_file=file)

    request = built["default"].request("id", b"{}", datetime.now(UTC))
    for secret in (ONE, TWO):
        Webhook(secret).verify(b"{}", dict(request.headers))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "No such file or directory"),
        (b"secret", "must be whsec_ followed by 24 to 64 bytes in base64"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_the_error_for_a_file_without_a_secret_does_not_quote_the_file(
    tmp_path: Path, content: bytes | None, fault: str
) -> None:
    """The process does not start."""
    file = tmp_path / "secrets"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError) as error:
        targets(target_url="https://a.example/hook", signing_secret_file=file)
    assert error.value.faults == (f"WEBHOOKS: the file {file}: {fault}",)


def secrets_that_sign(target: Target) -> set[str]:
    """Return the secrets that sign an event."""
    request = target.request("id", b"{}", datetime.now(UTC))
    found = set()
    for secret in (ONE, TWO):
        with suppress(WebhookVerificationError):
            Webhook(secret).verify(b"{}", dict(request.headers))
            found.add(secret)
    return found


async def test_a_new_secret_in_the_file_is_used_without_a_restart(tmp_path: Path) -> None:
    """The last valid secrets stay in use while the file is invalid, and no secret is logged."""
    file = tmp_path / "secrets"
    file.write_text(ONE)
    target = targets(target_url="https://a.example/hook", signing_secret_file=file)["default"]
    known: list[str] = []
    secret_file = SigningSecretFile("default", target, file, known.append)
    signed = []
    with capture_logs() as logs:
        for content in (ONE, f"{ONE} {TWO}\n", "", "whsec_typo", TWO):
            file.write_text(content)
            await secret_file.refresh()
            signed.append(secrets_that_sign(target))

    assert signed == [{ONE}, {ONE, TWO}, {ONE, TWO}, {ONE, TWO}, {TWO}]
    assert {ONE, TWO} < set(known)
    assert [line["event"].removeprefix("signing_secret_") for line in logs] == [
        "changed",
        "refused",
        "refused",
        "changed",
    ]
    assert "typo" not in str(logs)


def test_only_secrets_in_files_are_read_again(tmp_path: Path) -> None:
    """A target whose secret comes from the environment has no file."""
    file = tmp_path / "secrets"
    file.write_text(TWO)
    settings = WebhookSettings.model_validate(
        {
            "target_url": "https://a.example/hook",
            "signing_secret": ONE,
            "unify_apps": {"brand": {"signing_secret_file": str(file)}},
        }
    )
    telemetry = Telemetry()
    keys = {
        name: ApiKey(name, app, lambda _: None) for name, app in APIDECK.all_unify_apps().items()
    }
    transport = httpx.MockTransport(lambda _: httpx.Response(204))
    service = build_webhooks(settings, APIDECK, keys, transport, telemetry)

    [one] = build_secret_files(settings, service, lambda _: None)

    assert one._target is service.sources["brand"].target
