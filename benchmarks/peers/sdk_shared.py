"""FastAPI with one instance of Apideck's SDK for all requests, and its async methods."""

import os
from typing import Any

from apideck_unify import Apideck
from fastapi import FastAPI

app = FastAPI()
apideck = Apideck(
    api_key="sk_bench", app_id="bench", consumer_id="consumer", server_url=os.environ["UPSTREAM"]
)


@app.post("/vault-session", status_code=201)
async def vault_session() -> dict[str, Any]:
    """Create a session."""
    response = await apideck.vault.sessions.create_async(session={})
    data = response.create_session_response.data
    return {"redirect_url": data.session_uri, "session_token": data.session_token}
