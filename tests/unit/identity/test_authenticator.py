from typing import Any

import pytest

from app.errors import ForbiddenOriginError, UnauthenticatedError
from app.identity.authenticator import Authenticator, SourcesAtLocation
from app.identity.credentials import Credential
from app.identity.models import Caller
from app.identity.source import Source
from app.identity.sources import build_sources
from app.identity.token_cache import VerifiedTokenCache
from app.settings import IdentitySettings
from app.settings.credentials import AUTHORIZATION, CredentialLocation
from emulators.issuer import DevelopmentIssuer
from tests.support.in_process import (
    Clock,
    Network,
    configured_session,
    credential,
    identity_with,
    messages,
    problem_of,
)

HEADER, COOKIE = CredentialLocation("header", "x-assertion"), CredentialLocation("cookie", "sid")
SESSION = CredentialLocation("session", cookies=("app*",))
Header = tuple[bytes, bytes]
PAGE: list[Header] = [
    (b"origin", b"https://app.example"),
    (b"x-mark", b"1"),
    (b"content-type", b"application/json"),
]
ISSUER = DevelopmentIssuer()
KEYS, INTROSPECTION = f"{ISSUER.issuer}/jwks", f"{ISSUER.issuer}/introspect"
INTROSPECTING = {"client_id": "vault", "client_secret": "s3cret", "endpoint": INTROSPECTION}
NO_AUDIENCE = "aud does not name this service"
NO_TOKEN = "not a signed token (JWT)"


class TrustingSource(Source):
    """Accepts every credential at one location."""

    def __init__(self, location: CredentialLocation) -> None:
        self.name = location.name or "".join(location.cookies) or "bearer"
        self.locations = (location,)

    def recognizes(self, _: Credential) -> bool:
        """Recognize every credential."""
        return True

    async def caller(self, credential: Credential) -> Caller:
        """Return a caller whose subject is the credential."""
        return Caller("user", self.name, credential.value, credential.value)

    async def probe(self) -> str:
        """Respond."""
        return "responds"


def authenticator(*locations: CredentialLocation) -> Authenticator:
    """Return an authenticator that accepts every credential at these locations."""
    settings = IdentitySettings.model_validate(
        {
            "issuers": {"main": {"issuer": "https://id.example", "audience": "vault-bff"}},
            "csrf_header": "x-mark",
        }
    )
    return Authenticator(map(TrustingSource, locations), settings, ["https://app.example"])


@pytest.mark.parametrize(
    ("headers", "source"),
    [
        ([(b"authorization", b"Bearer abc")], "bearer"),
        ([(b"x-assertion", b"abc")], "x-assertion"),
        ([*PAGE, (b"cookie", b"sid=abc")], "sid"),
        ([*PAGE, (b"cookie", b"app.0=abc")], "app*"),
        ([(b"authorization", b"Bearer abc"), (b"origin", b"https://evil.example")], "bearer"),
        ([(b"x-assertion", b"abc"), (b"sec-fetch-site", b"cross-site")], "x-assertion"),
    ],
)
async def test_a_credential_is_checked_by_the_source_at_its_location(
    headers: list[Header], source: str
) -> None:
    """Only cookies are restricted to pages of allowed origins."""
    caller = await authenticator(AUTHORIZATION, HEADER, COOKIE, SESSION).authenticate(headers)

    assert (caller.issuer, caller.subject.removeprefix("app.0=")) == (source, "abc")


@pytest.mark.parametrize("missing", range(len(PAGE)))
async def test_a_cookie_is_accepted_from_an_allowed_page_only(missing: int) -> None:
    """Every header of such a page is required."""
    headers = [one for i, one in enumerate(PAGE) if i != missing]

    with pytest.raises(ForbiddenOriginError, match="page may not open"):
        await authenticator(COOKIE).authenticate([*headers, (b"cookie", b"sid=abc")])
    with pytest.raises(ForbiddenOriginError):
        await authenticator(SESSION).authenticate([*headers, (b"cookie", b"app.0=abc")])


@pytest.mark.parametrize(
    ("site", "admitted"), [(b"same-origin", True), (b"cross-site", False), (b"none", False)]
)
async def test_pages_of_the_same_or_an_allowed_origin_can_read_with_a_cookie(
    site: bytes, *, admitted: bool
) -> None:
    """A request that only reads needs no CSRF header, because browsers report its page."""
    sends = [(b"cookie", b"sid=abc")]
    [allowed] = PAGE[:1]
    reader = authenticator(COOKIE)

    assert (await reader.authenticate([allowed, *sends], reads_only=True)).subject == "abc"
    if admitted:
        caller = await reader.authenticate([(b"sec-fetch-site", site), *sends], reads_only=True)
        assert caller.subject == "abc"
        return
    with pytest.raises(ForbiddenOriginError):
        await reader.authenticate([(b"sec-fetch-site", site), *sends], reads_only=True)


async def test_a_bearer_token_is_rejected_if_no_source_accepts_bearer_tokens() -> None:
    """A token for another location must not be accepted in the Authorization header."""
    with pytest.raises(UnauthenticatedError) as error:
        await authenticator(HEADER, COOKIE).authenticate([(b"authorization", b"Bearer abc")])

    assert messages(error.value) == (
        "Your sign-in is not valid. Please sign in again.",
        "no issuer accepts tokens in the Authorization header",
    )


