from collections.abc import Callable

import pytest

from app.common.urls import MAX_URL_LENGTH, is_loopback, origin, origin_of, web_url


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example.com",
        "https://app.example.com/",
        "https://app.example.com:8443/a/b;c?d=e&f=%2F/?",
        "https://app.example.com/a..b/.c/...?d=/../e",
        "https://192.0.2.10:65535/",
        "https://192.0.2.10:65534/",
        "https://1.2.3.4.example/",
        "https://xn--mnchen-3ya.example/",
        "https://XN--mnchen-3ya.example/",
        "https://3com.example/",
        "http://localhost:3000/back",
        "http://127.0.0.1/",
        "http://[::1]:8003/return.html",
        "https://" + "a" * (MAX_URL_LENGTH - 8),
    ],
)
def test_takes_absolute_https_urls(url: str) -> None:
    """An absolute https URL, or http on loopback, is returned as it stands."""
    assert web_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/relative",
        "//app.example.com",
        "http://app.example.com",
        "http://localhost.example.com/",
        "HTTPS://app.example.com",
        "javascript:alert(1)",
        "https:app.example.com",
        "https:///app.example.com",
        "https://user@app.example.com",
        "https://user:pw@app.example.com",
        "https://app.example.com#fragment",
        "https://app.example.com\\@evil.example",
        "https://app.example.com/\\evil",
        "https://*.example.com",
        "https://app.example.com/*",
        "https://app.example.com/ space",
        " https://app.example.com",
        "https://app.example.com\n",
        "https://app.example.com/\x00",
        "https://app.example.com/\x7f",
        "https://äpp.example.com",
        "https://xn--0.example",
        "https://XN--0.example",
        "https://a.xn--0.example",
        "https://xn--",
        "https://app.example.com/é",
        "https://app.example.com/%",
        "https://app.example.com/%zz",
        "https://app.example.com:0",
        "https://app.example.com:65536",
        "https://app.example.com:",
        "https://.example.com",
        "https://example.com.",
        "https://app.example.com/a/../b",
        "https://app.example.com/a/.",
        "https://app.example.com/%2e%2E/b",
        "https://app.example.com/..?a",
        "https://127.1/",
        "https://0x7f.1/",
        "https://2130706433",
        "https://0177.0.0.1/",
        "https://256.1.1.1/",
        "https://1.2.3.4.5/",
        "https://app.example.0x1:1/",
        "https://app..example.com/",
        "https://app-.example.com/",
        "https://app.example.com:0443/",
        "https://[::2]/",
        "https://[v1.x]/",
        "https://" + "a" * MAX_URL_LENGTH,
    ],
)
def test_refuses_every_other_spelling(url: str) -> None:
    """Whatever a parser might read in two ways is refused, without being quoted."""
    with pytest.raises(ValueError, match="must") as refused:
        web_url(url)
    assert not url or url not in str(refused.value)


@pytest.mark.parametrize(
    "value", ["https://app.example.com", "https://app.example.com:80", "http://localhost:8003"]
)
def test_takes_origins_as_browsers_send_them(value: str) -> None:
    """Scheme, host and a port that is not the default one make an origin."""
    assert origin(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "null",
        "*",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://App.example.com",
        "https://app.example.com:443",
        "http://localhost:80",
    ],
)
def test_refuses_what_no_browser_sends_as_an_origin(value: str) -> None:
    """A pattern, a path, a default port or upper case would never match, so it is refused."""
    with pytest.raises(ValueError, match="must"):
        origin(value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://vault.apideck.com/session/eyJ.a.b", "https://vault.apideck.com"),
        ("http://127.0.0.1:8001/x?y", "http://127.0.0.1:8001"),
        ("https://vault.apideck.com", "https://vault.apideck.com"),
        ("https://vault.apideck.com@evil.example/", None),
        ("nonsense", None),
    ],
)
def test_origin_of_a_url_is_what_stands_before_its_path(url: str, expected: str | None) -> None:
    """The origin of a URL in the grammar is its beginning; there is none of any other."""
    assert origin_of(url) == expected


def test_loopback_is_told_by_the_host_alone() -> None:
    """A loopback name in front of another domain is not loopback."""
    assert is_loopback("http://localhost:1/x")
    assert not is_loopback("https://localhost.example.com/")
    assert not is_loopback("nonsense")


@pytest.mark.parametrize(
    ("check", "value", "words"),
    [
        (web_url, "x" * 2049, "must be at most 2048 characters long"),
        (
            web_url,
            "nonsense",
            (
                "must be an absolute https URL without user info, fragment, backslash, wildcard, "
                "dot segments, numeric host names, control or non-ASCII characters"
            ),
        ),
        (web_url, "http://a.example", "must use https; http is for loopback hosts only"),
        (
            origin,
            "https://a.example/",
            "must be an origin such as https://app.example.com: no path, no slash",
        ),
        (
            origin,
            "https://a.example:443",
            "must leave out the scheme's default port, as browsers do",
        ),
    ],
)
def test_what_is_wrong_is_said_in_words(
    check: Callable[[str], str], value: str, words: str
) -> None:
    """An operator reads them beside the name of the setting."""
    with pytest.raises(ValueError, match="must") as refused:
        check(value)
    assert str(refused.value) == words
