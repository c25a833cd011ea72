"""Redirect targets as a browser reads them; the browser is ada, the WHATWG parser of Node.js.

For a browser, a string that passes the checks must be the registered target on the registered
origin. The hostile strings are generated from a grammar of known tricks, reproducibly.
"""

import random
from collections.abc import Callable, Iterator

import ada_url
import pytest

from app.common.urls import origin_of, web_url
from app.errors import RedirectNotAllowedError
from app.identity.models import Caller
from app.sessions.models import SessionRequest
from app.sessions.policy import plan_session
from app.settings import SessionSettings

STRINGS = 20_000
TARGETS = {
    "home": "https://app.example.com/home",
    "bare": "https://app.example.com",
    "query": "https://app.example.com:8443/back?a=b&c=%2Fd",
    "local": "http://localhost:3000/return",
}
VAULT = "https://vault.apideck.com"
EVIL = "evil.example"

Trick = Callable[[str, random.Random], str]
CONTROLS = ["\t", "\n", "\r", "\0", "\x0b", "\x1f", "\x7f", "\x85", "\xa0", "\u2028", "\ufeff", " "]
LOOKALIKES = {
    "/": "\u2044\u2215\uff0f\u29f8\\",
    ".": "\u3002\uff0e\uff61\u2024",
    "a": "\u0430\uff41\u2090\u24d0",
    "e": "\u0435\uff45\u2091\u24d4",
    "p": "\u0440\uff50\u209a\u24df",
    "o": "\u043e\uff4f\u2092\u24de",
    ":": "\uff1a\u2236\ua789",
    "?": "\uff1f",
    "@": "\uff20\ufe6b",
    "s": "\u017f\uff53",
}


def _cut(text: str) -> tuple[str, str, str]:
    """Return the scheme with its slashes, the authority, and the rest."""
    scheme, _, rest = text.partition("://")
    end = min((rest.find(c) for c in "/?#" if c in rest), default=len(rest))
    return f"{scheme}://", rest[:end], rest[end:]


def scheme_trick(text: str, rng: random.Random) -> str:
    """Change the scheme, its case or its slashes."""
    _, host, rest = _cut(text)
    scheme = rng.choice(
        ["HTTPS://", "https:", "https:/", "https:///", "https:\\\\", "//", "\\\\", "http://", "",
         "javascript://", "data:text/html,", "blob:https://", "view-source:https://", "ftp://",
         "file://", "ws://", "https:%2f%2f", "hTtPs://", "https ://", "x:https://"]
    )  # fmt: skip
    return f"{scheme}{host}{rest}"


def userinfo_trick(text: str, rng: random.Random) -> str:
    """Make the host the user name of another host, with every spelling of the at sign."""
    scheme, host, rest = _cut(text)
    sign = rng.choice(["@", ":x@", ":@", "%40", "@@", "\uff20", ":80@", "\\@", "/@", "?@", "#@"])
    pair = rng.choice([(host, EVIL), (EVIL, host), ("", host), (host, host)])
    return f"{scheme}{pair[0]}{sign}{pair[1]}{rest}"


def host_trick(text: str, rng: random.Random) -> str:
    """Add text before or after the host, or replace it."""
    scheme, host, rest = _cut(text)
    other = rng.choice(
        [f"{host}.{EVIL}", f"{EVIL}.{host}", f"{host}.", f".{host}", f"{host}..", f"*.{host}",
         host.replace(".", ".."), host.replace(".", ""), f"{host}%00.{EVIL}", f"{host}%2e{EVIL}",
         f"{host}-{EVIL}", f"[{host}]", f"xn--{host}", f"{host}&{EVIL}", f"{host};{EVIL}",
         host.upper(), f"{EVIL}\\{host}", f"{host}\\{EVIL}", f"{host}^{EVIL}", f"{host}|{EVIL}",
         "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.1.", "[::1]",
         "[::ffff:1.2.3.4]", "xn--pple-43d.com",
         "[::1%25lo]", "1.2.3.256", "1.2.3", "0", "0x", "app.example.0x7f", "xn--"]
    )  # fmt: skip
    return f"{scheme}{other}{rest}"


def port_trick(text: str, rng: random.Random) -> str:
    """Set a port that is default, empty, padded, too large, or not a number."""
    scheme, host, rest = _cut(text)
    port = rng.choice(
        ["443", "", "0443", "80", "0", "65536", "4294967739", "443x", "-1", "+443", " 443", "4 43",
         "%34%34%33", "443@" + EVIL, "443:443", "\uff14\uff14\uff13", "1e2"]
    )  # fmt: skip
    return f"{scheme}{host.partition(':')[0]}:{port}{rest}"


def path_trick(text: str, rng: random.Random) -> str:
    """Add dots, slashes and encodings that change a path."""
    scheme, host, rest = _cut(text)
    tail = rng.choice(
        ["/../", "/./", "/..", "/%2e%2e/", "/.%2E/", "/%252e%252e/", "//" + EVIL, "/\\" + EVIL,
         "\\..\\", "/;/..", "/..;/", "/.;x", "/%5c..", "/%2f..%2f", "/%00", "/%", "/%zz", "/...",
         "?/../" + EVIL, "#/../" + EVIL, "#" + EVIL, "?" + EVIL, "/*", "//", "/", "?", "#"]
    )  # fmt: skip
    return f"{scheme}{host}{rest}{tail}" if rng.random() < 0.5 else f"{scheme}{host}{tail}{rest}"


