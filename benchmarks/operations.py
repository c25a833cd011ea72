"""The measured requests, and checks of their responses."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx

from benchmarks.samples import CONNECTORS, connection


@dataclass(frozen=True)
class Operation:
    """One kind of request.

    Attributes:
        method: the HTTP method.
        path: the path.
        expected: text that every successful response contains.
        check: checks a complete response, and raises an AssertionError if it is wrong.
    """

    method: str
    path: str
    expected: str
    check: Callable[[httpx.Response], None]


def _check_session(response: httpx.Response) -> None:
    body = response.json()
    assert body.get("session_token", "").count(".") == 2 or body["data"]["session_token"]


def _check_list(response: httpx.Response) -> None:
    """Check that the list has every connector, with Apideck's fields and without secrets."""
    listed = response.json()["connections"]
    assert len(listed) == CONNECTORS
    for number, item in enumerate(listed):
        assert item.items() < connection(number).items()
        assert {"name", "state", "health", "updated_at"} < item.keys()
        assert "settings" not in item


def _check_event(response: httpx.Response) -> None:
    """Check that the event was forwarded, because ignored events get a 204, too."""
    assert response.status_code == httpx.codes.NO_CONTENT
    metrics = httpx.get(response.url.join("/metrics")).text
    forwarded = 'application="default",outcome="forwarded",problem="none"'
    assert f"vault_bff_webhook_events_total{{{forwarded}}} 1.0" in metrics


SESSION = Operation("POST", "/vault-session", '"session_token"', _check_session)
LIST = Operation("GET", "/vault-connections", f'"connector-{CONNECTORS - 1}"', _check_list)
EVENT = Operation("POST", "/webhooks/apideck", "", _check_event)
