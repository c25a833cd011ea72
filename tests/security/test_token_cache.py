"""Tokens that were verified once, and what must end that: time, a withdrawn key, another token."""

import json

import pytest
from joserfc.jwk import RSAKey

from app.errors import IdentityProviderUnavailableError, UnauthenticatedError
from app.identity.public_keys import public_keys
from tests.support.signing import parts, signed
from tests.support.token_cache import HOUR, ISSUED, World

ANOTHER = RSAKey.generate_key(2048)


async def test_a_token_that_comes_again_is_not_verified_again(verified: list[str]) -> None:
    """The same caller comes of it, and each other token is looked at for itself."""
    world = World()
    ada, grace = world.token(sub="ada"), world.token(sub="grace")

    first = [await world.caller(token) for token in (ada, grace)]
    second = [await world.caller(token) for token in (ada, grace)]

    assert [one.subject for one in second] == ["ada", "grace"]
    assert first == second
    assert verified == [ada, grace]


async def test_an_expired_token_is_refused_however_well_it_is_known() -> None:
    """Being remembered lengthens no token's life."""
    world = World(leeway_seconds=0)
    token = world.token()
    await world.caller(token)

    world.now = ISSUED + HOUR + 1
    with pytest.raises(UnauthenticatedError):
        await world.caller(token)
    assert len(world.remembered) == 0


async def test_a_token_that_has_grown_too_old_is_refused() -> None:
    """The operator's bound on a token's age holds for one that is remembered, too."""
    world = World(leeway_seconds=0, max_token_age_seconds=300)
    token = world.token()
    await world.caller(token)

    world.now = ISSUED + 302
    with pytest.raises(UnauthenticatedError):
        await world.caller(token)


async def test_leeway_is_given_by_the_rules_alone(verified: list[str]) -> None:
    """Within the leeway a token is verified each time, as if it had never been seen."""
    world = World(leeway_seconds=30)
    token = world.token()
    await world.caller(token)

    world.now = ISSUED + HOUR + 10
    for _ in range(2):
        assert (await world.caller(token)).subject == "ada"

    assert verified == [token] * 3


async def test_a_withdrawn_key_takes_its_tokens_with_it() -> None:
    """Once an issuer no longer publishes a key, what it signed is worth nothing, seen or not."""
    world = World()
    token = world.token()
    await world.caller(token)

    world.issuer.keys.rotate()
    world.issuer.keys.retire()
    world.publish()
    with pytest.raises(UnauthenticatedError):
        await world.caller(token)
    assert len(world.remembered) == 0


async def test_a_token_that_names_its_key_is_known_whatever_else_is_published(
    verified: list[str],
) -> None:
    """A second key that would fit as well makes no difference to who names one."""
    world = World()
    token = world.token()
    await world.caller(token)

    world.network.first = [ANOTHER.as_dict(private=False, kid="another")]
    world.publish()
    await world.caller(token)

    assert verified == [token]


async def test_another_key_under_the_same_id_is_another_key() -> None:
    """A key is known by what it is: replaced under its old id, it proves nothing any more."""
    world = World()
    token = world.token()
    await world.caller(token)

    old = world.issuer.keys.published()
    world.issuer.keys.rotate()
    world.issuer.keys.retire()
    new = [
        {**key, "kid": before["kid"]}
        for key, before in zip(world.issuer.keys.published(), old, strict=True)
    ]
    keys, _ = public_keys({"keys": new})
    world.jwks._replace(keys, 0)
    with pytest.raises(UnauthenticatedError):
        await world.caller(token)


async def test_a_key_that_is_no_longer_the_only_one_proves_nothing_without_a_name() -> None:
    """A token that names no key is refused as soon as two would fit it, seen or not."""
    world = World()
    _, payload = parts(world.issuer, "RS256")
    claims = {**json.loads(payload), "iat": ISSUED, "exp": ISSUED + HOUR}
    nameless = json.dumps({"alg": "RS256", "typ": "at+jwt"}).encode()
    token = signed(world.issuer, nameless, json.dumps(claims).encode(), algorithm="RS256")
    await world.caller(token)

    world.network.first = [ANOTHER.as_dict(private=False, kid="another")]
    world.publish()
    with pytest.raises(UnauthenticatedError):
        await world.caller(token)


async def test_two_keys_of_one_name_are_chosen_from_in_their_order() -> None:
    """Once another key stands first under a token's id, that one is asked, seen or not."""
    world = World()
    token = world.token()
    await world.caller(token)

    ours = world.issuer.keys.signing_key("RS256").kid
    world.network.first = [ANOTHER.as_dict(private=False, kid=ours)]
    world.publish()
    with pytest.raises(UnauthenticatedError):
        await world.caller(token)


async def test_what_has_expired_is_forgotten_when_the_next_one_comes() -> None:
    """Names and addresses of those who came once are not kept for the life of the process."""
    world = World(leeway_seconds=30)
    await world.caller(world.token("ada", expires_in=60))
    await world.caller(world.token("grace", expires_in=120))
    world.now = ISSUED + 70
    await world.caller(world.token("otto"))

    assert {caller.subject for caller, _ in world.remembered._entries.values()} == {"grace", "otto"}


async def test_fetching_the_same_keys_anew_forgets_nobody(verified: list[str]) -> None:
    """A refresh that changes nothing costs no verification."""
    world = World()
    token = world.token()
    await world.caller(token)
    world.publish()
    await world.caller(token)

    assert verified == [token]


async def test_keys_beyond_their_hard_age_prove_nothing() -> None:
    """When an issuer has been down for too long, those who were known get a 503 like all others."""
    world = World()
    token = world.token(expires_in=1_000_000)
    await world.caller(token)

    world.network.down = True
    world.now = ISSUED + 86_401
    with pytest.raises(IdentityProviderUnavailableError):
        await world.caller(token)


async def test_a_forged_token_is_not_mistaken_for_a_known_one() -> None:
    """One character of the signature is enough to be a stranger."""
    world = World()
    token = world.token()
    await world.caller(token)
    other = "A" if token[-10] != "A" else "B"

    with pytest.raises(UnauthenticatedError):
        await world.caller(token[:-10] + other + token[-9:])


async def test_made_up_tokens_evict_nobody(verified: list[str]) -> None:
    """Only who proved something takes a place, and there are no more places than configured."""
    world = World(most=3)
    known = world.token(sub="ada")
    await world.caller(known)
    for number in range(10):
        forged = world.token(sub=f"forged-{number}")[:-4] + "AAAA"
        with pytest.raises(UnauthenticatedError):
            await world.caller(forged)
    verified.clear()
    await world.caller(known)
    assert verified == []

    for number in range(10):
        await world.caller(world.token(sub=f"person-{number}"))
    assert len(world.remembered) == 3


async def test_nobody_is_remembered_where_the_operator_says_so(verified: list[str]) -> None:
    """With no places each token is verified every time."""
    world = World(most=0)
    token = world.token()
    for _ in range(2):
        await world.caller(token)

    assert verified == [token, token]


async def test_what_is_remembered_is_not_shown() -> None:
    """A memory in a log line or a debugger's dump holds nobody's name, and no token."""
    world = World()
    token = world.token()
    await world.caller(token)

    assert repr(world.remembered._entries) == "<1 callers>"
    assert token.encode() not in b"".join(world.remembered._entries)
