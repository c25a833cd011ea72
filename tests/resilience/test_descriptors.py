"""The effects on callers and the operator when the process runs out of file descriptors."""

import asyncio
import json
import signal
from collections import Counter
from typing import Any

import httpx
from structlog.testing import capture_logs

from emulators.apideck import ApideckEmulator
from emulators.apideck.faults import Slow
from emulators.issuer import DevelopmentIssuer
from tests.support.descriptors import no_descriptors
from tests.support.http import bearer, problem
from tests.support.measured import apideck_metrics, sessions_requested
from tests.support.process import environment_for, serving, url
from tests.support.service import running, settings_for

OPEN_FILES, CALLERS = 64, 150


async def until_ready(service: httpx.AsyncClient) -> None:
    """Wait until the service has the keys of its issuers."""
    async with asyncio.timeout(10):
        while (await service.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - it is not an event
            await asyncio.sleep(0.01)


async def test_exhausted_descriptors_do_not_count_as_a_failure_of_apideck(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Callers get 503 `overloaded`, Apideck's breaker stays closed, and the log has the reason."""
    settings = settings_for(
        issuer.issuer, apideck_url, apideck={"breaker": {"min_requests": 2, "open_seconds": 300}}
    )
    with capture_logs() as logs:
        async with running(settings) as service:

            async def request_session() -> httpx.Response:
                return await service.post("/vault-session", headers=bearer(issuer.token()))

            await until_ready(service)
            with no_descriptors():
                responses = [await request_session() for _ in range(5)]
            after = await request_session()
            metrics = await apideck_metrics(
                service, "breaker_state", "requests_total", "retries_total"
            )
            page = (await service.get("/metrics")).text

    assert {problem(response) for response in responses} == {(503, "overloaded")}
    assert {response.headers["retry-after"] for response in responses} == {"1"}
    assert after.status_code == 201
    assert len(apideck.requests) == 1
    assert metrics == {
        'breaker_state{application="default"}': 0,
        sessions_requested("OutOfDescriptors"): 5,
        sessions_requested("Minted"): 1,
        'retries_total{application="default"}': 0,
    }
    assert 'vault_bff_out_of_file_descriptors_total{connection="apideck"} 5.0' in page
    failed: list[Any] = [line for line in logs if line["event"] == "vault_session_failed"]
    assert {line["problem"] for line in failed} == {"overloaded"}
    assert all("raise the limit on open files" in line["reason"] for line in failed)


async def test_more_callers_than_descriptors_are_served_in_turn(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str, unused_tcp_port: int
) -> None:
    """Connections beyond the limit wait, and the log names the limit that they exceed."""
    apideck.fail(Slow(0.2), times=None)
    environment = environment_for(issuer.issuer, apideck_url, unused_tcp_port)
    environment |= {
        "OPEN_FILES": str(OPEN_FILES),
        "LIMITS__PER_USER": "unlimited",
        "SESSION__JOIN_IDENTICAL": "false",
    }
    headers = bearer(issuer.token()) | {"connection": "close"}
    with serving(environment, program=("tests.support.few_files",)) as process:
        async with httpx.AsyncClient(timeout=60, limits=httpx.Limits()) as client:
            session_url = url(environment, "/vault-session")
            requests = (client.post(session_url, headers=headers) for _ in range(CALLERS))
            statuses = [response.status_code for response in await asyncio.gather(*requests)]
            metrics = (await client.get(url(environment, "/metrics"))).text
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)

    assert Counter(statuses) == {201: CALLERS}
    assert len(apideck.minted) == CALLERS
    assert 'vault_bff_apideck_breaker_state{application="default"} 0.0' in metrics
    assert 'vault_bff_out_of_file_descriptors_total{connection="client"} 0.0' not in metrics
    events = [json.loads(line) for line in out.splitlines()]
    [reduced] = [event for event in events if event["event"] == "max_in_flight_reduced"]
    assert (reduced["setting"], reduced["effective"]) == (1000, 14)
    assert (reduced["connections_setting"], reduced["connections_effective"]) == (100, 1)
    assert reduced["open_files_limit"] == OPEN_FILES
    assert "connections_not_accepted" in {event["event"] for event in events}
