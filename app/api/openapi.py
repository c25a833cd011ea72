"""The OpenAPI document: FastAPI's own, with the body, the problems and the credentials in it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from app.api.problem_types import ALL, ProblemType
from app.api.problems import MEDIA_TYPE, Problems
from app.api.schemas import Problem
from app.api.vault_session import PATH
from app.identity.security_schemes import security_schemes
from app.sessions.models import SessionRequest
from app.settings import IdentitySettings

_REF = "#/components/schemas/{model}"
_CREATED = 201
_NEVER_ON_THIS_PATH = {404, 405}
_HEADERS_OF: Mapping[int, tuple[str, ...]] = {
    201: ("RateLimit-Policy", "RateLimit"),
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    429: ("Retry-After", "RateLimit-Policy", "RateLimit"),
    503: ("Retry-After",),
}
_EXAMPLES = {
    "for a person who is signed in": {},
    "straight to one connector": {
        "return_to": "settings",
        "connection": {"unified_api": "accounting", "service_id": "quickbooks"},
    },
    "by a service": {
        "consumer_id": "acme",
        "consumer_metadata": {"account_name": "Acme Inc.", "email": "ada@acme.example"},
    },
}
# What each type that names fields says of one, by the type's slug and status.
_FAULTS = {
    ("invalid-request", 422): ("/connection/service_id", "This field is required."),
    ("field-not-permitted", 403): ("/theme/logo", "You may not set this."),
    ("redirect-not-allowed", 403): ("/return_to", "No redirect target has this name."),
    ("consumer-not-granted", 403): ("/consumer_id", "Outside the grant of this service account."),
    ("apideck-rejected-request", 422): ("/theme/logo", "Apideck refuses this value."),
}
_HEADERS: Mapping[str, dict[str, Any]] = {
    "Retry-After": {
        "description": "Seconds after which asking again makes sense, where anybody knows.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "What kind of credential is wanted (RFC 6750).",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": 'The limits that the caller has, such as `"user";q=60;w=60`.',
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": 'What is left of them, such as `"user";r=59;t=1`.',
        "schema": {"type": "string"},
    },
    "X-Request-ID": {
        "description": "What finds the request in the operator's log.",
        "schema": {"type": "string"},
    },
}


def install(app: FastAPI, identity: IdentitySettings, problems: Problems) -> None:
    """Have the application describe itself in full.

    Args:
        app: the application, with all its routes.
        identity: where credentials are looked for.
        problems: knows the URI of each type of problem.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, identity, problems)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _document(app: FastAPI, identity: IdentitySettings, problems: Problems) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        routes=app.routes,
    )
    operation = document["paths"][PATH]["post"]
    schemas = document["components"]["schemas"]
    operation["requestBody"] = _body(schemas)
    for status, response in _refusals(schemas, problems):
        operation["responses"][str(status)] = response
    operation["responses"]["201"]["headers"] = _headers(_CREATED)
    schemes, operation["security"] = security_schemes(identity)
    document["components"]["securitySchemes"] = schemes
    document["components"]["headers"] = dict(_HEADERS)
    return document


def _body(schemas: dict[str, Any]) -> dict[str, Any]:
    schema = TypeAdapter(SessionRequest).json_schema(ref_template=_REF)
    schemas.update(schema.pop("$defs"))
    schemas[schema["title"]] = schema
    examples = {name: {"value": value} for name, value in _EXAMPLES.items()}
    content = {"schema": {"$ref": _REF.format(model=schema["title"])}, "examples": examples}
    return {
        "description": "Optional, and so is every field. At most 16 KiB; unknown fields are "
        "refused.",
        "required": False,
        "content": {"application/json": content},
    }


def _refusals(schemas: dict[str, Any], problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    problem = TypeAdapter(Problem).json_schema(ref_template=_REF)
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    by_status = defaultdict[int, list[ProblemType]](list)
    for one in ALL:
        if one.status not in _NEVER_ON_THIS_PATH:
            schemas[_name(one)] = _schema(one, problems)
            by_status[one.status].append(one)
    for status, types in sorted(by_status.items()):
        references = [{"$ref": _REF.format(model=_name(one))} for one in types]
        content = {
            "schema": references[0] if len(references) == 1 else {"oneOf": references},
            "examples": {one.slug: {"value": _example(one, problems)} for one in types},
        }
        response = {
            "description": "; ".join(one.title for one in types) + ".",
            "headers": _headers(status),
            "content": {MEDIA_TYPE: content},
        }
        yield status, response


def _name(problem: ProblemType) -> str:
    """Return a schema's name: the slug's words, and the status where a slug has several."""
    words = "".join(word.capitalize() for word in problem.slug.split("-"))
    several = sum(one.slug == problem.slug for one in ALL) > 1
    return f"{words}{problem.status if several else ''}Problem"


def _schema(problem: ProblemType, problems: Problems) -> dict[str, Any]:
    return {
        "title": problem.title,
        "description": problem.remedy,
        "allOf": [{"$ref": _REF.format(model="Problem")}],
        "properties": {
            "type": {"const": problems.uri(problem.slug)},
            "title": {"const": problem.title},
            "status": {"const": problem.status},
        },
    }


def _example(problem: ProblemType, problems: Problems) -> dict[str, Any]:
    example = {
        "type": problems.uri(problem.slug),
        "title": problem.title,
        "status": problem.status,
        "detail": problem.remedy,
        "request_id": "1f0c9a5e7b3d4c2f8a6e0d9b7c5a3f1e",
    }
    if fault := _FAULTS.get((problem.slug, problem.status)):
        pointer, detail = fault
        return {**example, "errors": [{"pointer": pointer, "detail": detail}]}
    return example


def _headers(status: int) -> dict[str, Any]:
    names = (*_HEADERS_OF.get(status, ()), "X-Request-ID")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
