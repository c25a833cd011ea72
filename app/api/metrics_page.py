"""Metrics, for Prometheus to scrape."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from ..state import app_state

router = APIRouter(include_in_schema=False)

_OPENMETRICS = "application/openmetrics-text"


@router.get("/metrics")
async def metrics(request: Request, accept: Annotated[str, Header()] = "") -> Response:
    """Return every metric: in OpenMetrics if the scraper accepts it, or in Prometheus' format."""
    state = app_state(request.scope)
    workers = state.get("workers")
    registry = state["metrics"].registry if workers is None else await workers.metrics()
    # Not prometheus_client's choose_encoder, which raises TypeError for some versions.
    accepted = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    if _OPENMETRICS in accepted:
        text: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        media_type = openmetrics.CONTENT_TYPE_LATEST
    else:
        text, media_type = generate_latest(registry), CONTENT_TYPE_LATEST
    return Response(text, media_type=media_type)
