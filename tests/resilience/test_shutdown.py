"""What becomes of callers who still wait when the process has no time left."""

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
from tests.support.process import PATIENT_SECONDS, environment_for, serving, until, url


@pytest.fixture
def environment(
    issuer: DevelopmentIssuer, apideck_url: str, apideck: ApideckEmulator, unused_tcp_port: int
) -> dict[str, str]:
    """Return the environment of a service that asks Apideck for longer than it has at its end."""
    apideck.fail(Broken("hang"), times=None)
    return {
        **environment_for(issuer.issuer, apideck_url, unused_tcp_port),
        "SERVER__SHUTDOWN_GRACE_SECONDS": "1",
        "APIDECK__DEADLINE_SECONDS": "60",
        "APIDECK__ATTEMPT_TIMEOUT_SECONDS": "60",
        "LIMITS__MAX_WAIT_SECONDS": "30",
    }


def ask(environment: dict[str, str], token: str) -> httpx.Response:
    """Ask for a session, and wait for as long as it takes."""
    there = url(environment, "/vault-session")
    return httpx.post(there, headers=bearer(token), timeout=PATIENT_SECONDS)


def ended(process: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    """Have a process end well, and return its events."""
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENT_SECONDS)
    assert process.returncode == 0
    assert err == ""
    events = [json.loads(line) for line in out.splitlines()]
    assert [event for event in events if "exception" in event] == []
    return events


def test_who_waits_beyond_the_grace_is_told_to_come_again(
    environment: dict[str, str], issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """The answer is a problem with Retry-After, with one event each, and the process ends well."""
    with serving(environment) as process, ThreadPoolExecutor() as pool:
        asking = pool.submit(ask, environment, issuer.token())
        until(lambda: len(apideck.requests) == 1)
        events = ended(process)
        answer = asking.result()

    assert problem(answer) == (503, "shutting-down")
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["cache-control"] == "no-store"
    [audit] = [event for event in events if event["event"].startswith("vault_session_")]
    [access] = [event for event in events if event.get("route") == "/vault-session"]
    assert (audit["event"], audit["problem"]) == ("vault_session_failed", "shutting-down")
    assert (audit["subject"], audit["consumer_id"]) == ("ada", "ada")
    assert "SERVER__SHUTDOWN_GRACE_SECONDS" in audit["reason"]
    assert (access["event"], access["status"]) == ("http_request", 503)
    assert apideck.minted == []


def test_who_waits_for_a_place_beyond_the_grace_is_told_the_same(
    environment: dict[str, str], issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """Two of whom one fills the only place are both answered, and Apideck heard of one."""
    environment["LIMITS__MAX_IN_FLIGHT"] = "1"

    def one_waits() -> bool:
        page = httpx.get(url(environment, "/metrics")).text
        return "vault_bff_requests_waiting 1.0" in page

    with serving(environment) as process, ThreadPoolExecutor() as pool:
        asking = [pool.submit(ask, environment, issuer.token(sub=name)) for name in ("ada", "bob")]
        until(one_waits)
        events = ended(process)
        answers = [one.result() for one in asking]

    assert [problem(answer) for answer in answers] == [(503, "shutting-down")] * 2
    access = [event["status"] for event in events if event["event"] == "http_request"]
    told = [event for event in events if event["event"] == "vault_sessions_turned_away"]
    assert access.count(503) == 1
    assert [(event["count"], event["problem"]) for event in told] == [(1, "shutting-down")]
    assert len(apideck.requests) == 1


async def test_a_cancellation_while_nothing_ends_is_no_answer(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """Whoever cancels a request for reasons of their own is obeyed, and the log has it as such."""
    apideck.fail(Broken("hang"), times=None)
    with capture_logs() as logs:
        asking = asyncio.create_task(service.post("/vault-session", headers=bearer(issuer.token())))
        async with asyncio.timeout(PATIENT_SECONDS):
            while not apideck.requests:  # noqa: ASYNC110 - a server in another thread gets them
                await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    audit = [line["event"] for line in logs if line["event"].startswith("vault_session_")]
    assert audit == ["vault_session_abandoned"]


async def test_half_an_answer_is_not_followed_by_another() -> None:
    """Whoever is cut off in the middle of an answer gets no second one."""
    sent: list[str] = []

    async def half(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise asyncio.CancelledError

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        sent.append(message["type"])

    def answer(_: Exception, __: Scope) -> Response:
        return Response(status_code=503)

    middleware = UnhandledErrorMiddleware(half, metrics=Metrics(), respond=answer)
    state = {"shutdown": Shutdown(begun=True)}
    with pytest.raises(asyncio.CancelledError):
        await middleware({"type": "http", "state": state}, receive, send)

    assert sent == ["http.response.start"]
