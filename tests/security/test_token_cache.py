"""The cache of verified tokens: expiry, withdrawn keys and eviction invalidate an entry."""

import itertools
import json

import pytest
from joserfc.jwk import RSAKey

from app.errors import IdentityProviderUnavailableError, UnauthenticatedError
from app.identity.public_keys import public_keys
from app.identity.token_cache import Proof, VerifiedTokenCache
from tests.support.signing import parts, signed
from tests.support.token_cache import HOUR, ISSUED, CachingService

ANOTHER = RSAKey.generate_key(2048)


async def test_a_cached_token_is_not_verified_again(verified: list[str]) -> None:
    """A cached token identifies the same caller; every other token is verified."""
    service = CachingService()
    ada, grace = service.token(sub="ada"), service.token(sub="grace")

    first = [await service.caller(token) for token in (ada, grace)]
    second = [await service.caller(token) for token in (ada, grace)]

    assert [one.subject for one in second] == ["ada", "grace"]
    assert first == second
    assert verified == [ada, grace]


async def test_an_expired_token_is_rejected_although_it_is_cached() -> None:
    """The cache does not extend the life of a token."""
    service = CachingService(leeway_seconds=0)
    token = service.token()
    await service.caller(token)

    service.now = ISSUED + HOUR + 1
    with pytest.raises(UnauthenticatedError):
        await service.caller(token)
    assert len(service.cache) == 0


@pytest.mark.parametrize("seconds", [0.5, 1.5, 2.5, 3.5])
async def test_a_token_that_expires_while_it_is_looked_up_is_not_found(seconds: float) -> None:
    """The clock can advance between any two reads of it."""
    service = CachingService()
    token = service.token()
    caller = await service.caller(token)
    kid = service.issuer.keys.signing_key("RS256").kid
    key = service.jwks.cached_key(kid, "RS256")
    assert key is not None
    cache = VerifiedTokenCache(1, itertools.count(0.0).__next__)
    cache.add(token, caller, Proof(service.jwks, kid, "RS256", key, seconds))

    found = [cache.get(token) for _ in range(4)]
    assert all(one in (caller, None) for one in found)
    assert found[-1] is None


async def test_a_cached_token_that_is_too_old_is_rejected() -> None:
    """The configured maximum age applies to cached tokens, too."""
    service = CachingService(leeway_seconds=0, max_token_age_seconds=300)
    token = service.token()
    await service.caller(token)

    service.now = ISSUED + 302
    with pytest.raises(UnauthenticatedError):
        await service.caller(token)


async def test_within_the_leeway_a_token_is_verified_each_time(verified: list[str]) -> None:
    """The cache has no leeway; only the token rules do."""
    service = CachingService(leeway_seconds=30)
    token = service.token()
    await service.caller(token)

    service.now = ISSUED + HOUR + 10
    for _ in range(2):
        assert (await service.caller(token)).subject == "ada"

    assert verified == [token] * 3


async def test_a_withdrawn_key_invalidates_its_tokens() -> None:
    """Once the issuer no longer publishes a key, its tokens are rejected, cached or not."""
    service = CachingService()
    token = service.token()
    await service.caller(token)

    service.issuer.keys.rotate()
    service.issuer.keys.retire()
    service.fetch_keys()
    with pytest.raises(UnauthenticatedError):
        await service.caller(token)
    assert len(service.cache) == 0


async def test_a_new_key_does_not_affect_a_cached_token_with_a_key_id(
    verified: list[str],
) -> None:
    """The token names its key, so a second key for the algorithm does not matter."""
    service = CachingService()
    token = service.token()
    await service.caller(token)

    service.key_server.first = [ANOTHER.as_dict(private=False, kid="another")]
    service.fetch_keys()
    await service.caller(token)

    assert verified == [token]


async def test_a_replaced_key_with_the_same_id_invalidates_its_tokens() -> None:
    """Keys are compared by content, so a replaced key invalidates its tokens."""
    service = CachingService()
    token = service.token()
    await service.caller(token)

    old = service.issuer.keys.published()
    service.issuer.keys.rotate()
    service.issuer.keys.retire()
    new = [
        {**key, "kid": before["kid"]}
        for key, before in zip(service.issuer.keys.published(), old, strict=True)
    ]
    keys, _ = public_keys({"keys": new})
    service.jwks._replace(keys)
    with pytest.raises(UnauthenticatedError):
        await service.caller(token)


