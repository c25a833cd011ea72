"""The keys of an issuer under attack, rotation and outage, with a clock that the tests control."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from app.errors import IdentityProviderUnavailableError, UnauthenticatedError
from app.identity.discovery import Discovery
from app.identity.fetch import Fetcher
from app.identity.jwks import MAX_UNKNOWN_KIDS, Jwks
from app.observability.metrics import Metrics
from app.settings import IdentitySettings, IssuerSettings
from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.service import running, settings_for


class Clock:
    """A clock that stands still until it is told otherwise."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the seconds on the clock."""
        return self.now


@asynccontextmanager
async def keys_of(issuer: DevelopmentIssuer, clock: Clock, **more: Any) -> AsyncIterator[Jwks]:
    """Return the keys of an issuer, told the time by a clock."""
    settings = IssuerSettings(issuer=issuer.issuer, audience="vault-bff", **more)
    identity = IdentitySettings(issuers={"main": settings})
    async with httpx.AsyncClient() as http:
        fetcher = Fetcher(http, 0.5, Metrics())
        discovery = Discovery(settings, fetcher)
        yield Jwks("main", settings, identity, discovery, fetcher, clock=clock)


def current(issuer: DevelopmentIssuer) -> str:
    """Return the id of the key that signs now."""
    kid = issuer.keys.signing_key("RS256").kid
    assert kid is not None
    return kid


async def test_with_keys_at_hand_nothing_is_fetched(issuer: DevelopmentIssuer) -> None:
    """After the first look-up the network is never awaited again for a known key."""
    async with keys_of(issuer, Clock()) as jwks:
        for _ in range(100):
            assert (await jwks.key(current(issuer), "RS256")).kid == current(issuer)

    assert issuer.counts == {"discovery": 1, "jwks": 1}


async def test_many_at_once_cause_one_fetch(issuer: DevelopmentIssuer) -> None:
    """Whoever comes while the keys are on their way waits for the same ones."""
    async with keys_of(issuer, Clock()) as jwks:
        await asyncio.gather(*(jwks.key(current(issuer), "RS256") for _ in range(50)))

    assert issuer.counts["jwks"] == 1


async def test_made_up_key_ids_cause_one_fetch_per_cooldown(issuer: DevelopmentIssuer) -> None:
    """A thousand of them, one after the other, fetch once, and evict no real key."""
    clock = Clock()
    async with keys_of(issuer, clock) as jwks:
        await jwks.refresh_if_due()
        for i in range(1000):
            with pytest.raises(UnauthenticatedError):
                await jwks.key(f"made-up-{i}", "RS256")
        assert issuer.counts["jwks"] == 2
        assert (await jwks.key(current(issuer), "RS256")).kid == current(issuer)
        clock.now += 31
        for i in range(1000):
            with pytest.raises(UnauthenticatedError):
                await jwks.key(f"made-up-{i + 1000}", "RS256")

    assert issuer.counts["jwks"] == 3


async def test_the_memory_of_unknown_key_ids_is_bounded(issuer: DevelopmentIssuer) -> None:
    """However many are made up, no more than so many are remembered."""
    async with keys_of(issuer, Clock()) as jwks:
        for i in range(MAX_UNKNOWN_KIDS + 10):
            with pytest.raises(UnauthenticatedError):
                await jwks.key(f"made-up-{i}", "RS256")

        assert len(jwks._unknown) == MAX_UNKNOWN_KIDS


async def test_a_key_id_once_unknown_does_not_spend_the_next_cooldown(
    issuer: DevelopmentIssuer,
) -> None:
    """One stale token that is sent again and again leaves the fetch to a real rotation."""
    clock = Clock()
    async with keys_of(issuer, clock) as jwks:
        await jwks.refresh_if_due()
        with pytest.raises(UnauthenticatedError):
            await jwks.key("stale", "RS256")
        clock.now += 31
        with pytest.raises(UnauthenticatedError):
            await jwks.key("stale", "RS256")
        assert issuer.counts["jwks"] == 2
        issuer.keys.rotate()
        assert (await jwks.key(current(issuer), "RS256")).kid == current(issuer)


async def test_rotation_is_noticed_by_the_first_new_token(issuer: DevelopmentIssuer) -> None:
    """A key that was not there a moment ago is fetched and used, however fresh the others are."""
    async with keys_of(issuer, Clock()) as jwks:
        await jwks.key(current(issuer), "RS256")
        issuer.keys.rotate()

        assert (await jwks.key(current(issuer), "RS256")).kid == current(issuer)


async def test_everyone_with_a_new_key_waits_for_the_one_fetch(issuer: DevelopmentIssuer) -> None:
    """Of many requests right after a rotation not one is refused, and the set is fetched once."""
    async with keys_of(issuer, Clock()) as jwks:
        await jwks.key(current(issuer), "RS256")
        issuer.keys.rotate()

        found = await asyncio.gather(*(jwks.key(current(issuer), "RS256") for _ in range(50)))

    assert {key.kid for key in found} == {current(issuer)}
    assert issuer.counts["jwks"] == 2


