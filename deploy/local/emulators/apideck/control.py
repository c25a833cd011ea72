"""The emulator's control endpoints: recorded requests, created sessions, and faults."""

import json
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from emulators.apideck.named_faults import NAMED, named
from emulators.apideck.state import SeenRequest, State

_DONE = {"status": "ok"}


class _Fail(BaseModel):
    """A fault to set; further members are its parameters."""

    model_config = ConfigDict(extra="allow")

    fault: str
    times: int | None = 1


class _Registered(BaseModel):
    """The registered redirect URIs; null switches redirect protection off."""

    registered: frozenset[str] | None


class Control:
    """The endpoints below `/__emulator__/`."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        prefix = "/__emulator__"
        return [
            Route(f"{prefix}/requests", self._requests),
            Route(f"{prefix}/minted", self._minted),
            Route(f"{prefix}/fail", self._fail, methods=["POST"]),
            Route(f"{prefix}/protect-redirects", self._protect, methods=["POST"]),
            Route(f"{prefix}/reset", self._reset, methods=["POST"]),
        ]

    async def _requests(self, _: Request) -> Response:
        return JSONResponse([_described(seen) for seen in self._state.requests])

    async def _minted(self, _: Request) -> Response:
        return JSONResponse([asdict(minted) for minted in self._state.minted])

    async def _fail(self, request: Request) -> Response:
        try:
            wanted = _Fail.model_validate_json(await request.body())
            fault = named(wanted.fault, wanted.model_extra or {})
        except KeyError:
            return JSONResponse({"faults": sorted(NAMED)}, 404)
        except ValidationError as invalid:
            return _invalid(invalid)
        self._state.fail(fault, wanted.times)
        return JSONResponse(_DONE)

    async def _protect(self, request: Request) -> Response:
        try:
            wanted = _Registered.model_validate_json(await request.body())
        except ValidationError as invalid:
            return _invalid(invalid)
        self._state.registered_redirects = wanted.registered
        return JSONResponse(_DONE)

    async def _reset(self, _: Request) -> Response:
        self._state.reset()
        return JSONResponse(_DONE)


def _described(seen: SeenRequest) -> dict[str, Any]:
    try:
        body = seen.json
    except ValueError:
        body = None
    return {
        "method": seen.method,
        "path": seen.path,
        "headers": dict(seen.headers),
        "body": seen.body.decode(errors="replace"),
        "json": body,
    }


def _invalid(invalid: ValidationError) -> Response:
    return JSONResponse({"errors": json.loads(invalid.json(include_input=False))}, 400)
