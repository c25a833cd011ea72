"""Helpers for tests that use HTTP."""

from typing import Any

import httpx


def bearer(token: str) -> dict[str, str]:
    """Return the Authorization header for a bearer token."""
    return {"authorization": f"Bearer {token}"}


def problem(response: httpx.Response) -> tuple[int, str]:
    """Return the status and the slug of a problem, and check its form (RFC 9457)."""
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert set(body) - {"errors"} == {"type", "title", "status", "detail", "request_id"}
    assert body["status"] == response.status_code
    assert body["request_id"] in {response.headers["x-request-id"], None}
    return response.status_code, body["type"].rpartition("/")[2]


def pointers(response: httpx.Response) -> list[str]:
    """Return the JSON pointers in the errors of a problem."""
    return [error["pointer"] for error in response.json()["errors"]]
