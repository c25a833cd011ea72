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


def scheme_trick(text: str, chance: random.Random) -> str:
    """Another scheme, another case, fewer or more slashes, or none."""
    _, host, rest = _cut(text)
    scheme = chance.choice(
        ["HTTPS://", "https:", "https:/", "https:///", "https:\\\\", "//", "\\\\", "http://", "",
         "javascript://", "data:text/html,", "blob:https://", "view-source:https://", "ftp://",
         "file://", "ws://", "https:%2f%2f", "hTtPs://", "https ://", "x:https://"]
    )  # fmt: skip
    return f"{scheme}{host}{rest}"


def userinfo_trick(text: str, chance: random.Random) -> str:
    """The host as the user name of another, with every spelling of the at sign."""
    scheme, host, rest = _cut(text)
    sign = chance.choice(["@", ":x@", ":@", "%40", "@@", "\uff20", ":80@", "\\@", "/@", "?@", "#@"])
    pair = chance.choice([(host, EVIL), (EVIL, host), ("", host), (host, host)])
    return f"{scheme}{pair[0]}{sign}{pair[1]}{rest}"


def host_trick(text: str, chance: random.Random) -> str:
    """Something before, after or instead of the host."""
    scheme, host, rest = _cut(text)
    other = chance.choice(
        [f"{host}.{EVIL}", f"{EVIL}.{host}", f"{host}.", f".{host}", f"{host}..", f"*.{host}",
         host.replace(".", ".."), host.replace(".", ""), f"{host}%00.{EVIL}", f"{host}%2e{EVIL}",
         f"{host}-{EVIL}", f"[{host}]", f"xn--{host}", f"{host}&{EVIL}", f"{host};{EVIL}",
         host.upper(), f"{EVIL}\\{host}", f"{host}\\{EVIL}", f"{host}^{EVIL}", f"{host}|{EVIL}",
         "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.1.", "[::1]",
         "[::ffff:1.2.3.4]", "xn--pple-43d.com",
         "[::1%25lo]", "1.2.3.256", "1.2.3", "0", "0x", "app.example.0x7f", "xn--"]
    )  # fmt: skip
    return f"{scheme}{other}{rest}"


def port_trick(text: str, chance: random.Random) -> str:
    """Ports that are default, empty, padded, too large, or not numbers."""
    scheme, host, rest = _cut(text)
    port = chance.choice(
        ["443", "", "0443", "80", "0", "65536", "4294967739", "443x", "-1", "+443", " 443", "4 43",
         "%34%34%33", "443@" + EVIL, "443:443", "\uff14\uff14\uff13", "1e2"]
    )  # fmt: skip
    return f"{scheme}{host.partition(':')[0]}:{port}{rest}"


def path_trick(text: str, chance: random.Random) -> str:
    """Dots, slashes and encodings that change a path."""
    scheme, host, rest = _cut(text)
    tail = chance.choice(
        ["/../", "/./", "/..", "/%2e%2e/", "/.%2E/", "/%252e%252e/", "//" + EVIL, "/\\" + EVIL,
         "\\..\\", "/;/..", "/..;/", "/.;x", "/%5c..", "/%2f..%2f", "/%00", "/%", "/%zz", "/...",
         "?/../" + EVIL, "#/../" + EVIL, "#" + EVIL, "?" + EVIL, "/*", "//", "/", "?", "#"]
    )  # fmt: skip
    return f"{scheme}{host}{rest}{tail}" if chance.random() < 0.5 else f"{scheme}{host}{tail}{rest}"


def control_trick(text: str, chance: random.Random) -> str:
    """A character that parsers strip, keep or stop at, at any position."""
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(CONTROLS) * chance.choice([1, 1, 2]) + text[at:]


def lookalike_trick(text: str, chance: random.Random) -> str:
    """A character that IDNA or NFKC maps to an ASCII one, or that looks like it."""
    places = [at for at, character in enumerate(text) if character in LOOKALIKES]
    if not places:
        return text
    at = chance.choice(places)
    return text[:at] + chance.choice(LOOKALIKES[text[at]]) + text[at + 1 :]


def encoding_trick(text: str, chance: random.Random) -> str:
    """One character percent-encoded once or twice, in upper or lower case."""
    at = chance.randrange(len(text))
    once = f"%{ord(text[at]) % 256:02x}"
    spelt = chance.choice([once, once.upper(), once.replace("%", "%25"), f"%u00{once[1:]}"])
    return text[:at] + spelt + text[at + 1 :]


def case_trick(text: str, chance: random.Random) -> str:
    """One letter in the other case."""
    at = chance.randrange(len(text))
    return text[:at] + text[at].swapcase() + text[at + 1 :]


def doubling_trick(text: str, chance: random.Random) -> str:
    """Two URLs in one, joined by a character that some parser takes for the end."""
    return (
        text
        + chance.choice(["", " ", ",", "\n", "#", "@", "\\", "&url=", "%0d%0a"])
        + (f"https://{EVIL}/" if chance.random() < 0.5 else text)
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
    """Yield strings made from these by one to three tricks."""
    chance = random.Random(seed)  # noqa: S311 - the same strings every time
    for _ in range(count):
        text = chance.choice(seeds)
        for trick in chance.choices(TRICKS, k=chance.choice([1, 1, 2, 3])):
            text = trick(text, chance) or text
        yield text


def browser(url: str) -> ada_url.URL | None:
    """Return a URL as a browser parses it, or None if it is invalid for a browser."""
    try:
        return ada_url.URL(url)
    except ValueError:
        return None


def test_the_generated_strings_are_hostile() -> None:
    """Many lead a browser to another host, or to the target in another spelling."""
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
    """No string has the origin of the Vault for the service and another for a browser."""
    ours = f"{VAULT}/session/eyJ.e30.x"
    for text in {*hostile([ours, VAULT, f"{VAULT}?jwt=eyJ.e30.x"], STRINGS), ours}:
        if origin_of(text) == VAULT:
            seen = browser(text)
            assert seen is not None, text
            assert seen.origin == VAULT, text
    assert origin_of(ours) == VAULT


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
