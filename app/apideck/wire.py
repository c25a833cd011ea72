"""Apideck's JSON. It never leaves this room.

Source: https://developers.apideck.com/apis/vault/reference (operation "Create Session").
"""

import binascii
import re
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple, NotRequired

import orjson
from pydantic import Field, StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from app.common import strict_json
from app.vault import ConsumerMetadata, Session, Theme, VaultSettings

_TYPE_NAME = re.compile(r"[A-Za-z]{1,64}")
_WORD = re.compile(r"[a-z_]+")
_PARTS = {"consumer_metadata": ConsumerMetadata, "settings": VaultSettings, "theme": Theme}
_POINTERS = {
    **{field: f"/{field}" for field in Session.__annotations__},
    **{key: f"/{name}/{key}" for name, part in _PARTS.items() for key in part.__annotations__},
}


class InvalidAnswerError(ValueError):
    """The answer is not what Apideck documents; the message never quotes it."""


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


class Created(NamedTuple):
    """What a 200 holds.

    Attributes:
        session_uri: where the browser goes.
        session_token: the token by itself.
        expires_at: when it ends, in UTC.
        consumer_id: whose it says it is; None where it does not say.
    """

    session_uri: str
    session_token: str
    expires_at: datetime
    consumer_id: str | None


# Typed dictionaries, because a model would be made of each answer only to be thrown away.
_CREATED: TypeAdapter[_Created] = TypeAdapter(_Created)
_CLAIMS: TypeAdapter[_Claims] = TypeAdapter(_Claims)


def session_body(session: Session) -> bytes:
    """Return the JSON to send: exactly what the Session holds, nulls of its free part included."""
    return orjson.dumps(session)


def created(body: bytes) -> Created:
    """Return what a 200 holds.

    Apideck's answer does not say when the session ends, nor whose it is; its token does both. The
    signature cannot be checked, as only Apideck has the key, and need not be: the token came from
    Apideck over TLS, and nothing is allowed on the strength of it.

    Raises:
        InvalidAnswerError: when the answer is not of the documented form.
    """
    try:
        data = _CREATED.validate_python(strict_json.loads(body), strict=True)["data"]
        payload = data["session_token"].split(".")[1]
        claims = strict_json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        claims = _CLAIMS.validate_python(claims, strict=True)
    except strict_json.InvalidJSONError as error:
        raise InvalidAnswerError(str(error)) from None
    except (ValidationError, binascii.Error):
        raise InvalidAnswerError("not of the documented form") from None
    return Created(
        data["session_uri"],
        data["session_token"],
        datetime.fromtimestamp(claims["exp"], UTC),
        claims.get("consumer_id"),
    )


def failure(body: bytes) -> tuple[str | None, frozenset[str]]:
    """Return Apideck's name for an error, and the Session's fields that its text speaks of.

    The text itself stays here: it can quote what was sent. The fields are JSON Pointers into the
    Session; a field of a part is preferred to the part.
    """
    try:
        answer = strict_json.loads(body)
    except strict_json.InvalidJSONError:
        return None, frozenset()
    if not isinstance(answer, dict):
        return None, frozenset()
    name = answer.get("type_name")
    pointers = _pointers(answer.get("detail")) or _pointers(answer.get("message"))
    return name if isinstance(name, str) and _TYPE_NAME.fullmatch(name) else None, pointers


def _pointers(text: Any) -> frozenset[str]:
    words = _WORD.findall(text if isinstance(text, str) else orjson.dumps(text).decode())
    pointers = {_POINTERS[word] for word in words if word in _POINTERS}
    fields = {pointer for pointer in pointers if pointer.count("/") > 1}
    return frozenset(fields or pointers)