async def test_a_cached_token_without_a_key_id_is_rejected_if_two_keys_match() -> None:
    """A token without a key id must not match several keys, cached or not."""
    service = CachingService()
    _, payload = parts(service.issuer, "RS256")
    claims = {**json.loads(payload), "iat": ISSUED, "exp": ISSUED + HOUR}
    header_without_kid = json.dumps({"alg": "RS256", "typ": "at+jwt"}).encode()
    token = signed(
        service.issuer, header_without_kid, json.dumps(claims).encode(), algorithm="RS256"
    )
    await service.caller(token)

    service.key_server.first = [ANOTHER.as_dict(private=False, kid="another")]
    service.fetch_keys()
    with pytest.raises(UnauthenticatedError):
        await service.caller(token)


async def test_only_the_first_of_two_keys_with_the_same_id_is_used() -> None:
    """Once another key with the id is first in the set, a cached token is rejected."""
    service = CachingService()
    token = service.token()
    await service.caller(token)

    kid = service.issuer.keys.signing_key("RS256").kid
    service.key_server.first = [ANOTHER.as_dict(private=False, kid=kid)]
    service.fetch_keys()
    with pytest.raises(UnauthenticatedError):
        await service.caller(token)


async def test_expired_entries_are_removed_when_an_entry_is_added() -> None:
    """Names and e-mail addresses are not kept for the life of the process."""
    service = CachingService(leeway_seconds=30)
    await service.caller(service.token("ada", expires_in=60))
    await service.caller(service.token("grace", expires_in=120))
    service.now = ISSUED + 70
    await service.caller(service.token("otto"))

    assert {caller.subject for caller, _ in service.cache._entries.values()} == {"grace", "otto"}


async def test_a_refresh_without_changes_invalidates_no_entry(verified: list[str]) -> None:
    """A token stays cached if the same key is fetched again."""
    service = CachingService()
    token = service.token()
    await service.caller(token)
    service.fetch_keys()
    await service.caller(token)

    assert verified == [token]


async def test_cached_tokens_are_rejected_once_keys_exceed_the_maximum_age() -> None:
    """If an issuer is down for too long, cached callers get a 503, too."""
    service = CachingService()
    token = service.token(expires_in=1_000_000)
    await service.caller(token)

    service.key_server.down = True
    service.now = ISSUED + 86_401
    with pytest.raises(IdentityProviderUnavailableError):
        await service.caller(token)


async def test_a_forged_token_is_not_found_in_the_cache() -> None:
    """A token with one changed character in its signature is a different token."""
    service = CachingService()
    token = service.token()
    await service.caller(token)
    other = "A" if token[-10] != "A" else "B"

    with pytest.raises(UnauthenticatedError):
        await service.caller(token[:-10] + other + token[-9:])


async def test_made_up_tokens_evict_no_entry(verified: list[str]) -> None:
    """Only verified tokens are cached, up to the configured number."""
    service = CachingService(max_tokens=3)
    known = service.token(sub="ada")
    await service.caller(known)
    for number in range(10):
        forged = service.token(sub=f"forged-{number}")[:-4] + "AAAA"
        with pytest.raises(UnauthenticatedError):
            await service.caller(forged)
    verified.clear()
    await service.caller(known)
    assert verified == []

    for number in range(10):
        await service.caller(service.token(sub=f"person-{number}"))
    assert len(service.cache) == 3


async def test_an_operator_can_turn_the_cache_off(verified: list[str]) -> None:
    """With a maximum of zero each token is verified every time."""
    service = CachingService(max_tokens=0)
    token = service.token()
    for _ in range(2):
        await service.caller(token)

    assert verified == [token, token]


async def test_the_repr_of_the_cache_contains_no_entry() -> None:
    """A log line with the cache contains no names and no tokens."""
    service = CachingService()
    token = service.token()
    await service.caller(token)

    assert repr(service.cache._entries) == "<1 callers>"
    assert token.encode() not in b"".join(service.cache._entries)
