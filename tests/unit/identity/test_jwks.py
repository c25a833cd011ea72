import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.errors import IdentityProviderUnavailableError, UnauthenticatedError
from app.identity.discovery import Discovery
from app.identity.jwks import Jwks, JwksState
from app.settings import IdentitySettings, IssuerSettings
from emulators.issuer import DevelopmentIssuer
from tests.support.in_process import Clock, Network, messages, problem_of

KEYS = "https://id.example/keys"
DISCOVERY = "https://id.example/.well-known/openid-configuration"
[FIRST, SECOND, *_] = DevelopmentIssuer().keys.published()
RSA = {"keys": [{**FIRST, "kid": "one"}]}
ROTATED = {"keys": [{**FIRST, "kid": "one"}, {**FIRST, "kid": "two"}, {"kty": "?"}]}
UNREACHABLE = "Your sign-in cannot be checked right now. Try again shortly."


def keys(network: Network, clock: Clock, jwks_uri: str | None = KEYS, **more: int) -> Jwks:
    """Return the keys of an issuer on this network, with these further settings."""
    issuer = IssuerSettings(issuer="https://id.example", audience="vault-bff", jwks_uri=jwks_uri)
    identity = IdentitySettings(issuers={"main": issuer}, **more)
    discovery = Discovery(issuer, network.fetcher, clock)
    return Jwks("main", issuer, identity, discovery, network.fetcher, clock=clock)


async def unavailable(jwks: Jwks, kid: str = "one") -> str | None:
    """Return the operator's message when keys are unavailable."""
    with pytest.raises(IdentityProviderUnavailableError) as error:
        await jwks.key(kid, "RS256")
    detail, reason = messages(error.value)
    assert (detail, error.value.retry_after) == (UNREACHABLE, 30)
    return reason


async def unknown(jwks: Jwks, kid: str) -> None:
    """Assert that the issuer has no such key."""
    with pytest.raises(UnauthenticatedError) as error:
        await jwks.key(kid, "RS256")
    assert error.value.detail == "Your sign-in is not valid. Please sign in again."
    assert problem_of(error.value) == "the issuer has no key with this kid and algorithm"


async def test_the_state_contains_the_number_and_age_of_the_keys() -> None:
    """Before the first fetch, there are no keys; beyond the maximum age, they are not usable."""
    clock = Clock()
    jwks = keys(Network({KEYS: ROTATED}), clock)
    assert jwks.state() == JwksState(keys=0, age_seconds=None, usable=False, error=None)

    await jwks.refresh_if_due()
    clock.now += 86_400
    assert jwks.state() == JwksState(keys=2, age_seconds=86_400, usable=True, error=None)

    clock.now += 1
    assert jwks.state() == JwksState(keys=2, age_seconds=86_401, usable=False, error=None)


async def test_the_first_token_fetches_the_keys_and_the_second_does_not() -> None:
    """A cached key is used without a request."""
    network = Network({KEYS: RSA})
    jwks = keys(network, Clock())

    assert (await jwks.key("one", "RS256")).kid == "one"
    assert (await jwks.key(None, "PS256")).kid == "one"
    assert network.urls() == [KEYS]


async def test_the_metadata_is_fetched_again_after_a_failure() -> None:
    """The issuer may have moved its keys to another URL."""
    clock = Clock()
    network = Network({DISCOVERY: {"issuer": "https://id.example", "jwks_uri": KEYS}})
    jwks = keys(network, clock, jwks_uri=None)
    with capture_logs() as logs:
        assert await unavailable(jwks) == f"{KEYS}: responded with 404"
    network.responses[DISCOVERY]["jwks_uri"] = "https://id.example/moved"
    network.responses["https://id.example/moved"] = RSA
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
async def test_a_failed_fetch_has_a_reason(document: Any, reason: str) -> None:
    """The caller gets a time to retry, and the operator gets the reason."""
    jwks = keys(Network({KEYS: document}), Clock())

    assert await unavailable(jwks) == reason
    assert jwks.state() == JwksState(keys=0, age_seconds=None, usable=False, error=reason)


