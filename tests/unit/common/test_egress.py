import pytest

from app.common.egress import EgressProxy


@pytest.mark.parametrize(
    ("exception", "direct", "proxied"),
    [
        (
            "example.com",
            ["example.com", "a.example.com", "EXAMPLE.com."],
            ["badexample.com", "com"],
        ),
        (".example.com", ["example.com", "a.b.example.com"], ["badexample.com"]),
        ("*.example.com", ["a.example.com"], ["example.com.evil.example"]),
        ("svc.cluster.local.", ["a.svc.cluster.local", "a.svc.cluster.local."], ["local"]),
        ("Svc", ["issuer.default.svc"], ["svc.example"]),
        ("10.0.0.0/8", ["10.1.2.3"], ["11.1.2.3", "10.example", "ten.example"]),
        ("10.1.2.3/8", ["10.9.9.9"], ["11.1.2.3"]),
        ("127.0.0.1", ["127.0.0.1"], ["127.0.0.2", "localhost"]),
        ("::1", ["::1", "[::1]"], ["::2", "127.0.0.1"]),
        ("[::1]", ["[::1]"], ["::2"]),
    ],
)
def test_hosts_are_excepted_from_the_proxy(
    exception: str, direct: list[str], proxied: list[str]
) -> None:
    """A name also covers its subdomains, and a network covers its addresses."""
    proxy = EgressProxy("http://proxy.example:3128", exceptions=("other.example", exception))

    assert not any(map(proxy.is_for, direct))
    assert all(map(proxy.is_for, proxied))


def test_without_exceptions_every_host_is_reached_through_the_proxy() -> None:
    """This includes loopback hosts."""
    assert EgressProxy("http://proxy.example:3128").is_for("127.0.0.1")


def test_credentials_are_encoded_in_the_url_and_not_in_the_repr() -> None:
    """A slash or an at sign does not end the password."""
    proxy = EgressProxy("http://proxy.example:3128", ("ada", "p@ss/w:rd%41"))

    assert proxy.url_with_credentials == "http://ada:p%40ss%2Fw%3Ard%2541@proxy.example:3128"
    assert EgressProxy("http://proxy.example").url_with_credentials == "http://proxy.example"
    assert "p@ss" not in repr(proxy)
