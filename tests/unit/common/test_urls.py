from collections.abc import Callable

import pytest

from app.common.urls import (
    MAX_URL_LENGTH,
    PlainHttpUrl,
    is_loopback,
    origin,
    origin_of,
    page_origin,
    service_url,
    web_url,
)


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
        "https://a/" + "a" * (MAX_URL_LENGTH - 10),
        "https://" + "a" * 63 + ".example",
    ],
)
def test_absolute_https_urls_are_accepted(url: str) -> None:
    """An https URL, or http on a loopback host, is returned unchanged."""
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
        "https://a/" + "a" * (MAX_URL_LENGTH - 9),
        "https://" + "a" * 64 + ".example",
    ],
)
def test_every_other_url_is_rejected(url: str) -> None:
    """A URL that parsers could read differently is rejected, without being quoted."""
    with pytest.raises(ValueError, match="must") as rejected:
        web_url(url)
    assert not url or url not in str(rejected.value)


@pytest.mark.parametrize(
    "value", ["https://app.example.com", "https://app.example.com:80", "http://localhost:8003"]
)
def test_origins_are_accepted_as_browsers_send_them(value: str) -> None:
    """An origin is a scheme, a host and a port other than the default."""
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
def test_an_origin_that_no_browser_sends_is_rejected(value: str) -> None:
    """A pattern, a path, a default port or an upper-case letter would never match."""
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
def test_the_origin_of_a_url_is_the_part_before_its_path(url: str, expected: str | None) -> None:
    """An invalid URL has no origin."""
    assert origin_of(url) == expected


def test_only_the_host_decides_whether_a_url_is_loopback() -> None:
    """A domain that starts with a loopback name is not loopback."""
    assert is_loopback("http://localhost:1/x")
    assert not is_loopback("https://localhost.example.com/")
    assert not is_loopback("nonsense")


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (web_url, "x" * 2049, "must be at most 2048 characters long"),
        (
            web_url,
            "nonsense",
            (
                "must be an absolute https URL without user info, fragment, backslash, wildcard, "
                "dot segments, numeric or overlong host names, control or non-ASCII characters"
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
def test_the_message_says_what_is_wrong(
    check: Callable[[str], str], value: str, message: str
) -> None:
    """The operator reads the message next to the name of the setting."""
    with pytest.raises(ValueError, match="must") as rejected:
        check(value)
    assert str(rejected.value) == message


@pytest.mark.parametrize(
    "value",
    [
        "https://app.example.com",
        "http://localhost:8003",
        "http://acme.localhost:3000",
        "http://a.b.localhost",
        "capacitor://localhost",
        "tauri://localhost",
        "app://my-app_2.example:8080",
        "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
    ],
)
def test_origins_of_pages_and_of_native_shells_are_accepted(value: str) -> None:
    """This includes development servers below localhost, and shells with their own scheme."""
    assert page_origin(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "null",
        "*",
        "",
        "capacitor://*",
        "capacitor://localhost/",
        "capacitor://localhost/path",
        "capacitor://user@localhost",
        "capacitor:localhost",
        "Capacitor://localhost",
        "capacitor://LOCALHOST",
        "capacitor://localhost:0",
        "capacitor://localhost\n",
        "capacitor://.localhost",
        "1app://localhost",
        "http://acme.localhost:3000/",
        "http://acme.localhost:80",
        "http://Acme.localhost",
        "http://acme.localhost.evil.example",
        "http://acmelocalhost",
        "http://app.example.com",
        "http://.localhost",
        "ws://localhost",
        "wss://localhost",
        "ftp://localhost",
        "file://localhost",
        "data://localhost",
        "blob://localhost",
        "about://blank",
        "javascript://localhost",
        "view-source://localhost",
        "x://" + "a" * MAX_URL_LENGTH,
    ],
)
def test_values_that_no_page_sends_as_an_origin_are_rejected(value: str) -> None:
    """Patterns, paths, user info, upper case and reserved schemes are rejected."""
    with pytest.raises(ValueError, match="must"):
        page_origin(value)


@pytest.mark.parametrize(
    "host",
    [
        "rails",
        "rails:3000",
        "keycloak.auth.svc",
        "keycloak.auth.svc.cluster.local",
        "whoami.internal",
        "printer.home.arpa",
        "app.localhost",
        "127.0.0.1:8080",
        "[::1]",
        "10.1.2.3",
        "172.31.255.255",
        "192.168.0.1:80",
        "100.64.0.1",
    ],
)
def test_plain_http_can_be_enabled_for_internal_hosts(host: str) -> None:
    """The prefix is removed, and the result has its own type."""
    parsed = service_url(f"insecure+http://{host}/me?x=1")

    assert parsed == f"http://{host}/me?x=1"
    assert isinstance(parsed, PlainHttpUrl)


@pytest.mark.parametrize(
    "url",
    [
        "http://rails.internal/me",
        "insecure+http://example.com/me",
        "insecure+http://svc.example.com/me",
        "insecure+http://notinternal.evil/me",
        "insecure+http://8.8.8.8/me",
        "insecure+http://172.32.0.1/me",
        "insecure+http://169.254.169.254/latest/meta-data",
        "insecure+http://10.0.0.1@example.com/",
        "insecure+http://rails#@example.com/",
        "insecure+http://rails/../me",
        "insecure+https://rails/me",
        "insecure+http://",
        "insecure+ftp://rails/",
        "INSECURE+http://rails/",
    ],
)
def test_plain_http_is_rejected_without_the_prefix_and_for_public_hosts(url: str) -> None:
    """Anyone on the network path could read and change the traffic."""
    with pytest.raises(ValueError, match="must") as error:
        service_url(url)
    assert url not in str(error.value)


def test_https_needs_no_prefix() -> None:
    """It is accepted for every host, and the result is not a PlainHttpUrl."""
    assert service_url("https://id.example.com/x") == "https://id.example.com/x"
    assert service_url("http://127.0.0.1:8000/x") == "http://127.0.0.1:8000/x"
    assert not isinstance(service_url("https://id.example.com/x"), PlainHttpUrl)
