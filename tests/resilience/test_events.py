"""Events while the target fails, while the API key changes, and under load."""

import asyncio
import random
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import lifespan
from emulators.apideck import ApideckEmulator
from emulators.apideck.emulator import API_KEY
from emulators.issuer import DevelopmentIssuer
from tests.support.apideck_events import sign
from tests.support.events_service import (
    ACKNOWLEDGE,
    PATH,
    SIGNING_SECRET,
    Delivering,
    delivering,
    fresh_event,
)
from tests.support.http import bearer, problem
from tests.support.service import APP_ID
from tests.support.webhook_target import Respond, no_response, status

NEW_KEY = "sk_live_the_new_key"


def with_sessions(issuer: DevelopmentIssuer, apideck_url: str) -> dict[str, Any]:
    """Return settings that allow one session at a time."""
    return {
        "apideck": {"base_url": apideck_url, "vault_origins": [apideck_url]},
        "identity": {"issuers": {"main": {"issuer": issuer.issuer}}},
        "limits": {"max_in_flight": 1, "max_waiting": 0},
    }


async def session(service: Delivering, issuer: DevelopmentIssuer) -> httpx.Response:
    """Create a session."""
    return await service.http.post("/vault-session", headers=bearer(issuer.token()))


async def test_a_target_that_hangs_does_not_use_the_slots_of_sessions(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """All slots for events are occupied, further events are rejected, and sessions are created."""
    groups = with_sessions(issuer, apideck_url)
    webhooks = {"max_in_flight": 3}
    async with delivering(no_response, webhooks=webhooks, **groups) as service:
        hanging = [asyncio.create_task(service.deliver(fresh_event())) for _ in range(3)]
        await service.target.wait_for_requests(3)

        rejected = await service.deliver(fresh_event())
        assert problem(rejected) == (503, "overloaded")
        assert rejected.headers["retry-after"] == "1"
        for _ in range(3):
            assert (await session(service, issuer)).status_code == 201
        assert len(service.target.received) == 3

        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        service.target.respond = ACKNOWLEDGE
        assert (await service.deliver(fresh_event())).status_code == 204
    assert len(apideck.minted) == 3


async def test_a_target_that_hangs_is_a_504() -> None:
    """Apideck then delivers the event again, and the target receives it."""
    async with delivering(no_response, webhooks={"timeout_seconds": 0.05}) as service:
        assert problem(await service.deliver(fresh_event())) == (504, "webhook-target-timeout")
        service.target.respond = ACKNOWLEDGE
        assert (await service.deliver(fresh_event())).status_code == 204


async def test_a_target_that_fails_does_not_affect_sessions(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """No circuit breaker opens: each event is sent to the target."""
    async with delivering(status(500), **with_sessions(issuer, apideck_url)) as service:
        for _ in range(30):
            assert (await service.deliver(fresh_event())).status_code == 502
        assert (await session(service, issuer)).status_code == 201
        assert len(service.target.received) == 30


@pytest.mark.parametrize("previous_key_seconds", [600, 0])
async def test_the_api_key_can_change_while_events_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, previous_key_seconds: int
) -> None:
    """Events with the old key are accepted, unless `previous_key_seconds` is 0 (a leaked key)."""
    monkeypatch.setattr(lifespan, "_PERIOD_SECONDS", 0.001)
    file = tmp_path / "key"
    file.write_text(API_KEY)
    groups: dict[str, Any] = {
        "apideck": {"api_key": None, "api_key_file": str(file), "app_id": APP_ID},
        "webhooks": {"previous_key_seconds": previous_key_seconds},
    }
    async with delivering(**groups) as service:
        old, new = (
            fresh_event(event_id="signed-with-the-old"),
            fresh_event(event_id="signed-with-the-new"),
        )
        assert (await service.deliver(old, sign(old, API_KEY))).status_code == 204
        assert (await service.deliver(new, sign(new, NEW_KEY))).status_code == 401

        file.write_text(NEW_KEY)
        async with asyncio.timeout(10):
            while (await service.deliver(new, sign(new, NEW_KEY))).status_code == 401:  # noqa: ASYNC110 - the file is read in between
                await asyncio.sleep(0.001)
        after = await service.deliver(old, sign(old, API_KEY))

        assert after.status_code == (204 if previous_key_seconds else 401)
        ids = [one["event_id"] for one in service.verified()]
        assert ids.count("signed-with-the-old") == (2 if previous_key_seconds else 1)
        assert ids.count("signed-with-the-new") == 1


async def test_all_events_reach_a_target_that_fails_at_random() -> None:
    """Each event is acknowledged at least once, and no forged event arrives."""
    generator = random.Random(18)  # noqa: S311 - random numbers for a test
    acknowledged: set[str] = set()

    async def respond_at_random(writer: asyncio.StreamWriter) -> None:
        respond: Respond = generator.choice((ACKNOWLEDGE, ACKNOWLEDGE, status(500), status(302)))
        if respond is ACKNOWLEDGE:
            acknowledged.add(service.target.received[-1].headers["webhook-id"])
        await respond(writer)

    pending = [f"event-{number}" for number in range(1000)]

    async def deliver_events() -> None:
        while pending:
            event_id = pending.pop()
            body = fresh_event(event_id=event_id)
            if generator.random() < 0.1:
                forged = fresh_event(event_id=f"forged-{event_id}")
                assert (await service.deliver(forged, sign(body, API_KEY))).status_code == 401
            if (await service.deliver(body)).status_code != 204:
                pending.append(event_id)  # Apideck delivers it again.

    async with delivering(respond_at_random) as service:
        async with asyncio.TaskGroup() as group:
            for _ in range(16):
                group.create_task(deliver_events())

        all_ids = {f"event-{number}" for number in range(1000)}
        assert acknowledged == all_ids
        assert {one["event_id"] for one in service.verified()} == all_ids
        assert len(service.target.received) > 1000


async def test_endless_bodies_do_not_block_events() -> None:
    """An attacker sends 200 endless bodies; the oldest are rejected, and an event arrives."""
    end = asyncio.Event()

    async def endless() -> Any:
        yield b"{"
        await end.wait()
        yield b"}"

    async def attack() -> int:
        headers = {"x-apideck-signature": "0" * 64}
        return (await service.http.post(PATH, content=endless(), headers=headers)).status_code

    async with delivering() as service:
        attacks = [asyncio.create_task(attack()) for _ in range(200)]
        done, _ = await asyncio.wait(attacks, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result() for task in done} == {503}
        assert (await service.deliver(fresh_event())).status_code == 204
        end.set()
        results = await asyncio.gather(*attacks)

    assert results.index(401) == 137
    assert (results.count(401), results.count(503)) == (63, 137)


async def test_new_signing_secrets_are_used_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the file was read again, forwarded events also have a signature with the new secret."""
    monkeypatch.setattr(lifespan, "_PERIOD_SECONDS", 0.01)
    file = tmp_path / "secrets"
    file.write_text(SIGNING_SECRET)
    webhooks = {"signing_secret": None, "signing_secret_file": file}
    async with delivering(webhooks=webhooks) as service, asyncio.timeout(30):
        await service.deliver(fresh_event())
        file.write_text(f"whsec_{b64encode(b'n' * 32).decode()} {SIGNING_SECRET}")
        while len(service.target.received[-1].headers["webhook-signature"].split()) < 2:
            await asyncio.sleep(0.01)
            await service.deliver(fresh_event())
        assert len(service.verified()) > 1
