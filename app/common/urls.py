"""What counts as a URL here: a grammar so narrow that no two parsers can disagree about it.

URL parsers differ on user info, backslashes, control characters, empty hosts and much more; each
difference has been somebody's open redirect. So a URL is not parsed and repaired: either it is
spelt in this subset of RFC 3986, or it is refused. What passes is used as it stands.
"""

import re
from typing import Final

import idna

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
MAX_URL_LENGTH: Final = 2048

_MAX_PORT = 65535
# Runs of characters, and no way back into one: a session's URI has a thousand of them.
_PATH_CHARACTERS = r"(?:[A-Za-z0-9._~!$&'()+,;=:@-]++|%[0-9A-Fa-f]{2})"
# To a browser, `.` and `..` as segments mean another path, in whatever spelling.
_SEGMENT = rf"/(?!(?:\.|%2[Ee]){{1,2}}(?:[/?]|\Z)){_PATH_CHARACTERS}*+"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
# To a browser, a name that ends in a number is an IPv4 address: 127.1, 0x7f.1 and 2130706433 are
# 127.0.0.1. So only the four decimal numbers that mean what they say are one.
_NAME = rf"(?:{_LABEL}\.)*(?!(?:[0-9]+|0[xX][0-9A-Fa-f]*)(?:[:/?]|\Z)){_LABEL}"
_URL = re.compile(
    r"(?P<scheme>https?)://"
    rf"(?P<host>\[::1\]|{_OCTET}(?:\.{_OCTET}){{3}}|{_NAME})"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    rf"(?P<path>(?:{_SEGMENT})+)?"
    rf"(?P<query>\?(?:{_PATH_CHARACTERS}|[/?])*+)?"
)


def web_url(value: str) -> str:
    """Return `value` when it is an absolute https URL (http on a loopback host only).

    No user info, fragment, backslash, wildcard, dot segment, control or non-ASCII character, and
    no host or port that is another's in a browser's eyes.

    Raises:
        ValueError: with what is wrong, in words that do not quote the value.
    """
    if len(value) > MAX_URL_LENGTH:
        raise ValueError(f"must be at most {MAX_URL_LENGTH} characters long")
    match = _URL.fullmatch(value)
    if match is None or int(match["port"] or 1) not in range(1, _MAX_PORT + 1):
        raise ValueError(
            "must be an absolute https URL without user info, fragment, backslash, wildcard, "
            "dot segments, numeric host names, control or non-ASCII characters"
        )
    if match["scheme"] == "http" and not is_loopback(value):
        raise ValueError("must use https; http is for loopback hosts only")
    if "xn--" in match["host"].lower():
        _check_international_name(match["host"])
    return value


def _check_international_name(host: str) -> None:
    # httpx raises an exception of its own for a name that it cannot decode (RFC 5891).
    try:
        idna.decode(host)
    except idna.IDNAError:
        raise ValueError("must have a valid host name after `xn--`") from None


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
