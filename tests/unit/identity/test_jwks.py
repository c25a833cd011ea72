import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.errors import IdentityProviderUnavailableError, UnauthenticatedError
from app.identity.discovery import Discovery
from app.identity.jwks import Jwks, JwksState
from app.settings import IdentitySettings, IssuerSettings
from emulators.issuer import DevelopmentIssuer
from tests.support.in_process import Clock, Network, told

KEYS = "https://id.example/keys"
DISCOVERY = "https://id.example/.well-known/openid-configuration"
[FIRST, SECOND, *_] = DevelopmentIssuer().keys.published()
RSA = {"keys": [{**FIRST, "kid": "one"}]}
ROTATED = {"keys": [{**FIRST, "kid": "one"}, {**FIRST, "kid": "two"}, {"kty": "?"}]}
UNREACHABLE = "The identity provider cannot be reached right now. Try again shortly."


def keys(network: Network, clock: Clock, jwks_uri: str | None = KEYS) -> Jwks:
    """Return the keys of an issuer on this network."""
    issuer = IssuerSettings(issuer="https://id.example", audience="vault-bff", jwks_uri=jwks_uri)
    identity = IdentitySettings(issuers={"main": issuer})
    discovery = Discovery(issuer, network.fetcher)
    return Jwks("main", issuer, identity, discovery, network.fetcher, clock=clock)


async def unavailable(jwks: Jwks, kid: str = "one") -> str | None:
    """Return the operator's reason why a key cannot be had, having checked the caller's."""
    with pytest.raises(IdentityProviderUnavailableError) as error:
        await jwks.key(kid, "RS256")
    detail, reason = told(error.value)
    assert (detail, error.value.retry_after) == (UNREACHABLE, 30)
    return reason


async def unknown(jwks: Jwks, kid: str) -> None:
    """Make sure that the issuer lacks a key."""
    with pytest.raises(UnauthenticatedError) as error:
        await jwks.key(kid, "RS256")
    assert told(error.value) == (
        "The access token is not valid.",
        "signed with a key the issuer lacks",
    )


async def test_the_state_tells_what_there_is() -> None:
    """Before the first fetch there is nothing; afterwards keys, their age, and no error."""
    clock = Clock()
    jwks = keys(Network({KEYS: ROTATED}), clock)
    assert jwks.state() == JwksState(keys=0, age_seconds=None, usable=False, error=None)

    await jwks.refresh_if_due()
    clock.now += 86_400
    assert jwks.state() == JwksState(keys=2, age_seconds=86_400, usable=True, error=None)

    clock.now += 1
    assert jwks.state() == JwksState(keys=2, age_seconds=86_401, usable=False, error=None)


async def test_the_first_token_fetches_the_keys_and_the_second_does_not() -> None:
    """What is at hand is not asked for."""
    network = Network({KEYS: RSA})
    jwks = keys(network, Clock())

    assert (await jwks.key("one", "RS256")).kid == "one"
    assert (await jwks.key(None, "PS256")).kid == "one"
    assert network.urls() == [KEYS]


async def test_keys_are_found_by_discovery_and_looked_for_anew_after_a_failure() -> None:
    """The issuer may have moved them: what it said last is not believed any longer."""
    clock = Clock()
    network = Network({DISCOVERY: {"issuer": "https://id.example", "jwks_uri": KEYS}})
    jwks = keys(network, clock, jwks_uri=None)
    with capture_logs() as logs:
        assert await unavailable(jwks) == f"{KEYS}: responded with 404"
    network.answers[DISCOVERY]["jwks_uri"] = "https://id.example/moved"
    network.answers["https://id.example/moved"] = RSA
    clock.now += 2

    assert (await jwks.key("one", "RS256")).kid == "one"
    assert network.urls() == [DISCOVERY, KEYS, DISCOVERY, "https://id.example/moved"]
    assert logs == [
        {
            "event": "jwks_fetch_failed",
            "log_level": "warning",
            "issuer": "main",
            "reason": f"{KEYS}: responded with 404",
        }
    ]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "not a JWK Set: it has no list of keys"),
        ({"keys": []}, "the JWK Set has no usable key"),
        (IdentityProviderUnavailableError("x", reason="a reason"), "a reason"),
        (IdentityProviderUnavailableError("x"), "unavailable"),
    ],
)
async def test_a_fetch_that_fails_says_why(document: Any, reason: str) -> None:
    """Whoever needs the keys is told to come again; the operator reads what came instead."""
    jwks = keys(Network({KEYS: document}), Clock())

    assert await unavailable(jwks) == reason
    assert jwks.state() == JwksState(keys=0, age_seconds=None, usable=False, error=reason)


async def test_without_keys_an_issuer_is_asked_again_soon() -> None:
    """After two seconds, and then the trouble is over."""
    network, clock = Network(), Clock()
    jwks = keys(network, clock)
    await unavailable(jwks)
    network.answers[KEYS] = RSA
    clock.now += 1.9
    await unavailable(jwks)
    assert len(network.asked) == 1
    clock.now += 0.1

    assert (await jwks.key("one", "RS256")).kid == "one"
    assert jwks.state().error is None


