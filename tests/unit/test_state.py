"""When a request came: before it waited for a place."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.middleware.access_log import AccessLogMiddleware
from app.middleware.http_metrics import HttpMetricsMiddleware
from app.observability.metrics import Metrics

Send = Callable[[dict[str, Any]], Awaitable[None]]


@pytest.mark.parametrize("waited", [0.0, 30.0])
async def test_the_wait_for_a_place_is_part_of_how_long_a_request_took(waited: float) -> None:
    """In the log and in the metrics; for who did not wait it is what the work took."""

    async def application(_: Any, __: Any, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def nothing(*_: Any) -> Any:
        return None

    metrics = Metrics()
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "headers": []}
    if waited:
        scope["state"] = {"came": time.perf_counter() - waited}
    service = AccessLogMiddleware(HttpMetricsMiddleware(application, metrics))
    with capture_logs() as logs:
        await service(scope, nothing, nothing)

    counted = metrics.registry.get_sample_value(
        "vault_bff_http_request_duration_seconds_sum", {"route": "none"}
    )
    assert waited <= logs[0]["duration_ms"] / 1000 < waited + 5
    assert counted is not None
    assert waited <= counted < waited + 5
