"""Starlette with aiohttp and nothing else: the minimal server in Python."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

URL = f"{os.environ['UPSTREAM']}/vault/sessions"
HEADERS = {
    "authorization": "Bearer sk_bench",
    "x-apideck-app-id": "bench",
    "x-apideck-consumer-id": "consumer",
    "content-type": "application/json",
}


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
    """Open the HTTP client."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as client:
        yield {"client": client}


async def vault_session(request: Request) -> Response:
    """Create a session."""
    async with request.state.client.post(URL, data=b"{}") as response:
        data = (await response.json())["data"]
    session = {"redirect_url": data["session_uri"], "session_token": data["session_token"]}
    return JSONResponse(session, 201)


app = Starlette(
    routes=[Route("/vault-session", vault_session, methods=["POST"])], lifespan=lifespan
)
