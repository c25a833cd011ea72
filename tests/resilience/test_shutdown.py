"""Requests that are not finished when the grace period of the shutdown ends."""

import asyncio
import json
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from app.middleware.unhandled_errors import UnhandledErrorMiddleware
from app.observability.metrics import Metrics
from app.state import Shutdown
from emulators.apideck import ApideckEmulator
from emulators.apideck.faults import Broken
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.process import TIMEOUT_SECONDS, environment_for, serving, until, url


@pytest.fixture
def environment(
    issuer: DevelopmentIssuer, apideck_url: str, apideck: ApideckEmulator, unused_tcp_port: int
) -> dict[str, str]:
    """Return the environment of a service that waits for Apideck longer than its grace period."""
    apideck.fail(Broken("hang"), times=None)
    return {
        **environment_for(issuer.issuer, apideck_url, unused_tcp_port),
        "SERVER__SHUTDOWN_GRACE_SECONDS": "1",
        "APIDECK__DEADLINE_SECONDS": "60",
        "APIDECK__ATTEMPT_TIMEOUT_SECONDS": "60",
        "LIMITS__MAX_WAIT_SECONDS": "30",
    }


def post(environment: dict[str, str], token: str) -> httpx.Response:
    """Request a session, with a long timeout."""
    return httpx.post(
        url(environment, "/vault-session"), headers=bearer(token), timeout=TIMEOUT_SECONDS
    )


def stop(process: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    """Stop a process, check that it exits without an error, and return its events."""
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0
    assert err == ""
    events = [json.loads(line) for line in out.splitlines()]
    assert [event for event in events if "exception" in event] == []
    return events


def test_a_request_in_flight_after_the_grace_period_gets_a_503(
    environment: dict[str, str], issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """The response has Retry-After, and the log has one audit event and one access event."""
    with serving(environment) as process, ThreadPoolExecutor() as pool:
        pending = pool.submit(post, environment, issuer.token())
        until(lambda: len(apideck.requests) == 1)
        events = stop(process)
        response = pending.result()

    assert problem(response) == (503, "shutting-down")
    assert response.headers["retry-after"] == "1"
    assert response.headers["cache-control"] == "no-store"
    [audit] = [event for event in events if event["event"].startswith("vault_session_")]
    [access] = [event for event in events if event.get("route") == "/vault-session"]
    assert (audit["event"], audit["problem"]) == ("vault_session_failed", "shutting-down")
    assert (audit["subject"], audit["consumer_id"]) == ("ada", "ada")
    assert "SERVER__SHUTDOWN_GRACE_SECONDS" in audit["reason"]
    assert (access["event"], access["status"]) == ("http_request", 503)
    assert apideck.minted == []


def test_a_queued_request_after_the_grace_period_gets_a_503(
    environment: dict[str, str], issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """With one slot, both requests get a 503; the queued one is only counted in the log."""
    environment["LIMITS__MAX_IN_FLIGHT"] = "1"

    def is_queued() -> bool:
        page = httpx.get(url(environment, "/metrics")).text
        return 'vault_bff_requests_waiting{queue="sessions"} 1.0' in page

    with serving(environment) as process, ThreadPoolExecutor() as pool:
        pending = [
            pool.submit(post, environment, issuer.token(sub=name)) for name in ("ada", "bob")
        ]
        until(is_queued)
        events = stop(process)
        responses = [one.result() for one in pending]

    assert [problem(response) for response in responses] == [(503, "shutting-down")] * 2
    access = [event["status"] for event in events if event["event"] == "http_request"]
    audit = [event for event in events if event["event"] == "vault_session_failed"]
    turned_away = [event for event in events if event["event"] == "vault_sessions_turned_away"]
    assert access.count(503) == 1
    assert [event["problem"] for event in audit] == ["shutting-down"]
    assert [(one["problem"], one["count"]) for one in turned_away] == [("shutting-down", 1)]
    assert len(apideck.requests) == 1


async def test_a_cancellation_without_a_shutdown_gets_no_response(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A request that is cancelled while the service runs is logged as abandoned."""
    apideck.fail(Broken("hang"), times=None)
    with capture_logs() as logs:
        request = asyncio.create_task(
            service.post("/vault-session", headers=bearer(issuer.token()))
        )
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not apideck.requests:  # noqa: ASYNC110 - a server in another thread gets them
                await asyncio.sleep(0.01)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    audit = [line["event"] for line in logs if line["event"].startswith("vault_session_")]
    assert audit == ["vault_session_abandoned"]


async def test_a_response_that_has_begun_is_not_followed_by_another() -> None:
    """A request that is cancelled in the middle of its response gets no second response."""
    sent: list[str] = []

    async def start_response(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise asyncio.CancelledError

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        sent.append(message["type"])

    def respond(_: Exception, __: Scope) -> Response:
        return Response(status_code=503)

    middleware = UnhandledErrorMiddleware(start_response, metrics=Metrics(), respond=respond)
    state = {"shutdown": Shutdown(begun=True)}
    with pytest.raises(asyncio.CancelledError):
        await middleware({"type": "http", "state": state}, receive, send)

    assert sent == ["http.response.start"]
