import asyncio
from typing import Any

import httpx
import pytest

from app.errors import IdentityProviderUnavailableError
from app.identity.discovery import Discovery
from app.settings import IssuerSettings
from tests.support.in_process import Clock, Network, messages

ISSUER = "https://id.example/tenant"
NO_URL = (
    "must be an absolute https URL without user info, fragment, backslash, wildcard, dot segments, "
    "numeric or overlong host names, control or non-ASCII characters"
)
DOCUMENT = f"{ISSUER}/.well-known/openid-configuration"


def discovery(network: Network, issuer: str = ISSUER, clock: Clock | None = None) -> Discovery:
    """Return the metadata of an issuer on this network."""
    settings = IssuerSettings(issuer=issuer, audience="vault-bff")
    return Discovery(settings, network.fetcher, clock or Clock())


def document_with(**urls: str) -> dict[str, str]:
    """Return the issuer's metadata with these endpoints."""
    return {"issuer": ISSUER, **urls}


async def unusable(metadata: Discovery, name: str = "jwks_uri") -> str | None:
    """Return the operator's message when there is no usable endpoint."""
    with pytest.raises(IdentityProviderUnavailableError) as error:
        await metadata.endpoint(name, None)
    return error.value.reason


async def test_a_configured_endpoint_causes_no_request() -> None:
    """The setting takes precedence over the metadata."""
    network = Network()

    assert await discovery(network).endpoint("jwks_uri", "https://x.example") == "https://x.example"
    assert network.requests == []


async def test_the_document_is_fetched_once_until_it_is_invalidated() -> None:
    """It contains every endpoint, and simultaneous requests share a fetch."""
    document = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/a", "userinfo_endpoint": f"{ISSUER}/b"}
    network = Network({DOCUMENT: document})
    metadata = discovery(network)
    names = ["jwks_uri", "userinfo_endpoint"]

    urls = await asyncio.gather(*(metadata.endpoint(name, None) for name in names))
    assert urls == [f"{ISSUER}/a", f"{ISSUER}/b"]
    assert await metadata.endpoint("jwks_uri", None) == f"{ISSUER}/a"
    assert network.urls() == [DOCUMENT]

    metadata.invalidate()
    document["jwks_uri"] = f"{ISSUER}/c"
    assert await metadata.endpoint("jwks_uri", None) == f"{ISSUER}/c"
    assert network.urls() == [DOCUMENT, DOCUMENT]


async def test_a_missing_endpoint_causes_a_fetch_every_half_minute() -> None:
    """The issuer may add it, but callers must not cause many requests until then."""
    network, clock = Network({DOCUMENT: document_with()}), Clock()
    metadata = discovery(network, clock=clock)
    lacking = f"discovery document of {ISSUER}: jwks_uri {NO_URL}"
    counts = []
    for later in (0, 0, 29.9, 0.1, 29.9, 0.1):
        clock.now += later
        assert await unusable(metadata) == lacking
        counts.append(len(network.requests))
        if len(counts) == 4:
            network.responses[DOCUMENT] = 503
    assert counts == [1, 1, 1, 2, 2, 3]

    network.responses[DOCUMENT] = document_with(jwks_uri=f"{ISSUER}/a")
    clock.now += 30
    assert await metadata.endpoint("jwks_uri", None) == f"{ISSUER}/a"


async def test_a_changed_endpoint_is_detected_after_ten_minutes() -> None:
    """This holds even if the lookup of another endpoint failed shortly before."""
    network, clock = Network({DOCUMENT: document_with(jwks_uri=f"{ISSUER}/a")}), Clock()
    metadata = discovery(network, clock=clock)
    assert await metadata.endpoint("jwks_uri", None) == f"{ISSUER}/a"
    network.responses[DOCUMENT] = document_with(jwks_uri=f"{ISSUER}/b")
    clock.now += 590
    await unusable(metadata, "userinfo_endpoint")
    clock.now += 9.9
    assert await metadata.endpoint("jwks_uri", None) == f"{ISSUER}/a"
    assert len(network.requests) == 1

    clock.now += 0.1
    assert await metadata.endpoint("jwks_uri", None) == f"{ISSUER}/b"
    clock.now += 599.9
    assert await metadata.endpoint("jwks_uri", None) == f"{ISSUER}/b"
    assert len(network.requests) == 2


