"""Starlette with aiohttp and nothing else: what this language can do."""

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
    """Open the client."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as client:
        yield {"client": client}


async def vault_session(request: Request) -> Response:
    """Mint a session."""
    async with request.state.client.post(URL, data=b"{}") as answer:
        data = (await answer.json())["data"]
    found = {"redirect_url": data["session_uri"], "session_token": data["session_token"]}
    return JSONResponse(found, 201)


app = Starlette(
    routes=[Route("/vault-session", vault_session, methods=["POST"])], lifespan=lifespan
)