async def test_without_keys_a_failed_fetch_is_repeated_soon() -> None:
    """The next fetch is two seconds later, and its success clears the error."""
    network, clock = Network(), Clock()
    jwks = keys(network, clock)
    await unavailable(jwks)
    network.responses[KEYS] = RSA
    clock.now += 1.9
    await unavailable(jwks)
    assert len(network.requests) == 1
    clock.now += 0.1

    assert (await jwks.key("one", "RS256")).kid == "one"
    assert jwks.state().error is None


async def test_keys_are_refreshed_when_due_and_again_after_a_cooldown() -> None:
    """Meanwhile, the keys are used, and a token with another key gets a 503."""
    network, clock = Network({KEYS: RSA}), Clock()
    jwks = keys(network, clock)
    await jwks.refresh_if_due()
    network.responses[KEYS] = 503
    counts = []
    for later in (599, 1, 0, 29.9, 0.1, 30):
        clock.now += later
        await jwks.refresh_if_due()
        counts.append(len(network.requests))

    assert counts == [1, 2, 2, 2, 3, 4]
    assert (await jwks.key("one", "RS256")).kid == "one"
    assert await unavailable(jwks, "two") == f"{KEYS}: responded with 503"
    assert await unavailable(jwks, "three") == f"{KEYS}: responded with 503"
    assert len(network.requests) == 5


async def test_keys_beyond_the_maximum_age_verify_no_token() -> None:
    """While the issuer does not respond, every token gets a 503."""
    network, clock = Network({KEYS: RSA}), Clock()
    jwks = keys(network, clock)
    await jwks.refresh_if_due()
    network.responses[KEYS] = 503
    clock.now += 86_401

    assert await unavailable(jwks) == f"{KEYS}: responded with 503"
    assert len(network.requests) == 2


async def test_a_cached_key_is_found_without_a_request() -> None:
    """It is found until the issuer withdraws it or it exceeds the maximum age."""
    network, clock = Network({KEYS: RSA}), Clock()
    jwks = keys(network, clock)
    assert jwks.cached_key("one", "RS256") is None
    key = await jwks.key("one", "RS256")
    assert jwks.cached_key("one", "RS256") is key
    assert jwks.cached_key("one", "ES256") is None
    assert jwks.cached_key("two", "RS256") is None
    clock.now += 600
    await jwks.refresh_if_due()
    assert jwks.cached_key("one", "RS256") == key  # The issuer still publishes it.
    clock.now += 86_401

    assert jwks.cached_key("one", "RS256") is None
    network.responses[KEYS] = {"keys": [{**SECOND, "kid": "one"}]}
    await jwks.refresh_if_due()
    assert jwks.cached_key("one", "RS256") != key
    assert len(network.requests) == 3


async def test_a_rotation_is_detected_and_logged_once() -> None:
    """A new key is fetched when a token first names it; an unchanged set causes no log event."""
    network, clock = Network({KEYS: RSA}), Clock()
    jwks = keys(network, clock)
    with capture_logs() as logs:
        await unknown(jwks, "two")
        network.responses[KEYS] = ROTATED
        await unknown(jwks, "two")
        clock.now += 30
        await unknown(jwks, "two")
        clock.now += 30
        assert (await jwks.key("two", "RS256")).kid == "two"
        clock.now += 600
        await jwks.refresh_if_due()

    changed = {"event": "jwks_changed", "log_level": "info", "issuer": "main"}
    assert logs == [
        {**changed, "keys": 1, "left_out": 0, "left_out_keys": []},
        {**changed, "keys": 2, "left_out": 1, "left_out_keys": ["a key without kid: malformed"]},
    ]
    assert len(network.requests) == 4


