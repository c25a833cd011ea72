"""All settings: nested, frozen, checked at start. Nothing here reads the environment."""

from typing import Self

from pydantic import model_validator

from app.settings.apideck import ApideckSettings
from app.settings.claims import ClaimPaths
from app.settings.cookie_sessions import CookieSessionSettings
from app.settings.credentials import CredentialSettings
from app.settings.egress import EgressSettings
from app.settings.groups import Group
from app.settings.identity import IdentitySettings
from app.settings.identity_source import IdentitySourceSettings
from app.settings.introspection import IntrospectionSettings
from app.settings.issuers import IssuerSettings
from app.settings.limits import LimitSettings
from app.settings.server import CorsSettings, LogSettings, ServerSettings, TracingSettings
from app.settings.session import SessionDefaults, SessionSettings
from app.settings.webhooks import WebhookSettings

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
