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
from app.identity.jwks import Jwks
from app.identity.unknown_kids import MAX_UNKNOWN_KIDS
from app.observability.metrics import Metrics
from app.settings import IdentitySettings, IssuerSettings
from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.service import running, settings_for


class Clock:
    """A clock that only tests move."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the current time in seconds."""
        return self.now


@asynccontextmanager
async def keys_of(issuer: DevelopmentIssuer, clock: Clock, **more: Any) -> AsyncIterator[Jwks]:
    """Yield the keys of an issuer, with this clock."""
    settings = IssuerSettings(issuer=issuer.issuer, audience="vault-bff", **more)
    identity = IdentitySettings(issuers={"main": settings})
    async with httpx.AsyncClient() as http:
        fetcher = Fetcher(http, 0.5, Metrics())
        discovery = Discovery(settings, fetcher)
        yield Jwks("main", settings, identity, discovery, fetcher, clock=clock)


def current(issuer: DevelopmentIssuer) -> str:
    """Return the id of the current signing key."""
    kid = issuer.keys.signing_key("RS256").kid
    assert kid is not None
    return kid


async def test_a_cached_key_causes_no_fetch(issuer: DevelopmentIssuer) -> None:
    """After the first fetch no request waits for the network because of a known key."""
    async with keys_of(issuer, Clock()) as jwks:
        for _ in range(100):
            assert (await jwks.key(current(issuer), "RS256")).kid == current(issuer)

    assert issuer.counts == {"discovery": 1, "jwks": 1}


async def test_simultaneous_requests_cause_one_fetch(issuer: DevelopmentIssuer) -> None:
    """Requests during a fetch wait for its result."""
    async with keys_of(issuer, Clock()) as jwks:
        await asyncio.gather(*(jwks.key(current(issuer), "RS256") for _ in range(50)))

    assert issuer.counts["jwks"] == 1


async def test_made_up_key_ids_cause_one_fetch_per_cooldown(issuer: DevelopmentIssuer) -> None:
    """A thousand unknown key ids cause one fetch, and evict no real key."""
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
    """The attack: one fetch is for more unknown key ids than the service remembers."""
    async with keys_of(issuer, Clock()) as jwks:
        await jwks.refresh_if_due()
        kids = [f"made-up-{i}" for i in range(MAX_UNKNOWN_KIDS + 10)]
        responses = await asyncio.gather(
            *(jwks.key(kid, "RS256") for kid in kids), return_exceptions=True
        )

        assert {type(one) for one in responses} == {UnauthenticatedError}
        assert len(jwks._unknown) == MAX_UNKNOWN_KIDS
    assert issuer.counts["jwks"] == 2


async def test_a_repeated_unknown_key_id_does_not_delay_a_rotation(
    issuer: DevelopmentIssuer,
) -> None:
    """A repeated old token causes no fetch, so the next rotation is fetched immediately."""
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


async def test_the_first_token_with_a_new_key_is_accepted(issuer: DevelopmentIssuer) -> None:
    """A new key is fetched and used, even right after the last fetch."""
    async with keys_of(issuer, Clock()) as jwks:
        await jwks.key(current(issuer), "RS256")
        issuer.keys.rotate()

        assert (await jwks.key(current(issuer), "RS256")).kid == current(issuer)


async def test_all_requests_after_a_rotation_wait_for_one_fetch(issuer: DevelopmentIssuer) -> None:
    """None of them is rejected, and the key set is fetched once."""
    async with keys_of(issuer, Clock()) as jwks:
        await jwks.key(current(issuer), "RS256")
        issuer.keys.rotate()

        found = await asyncio.gather(*(jwks.key(current(issuer), "RS256") for _ in range(50)))

    assert {key.kid for key in found} == {current(issuer)}
    assert issuer.counts["jwks"] == 2


async def test_a_retired_key_verifies_nothing_after_the_next_refresh(
    issuer: DevelopmentIssuer,
) -> None:
    """A key that the issuer no longer publishes is removed."""
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


async def test_keys_are_refreshed_in_the_background(issuer: DevelopmentIssuer) -> None:
    """The refresh fetches them at the refresh age, and not before."""
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
async def test_cached_keys_are_used_during_an_outage(issuer: DevelopmentIssuer, fault: str) -> None:
    """They are used up to the maximum age; a token with an unknown key is a 503."""
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


async def test_without_keys_every_token_is_a_503_and_never_a_401(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Without keys, the service cannot distinguish valid tokens from invalid ones."""
    issuer.fault = "down"
    async with running(settings_for(issuer.issuer, apideck_url)) as service:
        response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(response) == (503, "identity-provider-unavailable")
    assert int(response.headers["retry-after"]) > 0
    assert apideck.requests == []


async def test_the_metadata_of_another_issuer_is_not_used(
    issuer: DevelopmentIssuer,
) -> None:
    """It could name the keys of another issuer."""
    issuer.fault = "wrong-issuer"
    async with keys_of(issuer, Clock()) as jwks:
        with pytest.raises(IdentityProviderUnavailableError):
            await jwks.key(current(issuer), "RS256")
        assert "another issuer" in (jwks.state().error or "")

    assert issuer.counts["jwks"] == 0


async def test_a_malformed_key_does_not_affect_other_keys(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """The other keys in the set are used."""
    issuer.fault = "malformed-key"
    async with running(settings_for(issuer.issuer, apideck_url)) as service:
        response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert response.status_code == 201


async def test_an_issuer_that_is_down_does_not_affect_other_issuers(
    issuer: DevelopmentIssuer, apideck_url: str, unused_tcp_port: int
) -> None:
    """Each issuer has its own keys, cool-down and state."""
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
        valid = await service.post("/vault-session", headers=bearer(issuer.token()))
        ready = await service.get("/readyz")

    assert valid.status_code == 201
    assert ready.status_code == 200
    assert ready.json()["issuers"]["down"]["usable"] is False


async def test_an_explicit_jwks_uri_needs_no_discovery(issuer: DevelopmentIssuer) -> None:
    """With a configured URL of the key set, the metadata is not fetched."""
    async with keys_of(issuer, Clock(), jwks_uri=f"{issuer.issuer}/jwks") as jwks:
        await jwks.key(current(issuer), "RS256")

    assert issuer.counts == {"jwks": 1}
