"""What the `type` of a problem resolves to: advice for developers."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, HTTPException

from .problem_types import ALL

PATH: Final = "/problems"


def router_for(public_url: str | None) -> APIRouter:
    """Return the routes of the pages.

    Args:
        public_url: where callers reach the service, as in the `type` of a problem.
    """
    router = APIRouter(prefix=PATH, include_in_schema=False)

    @router.get("")
    async def list_problem_types() -> list[dict[str, Any]]:
        """Describe every type of problem."""
        return [_page(public_url, slug) for slug in dict.fromkeys(one.slug for one in ALL)]

    @router.get("/{slug}")
    async def describe_problem_type(slug: str) -> dict[str, Any]:
        """Describe one type of problem.

        Raises:
            HTTPException: 404 if there is no such type.
        """
        if slug not in {problem.slug for problem in ALL}:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return _page(public_url, slug)

    return router


def _page(public_url: str | None, slug: str) -> dict[str, Any]:
    types = [problem for problem in ALL if problem.slug == slug]
    return {
        "type": f"{public_url or ''}{PATH}/{slug}",
        "title": types[0].title,
        "occurrences": [
            {"status": problem.status, "what_you_can_do": problem.advice} for problem in types
        ],
    }
