"""Faults by name, for tests that control the emulator over HTTP."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from pydantic import validate_call

from emulators.apideck import faults
from emulators.apideck.faults import Answer, Broken, Dribble, Fault, Slow

_FOREIGN = "https://vault.apideck.com.evil.example/session/x"
# The header {"alg": "none"} and the payload {}: a token in the format of a JWT, without `exp`.
_TOKEN_WITHOUT_EXPIRY = "eyJhbGciOiJub25lIn0.e30.x"


def named(name: str, parameters: Mapping[str, Any]) -> Fault:
    """Return a fault by its name.

    Args:
        name: one of `NAMED`.
        parameters: the parameters of its constructor.

    Raises:
        KeyError: the name is unknown.
        pydantic.ValidationError: a parameter is unknown or has the wrong type.
    """
    return validate_call(NAMED[name])(**parameters)


def _slow(seconds: float = 3) -> Fault:
    return Slow(seconds)


def _dribble(seconds: float = 0.05) -> Fault:
    return Dribble(seconds)


def _empty(status: int = 503) -> Fault:
    return Answer(status)


def _broken(how: Literal["hang", "reset", "close", "cut", "accept"]) -> Fault:
    return Broken(how)


NAMED: Mapping[str, Callable[..., Fault]] = {
    **{str(status): partial(faults.error, status) for status in (*faults.ERRORS, 500, 503)},
    "error": faults.error,
    "headers": partial(faults.error, 400, name="RequestHeadersValidationError"),
    "429": partial(faults.rate_limited, retry_after="7"),
    "html": partial(faults.html, status=502),
    "empty": _empty,
    "redirect": faults.redirect,
    "truncated": faults.truncated,
    "without-data": faults.without_data,
    "wrong-types": partial(faults.data, session_uri=5),
    "empty-body": partial(faults.whole, b""),
    "oversized": faults.oversized,
    "compressed": faults.compressed,
    "foreign-host": partial(faults.data, session_uri=_FOREIGN),
    "plain-http": partial(faults.data, session_uri="http://vault.apideck.com/session/x"),
    "user-info": partial(faults.data, session_uri="https://vault.apideck.com@evil.example/x"),
    "token-without-exp": partial(faults.data, session_token=_TOKEN_WITHOUT_EXPIRY),
    "no-jwt": partial(faults.data, session_token="x"),
    "slow": _slow,
    "dribble": _dribble,
    "hang": partial(_broken, "hang"),
    "reset": partial(_broken, "reset"),
    "close": partial(_broken, "close"),
    "cut": partial(_broken, "cut"),
    "accept": partial(_broken, "accept"),
}
