"""HTML templates that escape every value that is not Markup."""

import html
import re
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

PAGES = Path(__file__).parent / "pages"
_COLOUR = re.compile(r"#[0-9a-fA-F]{3}|#[0-9a-fA-F]{6}|[a-zA-Z]{3,20}")
# The first group, the origin, is also used in a header.
_WEB_URL = re.compile(
    r"(https?://(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d{1,5})?)(?:[/?#][^\s\"'<>\\]*)?"
)


class Markup(str):
    """Text that is HTML."""

    __slots__ = ()


NOTHING = Markup()


@cache
def _page(name: str) -> str:
    return (PAGES / name).read_text()


def render(name: str, /, **values: object) -> Markup:
    """Render a page."""
    return fill(_page(name), **values)


def fill(template: str, /, **values: object) -> Markup:
    """Fill in a template, and escape values that are not Markup."""
    safe = {
        key: value if isinstance(value, Markup) else html.escape(str(value))
        for key, value in values.items()
    }
    return Markup(Template(template).substitute(safe))


def joined(parts: list[Markup]) -> Markup:
    """Return pieces of markup as one."""
    return Markup("\n".join(parts))


def web_url(value: Any) -> str | None:
    """Return the value if it is an absolute http or https URL, and None otherwise.

    So `javascript:` and other schemes never become a link or an image.
    """
    return value if isinstance(value, str) and _WEB_URL.fullmatch(value) else None


def origin(url: str) -> str:
    """Return the origin of a URL that `web_url` has accepted."""
    match = _WEB_URL.fullmatch(url)
    return match[1] if match else ""


def colour(value: Any, default: str) -> str:
    """Return the value if it is a colour (#rgb, #rrggbb or a name), and the default otherwise."""
    return value if isinstance(value, str) and _COLOUR.fullmatch(value) else default


def ink_on(background: str) -> str:
    """Return the text colour, black or white, that is easier to read on a background.

    The weights are those of perceived brightness (ITU-R BT.601). Named colours get white.
    """
    digits = background.removeprefix("#")
    if digits == background:
        return "#ffffff"
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    red, green, blue = (int(digits[i : i + 2], 16) for i in (0, 2, 4))
    return "#111111" if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else "#ffffff"
