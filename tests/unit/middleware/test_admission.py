"""How requests are queued and rejected. The server and the application are fakes."""

import asyncio
from http import HTTPStatus

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from app.errors import OverloadedError, ShuttingDownError
from app.limits.admission import AdmissionQueue
from app.middleware.admission import AdmissionMiddleware, LimitedRoutes, RejectionMiddleware
from app.observability.metrics import Metrics
from app.settings import LimitSettings
from app.state import DISCONNECTED, RequestContext, Shutdown, request_context, set_request_context


def respond(error: Exception, scope: Scope) -> Response:
    """Return the response to an error."""
    assert isinstance(error, OverloadedError | ShuttingDownError)
    return Response(f"{request_context(scope).request_id}: {error.reason}", 503)


async def endpoint(_: Request) -> Response:
    """Replace the endpoint of the limited route."""
    return Response()


class Client:
    """One request, as a server passes it to the application."""

    def __init__(self, method: str = "POST", path: str = "/limited", body: bytes = b"") -> None:
        self.disconnected: asyncio.Future[None] = asyncio.Future()
        self.scope: Scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [],
            "state": {"shutdown": Shutdown()},
            "extensions": {DISCONNECTED: {"future": self.disconnected}},
        }
        set_request_context(self.scope, RequestContext("an-id", 0.0))
        self._body = body
        self.was_read = False
        self.received: list[Message] = []

    async def receive(self) -> Message:
        """Return the body, or a disconnect once the client has disconnected."""
        self.was_read = True
        if self.disconnected.done():
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Record a part of the response."""
        self.received.append(message)

    @property
    def is_counted_as_rejected(self) -> bool:
        """Whether the access log will count the request, with its audit record, as rejected."""
        context = request_context(self.scope)
        return context.audit is not None and not context.admitted

    @property
    def response(self) -> tuple[int, bytes]:
        """The status and the body of the response."""
        start, body = self.received
        assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()
        return start["status"], body["body"]


class Service:
    """An application with one slot, behind the middleware."""

    def __init__(self, max_waiting: int = 1, max_wait_seconds: float = 30) -> None:
        limits = LimitSettings(
            max_in_flight=1, max_waiting=max_waiting, max_wait_seconds=max_wait_seconds
        )
        self.bodies: list[bytes] = []
        self.may_finish = asyncio.Event()
        self.running = 0
        self.limited = Route("/limited", endpoint, methods=["POST"])
        self.metrics = Metrics()
        self._tasks: list[asyncio.Task[None]] = []
        self._middleware = AdmissionMiddleware(
            RejectionMiddleware(self._application, respond=respond),
            limited=[
                LimitedRoutes(AdmissionQueue(limits, self.metrics, "sessions"), [self.limited])
            ],
        )

    async def accept(self, client: Client) -> asyncio.Task[None]:
        """Start to process a request."""
        task = asyncio.create_task(self._middleware(client.scope, client.receive, client.send))
        self._tasks.append(task)
        await run_other_tasks()
        return task

    async def finish(self) -> None:
        """Let the application respond to all requests."""
        self.may_finish.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.running += 1
        await self.may_finish.wait()
        if scope["type"] == "http":
            self.bodies.append(await Request(scope, receive).body())
            await Response("done")(scope, receive, send)


async def run_other_tasks(number: int = 10) -> None:
    """Let other tasks run."""
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.fixture
async def service() -> Service:
    """Return a service whose only slot is in use, and whose queue holds one request."""
    service = Service()
    await service.accept(Client())
    return service


async def test_a_body_is_not_read_in_the_queue(service: Service) -> None:
    """The application reads the body later, when it has authenticated the caller."""
    client = Client(body=b"all of it")
    await service.accept(client)
    assert not client.was_read
    await service.finish()

    assert service.bodies == [b"", b"all of it"]
    assert client.response == (200, b"done")


async def test_a_full_queue_rejects_requests_at_once(service: Service) -> None:
    """The response contains the reason, and the access log counts the request."""
    await service.accept(Client())
    rejected = Client()
    await service.accept(rejected)

    assert rejected.response == (503, b"an-id: the queue is full")
    assert rejected.is_counted_as_rejected
    assert rejected.scope["route"] is service.limited
    assert service.running == 1


async def test_a_request_that_waited_too_long_is_rejected() -> None:
    """The response contains the configured time, and the access log counts the request."""
    service = Service(max_wait_seconds=0.001)
    await service.accept(Client())
    late = Client()
    await (await service.accept(late))

    assert late.response == (503, b"an-id: no slot became free within 0.001 s")
    assert late.is_counted_as_rejected


async def test_a_queued_request_is_removed_when_its_client_disconnects(service: Service) -> None:
    """The application does not get the request, and another request can wait."""
    client, next_client = Client(), Client()
    task = await service.accept(client)
    client.disconnected.set_result(None)
    await run_other_tasks()
    assert task.done()
    await service.accept(next_client)
    await service.finish()

    assert client.received == []
    assert client.is_counted_as_rejected
    assert not next_client.is_counted_as_rejected
    assert service.bodies == [b"", b""]


async def test_a_disconnect_after_admission_reaches_the_application(service: Service) -> None:
    """The request was already admitted, so the application receives the disconnect."""
    client = Client()
    task = await service.accept(client)
    service.may_finish.set()
    await run_other_tasks(1)
    client.disconnected.set_result(None)
    with pytest.raises(ClientDisconnect):
        await task


async def test_servers_do_not_have_to_report_disconnects(service: Service) -> None:
    """The request stays in the queue, and the application then receives the disconnect."""
    client = Client()
    del client.scope["extensions"]
    task = await service.accept(client)
    client.disconnected.set_result(None)
    await service.finish()

    assert client.was_read
    assert isinstance(task.exception(), ClientDisconnect)


async def test_a_request_that_is_cancelled_in_the_queue_is_removed(service: Service) -> None:
    """The cancellation is propagated, and another request can wait."""
    client, next_client = Client(), Client()
    task = await service.accept(client)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await service.accept(next_client)
    await service.finish()

    assert client.received == []
    assert service.bodies == [b"", b""]


async def test_a_request_that_the_shutdown_cancels_in_the_queue_gets_a_response(
    service: Service,
) -> None:
    """The server cancels remaining requests after the grace period; the access log counts them."""
    client = Client()
    client.scope["state"]["shutdown"].begun = True
    task = await service.accept(client)
    task.cancel()
    await task

    reason = b"an-id: still queued at the end of SERVER__SHUTDOWN_GRACE_SECONDS"
    assert client.response == (503, reason)
    assert client.is_counted_as_rejected
    assert service.running == 1


async def test_an_error_of_the_application_frees_the_slot() -> None:
    """The next request gets the slot."""
    service, failing = Service(), Client()
    await service.accept(failing)
    failing.disconnected.set_result(None)
    client = Client()
    await service.accept(client)
    await service.finish()

    assert failing.received == []
    assert client.response == (200, b"done")


@pytest.mark.parametrize("path", ["/limited", "/limited\n"])
async def test_a_path_is_limited_if_the_route_matches_it(service: Service, path: str) -> None:
    """Starlette's patterns also match a path that ends in a line feed."""
    await service.accept(Client())
    client = Client(path=path)
    await service.accept(client)

    assert client.received[0]["status"] == HTTPStatus.SERVICE_UNAVAILABLE


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/limited"), ("POST", "/limited/"), ("POST", "/livez"), ("OPTIONS", "/limited")],
    ids=["method", "slash", "path", "preflight"],
)
async def test_other_requests_need_no_slot(service: Service, method: str, path: str) -> None:
    """Probes, preflight requests and wrong paths get a response while no slot is free."""
    await service.accept(Client())
    await service.accept(Client(method, path))

    assert service.running == 2


async def test_scopes_other_than_http_are_not_limited(service: Service) -> None:
    """For example, the lifespan scope."""
    client = Client()
    client.scope["type"] = "lifespan"
    await service.accept(client)

    assert service.running == 2


def waiting(service: Service) -> float | None:
    """Return the number of waiting requests according to the metric."""
    return service.metrics.registry.get_sample_value(
        "vault_bff_requests_waiting", {"queue": "sessions"}
    )


async def test_the_order_of_arrival_is_kept() -> None:
    """The request that has waited longest is admitted first."""
    service = Service(max_waiting=9)
    for number in range(5):
        await service.accept(Client(body=str(number).encode()))
    assert waiting(service) == 4
    await service.finish()

    assert service.bodies == [b"0", b"1", b"2", b"3", b"4"]
    assert waiting(service) == 0