def network() -> Network:
    """Return a network with the development issuer's keys."""
    return Network({KEYS: {"keys": ISSUER.keys.published()}})


def at_one_location(
    net: Network, cache: VerifiedTokenCache | None = None, **issuers: dict[str, Any]
) -> SourcesAtLocation:
    """Return sources of bearer tokens; each is an entry for the development issuer."""
    base = {"issuer": ISSUER.issuer, "audience": "vault-bff", "jwks_uri": KEYS}
    entries = {
        name: {**base, "consumer_prefix": f"{name}-", **more} for name, more in issuers.items()
    }
    sources = build_sources(identity_with(**entries), net.fetcher)
    return SourcesAtLocation(sources, VerifiedTokenCache(0) if cache is None else cache)


async def rejection(sources: SourcesAtLocation, token: str) -> str | None:
    """Return the operator's message about a rejected token."""
    with pytest.raises(UnauthenticatedError) as error:
        await sources.caller(credential(token))
    assert error.value.detail == "Your sign-in is not valid. Please sign in again."
    return problem_of(error.value)


async def test_issuer_and_audience_select_the_source_of_a_token() -> None:
    """Two entries can have the same issuer URL; a token for neither audience is rejected."""
    two = at_one_location(network(), one={"audience": "a"}, two={"audience": ["b", "c"]})

    assert (await two.caller(credential(ISSUER.token(aud="a")))).issuer == "one"
    assert (await two.caller(credential(ISSUER.token(aud=["x", "c"])))).issuer == "two"
    assert await rejection(two, ISSUER.token(aud="d")) == NO_AUDIENCE
    other = ISSUER.token(aud="a", iss="https://other.example")
    assert await rejection(two, other) == "iss is no configured issuer"


async def test_an_opaque_token_belongs_to_the_issuer_with_introspection() -> None:
    """Without such an issuer, it is rejected. So is a signed token for another audience."""
    net = network()
    opaque = {"introspection": INTROSPECTING, "audience": "b"}
    both = at_one_location(net, signed={}, opaque=opaque)
    expires = ISSUER.times()["exp"]
    claims = {"active": True, "iss": ISSUER.issuer, "aud": "b", "sub": "ada", "exp": expires}
    net.responses[INTROSPECTION] = claims

    assert (await both.caller(credential("opaque"))).issuer == "opaque"
    assert (await both.caller(credential(ISSUER.token()))).issuer == "signed"
    assert await rejection(both, ISSUER.token(aud="d")) == NO_AUDIENCE
    assert await rejection(at_one_location(net, signed={}), "opaque") == NO_TOKEN


async def test_a_verified_token_is_cached() -> None:
    """The same caller is returned again."""
    cache, token = VerifiedTokenCache(10), ISSUER.token(sub="ada", algorithm="ES256")
    sources = at_one_location(network(), cache, main={})

    caller = await sources.caller(credential(token))

    assert len(cache) == 1
    assert cache.get(token) is caller
    assert await sources.caller(credential(token)) is caller


@pytest.mark.parametrize(
    "more",
    [
        {"userinfo": True, "userinfo_endpoint": f"{ISSUER.issuer}/userinfo"},
        {"introspection": INTROSPECTING},
    ],
)
async def test_a_caller_that_depends_on_a_response_of_the_issuer_is_not_cached(
    more: dict[str, Any],
) -> None:
    """The response itself is in another cache, with its own time limit."""
    net, cache, token = network(), VerifiedTokenCache(10), ISSUER.token(sub="ada")
    net.responses[f"{ISSUER.issuer}/userinfo"] = {"sub": "ada"}
    net.responses[INTROSPECTION] = {
        "active": True,
        "iss": ISSUER.issuer,
        "aud": "vault-bff",
        "sub": "ada",
        "exp": ISSUER.times()["exp"],
    }
    sources = at_one_location(net, cache, main=more)

    assert await sources.caller(credential(token)) == await sources.caller(credential(token))
    assert len(cache) == 0


async def test_an_invalid_token_is_not_cached() -> None:
    """Otherwise, made-up tokens could evict valid entries."""
    cache = VerifiedTokenCache(10)
    sources = at_one_location(network(), cache, main={})

    for invalid in (ISSUER.token(expires_in=-60), ISSUER.token(aud="other"), "opaque"):
        await rejection(sources, invalid)
    assert len(cache) == 0


async def test_a_session_cookie_is_not_parsed_as_a_token() -> None:
    """The cookies of some frameworks have three parts that are separated by dots, like tokens."""
    url = "https://app.example/me"
    settings = IdentitySettings.model_validate(
        {"cookie_sessions": {"app": {"cookie": "sid", "whoami_url": url}}}
    )
    net = Network({url: {"sub": "ada"}})
    cache = VerifiedTokenCache(10, Clock())
    sources = SourcesAtLocation(build_sources(settings, net.fetcher), cache)

    assert (await sources.caller(credential("eyJ1IjoxfQ.aaa.bbb", SESSION))).subject == "ada"
    assert configured_session(settings.cookie_sessions["app"]).setting == (
        "IDENTITY__COOKIE_SESSIONS__APP"
    )
