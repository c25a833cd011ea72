"""What a problem, and a type of problem, is (RFC 9457)."""

from dataclasses import dataclass
from typing import Annotated, Final, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

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

_DESCRIBED = ConfigDict(use_attribute_docstrings=True)


@with_config(_DESCRIBED)
class FieldProblem(TypedDict):
    """What is wrong with one field."""

    pointer: Annotated[str, Field(examples=["/connection/service_id"])]
    """Which field, as a JSON Pointer (RFC 6901) into the body; empty for the whole body. For a
    parameter it begins with `/path`, `/query`, `/header` or `/cookie`."""
    detail: Annotated[str, Field(examples=["This field is required."])]
    """What is wrong with it."""


@with_config(_DESCRIBED)
class Problem(TypedDict):
    """An error (RFC 9457)."""

    type: Annotated[str, Field(json_schema_extra={"format": "uri-reference"})]
    """URI of the type of problem; it resolves on this service."""
    title: str
    """A short name of the type."""
    status: int
    """The HTTP status of the response."""
    detail: str
    """What went wrong this time; it can be shown to a person."""
    request_id: str | None
    """Identifies the request in the operator's log; null if the request could not be read."""
    errors: NotRequired[list[FieldProblem]]
    """For invalid input: each field, and what is wrong with it."""
