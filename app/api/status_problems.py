"""The problem types of errors that HTTP itself knows, such as a body that is too large."""

from collections.abc import Mapping
from http import HTTPStatus

from ..common.http_limits import MAX_HEAD_BYTES
from .problem_type import ProblemType

HEADERS_TOO_LARGE = ProblemType(
    "headers-too-large",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "Headers too large",
    f"Send fewer or smaller headers and cookies; together they have at most {MAX_HEAD_BYTES} bytes "
    "(32 KiB). An access token becomes this large if the identity provider adds every group or "
    "role of the person to it; have it add fewer.",
    f"The sign-in data is too large: at most {MAX_HEAD_BYTES} bytes (32 KiB) can be sent.",
)

_BY_STATUS = (
    ProblemType(
        "bad-request",
        HTTPStatus.BAD_REQUEST,
        "Bad request",
        "The request is not well-formed HTTP, or has a body and asks to upgrade the connection. "
        "Check the client library and any proxy in between. Java's `HttpClient` asks to upgrade "
        "unless it is built with `version(HTTP_1_1)`.",
        "The request could not be understood.",
    ),
    ProblemType(
        "not-found",
        HTTPStatus.NOT_FOUND,
        "Not found",
        "Check the path: it is case-sensitive, and has no slash at the end.",
        "There is nothing at this address.",
    ),
    ProblemType(
        "method-not-allowed",
        HTTPStatus.METHOD_NOT_ALLOWED,
        "Method not allowed",
        "Use a method that the Allow header lists.",
        "This address does not support this action.",
    ),
    ProblemType(
        "request-timeout",
        HTTPStatus.REQUEST_TIMEOUT,
        "Request timeout",
        "Send the request faster; the limit is the operator's `SERVER__RECEIVE_TIMEOUT_SECONDS`.",
        "The request took too long to arrive. Please try again.",
    ),
    ProblemType(
        "body-too-large",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "Body too large",
        "Send a smaller body; a request for a session has at most 16 KiB, an event 256 KiB.",
        "The request is too large.",
    ),
    ProblemType(
        "unsupported-media-type",
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "Unsupported media type",
        "Send JSON with `Content-Type: application/json`.",
        "The request is in a format that is not supported.",
    ),
    ProblemType(
        "misdirected-request",
        HTTPStatus.MISDIRECTED_REQUEST,
        "Misdirected request",
        "Use a host name that the operator has listed (`SERVER__ALLOWED_HOSTS`).",
        "This address is not served here.",
    ),
    HEADERS_TOO_LARGE,
)
BY_STATUS: Mapping[int, ProblemType] = {one.status: one for one in _BY_STATUS}
"""Problems that HTTP itself raises, by status."""
