"""Responses with faults, for all endpoints of the API."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from emulators.apideck import protocol
from emulators.apideck.faults import Altered, Answer, Broken, Dribble, Fault, Slow, error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from emulators.apideck.emulator import ApideckEmulator


class FaultyResponder:
    """Responds to a request as Apideck does, or with a fault."""

    def __init__(self, emulator: ApideckEmulator) -> None:
        self._emulator = emulator
        self._state = emulator.state

    async def respond(
        self,
        request: Request,
        fault: Fault | None,
        result_of: Callable[[], dict[str, Any] | Answer],
    ) -> Response:
        """Respond to a request whose body has been read.

        Args:
            request: the request.
            fault: the fault to respond with, if any.
            result_of: returns the content of a success, or an error.
        """
        if isinstance(fault, Broken) and fault.how != "cut":
            return await self._break(request, fault.how)
        if isinstance(fault, Slow) and not await self._still_connected(request, fault.seconds):
            return Response(status_code=499)
        result = fault if isinstance(fault, Answer) else result_of()
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
