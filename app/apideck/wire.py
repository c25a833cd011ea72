"""Apideck's JSON. It never leaves this package.

Source: https://developers.apideck.com/apis/vault/reference (operation "Create Session").
"""

import binascii
import re
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from typing import Annotated, Any, NotRequired

import orjson
from pydantic import Field, StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from ..common import strict_json
from ..vault import ConsumerMetadata, Session, Theme, VaultSettings
from .models import MintedSession

_TYPE_NAME = re.compile(r"[A-Za-z]{1,64}")
_WORD = re.compile(r"[a-z_]+")
_PARTS = {"consumer_metadata": ConsumerMetadata, "settings": VaultSettings, "theme": Theme}
_POINTERS = {
    **{field: f"/{field}" for field in Session.__annotations__},
    **{key: f"/{name}/{key}" for name, part in _PARTS.items() for key in part.__annotations__},
}


class InvalidResponseError(ValueError):
    """The response does not have the documented form; the message never quotes it."""


class _Data(TypedDict):
    session_uri: Annotated[str, StringConstraints(min_length=1)]
    session_token: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}$")
    ]


class _Created(TypedDict):
    data: _Data


class _Claims(TypedDict):
    exp: Annotated[int, Field(gt=0, lt=253_402_300_800)]  # before the year 10000
    consumer_id: NotRequired[str]


# Typed dictionaries, because a model would be created only to be read once.
_CREATED: TypeAdapter[_Created] = TypeAdapter(_Created)
_CLAIMS: TypeAdapter[_Claims] = TypeAdapter(_Claims)


def session_body(session: Session) -> bytes:
    """Return the JSON to send: exactly the content of the session, including nulls."""
    return orjson.dumps(session)


def created_session(body: bytes) -> MintedSession:
    """Return the content of a 200.

    Expiry and consumer are only in the token. Its signature cannot be verified, because only
    Apideck has the key, and does not have to be: Apideck sent the token over TLS, and no
    permission is derived from it.

    Raises:
        InvalidResponseError: the response does not have the documented form.
    """
    try:
        data = _CREATED.validate_python(strict_json.loads(body), strict=True)["data"]
        payload = data["session_token"].split(".")[1]
        claims = strict_json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        claims = _CLAIMS.validate_python(claims, strict=True)
    except strict_json.InvalidJSONError as error:
        raise InvalidResponseError(str(error)) from None
    except (ValidationError, binascii.Error):
        raise InvalidResponseError("not of the documented form") from None
    return MintedSession(
        data["session_uri"],
        data["session_token"],
        datetime.fromtimestamp(claims["exp"], UTC),
        claims.get("consumer_id"),
    )


def error_response(body: bytes) -> tuple[str | None, frozenset[str]]:
    """Return Apideck's name for an error, and the fields of the session that its text names.

    The text itself is dropped, because it may quote what was sent. The fields are JSON Pointers
    into the session; if a field within a part is named, the part itself is left out.
    """
    try:
        response = strict_json.loads(body)
    except strict_json.InvalidJSONError:
        return None, frozenset()
    if not isinstance(response, dict):
        return None, frozenset()
    name = response.get("type_name")
    pointers = _pointers(response.get("detail")) or _pointers(response.get("message"))
    return name if isinstance(name, str) and _TYPE_NAME.fullmatch(name) else None, pointers


def _pointers(text: Any) -> frozenset[str]:
    words = _WORD.findall(text if isinstance(text, str) else orjson.dumps(text).decode())
    pointers = {_POINTERS[word] for word in words if word in _POINTERS}
    fields = {pointer for pointer in pointers if pointer.count("/") > 1}
    return frozenset(fields or pointers)