async def test_a_token_whose_key_was_left_out_is_rejected_with_the_reason() -> None:
    """If the new key of a rotation is unusable, the log and the audit event have the reason."""
    network, clock = Network({KEYS: RSA}), Clock()
    jwks = keys(network, clock)
    await jwks.refresh_if_due()
    network.responses[KEYS] = {"keys": [*RSA["keys"], {**FIRST, "kid": "new", "use": "enc"}]}

    with capture_logs() as logs, pytest.raises(UnauthenticatedError) as error:
        await jwks.key("new", "RS256")

    assert error.value.reason == "the key of this token was left out: 'new': its use is not sig"
    assert [line["left_out_keys"] for line in logs] == [["'new': its use is not sig"]]


async def test_a_token_without_a_matching_key_is_rejected_with_the_keys_of_the_issuer() -> None:
    """The message names the algorithm of the token and the key ids of the issuer."""
    with pytest.raises(UnauthenticatedError) as error:
        await keys(Network({KEYS: RSA}), Clock()).key("unknown", "ES256")

    assert error.value.reason == (
        "the issuer has no key with this kid and algorithm: "
        "received the algorithm 'ES256'; the issuer's kids are 'one'"
    )


@pytest.mark.parametrize(("response", "fetches"), [(RSA, 3), (ROTATED, 4)])
async def test_after_a_change_of_the_set_unknown_ids_can_cause_a_fetch_again(
    response: Any, fetches: int
) -> None:
    """The issuer may add these keys next; without a change, there is no fetch for two cooldowns."""
    network, clock = Network({KEYS: RSA}), Clock()
    jwks = keys(network, clock, jwks_refresh_seconds=30)
    await unknown(jwks, "later")
    network.responses[KEYS] = response
    clock.now += 30
    await jwks.refresh_if_due()
    await unknown(jwks, "later")

    assert len(network.requests) == fetches


async def test_a_key_id_that_no_fetch_looked_for_can_cause_the_next_fetch() -> None:
    """A token with an old key id starts the cooldown, and a rotation follows within it."""
    network, clock = Network({KEYS: RSA}), Clock()
    jwks = keys(network, clock)
    await unknown(jwks, "old")
    network.responses[KEYS] = ROTATED
    for later in (1, 28.9):
        clock.now += later
        await unknown(jwks, "two")
    assert len(network.requests) == 2
    clock.now += 0.1

    assert (await jwks.key("two", "RS256")).kid == "two"
    assert len(network.requests) == 3


async def test_a_key_id_can_cause_another_fetch_after_one_that_failed() -> None:
    """A failed fetch does not show that the issuer lacks the key."""
    network, clock = Network({KEYS: RSA}), Clock()
    jwks = keys(network, clock)
    await jwks.refresh_if_due()
    network.responses[KEYS] = 503
    assert await unavailable(jwks, "two") == f"{KEYS}: responded with 503"
    network.responses[KEYS] = ROTATED
    clock.now += 30

    assert (await jwks.key("two", "RS256")).kid == "two"


@pytest.mark.parametrize("started_by", ["request", "background"])
async def test_requests_during_a_fetch_wait_for_it(started_by: str) -> None:
    """There is one fetch, whether a request or the background task started it."""
    network, clock, release = Network({KEYS: RSA}), Clock(), asyncio.Event()
    jwks = keys(network, clock)
    await jwks.refresh_if_due()
    clock.now += 600

    async def slow() -> Any:
        await release.wait()
        return ROTATED

    network.responses[KEYS] = slow
    request, background = (lambda: jwks.key("two", "RS256")), jwks.refresh_if_due
    first, then = (request, background) if started_by == "request" else (background, request)
    tasks = []
    for one in (first, then, request, background):
        tasks.append(asyncio.ensure_future(one()))
        for _ in range(10):
            await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    release.set()
    await asyncio.gather(*tasks)

    assert len(network.requests) == 2


async def test_a_key_that_is_published_late_is_found_despite_many_requests() -> None:
    """Tokens with this key are already in use, and must not postpone the fetch each time."""
    network, clock = Network({KEYS: RSA}), Clock()
    jwks = keys(network, clock)
    await unknown(jwks, "two")
    network.responses[KEYS] = ROTATED
    for _ in range(59):
        clock.now += 1
        await unknown(jwks, "two")
    clock.now += 1

    assert (await jwks.key("two", "RS256")).kid == "two"
