"""What must never be in a log, taken out at the last moment before a line is written.

This is the second line of defence: nothing secret is logged on purpose. It holds for the records
of libraries too, whose words nobody here chose.
"""

import re
from functools import lru_cache
from typing import Any, Final

from structlog.typing import EventDict, WrappedLogger

REDACTED: Final = "[redacted]"

_SENSITIVE_NAME = re.compile(
    r"authorization|cookie|password|secret|api[_-]?key|session_uri|redirect_url|(^|[_-])token$|assertion"
    r"|e-?mail|(account|user)_name|metadata",
    re.IGNORECASE,
)
# An e-mail address; looked for from the beginning of a word only, and once.
_ADDRESS = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]++@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_SENSITIVE_TEXT = re.compile(
    r"eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*"  # a JSON Web Token, whole or cut
    r"|(?i:bearer|basic) +[A-Za-z0-9._~+/-]{4,}=*"  # the value of an Authorization header
    r"|sk_[A-Za-z]+_[A-Za-z0-9_-]+"  # an Apideck API key
)
_MAX_DEPTH = 6
_NUMBERS = (type(None), bool, int, float)


@lru_cache(maxsize=1024)  # Names come again with every line.
def _is_sensitive(name: str) -> bool:
    return _SENSITIVE_NAME.search(name) is not None


@lru_cache(maxsize=1024)  # And nearly always together with the same others.
def _is_any_sensitive(names: tuple[str, ...]) -> bool:
    return any(map(_is_sensitive, names))


class Redactor:
    """A structlog processor that takes out secrets by name, by shape, and by knowing them."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def add_secret(self, secret: str) -> None:
        """Take out this very string from now on, wherever it turns up."""
        self._known.add(secret)

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """Return the event with everything secret in it replaced."""
        if self._is_harmless(event):
            return event
        return {name: self._field(name, value, _MAX_DEPTH) for name, value in event.items()}

    def _is_harmless(self, event: EventDict) -> bool:
        """Tell, by one look at all of its words together, that an event holds nothing to replace.

        Nearly every event is a flat one without a secret, and a look at each word by itself is
        most of what a line of log costs.
        """
        if _is_any_sensitive(tuple(event)):
            return False
        words = [value for value in event.values() if not isinstance(value, _NUMBERS)]
        try:
            text = "\n".join(words)
        except TypeError:  # Something else than words is among them.
            return False
        return (
            _ADDRESS.search(text) is None
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
                str(name): self._field(str(name), item, depth - 1) for name, item in value.items()
            }
        if depth and isinstance(value, list | tuple):
            return [self._value(item, depth - 1) for item in value]
        return self._text(str(value))

    def _text(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, REDACTED)
        # Addresses first: what is left of a word that begins like a token is no word any more.
        return _SENSITIVE_TEXT.sub(REDACTED, _ADDRESS.sub(REDACTED, text))
