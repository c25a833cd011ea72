from app.api.security_schemes import security_schemes
from app.settings import IdentitySettings

SETTINGS = IdentitySettings.model_validate(
    {
        "issuers": {
            "main": {"issuer": "https://id.example", "audience": "a", "consumer_prefix": "a-"},
            "jobs": {
                "issuer": "https://id.example",
                "audience": "b",
                "kind": "services",
                "grants": {"job": ["*"]},
            },
            "gateway": {
                "issuer": "https://gateway.example",
                "audience": "a",
                "consumer_prefix": "g-",
                "credential": {"header": "X-Assertion"},
            },
        },
        "cookie_sessions": {
            "web": {
                "cookie": "__Host-s|d",
                "whoami_url": "https://app.example/me",
                "consumer_prefix": "c-",
            }
        },
        "csrf_header": "x-mark",
    }
)


def test_each_location_of_credentials_is_one_security_scheme() -> None:
    """Two issuers of bearer tokens share a scheme; a cookie also requires the CSRF header."""
    schemes, requirements = security_schemes(SETTINGS)

    assert {name: (one["type"], one.get("name")) for name, one in schemes.items()} == {
        "bearer": ("http", None),
        "header-x-assertion": ("apiKey", "x-assertion"),
        "cookie-__Host-s-d": ("apiKey", "__Host-s|d"),
        "csrfHeader": ("apiKey", "x-mark"),
    }
    assert requirements == [
        {"bearer": []},
        {"header-x-assertion": []},
        {"cookie-__Host-s-d": [], "csrfHeader": []},
    ]


def test_without_cookies_the_csrf_header_is_not_required() -> None:
    """Bearer tokens need no protection against request forgery."""
    issuer = {"issuer": "https://id.example", "audience": "a"}
    schemes, requirements = security_schemes(
        IdentitySettings.model_validate({"issuers": {"main": issuer}})
    )

    assert list(schemes) == ["bearer"]
    assert requirements == [{"bearer": []}]


def test_a_session_of_several_cookies_is_described_by_its_first_cookie() -> None:
    """The description mentions that there can be further cookies."""
    for cookie, several in (("a", False), ("a*", True), (["a", "b"], True)):
        sessions = {"web": {"cookie": cookie, "whoami_url": "https://app.example/me"}}
        schemes, _ = security_schemes(
            IdentitySettings.model_validate({"cookie_sessions": sessions})
        )

        assert schemes["cookie-a"]["name"] == "a"
        assert ("further cookies" in schemes["cookie-a"]["description"]) is several
