"""What this service is, for someone who opens its address."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request

from .problem_pages import router as problem_pages

router = APIRouter(include_in_schema=False)


@router.api_route("/", methods=["GET", "HEAD"])
async def describe_service(request: Request) -> dict[str, Any]:
    """Return what this service is and where its docs are, but not its version."""
    app: FastAPI = request.app
    # Callers may reach it under a path of another server.
    base = app.servers[0]["url"] if app.servers else ""
    docs = {
        "openapi": app.openapi_url,
        "problem_types": problem_pages.prefix,
        "interactive_page": app.docs_url,
    }
    return {
        "service": app.title,
        "summary": app.summary,
        "docs": {name: base + path for name, path in docs.items() if path is not None},
    }
