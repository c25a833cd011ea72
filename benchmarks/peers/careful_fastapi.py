"""A careful FastAPI service, as a developer could write it in a day with well-known libraries.

It verifies every token, limits each caller, writes JSON logs, counts requests, and has a deadline.
With CACHE_TOKENS=1 it caches verified tokens until they expire.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import jwt
import orjson
import structlog
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from httpx_aiohttp import AiohttpTransport
from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from prometheus_client import Counter, Histogram, generate_latest
from pydantic import BaseModel

DEADLINE_SECONDS = 10.0
MAX_CACHED_TOKENS = 10_000 if os.environ.get("CACHE_TOKENS") else 0
LIMIT = parse("100000/second")
ISSUER = os.environ["ISSUER"]

structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(serializer=orjson.dumps),
    ],
    wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    logger_factory=structlog.BytesLoggerFactory(),
)
log = structlog.get_logger()
requests = Counter("requests", "Requests", ["status"])
seconds = Histogram("request_seconds", "Duration of a request")
# PyJWKClient blocks the event loop while it fetches the keys, every five minutes.
keys = jwt.PyJWKClient(f"{ISSUER}/jwks")
limiter = FixedWindowRateLimiter(MemoryStorage())
cached_claims: dict[str, dict[str, Any]] = {}


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open the HTTP client."""
    transport = AiohttpTransport(limits=httpx.Limits(max_connections=None))
    headers = {"authorization": "Bearer sk_bench", "x-apideck-app-id": "bench"}
    async with httpx.AsyncClient(
        transport=transport, base_url=os.environ["UPSTREAM"], headers=headers
    ) as client:
        yield {"client": client}


app = FastAPI(lifespan=lifespan)


class Session(BaseModel):
    """A session in the Hosted Vault."""

    redirect_url: str
    session_token: str


@app.middleware("http")
async def count(request: Request, call_next: Any) -> Response:
    """Count requests, and measure their duration."""
    started = time.perf_counter()
    response: Response = await call_next(request)
    requests.labels(response.status_code).inc()
    seconds.observe(time.perf_counter() - started)
    return response


async def caller(
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
) -> dict[str, Any]:
    """Return the claims of a verified token."""
    token = credentials.credentials
    cached = cached_claims.get(token)
    if cached and cached["exp"] > time.time():
        return cached
    try:
        claims = jwt.decode(
            token,
            keys.get_signing_key_from_jwt(token),
            algorithms=["RS256"],
            audience="vault-bff",
            issuer=ISSUER,
            options={"require": ["exp", "sub", "org_id"]},
        )
    except jwt.PyJWTError as error:
        log.warning("rejected", reason=str(error))
        raise HTTPException(401) from error
    if MAX_CACHED_TOKENS:
        if len(cached_claims) >= MAX_CACHED_TOKENS:
            del cached_claims[next(iter(cached_claims))]
        cached_claims[token] = claims
    return claims


@app.post("/vault-session", status_code=201)
async def vault_session(
    request: Request, claims: Annotated[dict[str, Any], Depends(caller)]
) -> Session:
    """Create a session."""
    if not await limiter.hit(LIMIT, claims["sub"]):
        raise HTTPException(429)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            response = await request.state.client.post(
                "/vault/sessions",
                json={"consumer_metadata": {"user_name": claims.get("name")}},
                headers={"x-apideck-consumer-id": claims["org_id"]},
            )
            response.raise_for_status()
    except (httpx.HTTPError, TimeoutError) as error:
        log.warning("failed", reason=repr(error))
        raise HTTPException(502) from error
    data = response.json()["data"]
    log.info("session created", consumer=claims["org_id"])
    return Session(redirect_url=data["session_uri"], session_token=data["session_token"])


@app.get("/metrics")
def metrics() -> Response:
    """Return the metrics."""
    return Response(generate_latest(), media_type="text/plain; version=0.0.4")
