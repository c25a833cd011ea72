"""The demo's server: the information about a request that it returns to a page."""

import io
import json
import threading
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from demo.__main__ import Demo
from emulators.serving import serve

SECRET = "whsec_b3BlbnMtbm90aGluZy1vcGVucy1ub3RoaW5n"
NOW = "2026-01-31T12:00:00.000000Z"
METRICS = """vault_bff_sessions_total{caller_kind="user",outcome="minted",problem="none"} 3.0
vault_bff_sessions_total{caller_kind="user",outcome="refused",problem="invalid-request"} 9.0
vault_bff_webhook_events_total{application="default",outcome="forwarded",problem="none"} 2.0
"""


def minted(request_id: str, consumer: str) -> dict[str, Any]:
    """Return the audit event of a session."""
    return {
        "event": "vault_session_minted",
        "caller_kind": "user",
        "consumer_id": consumer,
        "problem": None,
        "request_id": request_id,
        "timestamp": NOW,
    }


def read(demo: Demo, *lines: str) -> None:
    """Pass these lines of the service's log to the demo, and wait until it has read them."""
    before = set(threading.enumerate())
    demo.activity.read(io.StringIO("".join(f"{line}\n" for line in lines)))
    for thread in set(threading.enumerate()) - before:
        thread.join(20)


async def deliver(demo: Demo, event_id: str, consumer: str, occurred_at: str) -> int:
    """Deliver a signed event to the demo; return the status of the response."""
    entity = {"consumer_id": consumer, "unified_api": "crm", "service_id": "hubspot"}
    payload = {
        "event_id": event_id,
        "event_type": "vault.connection.callable",
        "occurred_at": occurred_at,
        "entity": entity,
    }
    body = json.dumps({"payload": payload})
    at = datetime.now(UTC)
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(event_id, at, body),
    }
    async with client(demo) as http:
        return (await http.post("/webhooks/apideck", content=body, headers=headers)).status_code


def client(demo: Demo) -> httpx.AsyncClient:
    """Return a client of the demo's server."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(demo.app), base_url="http://demo")


async def activity(demo: Demo, request_id: str) -> dict[str, Any]:
    """Return the demo's information about a request."""
    async with client(demo) as http:
        found: dict[str, Any] = (await http.get(f"/activity/{request_id}")).json()
        return found


async def test_a_request_has_its_log_its_metrics_and_later_events(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only log lines of the request and events of its customer are shown."""
    metrics = Starlette(routes=[Route("/metrics", lambda _: PlainTextResponse(METRICS))])
    with serve(metrics) as url:
        monkeypatch.setenv("METRICS_URL", f"{url}/metrics")
        demo = Demo()
        forwarded = {"event": "webhook_forwarded", "event_id": "after", "problem": None}
        lines = [minted("one", "acme"), minted("two", "globex"), forwarded]
        read(demo, "Traceback", '"text"', *map(json.dumps, lines))
        assert await deliver(demo, "before", "acme", "2026-01-31T11:59:59.999Z") == 204
        assert await deliver(demo, "after", "acme", "2026-01-31T12:00:01.000Z") == 204
        assert await deliver(demo, "after", "acme", "2026-01-31T12:00:01.000Z") == 204

        one, two, none = [await activity(demo, name) for name in ("one", "two", "three")]

    assert (one["has_log"], one["log"]) == (True, [minted("one", "acme")])
    [event] = one["events"]
    assert (event["event_id"], event["connection"]) == ("after", "crm/hubspot")
    assert event["log"] == [forwarded]
    first, _, third = METRICS.splitlines()
    assert (one["metrics"], two["metrics"]) == ([first, third], [first])
    assert two["events"] == []
    assert (none["log"], none["metrics"], none["events"]) == ([], [], [])


async def test_without_the_log_the_server_reports_it() -> None:
    """Under Docker Compose the server does not get the log, so `has_log` is false."""
    assert await activity(Demo(), "one") == {
        "has_log": False,
        "log": [],
        "metrics": [],
        "events": [],
    }


async def test_metrics_that_cannot_be_read_are_left_out(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    """The log is shown even if the URL of the metrics is unreachable."""
    monkeypatch.setenv("METRICS_URL", f"http://127.0.0.1:{unused_tcp_port}/metrics")
    demo = Demo()
    read(demo, json.dumps(minted("one", "acme")))

    found = await activity(demo, "one")

    assert found["log"] == [minted("one", "acme")]
    assert found["metrics"] == []
