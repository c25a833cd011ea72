"""What FastAPI's own OpenAPI document lacks: schemas that no model of a route brings, security.

Routes describe their bodies and problems in `openapi_extra` and `responses`, where FastAPI copies
schemas as they are. `json_schema` puts the schemas that such a schema refers to into its `$defs`;
`extend` moves them to the document's components, where the references lead.
"""

from typing import Any

from fastapi import FastAPI
from pydantic import TypeAdapter

from ..settings import IdentitySettings
from .security_schemes import for_reading, security_schemes


def ref(name: str) -> dict[str, str]:
    """Return a reference to a schema among the document's components."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_schema(model: Any) -> dict[str, Any]:
    """Return a reference to the schema of a model, with that schema in its `$defs`.

    Args:
        model: any type that pydantic can describe, and that has a title.
    """
    schema = TypeAdapter(model).json_schema(ref_template=ref("{model}")["$ref"])
    definitions = schema.pop("$defs", {})
    return {**ref(schema["title"]), "$defs": {**definitions, schema["title"]: schema}}


def extend(app: FastAPI, identity: IdentitySettings) -> None:
    """Add to the application's document what FastAPI leaves out.

    Args:
        app: the application, with all its routes.
        identity: which credentials are accepted.
    """
    schemes, requirements = security_schemes(identity)
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            components = document["components"]
            components["schemas"].update(_take_definitions(document["paths"]))
            components.setdefault("securitySchemes", {}).update(schemes)
            document["security"] = requirements
            for path in document["paths"].values():
                if "get" in path:
                    path["get"]["security"] = for_reading(requirements)
        assert app.openapi_schema is not None  # noqa: S101 - FastAPI has set it
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI documents this way to extend it


def _take_definitions(part: Any) -> dict[str, Any]:
    """Remove every `$defs` within a part of the document, and return their schemas."""
    found: dict[str, Any] = {}
    if isinstance(part, dict):
        found.update(part.pop("$defs", {}))
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            found.update(_take_definitions(one))
    return found
