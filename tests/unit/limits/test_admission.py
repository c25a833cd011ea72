"""Which requests run, wait or are rejected. The tests control the time of the event loop."""

from unittest.mock import patch

from app.limits.admission import Admission, AdmissionQueue, Ticket, rejection_errors
from app.observability.metrics import Metrics
from app.settings import LimitSettings
from tests.support.clock import ControlledLoop, controlled

RUNS, FULL, EXPIRED = Admission.ADMITTED, Admission.QUEUE_FULL, Admission.EXPIRED
WAITS = None


class Queue(AdmissionQueue):
    """A queue; by default, it has two slots, and two requests may wait for two seconds."""

    def __init__(self, max_in_flight: int = 2, max_waiting: int = 2) -> None:
        self.metrics = Metrics()
        limits = LimitSettings(
            max_in_flight=max_in_flight, max_waiting=max_waiting, max_wait_seconds=2
        )
        super().__init__(limits, self.metrics, "sessions")

    def join_many(self, number: int) -> list[Ticket]:
        """Let this many requests join."""
        return [self.join() for _ in range(number)]

    def metric(self, name: str) -> float | None:
        """Return the value of a metric."""
        return self.metrics.registry.get_sample_value(
            f"vault_bff_requests_{name}", {"queue": "sessions"}
        )


def decisions(tickets: list[Ticket]) -> list[Admission | None]:
    """Return the decision about each request; None if it is waiting."""
    return [ticket.result() if ticket.done() else WAITS for ticket in tickets]


async def test_requests_beyond_the_slots_and_the_queue_are_rejected() -> None:
    """When a request finishes, the request that has waited longest gets its slot."""
    queue = Queue()
    tickets = queue.join_many(5)
    assert decisions(tickets) == [RUNS, RUNS, WAITS, WAITS, FULL]
    assert queue.metric("waiting") == 2
    queue.leave(tickets[0])
    assert decisions(tickets)[2:4] == [RUNS, WAITS]
    queue.leave(tickets[1])
    assert decisions(tickets)[2:4] == [RUNS, RUNS]
    assert queue.metric("waiting") == 0
    assert queue.metric("shed_total") == 1


async def test_a_rejection_has_a_time_to_retry_and_a_reason() -> None:
    """The detail is the same for a full queue and an expired wait; the reason differs."""
    errors = rejection_errors(LimitSettings(max_wait_seconds=2))

    assert errors.keys() == {FULL, EXPIRED, Admission.SHUT_DOWN}
    assert {error.retry_after for error in errors.values()} == {1}
    assert errors[FULL].detail == errors[EXPIRED].detail
    assert errors[FULL].reason == "the queue is full"
    assert errors[FULL].detail == "There are too many requests just now; try again shortly."
    assert errors[EXPIRED].reason == "no slot became free within 2 s"
    stopping = errors[Admission.SHUT_DOWN]
    assert stopping.detail == "The service is restarting. Please try again in a moment."
    assert stopping.reason == "still queued at the end of SERVER__SHUTDOWN_GRACE_SECONDS"


@controlled
async def test_a_request_expires_after_the_configured_time(
    loop: ControlledLoop,
) -> None:
    """The time of each request starts when it arrives."""
    queue = Queue()
    queue.join_many(2)
    first = queue.join()
    await loop.advance(1.5)
    second = queue.join()
    await loop.advance(0.4)
    assert decisions([first, second]) == [WAITS, WAITS]
    await loop.advance(0.2)
    assert decisions([first, second]) == [EXPIRED, WAITS]
    await loop.advance(1.3)
    assert decisions([second]) == [WAITS]
    await loop.advance(0.2)
    assert decisions([second]) == [EXPIRED]
    third = queue.join()
    await loop.advance(2.1)
    assert decisions([third]) == [EXPIRED]
    assert queue.metric("shed_total") == 3


@controlled
async def test_one_timer_serves_the_whole_queue(loop: ControlledLoop) -> None:
    """The timer is started once, for the time at which the first request expires."""
    queue = Queue()
    with patch.object(loop, "call_at", wraps=loop.call_at) as timers:
        queue.join_many(2)
        waiting = queue.join_many(2)
        for _ in range(3):
            await loop.advance(0.5)
        assert decisions(waiting) == [WAITS, WAITS]
        await loop.advance(0.5)
    assert decisions(waiting) == [EXPIRED, EXPIRED]
    assert timers.call_count == 1


