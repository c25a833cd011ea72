"""The body of a request: bounded, strictly JSON, and checked field by field."""

from typing import Final

from fastapi import HTTPException, Request
from pydantic import TypeAdapter, ValidationError

from app.common import strict_json
from app.errors import FieldError, InvalidRequestError
from app.sessions.models import SessionRequest

MAX_BODY_BYTES: Final = 16_384
MAX_ERRORS: Final = 32
"""Faults that are listed at most; the rest show once these are mended."""

_TOO_LARGE = 413
_UNSUPPORTED = 415
_ADAPTER: TypeAdapter[SessionRequest] = TypeAdapter(SessionRequest)
_SENTENCES = {
    "extra_forbidden": "There is no such field.",
    "missing": "This field is required.",
    "dict_type": "This must be an object.",
}


async def read_session_request(request: Request) -> SessionRequest:
    """Read what a caller asks for; no body at all asks for nothing in particular.

    Raises:
        InvalidRequestError: naming each field that is wrong.
        HTTPException: 413 for a body that is too long, 415 for one that is not said to be JSON.
    """
    body = await _read(request)
    if not body:
        return SessionRequest()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(_UNSUPPORTED)
    try:
        return _ADAPTER.validate_python(strict_json.loads(body), strict=True)
    except strict_json.InvalidJSONError as error:
        fault = FieldError("", f"The body is {error}.")
        raise InvalidRequestError("The body cannot be read as JSON.", errors=[fault]) from None
    except ValidationError as error:
        raise InvalidRequestError("The request is not valid.", errors=_faults(error)) from None


async def _read(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise HTTPException(_TOO_LARGE)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(_TOO_LARGE)
    return bytes(body)


def _faults(error: ValidationError) -> list[FieldError]:
    listed = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        FieldError(_pointer(fault["loc"]), _SENTENCES.get(fault["type"], _sentence(fault["msg"])))
        for fault in listed[:MAX_ERRORS]
    ]


def _sentence(message: str) -> str:
    return f"{message.removeprefix('Value error, ').capitalize()}."


def _pointer(location: tuple[int | str, ...]) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in location)
