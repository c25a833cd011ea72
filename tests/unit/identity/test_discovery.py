import asyncio
from typing import Any

import pytest

from app.errors import IdentityProviderUnavailableError
from app.identity.discovery import Discovery
from app.settings import IssuerSettings
from tests.support.in_process import Network, told

ISSUER = "https://id.example/tenant"
NO_URL = (
    "must be an absolute https URL without user info, fragment, backslash, wildcard, dot segments, "
    "numeric or overlong host names, control or non-ASCII characters"
)
DOCUMENT = f"{ISSUER}/.well-known/openid-configuration"


def discovery(network: Network, issuer: str = ISSUER) -> Discovery:
    """Return what an issuer on this network says about itself."""
    return Discovery(IssuerSettings(issuer=issuer, audience="vault-bff"), network.fetcher)


async def test_a_configured_endpoint_is_not_asked_for() -> None:
    """The operator's word comes first."""
    network = Network()

    assert await discovery(network).endpoint("jwks_uri", "https://x.example") == "https://x.example"
    assert network.asked == []


async def test_the_document_is_fetched_once_until_it_is_forgotten() -> None:
    """It holds every endpoint; who comes while it is on its way waits for the same one."""
    document = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/a", "userinfo_endpoint": f"{ISSUER}/b"}
    network = Network({DOCUMENT: document})
    found = discovery(network)
    names = ["jwks_uri", "userinfo_endpoint"]

    urls = await asyncio.gather(*(found.endpoint(name, None) for name in names))
    assert urls == [f"{ISSUER}/a", f"{ISSUER}/b"]
    assert await found.endpoint("jwks_uri", None) == f"{ISSUER}/a"
    assert network.urls() == [DOCUMENT]

    found.forget()
    document["jwks_uri"] = f"{ISSUER}/c"
    assert await found.endpoint("jwks_uri", None) == f"{ISSUER}/c"
    assert network.urls() == [DOCUMENT, DOCUMENT]


async def test_a_slash_at_the_end_of_an_issuer_is_not_doubled() -> None:
    """Its document is at the same place as without one; its name keeps the slash."""
    network = Network({DOCUMENT: {"issuer": f"{ISSUER}/", "jwks_uri": f"{ISSUER}/a"}})

    assert await discovery(network, f"{ISSUER}/").endpoint("jwks_uri", None) == f"{ISSUER}/a"


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ([], "it is another issuer's"),
        ({"jwks_uri": f"{ISSUER}/a"}, "it is another issuer's"),
        ({"issuer": f"{ISSUER}/", "jwks_uri": f"{ISSUER}/a"}, "it is another issuer's"),
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
async def test_what_an_issuer_cannot_mean_is_not_believed(document: Any, what: str) -> None:
    """Keys of another issuer, no URL, one without TLS, or one on this very host."""
    with pytest.raises(IdentityProviderUnavailableError) as error:
        await discovery(Network({DOCUMENT: document})).endpoint("jwks_uri", None)

    assert told(error.value) == (
        "The identity provider cannot be used just now; try again shortly.",
        f"discovery document of {ISSUER}: {what}",
    )
    assert error.value.retry_after == 30


async def test_an_issuer_on_this_host_may_have_its_endpoints_here() -> None:
    """As the development issuer has."""
    local = "http://localhost:8002"
    document = {"issuer": local, "jwks_uri": f"{local}/jwks"}
    network = Network({f"{local}/.well-known/openid-configuration": document})

    assert await discovery(network, local).endpoint("jwks_uri", None) == f"{local}/jwks"
