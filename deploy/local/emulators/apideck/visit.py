"""Somebody with a valid session on one of the Vault's pages."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from emulators.apideck.markup import web_url
from emulators.apideck.state import Consumer

ACTIONS = ("reauthorize", "disable", "disconnect", "delete")
_DEFAULTS = {"show_logs": True, "show_sidebar": True}


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit, as the session's token describes it.

    Attributes:
        token: the session's token.
        claims: what it says.
        consumer: whose session it is.
        seconds_left: until it ends.
        page: `home`, or `connector`, or `isolated` for a connector's page alone.
    """

    token: str
    claims: dict[str, Any]
    consumer: Consumer
    seconds_left: int
    page: str

    def part(self, name: str) -> dict[str, Any]:
        """Return a part of the session, empty where it was not given."""
        part = self.claims.get(name)
        return part if isinstance(part, dict) else {}

    def setting(self, name: str) -> bool:
        """Return a setting, or Apideck's default for it."""
        return bool(self.part("settings").get(name, _DEFAULTS.get(name, False)))

    @property
    def isolated(self) -> bool:
        """Whether the page shows nothing that leads elsewhere."""
        return self.page == "isolated" or self.setting("isolation_mode")

    @property
    def back(self) -> str | None:
        """Where the way back leads, if there is one."""
        return web_url(self.claims.get("redirect_uri"))

    @property
    def actions(self) -> list[str]:
        """What the pages offer for a connection. Absent means all, and empty means none."""
        allowed = self.part("settings").get("allow_actions")
        return [action for action in ACTIONS if allowed is None or action in allowed]

    @property
    def unified_apis(self) -> list[str]:
        """The unified APIs to show; none means all."""
        return list(self.part("settings").get("unified_apis") or ())

    @property
    def home_url(self) -> str:
        """Where the first page is."""
        return f"/session/{self.token}"

    def connector_url(self, api: str, service: str) -> str:
        """Return where one connector's page is, alone as this one is."""
        isolation = "&isolation=true" if self.page == "isolated" else ""
        path = f"/integrations/{quote(api, safe='')}/{quote(service, safe='')}"
        return f"{path}?jwt={self.token}{isolation}"
