"""Rules for tokens: each is one check, which can say what it received and what it expected.

A request runs the checks, and builds texts only for the one that fails. `check --token` runs the
same rules one by one and prints a finding for each. A finding shows the names of claims, and the
values of `iss`, `aud`, `typ`, `alg`, `exp` and `scope` only: other values may be personal data.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from ..errors import IdentityError, UnauthenticatedError
from .claim_paths import ABSENT, claim
from .models import Claims

MAX_SHOWN: Final = 100
"""Characters of a value that a finding shows."""

_MAX_LISTED: Final = 16


def invalid(reason: str) -> UnauthenticatedError:
    """Return the error for an invalid token; the caller does not learn the reason."""
    return UnauthenticatedError("Your sign-in is not valid. Please sign in again.", reason=reason)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, for the operator.

    Attributes:
        rule: the name of the rule.
        problem: what is wrong; None if the check passed.
        received: the value in the token, sanitized and truncated; None if it is not shown.
        expected: what the settings require.
        setting: the setting that would change the result, below those of the issuer; None if no
            setting does.
        risk: why that setting may weaken security; None if it does not.
    """

    rule: str
    problem: str | None
    received: str | None = None
    expected: str | None = None
    setting: str | None = None
    risk: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the check passed."""
        return self.problem is None

    def __str__(self) -> str:
        """Return the problem, or the name of the rule, with the values received and expected."""
        values = [
            f"{word} {value}"
            for word, value in (("received", self.received), ("expected", self.expected))
            if value is not None
        ]
        return ": ".join([self.problem or self.rule, *([", ".join(values)] if values else [])])


def _invalid(finding: Finding, _: Claims) -> IdentityError:
    return invalid(str(finding))


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule for the header or the claims of a token.

    Attributes:
        name: what the rule is about.
        check: returns what is wrong with a header or claims; None if nothing is.
        expected: what the settings require.
        received: returns the value to show; by default none is shown.
        setting: the setting that would change the result, below those of the issuer.
        risk: why that setting may weaken security.
        error: returns the error for a failed check.
    """

    name: str
    check: Callable[[Claims], str | None]
    expected: str | None = None
    received: Callable[[Claims], str | None] = lambda _: None
    setting: str | None = None
    risk: str | None = None
    error: Callable[[Finding, Claims], IdentityError] = _invalid

    def examine(self, part: Claims) -> Finding:
        """Return the result of the check, with the values received and expected."""
        return self._finding(part, self.check(part))

    def enforce(self, part: Claims) -> None:
        """Do nothing if the check passes.

        Raises:
            IdentityError: it fails.
        """
        problem = self.check(part)
        if problem is not None:
            raise self.error(self._finding(part, problem), part)

    def _finding(self, part: Claims, problem: str | None) -> Finding:
        received = self.received(part)
        return Finding(self.name, problem, received, self.expected, self.setting, self.risk)


def value_of(name: str) -> Callable[[Claims], str]:
    """Return a function that shows the value of a header member or claim."""
    return lambda part: shown(part[name]) if name in part else f"no {name}; {present(part)}"


def shown(value: Any) -> str:
    """Return a value from a token as text: ASCII, quoted, truncated, without control characters."""
    if isinstance(value, str):
        cut = len(value) > MAX_SHOWN
        return ascii(value[:MAX_SHOWN]) + (f" and {len(value) - MAX_SHOWN} more" if cut else "")
    if isinstance(value, bool | int | float | None):
        return ascii(value)
    if isinstance(value, list):
        return _joined([shown(one) if isinstance(one, str) else _kind(one) for one in value])
    return _kind(value)


def listing(values: Iterable[str]) -> str:
    """Return configured values as text."""
    return " or ".join(map(ascii, values))


def present(part: Claims) -> str:
    """Return the names that a header or claims set has, without their values."""
    return f"present are {_joined(sorted(map(shown, part)))}"


def kind_of(path: str) -> Callable[[Claims], str]:
    """Return a function that says whether claims have a claim, without its value."""

    def received(claims: Claims) -> str:
        if claim(claims, path, ABSENT) is ABSENT:
            return f"no {path}; {present(claims)}"
        return f"a value of {path} that is not shown"

    return received


def _joined(texts: list[str]) -> str:
    more = len(texts) - _MAX_LISTED
    listed = ", ".join(texts[:_MAX_LISTED]) or "none"
    return f"{listed} and {more} more" if more > 0 else listed


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else kinds.get(type(value), "a number")
