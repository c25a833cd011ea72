"""All settings: nested, frozen, checked at start. Nothing here reads the environment."""

from app.settings.apideck import ApideckSettings
from app.settings.groups import Group
from app.settings.identity import ApplicationSettings, IdentitySettings
from app.settings.issuers import (
    ClaimPaths,
    CredentialSettings,
    IntrospectionSettings,
    IssuerSettings,
)
from app.settings.server import CorsSettings, LogSettings, ServerSettings
from app.settings.session import SessionDefaults, SessionSettings

__all__ = [
    "ApideckSettings",
    "ApplicationSettings",
    "ClaimPaths",
    "CorsSettings",
    "CredentialSettings",
    "IdentitySettings",
    "IntrospectionSettings",
    "IssuerSettings",
    "LogSettings",
    "ServerSettings",
    "SessionDefaults",
    "SessionSettings",
    "Settings",
]


class Settings(Group):
    """Everything that an operator can set."""

    apideck: ApideckSettings
    identity: IdentitySettings
    session: SessionSettings = SessionSettings()
    cors: CorsSettings = CorsSettings()
    server: ServerSettings = ServerSettings()
    log: LogSettings = LogSettings()
