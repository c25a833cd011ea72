import asyncio
from typing import Any

import pytest

from app.errors import IdentityProviderUnavailableError
from app.identity.discovery import Discovery
from app.settings import IssuerSettings
from tests.support.in_process import Network, messages

ISSUER = "https://id.example/tenant"
NO_URL = (
    "must be an absolute https URL without user info, fragment, backslash, wildcard, dot segments, "
    "numeric or overlong host names, control or non-ASCII characters"
)
DOCUMENT = f"{ISSUER}/.well-known/openid-configuration"


def discovery(network: Network, issuer: str = ISSUER) -> Discovery:
    """Return the metadata of an issuer on this network."""
    return Discovery(IssuerSettings(issuer=issuer, audience="vault-bff"), network.fetcher)


async def test_a_configured_endpoint_causes_no_request() -> None:
    """The setting precedes the metadata."""
    network = Network()

    assert await discovery(network).endpoint("jwks_uri", "https://x.example") == "https://x.example"
    assert network.requests == []


async def test_the_document_is_fetched_once_until_it_is_invalidated() -> None:
    """It contains every endpoint; simultaneous requests share a fetch."""
    document = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/a", "userinfo_endpoint": f"{ISSUER}/b"}
    network = Network({DOCUMENT: document})
    found = discovery(network)
    names = ["jwks_uri", "userinfo_endpoint"]

    urls = await asyncio.gather(*(found.endpoint(name, None) for name in names))
    assert urls == [f"{ISSUER}/a", f"{ISSUER}/b"]
    assert await found.endpoint("jwks_uri", None) == f"{ISSUER}/a"
    assert network.urls() == [DOCUMENT]

    found.invalidate()
    document["jwks_uri"] = f"{ISSUER}/c"
    assert await found.endpoint("jwks_uri", None) == f"{ISSUER}/c"
    assert network.urls() == [DOCUMENT, DOCUMENT]


async def test_a_slash_at_the_end_of_an_issuer_is_not_doubled() -> None:
    """The URL of the document is the same without it; the name of the issuer keeps it."""
    network = Network({DOCUMENT: {"issuer": f"{ISSUER}/", "jwks_uri": f"{ISSUER}/a"}})

    assert await discovery(network, f"{ISSUER}/").endpoint("jwks_uri", None) == f"{ISSUER}/a"


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ([], "it belongs to another issuer"),
        ({"jwks_uri": f"{ISSUER}/a"}, "it belongs to another issuer"),
        ({"issuer": f"{ISSUER}/", "jwks_uri": f"{ISSUER}/a"}, "it belongs to another issuer"),
        (
            {"issuer": ISSUER},
            f"jwks_uri {NO_URL}",
        ),
        (
            {"issuer": ISSUER, "jwks_uri": "http://id.example/a"},
            "jwks_uri must use https; http is for loopback hosts only",
        ),
        (
            {"issuer": ISSUER, "jwks_uri": "https://127.0.0.1/a"},
            "jwks_uri is on a loopback host",
        ),
        (
            {"issuer": ISSUER, "jwks_uri": "http://localhost:1/a"},
            "jwks_uri is on a loopback host",
        ),
    ],
)
async def test_unusable_metadata_is_rejected(document: Any, what: str) -> None:
    """Metadata of another issuer, a missing URL, one without TLS, or one on this host."""
    with pytest.raises(IdentityProviderUnavailableError) as error:
        await discovery(Network({DOCUMENT: document})).endpoint("jwks_uri", None)

    assert messages(error.value) == (
        "Your sign-in cannot be checked right now. Try again shortly.",
        f"discovery document of {ISSUER}: {what}",
    )
    assert error.value.retry_after == 30


async def test_an_issuer_on_this_host_may_have_its_endpoints_on_this_host() -> None:
    """The development issuer does."""
    local = "http://localhost:8002"
    document = {"issuer": local, "jwks_uri": f"{local}/jwks"}
    network = Network({f"{local}/.well-known/openid-configuration": document})

    assert await discovery(network, local).endpoint("jwks_uri", None) == f"{local}/jwks"


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("http://keycloak.auth.svc:8080/keys", True),
        ("https://id.example/keys", True),
        ("http://keycloak.auth.svc/keys", False),
        ("http://other.auth.svc:8080/keys", False),
        ("http://keycloak.auth.svc:8080@evil.example/keys", False),
        ("http://id.example/keys", False),
    ],
)
async def test_the_choice_of_http_holds_for_the_issuers_own_host_only(
    url: str, *, accepted: bool
) -> None:
    """The metadata of such an issuer may be forged, so it must not lead to further hosts."""
    base = "http://keycloak.auth.svc:8080"
    document = {"issuer": base, "jwks_uri": url}
    network = Network({f"{base}/.well-known/openid-configuration": document})
    found = discovery(network, f"insecure+{base}")

    if accepted:
        assert await found.endpoint("jwks_uri", None) == url
        return
    with pytest.raises(IdentityProviderUnavailableError):
        await found.endpoint("jwks_uri", None)
