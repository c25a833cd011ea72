"""Metrics, for Prometheus to scrape."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from ..state import app_state

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Return every metric in Prometheus' text format."""
    text = app_state(request.scope)["metrics"].render()
    return Response(text, media_type=CONTENT_TYPE_LATEST)
