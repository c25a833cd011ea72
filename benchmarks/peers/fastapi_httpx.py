"""FastAPI with one httpx client for all requests, its limits taken off."""

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
client = httpx.AsyncClient(
    headers=HEADERS,
    timeout=30,
    limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
)


@app.post("/vault-session", status_code=201)
async def vault_session() -> dict[str, Any]:
    """Mint a session."""
    answer = await client.post(URL, json={})
    answer.raise_for_status()
    data = answer.json()["data"]
    return {"redirect_url": data["session_uri"], "session_token": data["session_token"]}
