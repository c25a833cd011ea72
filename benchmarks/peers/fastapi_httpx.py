"""FastAPI with one httpx client for all requests, with default settings."""

import os
from typing import Any

import httpx
from fastapi import FastAPI

URL = f"{os.environ['UPSTREAM']}/vault/sessions"
HEADERS = {
    "authorization": "Bearer sk_bench",
    "x-apideck-app-id": "bench",
    "x-apideck-consumer-id": "consumer",
}

app = FastAPI()
client = httpx.AsyncClient(headers=HEADERS)


@app.post("/vault-session", status_code=201)
async def vault_session() -> dict[str, Any]:
    """Create a session."""
    response = await client.post(URL, json={})
    response.raise_for_status()
    data = response.json()["data"]
    return {"redirect_url": data["session_uri"], "session_token": data["session_token"]}
