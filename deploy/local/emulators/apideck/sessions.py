"""`POST /vault/sessions`, with its faults."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from emulators.apideck.faults import Answer, error
from emulators.apideck.faulty import FaultyResponder
from emulators.apideck.models import Session, length_seconds

if TYPE_CHECKING:
    from emulators.apideck.emulator import ApideckEmulator

_HEADERS = ("x-apideck-app-id", "x-apideck-consumer-id", "content-type")


class Sessions:
    """The endpoint."""

    def __init__(self, emulator: ApideckEmulator) -> None:
        self._emulator = emulator
        self._state = emulator.state
        self._faulty = FaultyResponder(emulator)

    async def create(self, request: Request) -> Response:
        """Create a session, or fail with the next fault."""
        body = await request.body()
        return await self._faulty.respond(
            request, self._state.next_fault(), lambda: self._create(request, body)
        )

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