@pytest.mark.parametrize(
    "response", [503, httpx.ConnectError("x"), {"issuer": "https://x.example"}]
)
async def test_a_known_endpoint_is_used_while_the_document_cannot_be_fetched(response: Any) -> None:
    """A failed fetch is repeated after ten minutes, not for each caller."""
    network, clock = Network({DOCUMENT: document_with(jwks_uri=f"{ISSUER}/a")}), Clock()
    metadata = discovery(network, clock=clock)
    await metadata.endpoint("jwks_uri", None)
    network.responses[DOCUMENT] = response
    counts = []
    for later in (600, 0, 599.9, 0.1):
        clock.now += later
        assert await metadata.endpoint("jwks_uri", None) == f"{ISSUER}/a"
        counts.append(len(network.requests))
    assert counts == [2, 2, 2, 3]

    network.responses[DOCUMENT] = document_with(jwks_uri=f"{ISSUER}/b")
    clock.now += 600
    assert await metadata.endpoint("jwks_uri", None) == f"{ISSUER}/b"


async def test_without_a_document_each_use_tries_to_fetch_it() -> None:
    """This is the case before the first success, and after the document is invalidated."""
    network = Network({DOCUMENT: 503})
    metadata = discovery(network)
    for _ in range(2):
        assert await unusable(metadata) == f"{DOCUMENT}: responded with 503"
    network.responses[DOCUMENT] = document_with(jwks_uri=f"{ISSUER}/a")
    assert await metadata.endpoint("jwks_uri", None) == f"{ISSUER}/a"
    assert len(network.requests) == 3

    network.responses[DOCUMENT] = 503
    metadata.invalidate()
    assert await unusable(metadata) == f"{DOCUMENT}: responded with 503"


async def test_a_slash_at_the_end_of_an_issuer_is_not_doubled() -> None:
    """The slash is not part of the document's URL, but it is part of the issuer's name."""
    network = Network({DOCUMENT: {"issuer": f"{ISSUER}/", "jwks_uri": f"{ISSUER}/a"}})

    assert await discovery(network, f"{ISSUER}/").endpoint("jwks_uri", None) == f"{ISSUER}/a"


@pytest.mark.parametrize(
    ("document", "reason"),
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
async def test_unusable_metadata_is_rejected(document: Any, reason: str) -> None:
    """Examples are metadata of another issuer, and a URL that is missing, without TLS or local."""
    with pytest.raises(IdentityProviderUnavailableError) as error:
        await discovery(Network({DOCUMENT: document})).endpoint("jwks_uri", None)

    assert messages(error.value) == (
        "Your sign-in cannot be checked right now. Try again shortly.",
        f"discovery document of {ISSUER}: {reason}",
    )
    assert error.value.retry_after == 30


async def test_an_issuer_on_this_host_may_have_its_endpoints_on_this_host() -> None:
    """An example is the development issuer."""
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
async def test_plain_http_is_allowed_only_for_the_host_of_the_issuer(
    url: str, *, accepted: bool
) -> None:
    """The metadata of such an issuer can be forged, so it must not lead to other hosts."""
    base = "http://keycloak.auth.svc:8080"
    document = {"issuer": base, "jwks_uri": url}
    network = Network({f"{base}/.well-known/openid-configuration": document})
    metadata = discovery(network, f"insecure+{base}")

    if accepted:
        assert await metadata.endpoint("jwks_uri", None) == url
        return
    with pytest.raises(IdentityProviderUnavailableError):
        await metadata.endpoint("jwks_uri", None)
