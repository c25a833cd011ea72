"""The service's activity for a request: its log events, its metrics, and later webhook events.

The service has no endpoint for this. `make demo` forwards the lines of its log to this server, and
the metrics are those that Prometheus scrapes.
"""

import json
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

_KEPT_LINES, _KEPT_EVENTS = 500, 50
_METRICS_SECONDS = 2.0
_METRIC_BY_EVENT = {
    "vault_session": "vault_bff_sessions_total",
    "vault_connections": "vault_bff_connection_reads_total",
    "webhook": "vault_bff_webhook_events_total",
}
_AUDIT = re.compile(r"(vault_session|vault_connections|webhook)_(\w+)")


class Activity:
    """Records log lines and events, and returns those that belong to a request.

    A request is found by its id only, which is random and known to the page that sent the request.

    Args:
        notify: called when there is new activity.
        metrics_url: the URL of the service's metrics; None if they cannot be read.
    """

    def __init__(self, notify: Callable[[], None], metrics_url: str | None) -> None:
        self._notify = notify
        self._metrics_url = metrics_url
        self._has_log = False
        self._log: deque[dict[str, Any]] = deque(maxlen=_KEPT_LINES)
        self._events: deque[dict[str, Any]] = deque(maxlen=_KEPT_EVENTS)

    def routes(self) -> list[BaseRoute]:
        """Return the endpoint for pages."""
        return [Route("/activity/{request_id}", self._show)]

    def read(self, lines: Iterable[str]) -> None:
        """Record the lines of the service's log in a thread, as they are written."""
        self._has_log = True
        threading.Thread(target=self._record_lines, args=(lines,), daemon=True).start()

    def record_event(self, event: dict[str, Any]) -> None:
        """Record an event that this server has received."""
        entity = event["entity"]
        names = ("event_id", "event_type", "occurred_at")
        self._events.append(
            {
                **{name: event[name] for name in names},
                "consumer_id": entity["consumer_id"],
                "connection": f"{entity['unified_api']}/{entity['service_id']}",
            }
        )
        self._notify()

    def _record_lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if not isinstance(event, dict):
                continue
            self._log.append(event)
            # The access event is the last one of a request.
            if event.get("event") == "http_request" and event.get("route") != "/metrics":
                self._notify()

    async def _show(self, request: Request) -> Response:
        request_id = request.path_params["request_id"]
        recorded = list(self._log)
        log = [event for event in recorded if event.get("request_id") == request_id]
        events = [
            {**event, "log": [one for one in recorded if one.get("event_id") == event["event_id"]]}
            for event in self._events_since(log)
        ]
        forwarded = [line for event in events for line in event["log"]]
        return JSONResponse(
            {
                "has_log": self._has_log,
                "log": log,
                "metrics": await self._metrics([*log, *forwarded]),
                "events": events,
            }
        )

    def _events_since(self, log: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the later events about the customer of a created session."""
        for created in log:
            if created["event"] == "vault_session_minted":
                return [
                    event
                    for event in self._events
                    if event["consumer_id"] == created["consumer_id"]
                    if event["occurred_at"] >= created["timestamp"][:23]
                ]
        return []

    async def _metrics(self, log: list[dict[str, Any]]) -> list[str]:
        """Return the lines of the metrics that count these log events."""
        wanted = [series for event in log if (series := _series(event))]
        if not wanted or self._metrics_url is None:
            return []
        try:
            async with httpx.AsyncClient(timeout=_METRICS_SECONDS, trust_env=False) as client:
                text = (await client.get(self._metrics_url)).text
        except httpx.HTTPError:
            return []
        lines = text.splitlines()
        found = [line for name, labels in wanted for line in lines if _matches(line, name, labels)]
        return list(dict.fromkeys(found))


def _series(event: dict[str, Any]) -> tuple[str, dict[str, str]] | None:
    """Return the name and some labels of the metric that counts an audit event."""
    audit = _AUDIT.fullmatch(event["event"])
    if audit is None:
        return None
    labels = {"outcome": audit[2], "problem": event.get("problem") or "none"}
    if event.get("caller_kind"):
        labels["caller_kind"] = event["caller_kind"]
    return _METRIC_BY_EVENT[audit[1]], labels


def _matches(line: str, name: str, labels: dict[str, str]) -> bool:
    return line.startswith(f"{name}{{") and all(
        f'{label}="{text}"' in line for label, text in labels.items()
    )
