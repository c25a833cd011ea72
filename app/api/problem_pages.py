"""What a problem's `type` resolves to: a description of it."""

from typing import Any

from fastapi import APIRouter, HTTPException

from app.api.problem_types import ALL

router = APIRouter(prefix="/problems", include_in_schema=False)

_NOT_FOUND = 404


@router.get("")
async def list_problem_types() -> list[dict[str, Any]]:
    """Describe every type of problem."""
    return [page for slug in dict.fromkeys(one.slug for one in ALL) for page in [_page(slug)]]


@router.get("/{slug}")
async def describe_problem_type(slug: str) -> dict[str, Any]:
    """Describe one type of problem."""
    if slug not in {problem.slug for problem in ALL}:
        raise HTTPException(_NOT_FOUND)
    return _page(slug)


def _page(slug: str) -> dict[str, Any]:
    types = [problem for problem in ALL if problem.slug == slug]
    return {
        "type": f"/problems/{slug}",
        "title": types[0].title,
        "occurrences": [
            {"status": problem.status, "what_you_can_do": problem.remedy} for problem in types
        ],
    }
