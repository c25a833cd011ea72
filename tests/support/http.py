"""Small things that tests over HTTP share."""

from typing import Any

import httpx


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"authorization": f"Bearer {token}"}


def problem(response: httpx.Response) -> tuple[int, str]:
    """Return the status and the slug of a problem, having checked that it is one (RFC 9457)."""
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert set(body) - {"errors"} == {"type", "title", "status", "detail", "request_id"}
    assert body["status"] == response.status_code
    assert body["request_id"] in {response.headers["x-request-id"], None}
    return response.status_code, body["type"].rpartition("/")[2]


def pointers(response: httpx.Response) -> list[str]:
    """Return where a problem says the faults are."""
    return [fault["pointer"] for fault in response.json()["errors"]]