def control_trick(text: str, rng: random.Random) -> str:
    """Insert a character that parsers strip, keep or stop at."""
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(CONTROLS) * rng.choice([1, 1, 2]) + text[at:]


def lookalike_trick(text: str, rng: random.Random) -> str:
    """Use a character that IDNA or NFKC maps to an ASCII one, or that looks like it."""
    places = [at for at, character in enumerate(text) if character in LOOKALIKES]
    if not places:
        return text
    at = rng.choice(places)
    return text[:at] + rng.choice(LOOKALIKES[text[at]]) + text[at + 1 :]


def encoding_trick(text: str, rng: random.Random) -> str:
    """Percent-encode one character once or twice, in upper or lower case."""
    at = rng.randrange(len(text))
    once = f"%{ord(text[at]) % 256:02x}"
    spelled = rng.choice([once, once.upper(), once.replace("%", "%25"), f"%u00{once[1:]}"])
    return text[:at] + spelled + text[at + 1 :]


def case_trick(text: str, rng: random.Random) -> str:
    """Change the case of one letter."""
    at = rng.randrange(len(text))
    return text[:at] + text[at].swapcase() + text[at + 1 :]


def doubling_trick(text: str, rng: random.Random) -> str:
    """Join two URLs with a character that some parsers treat as the end."""
    return (
        text
        + rng.choice(["", " ", ",", "\n", "#", "@", "\\", "&url=", "%0d%0a"])
        + (f"https://{EVIL}/" if rng.random() < 0.5 else text)
    )


TRICKS: list[Trick] = [
    scheme_trick,
    userinfo_trick,
    host_trick,
    port_trick,
    path_trick,
    control_trick,
    lookalike_trick,
    encoding_trick,
    case_trick,
    doubling_trick,
]


def hostile(seeds: list[str], count: int, seed: int = 9110) -> Iterator[str]:
    """Yield strings that one to three tricks make of these seeds."""
    rng = random.Random(seed)  # noqa: S311 - the same strings every time
    for _ in range(count):
        text = rng.choice(seeds)
        for trick in rng.choices(TRICKS, k=rng.choice([1, 1, 2, 3])):
            text = trick(text, rng) or text
        yield text


def browser(url: str) -> ada_url.URL | None:
    """Return a URL as a browser parses it, or None if it is invalid for a browser."""
    try:
        return ada_url.URL(url)
    except ValueError:
        return None


def test_the_generated_strings_are_hostile() -> None:
    """Many of them lead a browser to another host, or to the target with another spelling."""
    strings = set(hostile(list(TARGETS.values()), STRINGS))
    seen = [made for text in strings if (made := browser(text)) is not None]
    hrefs = {made.href for made in map(browser, TARGETS.values()) if made is not None}

    assert len(strings) > STRINGS // 2
    assert sum(EVIL in made.hostname for made in seen) > 300
    assert sum(made.href in hrefs for made in seen) > 300
    assert sum(bool(made.username) for made in seen) > 100


def test_only_the_registered_string_passes_the_redirect_check() -> None:
    """Thousands of similar strings are rejected, even those that a browser reads as equal."""
    settings = SessionSettings(return_to=TARGETS)
    caller = Caller("user", "main", "ada", "acme")
    registered = set(TARGETS.values())
    passed = 0
    for text in [*hostile(list(TARGETS.values()), STRINGS), *TARGETS.values()]:
        try:
            plan = plan_session(caller, SessionRequest(redirect_uri=text), settings)
        except RedirectNotAllowedError:
            assert text not in registered
            continue
        passed += 1
        assert plan.session["redirect_uri"] == text
        assert text in registered
    assert passed >= len(TARGETS)


def test_a_browser_reads_an_accepted_url_in_the_same_way() -> None:
    """A URL that may be registered, shown or requested is the same URL for a browser."""
    passed = set()
    for text in {*hostile(list(TARGETS.values()), STRINGS), *TARGETS.values()}:
        try:
            web_url(text)
        except ValueError:
            continue
        passed.add(text)
        seen = browser(text)
        assert seen is not None, text
        scheme, authority, rest = _cut(text)
        default = {"https://": ":443", "http://": ":80"}[scheme]
        assert f"{seen.protocol}//" == scheme, text
        assert seen.host == authority.lower().removesuffix(default), text
        assert (seen.username, seen.password, seen.hash) == ("", "", ""), text
        path, mark, query = rest.partition("?")
        assert seen.pathname == (path or "/"), text
        # A browser encodes the apostrophe in a query, and drops an empty query.
        assert seen.search == (mark + query.replace("'", "%27") if query else ""), text
    assert len(passed) > 200


def test_the_origin_of_a_session_is_the_origin_that_a_browser_opens() -> None:
    """The service and a browser agree on whether a string has the Vault's origin."""
    session_url = f"{VAULT}/session/eyJ.e30.x"
    for text in {*hostile([session_url, VAULT, f"{VAULT}?jwt=eyJ.e30.x"], STRINGS), session_url}:
        if origin_of(text) == VAULT:
            seen = browser(text)
            assert seen is not None, text
            assert seen.origin == VAULT, text
    assert origin_of(session_url) == VAULT


@pytest.mark.parametrize(
    "host", ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.01", "0x7f000001"]
)
def test_other_spellings_of_an_ip_address_are_rejected(host: str) -> None:
    """For a browser, all of these are 127.0.0.1."""
    seen = browser(f"https://{host}/")

    assert seen is not None
    assert seen.hostname == "127.0.0.1"
    with pytest.raises(ValueError, match="must"):
        web_url(f"https://{host}/")
