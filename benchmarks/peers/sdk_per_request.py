"""FastAPI with an instance of Apideck's SDK for each request, as in the SDK's manual."""

import os
from typing import Any

from apideck_unify import Apideck
from fastapi import FastAPI

app = FastAPI()


@app.post("/vault-session", status_code=201)
def vault_session() -> dict[str, Any]:
    """Create a session."""
    with Apideck(
        api_key="sk_bench",
        app_id="bench",
        consumer_id="consumer",
        server_url=os.environ["UPSTREAM"],
    ) as apideck:
        response = apideck.vault.sessions.create(session={})
    data = response.create_session_response.data
    return {"redirect_url": data.session_uri, "session_token": data.session_token}
