"""Takes secrets and personal data out of a log event just before it is rendered.

This is the second line of defense: nothing secret is logged on purpose. It covers the records of
libraries too, whose texts are not ours.
"""

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, quote_plus

from structlog.typing import EventDict, WrappedLogger

REDACTED: Final = "[redacted]"
MIN_SECRET_LENGTH: Final = 8
"""Shorter secrets are not recognized by their value: ordinary text contains them by chance."""

_SENSITIVE_NAME = re.compile(
    r"authorization|cookie|password|secret|api[_-]?key|session_uri|redirect_url|(^|[_-])token$|assertion"
    r"|e-?mail|(account|user)_name|metadata",
    re.IGNORECASE,
)
# An e-mail address; looked for from the beginning of a word only, and once.
_ADDRESS = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]++@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_URL_CREDENTIALS = re.compile(r"(?<=://)[^\s/@]+(?=@)")
_SENSITIVE_TEXT = re.compile(
    r"eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*"  # a JSON Web Token, whole or cut
    # The value of an Authorization header; a digit, a capital or its length tells it from a word.
    r"|(?i:bearer|basic) +(?:(?=[A-Za-z._~+/-]*(?:[0-9]|[a-z][A-Z]))[A-Za-z0-9._~+/-]{4,}"
    r"|[A-Za-z._~+/-]{20,})=*"
    r"|sk_[A-Za-z]+_[A-Za-z0-9_-]+"  # an Apideck API key
)
# A secret that is such a word cannot be told from the same word in our own texts.
_WORD = re.compile(r"[a-z]{1,15}")
# The service itself writes these in a fixed form, which a known value must not change.
_FIXED = frozenset({"timestamp", "level", "logger", "request_id", "trace_id", "problem"})
_MAX_DEPTH = 6
_NUMBERS = (type(None), bool, int, float)


@lru_cache(maxsize=1024)  # The same names come with every line,
def _is_sensitive(name: str) -> bool:
    return _SENSITIVE_NAME.search(name) is not None


@lru_cache(maxsize=1024)  # and nearly always together.
def _is_any_sensitive(names: tuple[str, ...]) -> bool:
    return any(map(_is_sensitive, names))


class Redactor:
    """A structlog processor that recognizes secrets by name, by form, and by value."""

    def __init__(self) -> None:
        self._known: tuple[str, ...] = ()

    def add_secret(self, secret: str) -> None:
        """Remove this value from now on, in plain or escaped form.

        Ignored are values of less than `MIN_SECRET_LENGTH` characters, and single lower-case words
        of less than 16.
        """
        if len(secret) >= MIN_SECRET_LENGTH and _WORD.fullmatch(secret) is None:
            # The longest first: an escaped form can contain the plain one.
            self._known = tuple(sorted({*self._known, *_forms(secret)}, key=len, reverse=True))

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """Return the event with everything secret in it replaced."""
        if self._is_harmless(event):
            return event
        # Our own events have names; the records of libraries have texts.
        named = "logger" not in event and str(event.get("event")).isidentifier()
        fixed = {*_FIXED, "event"} if named else _FIXED
        return {
            name: _without_forms(value)
            if name in fixed and isinstance(value, str)
            else self._field(name, value, _MAX_DEPTH)
            for name, value in event.items()
        }

    def _is_harmless(self, event: EventDict) -> bool:
        """Tell, by one search through all texts together, that there is nothing to replace.

        Nearly every event is flat and has no secret, and searching each text by itself is most of
        what a log line costs.
        """
        if _is_any_sensitive(tuple(event)):
            return False
        words = [value for value in event.values() if value and not isinstance(value, _NUMBERS)]
        try:
            text = "\n".join(words)
        except TypeError:  # There is something other than text.
            return False
        return (
            ("@" not in text or not (_ADDRESS.search(text) or _URL_CREDENTIALS.search(text)))
            and _SENSITIVE_TEXT.search(text) is None
            and not any(secret in text for secret in self._known)
        )

    def _field(self, name: str, value: Any, depth: int) -> Any:
        return REDACTED if _is_sensitive(name) else self._value(value, depth)

    def _value(self, value: Any, depth: int) -> Any:
        if isinstance(value, _NUMBERS):
            return value
        if depth and isinstance(value, dict):
            return {
                self._text(str(name)): self._field(str(name), item, depth - 1)
                for name, item in value.items()
            }
        if depth and isinstance(value, list | tuple):
            return [self._value(item, depth - 1) for item in value]
        return self._text(str(value))

    def _text(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, REDACTED)
        return _without_forms(text)


def _without_forms(text: str) -> str:
    """Replace what has the form of a secret."""
    if "@" in text:
        # Addresses first: what is left of a word that begins like a token is no address.
        text = _URL_CREDENTIALS.sub(REDACTED, _ADDRESS.sub(REDACTED, text))
    return _SENSITIVE_TEXT.sub(REDACTED, text)


_ESCAPES: tuple[Callable[[str], str], ...] = (
    lambda text: repr(text)[1:-1],
    lambda text: repr(text.encode())[2:-1],
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: quote(text, safe=""),
    quote_plus,
)


def _forms(secret: str) -> set[str]:
    """Return a secret as libraries write it: as it is, escaped, and escaped once more."""
    once = {secret, *(escape(secret) for escape in _ESCAPES)}
    forms = once | {escape(form) for form in once for escape in _ESCAPES}
    return forms | {re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), form) for form in forms}
