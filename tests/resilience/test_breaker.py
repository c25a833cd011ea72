"""What callers notice of a circuit breaker, on a clock that the test turns."""

from functools import partial

import httpx
import pytest

from app.circuit_breaker import CircuitBreaker
from emulators.apideck import ApideckEmulator, faults
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.in_process import Clock
from tests.support.measured import counted
from tests.support.service import running, settings_for

OPEN_SECONDS = 30
CLOSED, HALF_OPEN, OPEN = 0, 1, 2
DOWN = (503, "apideck-unavailable")


async def test_an_outage_that_ends_is_probed_and_then_everybody_is_served(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It opens, asks nobody, opens again for a probe that fails, and closes after two good ones."""
    clock = Clock()
    monkeypatch.setattr("app.apideck.client.CircuitBreaker", partial(CircuitBreaker, clock=clock))
    breaker = {"min_requests": 4, "open_seconds": OPEN_SECONDS, "probes": 2}
    settings = settings_for(
        issuer.issuer, apideck_url, apideck={"retries": {"max_attempts": 1}, "breaker": breaker}
    )
    async with running(settings) as service:

        async def ask() -> httpx.Response:
            return await service.post("/vault-session", headers=bearer(issuer.token()))

        async def stands() -> tuple[float, float, int]:
            """Return its state, who was not asked for, and how often Apideck was asked."""
            metrics = await counted(service, "breaker_state", "not_asked_total")
            # Of nobody there is no sample.
            not_asked = metrics.get('not_asked_total{application="default"}', 0)
            return metrics['breaker_state{application="default"}'], not_asked, len(apideck.requests)

        apideck.fail(faults.error(503), times=None)
        failed = [await ask() for _ in range(4)]
        assert [problem(answer) for answer in failed] == [DOWN] * 4
        assert await stands() == (OPEN, 0, 4)

        clock.now += OPEN_SECONDS - 10
        refused = await ask()
        assert problem(refused) == DOWN
        assert refused.headers["retry-after"] == "10"
        assert await stands() == (OPEN, 1, 4)

        clock.now += 10
        assert (await stands())[0] == HALF_OPEN
        assert problem(await ask()) == DOWN
        assert await stands() == (OPEN, 1, 5)

        apideck.reset()
        assert (await ask()).headers["retry-after"] == str(OPEN_SECONDS)
        assert await stands() == (OPEN, 2, 0)

        clock.now += OPEN_SECONDS
        assert (await ask()).status_code == 201
        assert await stands() == (HALF_OPEN, 2, 1)
        assert [(await ask()).status_code for _ in range(5)] == [201] * 5
        assert await stands() == (CLOSED, 2, 6)
