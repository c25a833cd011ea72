"""All settings: nested, frozen, checked at start. Nothing here reads the environment."""

from collections.abc import Iterator
from typing import Self

from pydantic import model_validator

from .apideck import ApideckSettings
from .claims import ClaimPaths
from .cookie_sessions import CookieSessionSettings
from .credentials import CredentialSettings
from .egress import EgressSettings
from .groups import Group
from .identity import IdentitySettings
from .identity_source import IdentitySourceSettings
from .introspection import IntrospectionSettings
from .issuers import IssuerSettings
from .limits import LimitSettings
from .server import CorsSettings, LogSettings, ServerSettings, TracingSettings
from .session import SessionDefaults, SessionSettings
from .webhooks import WebhookSettings

__all__ = [
    "ApideckSettings",
    "ClaimPaths",
    "CookieSessionSettings",
    "CorsSettings",
    "CredentialSettings",
    "EgressSettings",
    "IdentitySettings",
    "IdentitySourceSettings",
    "IntrospectionSettings",
    "IssuerSettings",
    "LimitSettings",
    "LogSettings",
    "ServerSettings",
    "SessionDefaults",
    "SessionSettings",
    "Settings",
    "TracingSettings",
    "WebhookSettings",
]


class Settings(Group):
    """Everything that an operator can set."""

    apideck: ApideckSettings
    identity: IdentitySettings
    session: SessionSettings = SessionSettings()
    webhooks: WebhookSettings = WebhookSettings()
    limits: LimitSettings = LimitSettings()
    cors: CorsSettings = CorsSettings()
    server: ServerSettings = ServerSettings()
    egress: EgressSettings = EgressSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()

    def secrets(self) -> Iterator[str]:
        """Yield what the log must not contain; the lifespan adds the secrets that are in files."""
        yield from self.egress.secrets()
        yield from self.tracing.secrets()
        for source in self.identity.sources():
            yield from source.settings.secrets()

    @model_validator(mode="after")
    def _unify_apps_exist(self) -> Self:
        known = self.apideck.all_unify_apps()
        chosen = {
            name for source in self.identity.sources() for name in source.settings.apideck.names
        }
        unknown = chosen - set(known)
        if unknown:
            raise ValueError("identity chooses a Unify app that apideck.unify_apps lacks")
        if set(self.webhooks.unify_apps) - set(known):
            raise ValueError("webhooks.unify_apps names a Unify app that apideck.unify_apps lacks")
        return self
