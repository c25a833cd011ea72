"""`responses=` of a route, from the table of problem types."""

from collections import defaultdict
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from .openapi import json_schema, ref
from .problem_type import ProblemType
from .problem_types import ALL
from .problems import MEDIA_TYPE
from .route_problems import OF_SESSIONS
from .schemas import Problem

_ON_EVERY_RESPONSE = ("RateLimit-Policy", "RateLimit", "X-Request-ID")
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
    status: int, types: Iterable[ProblemType] = OF_SESSIONS
) -> dict[int | str, dict[str, Any]]:
    """Return `responses=` of a route: its success, and every problem that it can respond with.

    Args:
        status: the status of a success.
        types: the types of these problems.
    """
    by_status = defaultdict[int, list[ProblemType]](list)
    for one in types:
        by_status[one.status].append(one)
    described: dict[int | str, dict[str, Any]] = {status: {"headers": _headers(status)}}
    for code, problems in sorted(by_status.items()):
        described[code] = _problem_response(code, problems)
    return described


def _problem_response(status: int, types: list[ProblemType]) -> dict[str, Any]:
    references = [ref(_name(one)) for one in types]
    schema: dict[str, Any] = references[0] if len(references) == 1 else {"oneOf": references}
    definitions = {
        **_PROBLEM_SCHEMAS,
        **{_name(one): _schema(one) for one in types},
    }
    return {
        "description": "; ".join(one.title for one in types) + ".",
        "headers": _headers(status),
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


def _headers(status: int) -> dict[str, Any]:
    names = list(_ON_EVERY_RESPONSE)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        names.insert(0, "WWW-Authenticate")
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        names.insert(0, "Retry-After")
    return {
        name: {"description": _HEADERS[name][0], "schema": {"type": _HEADERS[name][1]}}
        for name in names
    }
