"""Metrics, for Prometheus to collect."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.api.dependencies import StateDep

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics(state: StateDep) -> Response:
    """Return every metric in Prometheus' text format."""
    return Response(state["metrics"].render(), media_type=CONTENT_TYPE_LATEST)
