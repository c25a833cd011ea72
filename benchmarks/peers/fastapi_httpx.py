"""FastAPI with one httpx client for all requests, as it comes."""

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
    """Mint a session."""
    answer = await client.post(URL, json={})
    answer.raise_for_status()
    data = answer.json()["data"]
    return {"redirect_url": data["session_uri"], "session_token": data["session_token"]}
