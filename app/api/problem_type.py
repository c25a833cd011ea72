"""What a problem type (RFC 9457) is."""

from dataclasses import dataclass
from typing import Final

from ..errors import FieldError


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One type of problem.

    Attributes:
        slug: the last segment of the type's URI. It never changes once published.
        status: the HTTP status of the response.
        title: a short name; the same for every occurrence.
        advice: what a developer can do about it.
        detail: a sentence for a person, for errors that have none of their own.
        example: a fault of one field, for the OpenAPI document.
    """

    slug: str
    status: int
    title: str
    advice: str
    detail: str = ""
    example: FieldError | None = None


RETRY: Final = "Try again later; if the response has Retry-After, wait for that many seconds."
OPERATOR: Final = "The caller cannot fix this; the operator of the service has to."

BLANK: Final = "about:blank"
"""The type of a problem that means no more than its HTTP status (RFC 9457 section 4.2.1)."""
