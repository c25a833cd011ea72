"""What counts as a URL here: a grammar so narrow that no two parsers can disagree about it.

URL parsers differ on user info, backslashes, control characters, empty hosts and much more; each
difference has been somebody's open redirect. So a URL is not parsed and repaired: either it is
spelt in this subset of RFC 3986, or it is refused. What passes is used as it stands.
"""

import re
from typing import Final

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
MAX_URL_LENGTH: Final = 2048

_MAX_PORT = 65535
_PATH_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()+,;=:@/-]|%[0-9A-Fa-f]{2})"
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[::1\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    rf"(?P<path>/{_PATH_CHARACTER}*)?"
    rf"(?P<query>\?(?:{_PATH_CHARACTER}|\?)*)?"
)


def web_url(value: str) -> str:
    """Return `value` when it is an absolute https URL (http on a loopback host only).

    No user info, fragment, backslash, wildcard, control or non-ASCII character.

    Raises:
        ValueError: with what is wrong, in words that do not quote the value.
    """
    if len(value) > MAX_URL_LENGTH:
        raise ValueError(f"must be at most {MAX_URL_LENGTH} characters long")
    match = _URL.fullmatch(value)
    if match is None or int(match["port"] or 1) not in range(1, _MAX_PORT + 1):
        raise ValueError(
            "must be an absolute https URL without user info, fragment, backslash, wildcard, "
            "control or non-ASCII characters"
        )
    if match["scheme"] == "http" and not is_loopback(value):
        raise ValueError("must use https; http is for loopback hosts only")
    return value


def origin(value: str) -> str:
    """Return `value` when it is an origin as browsers send it: scheme, host and port, no more.

    Raises:
        ValueError: with what is wrong, in words that do not quote the value.
    """
    web_url(value)
    if origin_of(value) != value or value != value.lower():
        raise ValueError("must be an origin such as https://app.example.com: no path, no slash")
    if value.endswith(":443" if value.startswith("https:") else ":80"):
        raise ValueError("must leave out the scheme's default port, as browsers do")
    return value


def origin_of(url: str) -> str | None:
    """Return the scheme, host and port of a URL in this grammar, as written; None for others."""
    match = _URL.fullmatch(url)
    return (
        None if match is None else url[: match.end("port") if match["port"] else match.end("host")]
    )


def is_loopback(url: str) -> bool:
    """Tell whether a URL in this grammar names a loopback host."""
    match = _URL.fullmatch(url)
    return match is not None and match["host"].lower() in LOOPBACK_HOSTS
