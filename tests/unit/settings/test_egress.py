import pytest
from pydantic import ValidationError

from app.common.egress import EgressProxy
from app.settings import EgressSettings


def test_there_is_no_proxy_by_default() -> None:
    """Without settings, the service uses no proxy and has no proxy secrets."""
    assert EgressSettings().egress_proxy() is None
    assert list(EgressSettings().secrets()) == []


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://proxy.example", EgressProxy("http://proxy.example")),
        ("http://proxy.example:3128/\n", EgressProxy("http://proxy.example:3128")),
        ("http://[::1]:3128", EgressProxy("http://[::1]:3128")),
        (
            "http://ada:p%40ss%2Fw%3Ard@127.0.0.1:3128",
            EgressProxy("http://127.0.0.1:3128", ("ada", "p@ss/w:rd")),
        ),
        ("http://ada:@proxy.example", EgressProxy("http://proxy.example", ("ada", ""))),
    ],
)
def test_the_url_contains_the_proxy_and_its_credentials(url: str, proxy: EgressProxy) -> None:
    """The credentials are percent-decoded."""
    settings = EgressSettings.model_validate({"proxy": url, "no_proxy": []})

    found = settings.egress_proxy()

    assert found == proxy
    assert found is not None
    assert found.credentials == proxy.credentials


def test_loopback_hosts_are_reached_directly_by_default() -> None:
    """The proxy cannot reach a collector or an issuer on this machine."""
    proxy = EgressSettings.model_validate({"proxy": "http://proxy.example"}).egress_proxy()

    assert proxy is not None
    assert not any(map(proxy.is_for, ("localhost", "127.0.0.1", "::1")))
    assert proxy.is_for("id.example")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "proxy.example:3128",
        "https://proxy.example",
        "socks5://proxy.example",
        "http://proxy.example/path",
        "http://proxy.example?x",
        "http://s3cret@proxy.example",
        "http://ada:s3cret@evil@proxy.example",
        "http://ada:s3cret:x@proxy.example",
        "http://ada:s3cret%0a@proxy.example",
        "http://ada:s3cret@proxy.example:99999",
        "http://ada:s3cret@",
        "http://a%3Ada:s3cret@proxy.example",
    ],
)
def test_an_invalid_url_is_rejected_without_being_quoted(url: str) -> None:
    """The URL can contain a password."""
    with pytest.raises(ValidationError, match="must be the URL of a proxy") as error:
        EgressSettings.model_validate({"proxy": url})

    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    "exception", ["", "a b", "http://a,b", "a@b", "*", "*.", "a.example:443", "[::1]:80", "a..b"]
)
def test_an_exception_must_be_a_host_or_a_network(exception: str) -> None:
    """Other values would never match."""
    with pytest.raises(ValidationError, match="must be a host name, an address, or a network"):
        EgressSettings.model_validate({"no_proxy": [exception]})


@pytest.mark.parametrize(
    "exception", ["a", "*.a.example", ".a.example", "::1", "[::1]", "10.0.0.0/8"]
)
def test_the_usual_forms_of_no_proxy_are_accepted(exception: str) -> None:
    """Other programs read these forms from the environment."""
    settings = EgressSettings.model_validate({"no_proxy": [exception]})

    assert settings.no_proxy == (exception,)


def test_every_form_of_the_credentials_is_a_secret() -> None:
    """They are the password, encoded or not, and the header; the repr of the setting is masked."""
    settings = EgressSettings.model_validate({"proxy": "http://ada:p%40ss-word@proxy.example"})

    assert set(settings.secrets()) == {
        "p@ss-word",
        "p%40ss-word",
        "ada:p%40ss-word",
        "YWRhOnBAc3Mtd29yZA==",
    }
    assert "ss-word" not in repr(settings)
