"""Puts the webhook service together from its settings."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import httpx

from ..apideck.api_key import ApiKey
from ..errors import ConfigurationError
from ..observability.telemetry import Telemetry
from ..settings import ApideckSettings, WebhookSettings
from ..settings.webhooks import WebhookTarget, signing_secrets
from .relay import Relay, Target
from .secret_file import SigningSecretFile, redact
from .service import WebhookService, WebhookSource


def build_webhooks(
    settings: WebhookSettings,
    apideck: ApideckSettings,
    keys: Mapping[str, ApiKey],
    transport: httpx.AsyncBaseTransport,
    telemetry: Telemetry,
) -> WebhookService:
    """Return the service that receives events.

    Args:
        settings: where the events go.
        apideck: the Unify apps.
        keys: the API key of each, by the name of the Unify app.
        transport: carries events to their targets; it follows no redirect.
        telemetry: counts events, and redacts signing secrets.

    Raises:
        ConfigurationError: a file with a signing secret cannot be used.
    """
    metrics = telemetry.metrics
    targets = build_targets(settings, apideck, telemetry.redactor.add_secret)
    app_ids = frozenset(app.app_id for app in apideck.all_unify_apps().values())
    sources = {
        name: WebhookSource(
            other_app_ids=app_ids - {app.app_id},
            keys=partial(keys[name].accepted, settings.previous_key_seconds),
            target=targets[name],
        )
        for name, app in apideck.all_unify_apps().items()
        if name in targets
    }
    relay = Relay(transport, settings.timeout_seconds, settings.max_in_flight)
    metrics.webhook_in_flight.set_function(lambda: relay.in_flight)
    metrics.begin_webhooks_at_zero(sources)
    return WebhookService(settings, sources, relay, metrics)


def build_secret_files(
    settings: WebhookSettings, service: WebhookService, add_secret: Callable[[str], None]
) -> list[SigningSecretFile]:
    """Return the files with signing secrets, which are to be read again while the service runs.

    Args:
        settings: where the events go.
        service: has the targets.
        add_secret: is called with every signing secret, with and without its prefix.
    """
    configured = ((name, settings.target_of(name)) for name in service.sources)
    return [
        SigningSecretFile(
            name, service.sources[name].target, target.signing_secret_file, add_secret
        )
        for name, target in configured
        if target is not None and target.signing_secret_file is not None
    ]


def build_targets(
    settings: WebhookSettings, apideck: ApideckSettings, add_secret: Callable[[str], None]
) -> dict[str, Target]:
    """Return the target of each Unify app that has one, by the name of the app.

    Args:
        settings: where the events go.
        apideck: the Unify apps.
        add_secret: is called with every signing secret, with and without its prefix.

    Raises:
        ConfigurationError: a file with a signing secret cannot be used.
    """
    targets = {}
    for name in apideck.all_unify_apps():
        target = settings.target_of(name)
        if target is not None and target.target_url is not None:
            secrets = _secrets(target)
            redact(secrets, add_secret)
            targets[name] = Target.build(target.target_url, secrets)
    return targets


def _secrets(target: WebhookTarget) -> tuple[str, ...]:
    if target.signing_secret is not None:
        return signing_secrets(target.signing_secret.get_secret_value())
    file = target.signing_secret_file or Path()  # The settings hold exactly one of them.
    try:
        return signing_secrets(file.read_text(encoding="utf-8"))
    except OSError as error:
        fault = error.strerror or "cannot be read"
    except ValueError as error:
        fault = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
    raise ConfigurationError([f"WEBHOOKS: the file {file}: {fault}"])
