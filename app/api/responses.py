"""`responses=` of each route: the problems that a request to it can end in."""

from collections import defaultdict
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from .. import errors
from ..webhooks.errors import WebhookError
from .openapi import json_schema, ref
from .problem_type import Problem, ProblemType
from .problem_types import ALL, BY_ERROR, INTERNAL_ERROR, OVERLOADED
from .problems import MEDIA_TYPE
from .status_problems import BY_STATUS

_NOT_OF_A_ROUTE = frozenset(
    {BY_STATUS[HTTPStatus.NOT_FOUND], BY_STATUS[HTTPStatus.METHOD_NOT_ALLOWED]}
)
"""Problems that mean that no route was called."""

_AT_WEBHOOKS = (WebhookError, errors.OutOfDescriptorsError, errors.ShuttingDownError)
_NOT_AT_WEBHOOKS = {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}
_ONLY_WEBHOOKS = frozenset(
    one for error, one in BY_ERROR.items() if issubclass(error, WebhookError)
) - {OVERLOADED}
_ONLY_SESSIONS = frozenset(
    {
        BY_ERROR[errors.RedirectNotAllowedError],
        BY_ERROR[errors.ApideckRejectedFieldsError],
        BY_STATUS[HTTPStatus.UNSUPPORTED_MEDIA_TYPE],
    }
)
_ONLY_CONNECTIONS = frozenset({BY_ERROR[errors.ConnectionNotFoundError]})

OF_SESSIONS: tuple[ProblemType, ...] = tuple(
    one for one in ALL if one not in _NOT_OF_A_ROUTE | _ONLY_CONNECTIONS | _ONLY_WEBHOOKS
)
"""What a request for a session can end in."""

OF_CONNECTIONS: tuple[ProblemType, ...] = tuple(
    one for one in ALL if one not in _NOT_OF_A_ROUTE | _ONLY_SESSIONS | _ONLY_WEBHOOKS
)
"""What a request for connections can end in."""

OF_WEBHOOKS: tuple[ProblemType, ...] = tuple(
    dict.fromkeys(
        [
            *(one for error, one in BY_ERROR.items() if issubclass(error, _AT_WEBHOOKS)),
            *(one for one in BY_STATUS.values() if one.status not in _NOT_AT_WEBHOOKS),
            INTERNAL_ERROR,
        ]
    )
)
"""What a delivery by Apideck can end in; it is not found if its Unify app has no target."""

_RATE_LIMITS = ("RateLimit-Policy", "RateLimit")
_HEADERS = {
    "Retry-After": ("Seconds after which to try again; absent if that is not known.", "integer"),
    "WWW-Authenticate": ("Which kind of credential is required (RFC 6750).", "string"),
    "RateLimit-Policy": (
        'The limits of the caller, such as `"user";q=60;w=60`; absent while the caller is unknown.',
        "string",
    ),
    "RateLimit": (
        'What is left of them, such as `"user";r=59;t=1`; absent while the caller is unknown.',
        "string",
    ),
    "X-Request-ID": ("Identifies the request in the operator's log.", "string"),
}
# Generated once: for each status of each route, it would be a quarter of the startup.
_PROBLEM_SCHEMAS = json_schema(Problem)["$defs"]


def responses(
    status: int, types: Iterable[ProblemType], *, rate_limited: bool = True
) -> dict[int | str, dict[str, Any]]:
    """Return `responses=` of a route: its success, and every problem that it can respond with.

    Args:
        status: the status of a success.
        types: the types of these problems.
        rate_limited: whether the route has rate limits.
    """
    by_status = defaultdict[int, list[ProblemType]](list)
    for one in types:
        by_status[one.status].append(one)
    described: dict[int | str, dict[str, Any]] = {
        status: {"headers": _headers(status, rate_limited=rate_limited)}
    }
    for code, problems in sorted(by_status.items()):
        headers = _headers(code, rate_limited=rate_limited)
        described[code] = {**_problem_response(problems), "headers": headers}
    return described


def _problem_response(types: list[ProblemType]) -> dict[str, Any]:
    references = [ref(_name(one)) for one in types]
    schema: dict[str, Any] = references[0] if len(references) == 1 else {"oneOf": references}
    definitions = {
        **_PROBLEM_SCHEMAS,
        **{_name(one): _schema(one) for one in types},
    }
    return {
        "description": "; ".join(one.title for one in types) + ".",
        "content": {
            MEDIA_TYPE: {
                "schema": {**schema, "$defs": definitions},
                "examples": {one.slug: {"value": _example(one)} for one in types},
            }
        },
    }


def _name(problem: ProblemType) -> str:
    """Return the name of a type's schema; it has the status if a slug has several."""
    words = "".join(word.capitalize() for word in problem.slug.split("-"))
    several = sum(one.slug == problem.slug for one in ALL) > 1
    return f"{words}{problem.status if several else ''}Problem"


def _schema(problem: ProblemType) -> dict[str, Any]:
    return {
        "title": problem.title,
        "description": problem.advice,
        "allOf": [ref("Problem")],
        "properties": {
            # The operator's SERVER__PUBLIC_URL may come before it.
            "type": {"pattern": f"/problems/{problem.slug}$"},
            "title": {"const": problem.title},
            "status": {"const": problem.status},
        },
    }


def _example(problem: ProblemType) -> dict[str, Any]:
    example = {
        "type": f"/problems/{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail or f"{problem.title}.",
        "request_id": "1f0c9a5e7b3d4c2f8a6e0d9b7c5a3f1e",
    }
    if problem.example is None:
        return example
    fault = {"pointer": problem.example.pointer, "detail": problem.example.detail}
    return {**example, "errors": [fault]}


def _headers(status: int, *, rate_limited: bool) -> dict[str, Any]:
    names = [*(_RATE_LIMITS if rate_limited else ()), "X-Request-ID"]
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        names.insert(0, "WWW-Authenticate")
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        names.insert(0, "Retry-After")
    return {
        name: {"description": _HEADERS[name][0], "schema": {"type": _HEADERS[name][1]}}
        for name in names
    }
