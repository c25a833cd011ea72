"""What can go wrong with Apideck, on demand."""

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
    """Answer this instead of minting."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Altered:
    """Mint, and answer with the answer altered."""

    alter: Callable[[dict[str, Any]], bytes]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Slow:
    """Mint, and answer after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Dribble:
    """Mint, and answer byte by byte with so many seconds in between."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Broken:
    """Break the connection.

    Attributes:
        how: `hang` never answers; `reset` (TCP RST) and `close` end it instead of answering; `cut`
            ends it in the middle of the answer; `accept` closes connections as soon as they are
            made.
    """

    how: Literal["hang", "reset", "close", "cut", "accept"]


Fault = Answer | Altered | Slow | Dribble | Broken


def error(status: int, detail: Any = "", name: str | None = None, **headers: str) -> Answer:
    """Return an answer in Apideck's error envelope."""
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
    """Return the moment in so many seconds as HTTP writes it."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def html(status: int) -> Answer:
    """Return what a gateway in front of Apideck would answer."""
    body = f"<html><body><h1>{status} Bad Gateway</h1></body></html>".encode()
    return Answer(status, body, {"content-type": "text/html"})


def redirect(url: str, status: int = 307) -> Answer:
    """Return a redirect."""
    return Answer(status, b"", {"location": url})


def data(**changes: Any) -> Altered:
    """Return an answer whose `data` has these fields changed; None removes one."""

    def alter(answer: dict[str, Any]) -> bytes:
        fields = {**answer["data"], **changes}
        kept = {key: value for key, value in fields.items() if value is not None}
        return json.dumps({**answer, "data": kept}).encode()

    return Altered(alter)


def whole(body: bytes) -> Altered:
    """Return a 200 with this body."""
    return Altered(lambda _: body)


def truncated() -> Altered:
    """Return a 200 whose JSON ends in the middle."""
    return Altered(lambda answer: json.dumps(answer).encode()[:-20])


def without_data() -> Altered:
    """Return a 200 without `data`."""
    return Altered(lambda answer: json.dumps({"status_code": answer["status_code"]}).encode())


def oversized(size: int = 1_000_000) -> Altered:
    """Return a 200 with so many bytes of padding in it."""
    return Altered(lambda answer: json.dumps({**answer, "_raw": "x" * size}).encode())


def compressed() -> Altered:
    """Return a 200 with gzip that nobody asked for."""
    return Altered(
        lambda answer: gzip.compress(json.dumps(answer).encode()), {"content-encoding": "gzip"}
    )
