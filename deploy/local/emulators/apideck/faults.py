"""The faults that the emulator can have."""

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal

ERRORS = {
    400: ("Bad Request", "RequestValidationError"),
    401: ("Unauthorized", "UnauthorizedError"),
    402: ("Payment Required", "RequestLimitError"),
    404: ("Not Found", "EntityNotFoundError"),
    422: ("Unprocessable Entity", "InvalidStateError"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Send this response instead of creating a session."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Altered:
    """Create a session, and alter the response."""

    alter: Callable[[dict[str, Any]], bytes]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Slow:
    """Create a session, and send the response after a delay."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Dribble:
    """Create a session, and send the response byte by byte with a delay after each."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Broken:
    """Break the connection.

    Attributes:
        how: `hang` sends no response; `reset` (TCP RST) and `close` end the connection instead of a
            response; `cut` ends it in the middle of the response; `accept` closes it as soon as it
            is accepted.
    """

    how: Literal["hang", "reset", "close", "cut", "accept"]


Fault = Answer | Altered | Slow | Dribble | Broken


def error(status: int, detail: Any = "", name: str | None = None, **headers: str) -> Answer:
    """Return an error in the form of Apideck's errors."""
    phrase, usual = ERRORS.get(status, ("Error", "UnknownError"))
    envelope = {
        "status_code": status,
        "error": phrase,
        "type_name": name or usual,
        "message": f"{phrase}: see detail",
        "detail": detail,
        "ref": "https://developers.apideck.com/errors",
    }
    sent = {"content-type": "application/json", **headers}
    return Answer(
        status,
        json.dumps(envelope).encode(),
        {key.replace("_", "-"): value for key, value in sent.items()},
    )


def rate_limited(retry_after: str | None = None) -> Answer:
    """Return a 429, with or without Retry-After."""
    headers = {} if retry_after is None else {"retry_after": retry_after}
    return error(429, "Too many requests", "TooManyRequestsError", **headers)


def http_date(seconds: float) -> str:
    """Return the time in this many seconds, as an HTTP date."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def html(status: int) -> Answer:
    """Return an HTML page, as a gateway in front of Apideck would send it."""
    body = f"<html><body><h1>{status} Bad Gateway</h1></body></html>".encode()
    return Answer(status, body, {"content-type": "text/html"})


def redirect(url: str, status: int = 307) -> Answer:
    """Return a redirect."""
    return Answer(status, b"", {"location": url})


def data(**changes: Any) -> Altered:
    """Return a response whose `data` has these fields changed; None removes a field."""

    def alter(body: dict[str, Any]) -> bytes:
        fields = {**body["data"], **changes}
        kept = {key: value for key, value in fields.items() if value is not None}
        return json.dumps({**body, "data": kept}).encode()

    return Altered(alter)


def whole(body: bytes) -> Altered:
    """Return a 200 with this body."""
    return Altered(lambda _: body)


def truncated() -> Altered:
    """Return a 200 with truncated JSON."""
    return Altered(lambda body: json.dumps(body).encode()[:-20])


def without_data() -> Altered:
    """Return a 200 without `data`."""
    return Altered(lambda body: json.dumps({"status_code": body["status_code"]}).encode())


def oversized(size: int = 1_000_000) -> Altered:
    """Return a 200 with this many bytes of padding."""
    return Altered(lambda body: json.dumps({**body, "_raw": "x" * size}).encode())


def compressed() -> Altered:
    """Return a 200 that is compressed although the request does not accept it."""
    return Altered(
        lambda body: gzip.compress(json.dumps(body).encode()), {"content-encoding": "gzip"}
    )