async def test_a_retired_key_stops_working_at_the_next_refresh(issuer: DevelopmentIssuer) -> None:
    """What the issuer no longer publishes is forgotten."""
    clock = Clock()
    async with keys_of(issuer, clock) as jwks:
        old = current(issuer)
        await jwks.key(old, "RS256")
        issuer.keys.rotate()
        issuer.keys.retire()
        clock.now += 601
        await jwks.refresh_if_due()

        with pytest.raises(UnauthenticatedError):
            await jwks.key(old, "RS256")


async def test_keys_are_renewed_before_they_age(issuer: DevelopmentIssuer) -> None:
    """The refresh that runs in the background fetches when it is due, and not before."""
    clock = Clock()
    async with keys_of(issuer, clock) as jwks:
        await jwks.refresh_if_due()
        clock.now += 599
        await jwks.refresh_if_due()
        assert issuer.counts["jwks"] == 1
        clock.now += 2
        await jwks.refresh_if_due()
        assert issuer.counts["jwks"] == 2
        assert jwks.state().age_seconds == 0


@pytest.mark.parametrize("fault", ["down", "html", "redirect", "oversized"])
async def test_an_outage_is_survived_with_keys_at_hand(
    issuer: DevelopmentIssuer, fault: str
) -> None:
    """Known keys serve on, up to the hard age; unknown ones cannot be judged."""
    clock = Clock()
    async with keys_of(issuer, clock) as jwks:
        kid = current(issuer)
        await jwks.key(kid, "RS256")
        issuer.fault = fault
        clock.now += 601
        await jwks.refresh_if_due()
        assert jwks.state().error is not None
        assert (await jwks.key(kid, "RS256")).kid == kid
        with pytest.raises(IdentityProviderUnavailableError):
            await jwks.key("new", "RS256")
        clock.now += 86_400
        assert not jwks.state().usable
        with pytest.raises(IdentityProviderUnavailableError):
            await jwks.key(kid, "RS256")
        issuer.fault = None
        clock.now += 31
        assert (await jwks.key(kid, "RS256")).kid == kid
        assert jwks.state().error is None


async def test_without_any_keys_the_answer_is_503_never_401(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """A good token cannot be told from a bad one, so nobody is told that theirs is bad."""
    issuer.fault = "down"
    async with running(settings_for(issuer.issuer, apideck_url)) as service:
        answer = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(answer) == (503, "identity-provider-unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert apideck.requests == []


async def test_a_discovery_document_of_another_issuer_is_not_believed(
    issuer: DevelopmentIssuer,
) -> None:
    """Its keys would be another issuer's keys."""
    issuer.fault = "wrong-issuer"
    async with keys_of(issuer, Clock()) as jwks:
        with pytest.raises(IdentityProviderUnavailableError):
            await jwks.key(current(issuer), "RS256")
        assert "another issuer" in (jwks.state().error or "")

    assert issuer.counts["jwks"] == 0


async def test_one_malformed_key_does_not_spoil_the_set(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """The others of the set are used all the same."""
    issuer.fault = "malformed-key"
    async with running(settings_for(issuer.issuer, apideck_url)) as service:
        answer = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert answer.status_code == 201


async def test_an_issuer_that_is_down_leaves_the_others_alone(
    issuer: DevelopmentIssuer, apideck_url: str, unused_tcp_port: int
) -> None:
    """Each issuer has keys, cool-down and state of its own."""
    two = {
        "main": {"consumer_prefix": "a-"},
        "down": {
            "issuer": f"http://127.0.0.1:{unused_tcp_port}",
            "audience": "vault-bff",
            "consumer_prefix": "b-",
        },
    }
    settings = settings_for(issuer.issuer, apideck_url, identity={"issuers": two})
    async with running(settings) as service:
        down = issuer.token(iss=f"http://127.0.0.1:{unused_tcp_port}")
        assert problem(await service.post("/vault-session", headers=bearer(down)))[0] == 503
        fine = await service.post("/vault-session", headers=bearer(issuer.token()))
        ready = await service.get("/readyz")

    assert fine.status_code == 201
    assert ready.status_code == 200
    assert ready.json()["issuers"]["down"]["usable"] is False


async def test_an_explicit_jwks_uri_needs_no_discovery(issuer: DevelopmentIssuer) -> None:
    """Where the operator names the key set, the issuer is asked for nothing else."""
    async with keys_of(issuer, Clock(), jwks_uri=f"{issuer.issuer}/jwks") as jwks:
        await jwks.key(current(issuer), "RS256")

    assert issuer.counts == {"jwks": 1}
