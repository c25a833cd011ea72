"""Requests to the Apideck emulator, as the service sends them."""

from typing import Any

import httpx

from emulators.apideck.emulator import API_KEY
from tests.support.waiting import http_client

HEADERS = {
    "authorization": f"Bearer {API_KEY}",
    "x-apideck-app-id": "app",
    "x-apideck-consumer-id": "acme",
    "content-type": "application/json",
}


def create_session(
    emulator: httpx.Client | str, headers: dict[str, str] | None = None, /, **body: Any
) -> httpx.Response:
    """Send `POST /vault/sessions`.

    Args:
        emulator: a client of the emulator, or its URL.
        headers: headers that replace those of a valid request.
        body: the members of the JSON body.
    """
    headers = {**HEADERS, **(headers or {})}
    if isinstance(emulator, str):
        with http_client() as client:
            return client.post(f"{emulator}/vault/sessions", json=body, headers=headers)
    return emulator.post("/vault/sessions", json=body, headers=headers)


def created(emulator: httpx.Client | str, /, **body: Any) -> dict[str, str]:
    """Create a session and return its `session_uri` and `session_token`."""
    data: dict[str, str] = create_session(emulator, **body).raise_for_status().json()["data"]
    return data