async def test_a_free_slot_is_given_to_a_later_request() -> None:
    """A slot is not lost if no request is waiting when it becomes free."""
    queue = Queue()
    for ticket in queue.join_many(2):
        queue.leave(ticket)
    assert decisions(queue.join_many(3)) == [RUNS, RUNS, WAITS]


async def test_leaving_twice_frees_only_one_slot() -> None:
    """Otherwise, the queue would admit more requests than are configured."""
    queue = Queue()
    first, _second, *waiting = queue.join_many(4)
    queue.leave(first)
    queue.leave(first)
    assert decisions(waiting) == [RUNS, WAITS]


async def test_a_request_that_leaves_the_queue_gets_no_slot() -> None:
    """The free slot goes to the next request in the queue."""
    queue = Queue()
    running, _running, removed, next_one = queue.join_many(4)
    queue.leave(removed)
    assert queue.metric("waiting") == 1
    queue.leave(running)
    assert decisions([removed, next_one]) == [WAITS, RUNS]


@controlled
async def test_a_rejected_request_frees_no_slot(loop: ControlledLoop) -> None:
    """It had no slot, whether it was rejected at once or expired in the queue."""
    queue = Queue()
    *_running, expired, _expired, full = queue.join_many(5)
    await loop.advance(2.1)
    waiting = queue.join()
    queue.leave(full)
    queue.leave(expired)
    assert decisions([full, expired, waiting]) == [FULL, EXPIRED, WAITS]


@controlled
async def test_the_request_of_a_disconnected_client_is_removed_from_the_queue(
    loop: ControlledLoop,
) -> None:
    """It is removed at once, and counts as neither waiting nor shed."""
    queue = Queue()
    running, _, disconnected, second = queue.join_many(4)
    queue.disconnect(disconnected)
    third, fourth = queue.join_many(2)
    assert decisions([disconnected, second, third, fourth]) == [
        Admission.DISCONNECTED,
        WAITS,
        WAITS,
        FULL,
    ]
    queue.leave(disconnected)
    queue.leave(running)
    await loop.advance(2.1)
    assert decisions([second, third]) == [RUNS, EXPIRED]
    assert queue.metric("waiting") == 0
    assert queue.metric("shed_total") == 2


@controlled
async def test_a_disconnect_after_the_decision_does_not_change_it(loop: ControlledLoop) -> None:
    """This applies to running, rejected and expired requests."""
    queue = Queue()
    tickets = queue.join_many(5)
    queue.disconnect(tickets[0])
    queue.disconnect(tickets[4])
    await loop.advance(2.1)
    queue.disconnect(tickets[2])
    queue.disconnect(tickets[2])
    assert decisions(tickets) == [RUNS, RUNS, EXPIRED, EXPIRED, FULL]


@controlled
async def test_a_cancelled_request_gets_no_slot(loop: ControlledLoop) -> None:
    """The server may cancel a request's task before the request can leave the queue."""
    queue = Queue(max_in_flight=1, max_waiting=3)
    running, cancelled, second, third = queue.join_many(4)
    cancelled.cancel()
    queue.leave(running)
    assert decisions([second, third]) == [RUNS, WAITS]
    third.cancel()
    queue.leave(cancelled)
    await loop.advance(2.1)
    assert queue.metric("waiting") == 0
    assert queue.metric("shed_total") == 0


@controlled
async def test_expiring_many_requests_does_not_block_the_event_loop(loop: ControlledLoop) -> None:
    """Other tasks run between the batches, and all requests expire."""
    queue = Queue(max_in_flight=1, max_waiting=3000)
    tickets = queue.join_many(3000)
    await loop.advance(2.1)
    expired_first = decisions(tickets).count(EXPIRED)
    for _ in range(5):
        await loop.advance(0)
    assert 0 < expired_first < 2999
    assert decisions(tickets).count(EXPIRED) == 2999