async def test_keys_are_renewed_at_their_age_and_tried_again_after_a_rest() -> None:
    """They serve on meanwhile; a token with another key cannot be judged."""
    network, clock = Network({KEYS: RSA}), Clock()
    jwks = keys(network, clock)
    await jwks.refresh_if_due()
    network.answers[KEYS] = 503
    asked = []
    for later in (599, 1, 0, 29.9, 0.1, 30):
        clock.now += later
        await jwks.refresh_if_due()
        asked.append(len(network.asked))

    assert asked == [1, 2, 2, 2, 3, 4]
    assert (await jwks.key("one", "RS256")).kid == "one"
    assert await unavailable(jwks, "two") == f"{KEYS}: responded with 503"
    assert await unavailable(jwks, "three") == f"{KEYS}: responded with 503"
    assert len(network.asked) == 5


async def test_keys_beyond_their_hard_age_serve_nobody() -> None:
    """While the issuer does not answer, nothing can be judged then."""
    network, clock = Network({KEYS: RSA}), Clock()
    jwks = keys(network, clock)
    await jwks.refresh_if_due()
    network.answers[KEYS] = 503
    clock.now += 86_401

    assert await unavailable(jwks) == f"{KEYS}: responded with 503"
    assert len(network.asked) == 2


async def test_a_key_at_hand_is_known_without_asking() -> None:
    """Until the issuer withdraws it, or it is too old to serve."""
    network, clock = Network({KEYS: RSA}), Clock()
    jwks = keys(network, clock)
    assert jwks.at_hand("one", "RS256") is None
    key = await jwks.key("one", "RS256")
    assert jwks.at_hand("one", "RS256") is key
    assert jwks.at_hand("one", "ES256") is None
    assert jwks.at_hand("two", "RS256") is None
    clock.now += 600
    await jwks.refresh_if_due()
    assert jwks.at_hand("one", "RS256") == key  # The issuer published the same one anew.
    clock.now += 86_401

    assert jwks.at_hand("one", "RS256") is None
    network.answers[KEYS] = {"keys": [{**SECOND, "kid": "one"}]}
    await jwks.refresh_if_due()
    assert jwks.at_hand("one", "RS256") != key
    assert len(network.asked) == 3


async def test_a_rotation_is_noticed_and_logged_once() -> None:
    """A new key is fetched when it is first seen; an unchanged set is not worth a line."""
    network, clock = Network({KEYS: RSA}), Clock()
    jwks = keys(network, clock)
    with capture_logs() as logs:
        await unknown(jwks, "two")
        network.answers[KEYS] = ROTATED
        await unknown(jwks, "two")
        clock.now += 30
        await unknown(jwks, "two")
        clock.now += 30
        assert (await jwks.key("two", "RS256")).kid == "two"
        clock.now += 600
        await jwks.refresh_if_due()

    changed = {"event": "jwks_changed", "log_level": "info", "issuer": "main"}
    assert logs == [{**changed, "keys": 1, "left_out": 0}, {**changed, "keys": 2, "left_out": 1}]
    assert len(network.asked) == 4


async def test_a_change_of_the_set_lets_unknown_ids_be_looked_for_again() -> None:
    """What the issuer lacked before it rotated says nothing about afterwards."""
    network, clock = Network({KEYS: RSA}), Clock()
    jwks = keys(network, clock)
    await unknown(jwks, "first")
    clock.now += 29
    await unknown(jwks, "later")
    network.answers[KEYS] = ROTATED
    clock.now += 1
    await jwks.key("two", "RS256")
    before = len(network.asked)
    clock.now += 30
    await unknown(jwks, "later")

    assert len(network.asked) == before + 1


@pytest.mark.parametrize("begins", ["request", "background"])
async def test_everybody_waits_for_a_fetch_under_way(begins: str) -> None:
    """Whoever began it: it is one, and a new key is there for all when it ends."""
    network, clock, let = Network({KEYS: RSA}), Clock(), asyncio.Event()
    jwks = keys(network, clock)
    await jwks.refresh_if_due()
    clock.now += 600

    async def slow() -> Any:
        await let.wait()
        return ROTATED

    network.answers[KEYS] = slow
    request, background = (lambda: jwks.key("two", "RS256")), jwks.refresh_if_due
    first, then = (request, background) if begins == "request" else (background, request)
    tasks = []
    for one in (first, then, request, background):
        tasks.append(asyncio.ensure_future(one()))
        for _ in range(10):
            await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    let.set()
    await asyncio.gather(*tasks)

    assert len(network.asked) == 2


async def test_a_key_that_is_published_late_is_found_however_often_it_is_asked_for() -> None:
    """Its tokens are in use already: asking for it all the time must not put it off for ever."""
    network, clock = Network({KEYS: RSA}), Clock()
    jwks = keys(network, clock)
    await unknown(jwks, "two")
    network.answers[KEYS] = ROTATED
    for _ in range(59):
        clock.now += 1
        await unknown(jwks, "two")
    clock.now += 1

    assert (await jwks.key("two", "RS256")).kid == "two"
