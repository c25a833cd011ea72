"""The URLs that this service accepts: a grammar so narrow that parsers cannot disagree about it.

URL parsers differ on user info, backslashes, control characters, empty hosts and much more, and
each difference has led to an open redirect somewhere. So a URL is not parsed and repaired: it
belongs to this subset of RFC 3986, or it is rejected. An accepted URL is used unchanged.
"""

import re
from typing import Final

import idna

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
MAX_URL_LENGTH: Final = 2048

_MAX_PORT = 65535
# Possessive, so without backtracking: the URI of a session has a thousand of them.
_PATH_CHARACTERS = r"(?:[A-Za-z0-9._~!$&'()+,;=:@-]++|%[0-9A-Fa-f]{2})"
# A browser resolves `.` and `..` as segments, however they are encoded.
_SEGMENT = rf"/(?!(?:\.|%2[Ee]){{1,2}}(?:[/?]|\Z)){_PATH_CHARACTERS}*+"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
# At most 63 characters (RFC 1035 section 2.3.4).
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# A browser takes a name that ends in a number for an IPv4 address: 127.1, 0x7f.1 and 2130706433
# are 127.0.0.1. So an address is accepted only as four decimal numbers.
_NAME = rf"(?:{_LABEL}\.)*(?!(?:[0-9]+|0[xX][0-9A-Fa-f]*)(?:[:/?]|\Z)){_LABEL}"
_URL = re.compile(
    r"(?P<scheme>https?)://"
    rf"(?P<host>\[::1\]|{_OCTET}(?:\.{_OCTET}){{3}}|{_NAME})"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    rf"(?P<path>(?:{_SEGMENT})+)?"
    rf"(?P<query>\?(?:{_PATH_CHARACTERS}|[/?])*+)?"
)
# The schemes that are missing here are those of the web, of files, and of pages without an origin.
_SHELL_ORIGIN = re.compile(
    r"(?!(?:https?|wss?|ftp|file|data|blob|about|javascript|view-source)://)"
    r"[a-z][a-z0-9+.-]*://(?:[a-z0-9_-]+\.)*[a-z0-9_-]+(?::[1-9][0-9]{0,4})?"
)
_LOCAL_ORIGIN = re.compile(rf"http://(?:{_LABEL}\.)+localhost(?::[1-9][0-9]{{0,4}})?")


def web_url(value: str) -> str:
    """Return `value` when it is an absolute https URL (http on a loopback host only).

    It has no user info, fragment, backslash, wildcard, dot segment, control or non-ASCII character,
    and no host or port that a browser would read differently.

    Raises:
        ValueError: the message says what is wrong, and does not quote the value.
    """
    if len(value) > MAX_URL_LENGTH:
        raise ValueError(f"must be at most {MAX_URL_LENGTH} characters long")
    match = _URL.fullmatch(value)
    if match is None or int(match["port"] or 1) not in range(1, _MAX_PORT + 1):
        raise ValueError(
            "must be an absolute https URL without user info, fragment, backslash, wildcard, "
            "dot segments, numeric or overlong host names, control or non-ASCII characters"
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
    """Return `value` when it is an origin as browsers send it: scheme, host and port only.

    Raises:
        ValueError: the message says what is wrong, and does not quote the value.
    """
    web_url(value)
    if origin_of(value) != value or value != value.lower():
        raise ValueError("must be an origin such as https://app.example.com: no path, no slash")
    if value.endswith(":443" if value.startswith("https:") else ":80"):
        raise ValueError("must leave out the scheme's default port, as browsers do")
    return value


def page_origin(value: str) -> str:
    """Return `value` if it is the origin of pages in a browser or a native shell.

    Besides web origins these are pages of a development server below `localhost`, which browsers
    resolve to the loopback interface (RFC 6761 section 6.3), and pages of a shell that has a scheme
    of its own, such as `capacitor://localhost`.

    Raises:
        ValueError: what is wrong, in words that do not quote the value.
    """
    if len(value) <= MAX_URL_LENGTH and _SHELL_ORIGIN.fullmatch(value):
        return value
    if _LOCAL_ORIGIN.fullmatch(value) and not value.endswith(":80"):
        origin(f"https{value.removeprefix('http')}")
        return value
    return origin(value)


def origin_of(url: str) -> str | None:
    """Return the scheme, host and port of a URL in this grammar, as written; None for others."""
    match = _URL.fullmatch(url)
    return (
        None if match is None else url[: match.end("port") if match["port"] else match.end("host")]
    )


def is_loopback(url: str) -> bool:
    """Return whether a URL in this grammar has a loopback host."""
    match = _URL.fullmatch(url)
    return match is not None and match["host"].lower() in LOOPBACK_HOSTS
