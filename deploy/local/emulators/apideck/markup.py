"""HTML that nothing from a session can break out of: whatever is not Markup is escaped."""

import html
import re
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

PAGES = Path(__file__).parent / "pages"
_COLOUR = re.compile(r"#[0-9a-fA-F]{3}|#[0-9a-fA-F]{6}|[a-zA-Z]{3,20}")
# Its first group, the origin, goes into a header as well.
_WEB_URL = re.compile(
    r"(https?://(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d{1,5})?)(?:[/?#][^\s\"'<>\\]*)?"
)


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


NOTHING = Markup()


@cache
def _page(name: str) -> str:
    return (PAGES / name).read_text()


def render(name: str, /, **values: object) -> Markup:
    """Fill in a page."""
    return fill(_page(name), **values)


def fill(template: str, /, **values: object) -> Markup:
    """Fill in a template; what is not Markup is escaped."""
    safe = {
        key: value if isinstance(value, Markup) else html.escape(str(value))
        for key, value in values.items()
    }
    return Markup(Template(template).substitute(safe))


def joined(parts: list[Markup]) -> Markup:
    """Return one piece of markup after the other."""
    return Markup("\n".join(parts))


def web_url(value: Any) -> str | None:
    """Return an absolute http or https URL, or None where the value is none.

    `javascript:` and its kind never become a link or an image.
    """
    return value if isinstance(value, str) and _WEB_URL.fullmatch(value) else None


def origin(url: str) -> str:
    """Return the origin of a URL that `web_url` let through."""
    match = _WEB_URL.fullmatch(url)
    return match[1] if match else ""


def colour(value: Any, default: str) -> str:
    """Return a colour (#rgb, #rrggbb or a name), or the default where the value is none."""
    return value if isinstance(value, str) and _COLOUR.fullmatch(value) else default


def ink_on(background: str) -> str:
    """Return black or white, whichever is the easier to read on a colour.

    The weights are those of perceived brightness (ITU-R BT.601). Names of colours get white.
    """
    digits = background.removeprefix("#")
    if digits == background:
        return "#ffffff"
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    red, green, blue = (int(digits[i : i + 2], 16) for i in (0, 2, 4))
    return "#111111" if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else "#ffffff"
