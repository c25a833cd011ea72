"""The environment of the demo's service: the demo's settings, overridden by the developer's."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
RETURN_TARGET = "app"
"""The name of the redirect target for the developer's page."""

_ORIGIN = re.compile(r"https?://[^/?#@\s]+")
_ORIGINS = "CORS__ALLOW_ORIGINS"


class SettingsError(Exception):
    """The environment has a value that the demo cannot use; the message is for the developer."""


@dataclass(frozen=True, slots=True)
class ServiceEnvironment:
    """The environment of the service, and what the developer should know about it.

    Attributes:
        variables: the environment.
        used: the developer's settings that replace those of the demo.
        ignored: the developer's settings that the demo replaces, because it needs its own.
        console: whether the terminal gets readable lines; the service always writes JSON.
    """

    variables: dict[str, str]
    used: list[str]
    ignored: list[str]
    console: bool


def service_environment(
    urls: Mapping[str, str], port: int, outside: Mapping[str, str]
) -> ServiceEnvironment:
    """Combine the demo's settings with those of the developer, which have priority.

    Args:
        urls: the base URLs of the demo's processes, by name.
        port: the port of the service.
        outside: the environment of `make demo`.

    Raises:
        SettingsError: `DEMO_ORIGIN` is not an origin.
    """
    # The names are not case-sensitive, as in the service.
    given = {name.upper() if "__" in name else name: text for name, text in outside.items()}
    origin = given.get("DEMO_ORIGIN", "").removesuffix("/")
    if origin and not _ORIGIN.fullmatch(origin):
        raise SettingsError(
            f"DEMO_ORIGIN is {origin!r}, but has to be an origin: http://localhost:5173"
        )
    ours = _settings(urls, origin)
    fixed = {"CONFIG_FILE": str(HERE / "config.toml"), "SERVER__PORT": str(port)}
    variables = {**ours, **given, **fixed, "LOG__FORMAT": "json"}
    if _ORIGINS in given:
        variables[_ORIGINS] = _joined(given[_ORIGINS], ours[_ORIGINS])
    return ServiceEnvironment(
        variables,
        used=sorted(name for name in ours if given.get(name, ours[name]) != ours[name]),
        ignored=sorted(name for name in fixed if given.get(name, fixed[name]) != fixed[name]),
        console=given.get("LOG__FORMAT", "console") != "json",
    )


def _settings(urls: Mapping[str, str], origin: str) -> dict[str, str]:
    """Return the settings that replace the URLs of config.toml with the actual URLs."""
    own_page = {f"SESSION__RETURN_TO__{RETURN_TARGET.upper()}": f"{origin}/"} if origin else {}
    return {
        "SERVER__PUBLIC_URL": urls["service"],
        "APIDECK__BASE_URL": urls["apideck"],
        "APIDECK__VAULT_ORIGINS": json.dumps([urls["apideck"]]),
        "IDENTITY__ISSUERS__DEMO__ISSUER": urls["issuer"],
        "IDENTITY__ISSUERS__BACKENDS__ISSUER": urls["issuer"],
        "WEBHOOKS__TARGET_URL": f"{urls['demo']}/webhooks/apideck",
        "SESSION__RETURN_TO__SETTINGS": f"{urls['demo']}/return.html",
        **own_page,
        "SESSION__DEFAULTS__THEME__LOGO": f"{urls['demo']}/icon.svg",
        _ORIGINS: json.dumps([urls["demo"], *([origin] if origin else [])]),
    }


def _joined(given: str, ours: str) -> str:
    """Return the developer's list with the demo's origins added, which the demo's page needs."""
    try:
        listed = [*json.loads(given), *json.loads(ours)]
    except (ValueError, TypeError):
        return given  # The service reports the invalid list.
    return json.dumps(list(dict.fromkeys(listed)))
