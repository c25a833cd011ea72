import time
from dataclasses import replace
from typing import Any

import pytest

from app.errors import IdentityProviderUnavailableError, UnauthenticatedError
from app.identity.models import Caller
from app.identity.sources.signed_token import SignedTokenSource, build
from app.identity.token_cache import VerifiedTokenCache
from emulators.issuer import DevelopmentIssuer
from tests.support.in_process import Clock, Network, credential, identity_with

ISSUER = DevelopmentIssuer()
KEYS, USERINFO = f"{ISSUER.issuer}/jwks", f"{ISSUER.issuer}/userinfo"


def network() -> Network:
    """Return a network with the development issuer's keys."""
    return Network({KEYS: {"keys": ISSUER.keys.published()}})


def source(net: Network, name: str = "main", **more: Any) -> SignedTokenSource:
    """Return the source of the development issuer's tokens."""
    issuer = {"issuer": ISSUER.issuer, "audience": "vault-bff", "jwks_uri": KEYS, **more}
    [result] = build(identity_with(**{name: issuer}), net.fetcher)
    return result


async def caller(token_source: SignedTokenSource, token: str) -> Caller:
    """Return the caller that a token identifies."""
    return await token_source.caller(credential(token))


async def test_a_token_identifies_its_user() -> None:
    """It is verified with the issuer's keys; the caller has the configured name of the issuer."""
    result = await caller(source(network(), "shop"), ISSUER.token(sub="ada"))

    assert (result.kind, result.issuer, result.subject) == ("user", "shop", "ada")


async def test_the_kind_of_the_issuer_decides_whether_a_caller_is_a_service() -> None:
    """A service has the configured grant, and no consumer."""
    services = source(network(), kind="services", grants={"job": ["acme"]})
    result = await caller(services, ISSUER.service_token("job"))

    assert (result.kind, result.issuer, result.subject) == ("service", "main", "job")
    assert (result.consumer_id, result.grant) == (None, ("acme",))


async def test_an_opaque_token_is_rejected() -> None:
    """It is rejected even if no other source has checked it."""
    with pytest.raises(UnauthenticatedError) as error:
        await caller(source(network()), "opaque")

    assert error.value.reason == "not a signed token in compact form"


async def test_userinfo_provides_display_data_that_a_token_lacks() -> None:
    """The request has the token, and is sent only if userinfo is enabled and data is missing."""
    net = network()
    net.responses[USERINFO] = {"sub": "ada", "name": "Countess"}
    with_userinfo = source(net, userinfo=True, userinfo_endpoint=USERINFO)
    token = ISSUER.token(sub="ada", omit=["name"])

    result = await caller(with_userinfo, token)
    assert result.consumer_metadata["user_name"] == "Countess"
    assert net.requests[-1].headers["authorization"] == f"Bearer {token}"

    assert "user_name" not in (await caller(source(net), token)).consumer_metadata
    rest: dict[str, Any] = {"email": "a@x.example", "picture": "https://x.example/a"}
    unnamed = await caller(with_userinfo, ISSUER.token(sub="ada", name="", **rest))
    assert unnamed.consumer_metadata["user_name"] == "Countess"
    sent = len(net.requests)
    named = await caller(with_userinfo, ISSUER.token(sub="ada", name="Ada", **rest))
    assert named.consumer_metadata["user_name"] == "Ada"
    assert len(net.requests) == sent


async def test_the_proof_of_a_token_is_its_key_and_its_expiry() -> None:
    """There is no proof while the key is not cached, and none with userinfo."""
    net = network()
    result = source(net, max_token_age_seconds=60)
    presented = credential(ISSUER.token(algorithm="ES256"))
    token = presented.signed_token
    assert token is not None
    assert result.proof(presented) is None
    key = await result.jwks.key(token.header["kid"], "ES256")

    proof = result.proof(presented)

    assert proof is not None
    assert (proof.jwks, proof.key) == (result.jwks, key)
    assert proof.key.key is key.key
    assert proof.valid_until == token.claims["iat"] + 60
    other = credential("unused")
    other.signed_token = replace(token, header={"kid": "x", "alg": "ES256"})
    assert result.proof(other) is None
    other.signed_token = replace(token, header={"alg": "ES256"})
    unnamed = result.proof(other)
    assert unnamed is not None
    assert unnamed.key is proof.key
    assert result.proof(credential("opaque")) is None
    with_userinfo = source(net, userinfo=True, userinfo_endpoint=USERINFO)
    await with_userinfo.jwks.key(token.header["kid"], "ES256")
    assert with_userinfo.proof(presented) is None


@pytest.mark.parametrize("later", [0, 9.9, 10])
async def test_a_cached_caller_is_removed_when_the_token_expires(later: float) -> None:
    """The leeway does not extend this time; after it, the token is verified again."""
    result, clock = source(network()), Clock(time.time())
    presented = credential(ISSUER.token())
    found = await result.caller(presented)
    proof = result.proof(presented)
    assert proof is not None
    cache = VerifiedTokenCache(10, clock)
    cache.add(presented.value, found, replace(proof, valid_until=clock.now + 10))
    clock.now += later

    assert cache.get("another") is None
    assert (cache.get(presented.value) is found) == (later < 10)
    assert len(cache) == (later < 10)


async def test_without_keys_a_source_is_not_ready() -> None:
    """It becomes ready when the background task has fetched the keys."""
    result = source(network())
    assert not result.ready
    assert result.refresh is not None

    await result.refresh()

    assert result.ready
    assert result.key_state().keys == 3


async def test_the_probe_fetches_the_keys() -> None:
    """It returns the number of keys, or raises an error with the reason."""
    assert await source(network()).probe() == "3 keys"

    with pytest.raises(IdentityProviderUnavailableError) as error:
        await source(Network()).probe()
    assert error.value.reason == f"{KEYS}: responded with 404"


def test_an_issuer_with_introspection_is_not_a_source_of_signed_tokens() -> None:
    """Each entry in the settings becomes exactly one source."""
    own = {"client_id": "vault", "client_secret": "s3cret"}
    issuer = {"issuer": ISSUER.issuer, "audience": "vault-bff", "introspection": own}

    assert list(build(identity_with(main=issuer), Network().fetcher)) == []
