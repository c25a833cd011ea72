"""The context of a request."""

from typing import Any

import pytest
from starlette.types import Message, Send
from structlog.testing import capture_logs

from app.middleware.access_log import AccessLogMiddleware
from app.middleware.request_context import RequestContextMiddleware
from app.observability.metrics import Metrics
from app.state import RequestContext, request_context


async def test_the_time_in_the_queue_is_part_of_the_duration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The log and the metrics measure the time since the request was received."""
    clock = iter([1000.0, 1030.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    metrics = Metrics()
    app = RequestContextMiddleware(AccessLogMiddleware(no_content, metrics))

    with capture_logs() as logs:
        await app(scope(), no_message, no_message)

    counted = metrics.registry.get_sample_value(
        "vault_bff_http_request_duration_seconds_sum", {"route": "none"}
    )
    assert logs[0]["duration_ms"] == 30_500
    assert counted == 30.5


async def test_a_request_has_one_context_with_its_id() -> None:
    """Every layer gets the same context, and the response contains its id."""
    seen: list[RequestContext] = []
    sent: list[Message] = []

    async def endpoint(scope: Any, receive: Any, send: Send) -> None:
        seen.extend([request_context(scope), request_context(scope)])
        seen[0].rate_limit_headers = {"ratelimit": '"user";r=1;t=1'}
        await no_content(scope, receive, send)

    async def send(message: Message) -> None:
        sent.append(message)

    await RequestContextMiddleware(endpoint)(scope(), no_message, send)

    assert seen[0] is seen[1]
    headers = dict(sent[0]["headers"])
    assert headers[b"x-request-id"] == seen[0].request_id.encode()
    assert headers[b"ratelimit"] == b'"user";r=1;t=1'


def scope() -> dict[str, Any]:
    """Return the scope of a request."""
    return {"type": "http", "method": "POST", "path": "/", "headers": []}


async def no_content(_: Any, __: Any, send: Send) -> None:
    """Respond with 204."""
    await send({"type": "http.response.start", "status": 204, "headers": []})


async def no_message(*_: Any) -> Any:
    """Do nothing, as `receive` or `send`."""
