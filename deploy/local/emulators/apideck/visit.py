"""A user with a valid session on a page of the Vault."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from emulators.apideck.markup import web_url
from emulators.apideck.state import Consumer

ACTIONS = ("reauthorize", "disable", "disconnect", "delete")
_DEFAULTS = {"show_logs": True, "show_sidebar": True}


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit to a page of the Vault.

    Attributes:
        token: the session token.
        claims: the claims of the token.
        consumer: the consumer of the session.
        seconds_left: the time until the session expires.
        page: `home`, `connector`, `isolated` for a connector's page without navigation, or
            `embedded` for the first page in a frame of another page.
    """

    token: str
    claims: dict[str, Any]
    consumer: Consumer
    seconds_left: int
    page: str

    def part(self, name: str) -> dict[str, Any]:
        """Return a part of the session, or an empty one."""
        part = self.claims.get(name)
        return part if isinstance(part, dict) else {}

    def setting(self, name: str) -> bool:
        """Return the value of a setting, or Apideck's default."""
        return bool(self.part("settings").get(name, _DEFAULTS.get(name, False)))

    @property
    def isolated(self) -> bool:
        """Whether the page has no links to other pages."""
        return self.page in {"isolated", "embedded"} or self.setting("isolation_mode")

    @property
    def back(self) -> str | None:
        """The redirect URI, or None; a frame does not redirect."""
        return None if self.page == "embedded" else web_url(self.claims.get("redirect_uri"))

    @property
    def actions(self) -> list[str]:
        """The actions that the pages offer; without the setting all of them."""
        allowed = self.part("settings").get("allow_actions")
        return [action for action in ACTIONS if allowed is None or action in allowed]

    @property
    def unified_apis(self) -> list[str]:
        """The unified APIs to show; an empty list means all."""
        return list(self.part("settings").get("unified_apis") or ())

    @property
    def home_url(self) -> str:
        """The path of the first page."""
        return f"/session/{self.token}{'?embedded=true' if self.page == 'embedded' else ''}"

    def connector_url(self, api: str, service: str) -> str:
        """Return the path of a connector's page, isolated if this page is."""
        isolation = "&isolation=true" if self.page == "isolated" else ""
        path = f"/integrations/{quote(api, safe='')}/{quote(service, safe='')}"
        return f"{path}?jwt={self.token}{isolation}"
