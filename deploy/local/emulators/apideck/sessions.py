"""`POST /vault/sessions`, and everything that can go wrong with it."""

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
        """Make a session, or go wrong as asked."""
        body = await request.body()
        return await self._answer(request, body, self._state.next_fault())

    async def _answer(self, request: Request, body: bytes, fault: Fault | None) -> Response:
        if isinstance(fault, Broken) and fault.how != "cut":
            return await self._break(request, fault.how)
        if isinstance(fault, Slow) and not await self._patient(request, fault.seconds):
            return Response(status_code=499)
        made = fault if isinstance(fault, Answer) else self._create(request, body)
        if isinstance(made, Answer):
            return answered(made)
        return self._success(request, made, fault)

    def _success(self, request: Request, made: dict[str, Any], fault: Fault | None) -> Response:
        if isinstance(fault, Altered):
            headers = {"content-type": "application/json", **fault.headers}
            return Response(fault.alter(made), headers=headers)
        if isinstance(fault, Dribble):
            return StreamingResponse(self._dribble(json.dumps(made), fault.seconds))
        if isinstance(fault, Broken):
            return StreamingResponse(self._cut(request, made), headers={"content-length": "9999"})
        return JSONResponse(made)

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
            return error(400, {"redirect_uri": "is not registered for this application"})
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
            await self._patient(request, None)
        elif how == "reset":
            protocol.reset(transport)
        else:
            transport.close()
        return Response(status_code=499)

    async def _cut(self, request: Request, made: dict[str, Any]) -> AsyncIterator[bytes]:
        yield json.dumps(made).encode()[:40]
        self._emulator.transports[request.client].close()  # type: ignore[index]
        # Until the connection is gone, uvicorn would complain that the answer is too short.
        await request.receive()

    async def _dribble(self, text: str, seconds: float) -> AsyncIterator[bytes]:
        try:
            for character in text:
                yield character.encode()
                await asyncio.sleep(seconds)
        except asyncio.CancelledError:  # what Starlette does when the client leaves
            self._state.disconnects += 1
            raise

    async def _patient(self, request: Request, seconds: float | None) -> bool:
        """Wait so long, or for ever; tell whether the client was still there at the end."""
        try:
            async with asyncio.timeout(seconds):
                await request.receive()
        except TimeoutError:
            return True
        self._state.disconnects += 1
        return False


async def not_found(_: Request) -> Response:
    """Answer for everything that Apideck does not have."""
    return answered(error(404))


def answered(answer: Answer) -> Response:
    """Return an answer as the response to send."""
    return Response(answer.body, answer.status, dict(answer.headers))
