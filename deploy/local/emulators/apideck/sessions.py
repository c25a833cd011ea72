"""`POST /vault/sessions`, with its faults."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from emulators.apideck import protocol
from emulators.apideck.faults import Altered, Answer, Broken, Dribble, Fault, Slow, error
from emulators.apideck.models import Session, length_seconds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from emulators.apideck.emulator import ApideckEmulator

_HEADERS = ("x-apideck-app-id", "x-apideck-consumer-id", "content-type")


class Sessions:
    """The endpoint."""

    def __init__(self, emulator: ApideckEmulator) -> None:
        self._emulator = emulator
        self._state = emulator.state

    async def create(self, request: Request) -> Response:
        """Create a session, or fail with the next fault."""
        body = await request.body()
        return await self._respond(request, body, self._state.next_fault())

    async def _respond(self, request: Request, body: bytes, fault: Fault | None) -> Response:
        if isinstance(fault, Broken) and fault.how != "cut":
            return await self._break(request, fault.how)
        if isinstance(fault, Slow) and not await self._still_connected(request, fault.seconds):
            return Response(status_code=499)
        result = fault if isinstance(fault, Answer) else self._create(request, body)
        if isinstance(result, Answer):
            return to_response(result)
        return self._success(request, result, fault)

    def _success(self, request: Request, content: dict[str, Any], fault: Fault | None) -> Response:
        if isinstance(fault, Altered):
            headers = {"content-type": "application/json", **fault.headers}
            return Response(fault.alter(content), headers=headers)
        if isinstance(fault, Dribble):
            return StreamingResponse(self._dribble(json.dumps(content), fault.seconds))
        if isinstance(fault, Broken):
            return StreamingResponse(
                self._cut(request, content), headers={"content-length": "9999"}
            )
        return JSONResponse(content)

    def _create(self, request: Request, body: bytes) -> dict[str, Any] | Answer:
        missing = [name for name in ("authorization", *_HEADERS) if name not in request.headers]
        if missing:
            detail = dict.fromkeys(missing, "is required")
            return error(400, detail, "RequestHeadersValidationError")
        if request.headers["authorization"] not in self._emulator.accepted:
            return error(401, "Unauthorized Request")
        try:
            sent = json.loads(body) if body else {}
            session = Session.model_validate(sent)
        except ValidationError as invalid:
            return error(400, {".".join(map(str, e["loc"])): e["msg"] for e in invalid.errors()})
        except ValueError:
            return error(400, "The body is not JSON")
        registered = self._state.registered_redirects
        if registered is not None and session.redirect_uri not in {"", *registered}:
            return error(400, {"redirect_uri": "is not registered for this Unify app"})
        return self._mint(request, sent, length_seconds(session.settings.session_length))

    def _mint(self, request: Request, sent: dict[str, Any], seconds: int) -> dict[str, Any]:
        app_id = request.headers["x-apideck-app-id"]
        consumer_id = request.headers["x-apideck-consumer-id"]
        minted = self._emulator.tokens.mint(app_id, consumer_id, sent, seconds)
        self._state.consumer(app_id, consumer_id).metadata.update(sent.get("consumer_metadata", {}))
        self._state.minted.append(minted)
        uri = f"{self._emulator.vault_origin}/session/{minted.token}"
        return {
            "status_code": 200,
            "status": "OK",
            "data": {"session_uri": uri, "session_token": minted.token},
        }

    async def _break(self, request: Request, how: str) -> Response:
        transport = self._emulator.transports[request.client]  # type: ignore[index]
        if how == "hang":
            await self._still_connected(request, None)
        elif how == "reset":
            protocol.reset(transport)
        else:
            transport.close()
        return Response(status_code=499)

    async def _cut(self, request: Request, content: dict[str, Any]) -> AsyncIterator[bytes]:
        yield json.dumps(content).encode()[:40]
        self._emulator.transports[request.client].close()  # type: ignore[index]
        # While the connection exists, uvicorn would raise an error about the short response.
        await request.receive()

    async def _dribble(self, text: str, seconds: float) -> AsyncIterator[bytes]:
        try:
            for character in text:
                yield character.encode()
                await asyncio.sleep(seconds)
        except asyncio.CancelledError:  # Starlette cancels this when the client disconnects.
            self._state.disconnects += 1
            raise

    async def _still_connected(self, request: Request, seconds: float | None) -> bool:
        """Wait this long, or without limit; return False when the client disconnects."""
        try:
            async with asyncio.timeout(seconds):
                await request.receive()
        except TimeoutError:
            return True
        self._state.disconnects += 1
        return False


async def not_found(_: Request) -> Response:
    """Respond to requests for unknown paths."""
    return to_response(error(404))


def to_response(answer: Answer) -> Response:
    """Return the response for an answer."""
    return Response(answer.body, answer.status, dict(answer.headers))
