"""The body of a request as a dependency: read only once the caller is known, and strictly JSON.

FastAPI reads a body that is declared as a parameter before it calls any dependency, so that anyone
could make the service read and parse one. It also accepts JSON that parsers disagree about.
"""

from http import HTTPStatus
from typing import Final

from fastapi import HTTPException, Request
from pydantic import TypeAdapter, ValidationError

from ..common import strict_json
from ..errors import FieldError, InvalidRequestError
from ..sessions.models import SessionRequest
from .caller import CallerDep, audit_record
from .field_errors import field_errors

MAX_BODY_BYTES: Final = 16_384

_ADAPTER: TypeAdapter[SessionRequest] = TypeAdapter(SessionRequest)


async def session_request(request: Request, _: CallerDep) -> SessionRequest:
    """Return the validated body of a request for a session; no body at all is an empty object.

    Raises:
        InvalidRequestError: naming each field that is wrong.
        HTTPException: 413 for a body that is too large, 415 for one that is not declared JSON.
    """
    body = await read_body(request, MAX_BODY_BYTES)
    if not body:
        return {}
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    try:
        value = strict_json.loads(body)
    except strict_json.InvalidJSONError as error:
        fault = FieldError("", f"The body is {error}.")
        raise InvalidRequestError("The request could not be read.", errors=[fault]) from None
    try:
        return _ADAPTER.validate_python(value, strict=True)
    except ValidationError as error:
        audit_record(request).note_rejected_request(value)
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise InvalidRequestError(
            "The request is not valid.", errors=field_errors(faults)
        ) from None


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the bytes of a request's body.

    Raises:
        HTTPException: 413 for more bytes than that.
        ClientDisconnect: the client has disconnected.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > max_bytes:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return bytes(body)
