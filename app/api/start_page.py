"""What this service is, for someone who opens its address."""

from typing import Any

from fastapi import APIRouter

from ..settings import ServerSettings


def router_for(settings: ServerSettings) -> APIRouter:
    """Return the route of the page.

    Args:
        settings: where callers reach the service, and whether it has an interactive page.
    """
    router = APIRouter(include_in_schema=False)
    base = settings.public_url or ""
    docs = {"openapi": f"{base}/openapi.json", "problem_types": f"{base}/problems"}
    if settings.docs:
        docs["interactive_page"] = f"{base}/docs"

    @router.api_route("/", methods=["GET", "HEAD"])
    async def describe_service() -> dict[str, Any]:
        """Return what this service is and where its docs are, but not its version."""
        return {
            "service": "Vault BFF",
            "summary": "Creates Apideck Hosted Vault sessions and lists connections.",
            "docs": docs,
        }

    return router
