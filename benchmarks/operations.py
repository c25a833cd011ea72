"""The requests that are measured, and what the right response to each is."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx

from benchmarks.samples import CONNECTORS, connection


@dataclass(frozen=True)
class Operation:
    """One kind of request.

    Attributes:
        method: its HTTP method.
        path: its path.
        expected: a text in the body of every good response.
        check: raises an AssertionError unless a response is right in full.
    """

    method: str
    path: str
    expected: str
    check: Callable[[httpx.Response], None]


def _check_session(response: httpx.Response) -> None:
    body = response.json()
    assert body.get("session_token", "").count(".") == 2 or body["data"]["session_token"]


def _check_list(response: httpx.Response) -> None:
    """Every connector is in the list, with fields of Apideck's and without secrets."""
    listed = response.json()["connections"]
    assert len(listed) == CONNECTORS
    for number, one in enumerate(listed):
        assert one.items() < connection(number).items()
        assert {"name", "state", "health", "updated_at"} < one.keys()
        assert "settings" not in one


def _check_event(response: httpx.Response) -> None:
    """The event was forwarded: the service acknowledges events that it ignores, too."""
    assert response.status_code == httpx.codes.NO_CONTENT
    metrics = httpx.get(response.url.join("/metrics")).text
    forwarded = 'application="default",outcome="forwarded",problem="none"'
    assert f"vault_bff_webhook_events_total{{{forwarded}}} 1.0" in metrics


SESSION = Operation("POST", "/vault-session", '"session_token"', _check_session)
LIST = Operation("GET", "/vault-connections", f'"connector-{CONNECTORS - 1}"', _check_list)
EVENT = Operation("POST", "/webhooks/apideck", "", _check_event)
