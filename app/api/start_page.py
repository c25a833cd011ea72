"""What this service is, for someone who opens its address."""

from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request

router = APIRouter(include_in_schema=False)

_DOCS: Final = {
    "openapi": "/openapi.json",
    "problem_types": "/problems",
    "interactive_page": "/docs",
}


@router.api_route("/", methods=["GET", "HEAD"])
async def describe_service(request: Request) -> dict[str, Any]:
    """Return what this service is and where its docs are, but not its version."""
    app: FastAPI = request.app
    # Callers may reach it under a path of another server.
    base = app.servers[0]["url"] if app.servers else ""
    served = {getattr(route, "path", None) for route in app.routes}
    return {
        "service": app.title,
        "summary": app.summary,
        "docs": {name: base + path for name, path in _DOCS.items() if path in served},
    }
