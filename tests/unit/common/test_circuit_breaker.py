import asyncio
from contextlib import AbstractContextManager, suppress

import pytest

from app.common.circuit_breaker import CircuitBreaker, CircuitOpenError, Thresholds


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock at zero."""
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    """Return a breaker that opens when half of at least four calls failed."""
    return CircuitBreaker(Thresholds(min_calls=4, probes=2), clock)


def call(breaker: CircuitBreaker, *, fails: bool) -> None:
    """Make one call."""
    with suppress(OSError), breaker.call(lambda error: isinstance(error, OSError)):
        if fails:
            raise OSError


def state(breaker: CircuitBreaker) -> str:
    """Return the state, which a type checker must not believe to last."""
    return breaker.state


def test_it_opens_at_a_rate_of_failures_although_some_calls_go_well(
    breaker: CircuitBreaker,
) -> None:
    """Successes in between do not start the count anew."""
    for fails in (True, False, True):
        call(breaker, fails=fails)
    assert state(breaker) == "closed"

    call(breaker, fails=False)

    assert state(breaker) == "open"
    with pytest.raises(CircuitOpenError) as error:
        call(breaker, fails=False)
    assert error.value.retry_after == 5
    assert str(error.value) == "open for another 5.0 s"


def test_one_failure_among_many_calls_opens_nothing(
    breaker: CircuitBreaker,
) -> None:
    """Below the rate it stays closed, however full the window is."""
    call(breaker, fails=True)
    for _ in range(20):
        call(breaker, fails=False)
        assert state(breaker) == "closed"


def test_failures_beyond_the_window_are_forgotten(breaker: CircuitBreaker, clock: Clock) -> None:
    """A failure an hour, all night long, opens nothing."""
    for _ in range(50):
        call(breaker, fails=True)
        clock.now += 3600

    assert state(breaker) == "closed"


def test_calls_as_old_as_the_window_count_neither_as_calls_nor_as_failures(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    """The rate is that of the calls within it, and of no others."""
    for fails in (False, True, True):
        call(breaker, fails=fails)
    clock.now = 10
    for fails in (False, True, False, False, True):
        call(breaker, fails=fails)
        assert state(breaker) == "closed"

    call(breaker, fails=True)

    assert state(breaker) == "open"


def test_an_exception_that_is_no_failure_does_not_count(breaker: CircuitBreaker) -> None:
    """Having been told no is an answer."""
    for _ in range(50):
        with pytest.raises(ValueError, match="no"), breaker.call(lambda _: False):
            raise ValueError("no")

    assert state(breaker) == "closed"


def test_probes_that_go_well_close_it_and_one_that_fails_opens_it_again(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    """After a while single calls are let through, one at a time."""
    for _ in range(4):
        call(breaker, fails=True)
    clock.now = 5
    assert breaker.state == "half-open"
    with breaker.call(lambda _: True), pytest.raises(CircuitOpenError) as error:
        call(breaker, fails=False)
    assert error.value.retry_after == 1
    call(breaker, fails=True)
    assert state(breaker) == "open"

    clock.now = 10
    call(breaker, fails=False)
    call(breaker, fails=False)

    assert state(breaker) == "closed"


def opened(breaker: CircuitBreaker) -> None:
    """Fail as often as it takes to open it."""
    for _ in range(4):
        call(breaker, fails=True)
    assert state(breaker) == "open"


def cancelled(breaker: CircuitBreaker) -> None:
    """Make one call whose caller leaves before it ends."""
    with pytest.raises(asyncio.CancelledError), breaker.call(lambda _: True):
        raise asyncio.CancelledError


def test_a_probe_that_is_cancelled_makes_room_for_the_next_and_says_nothing(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    """It neither opens it again nor counts towards closing it."""
    opened(breaker)
    clock.now = 5

    for _ in range(3):
        cancelled(breaker)
        assert state(breaker) == "half-open"
    call(breaker, fails=False)
    cancelled(breaker)
    assert state(breaker) == "half-open"
    call(breaker, fails=False)

    assert state(breaker) == "closed"


def test_a_call_that_is_cancelled_says_nothing_while_all_is_well(breaker: CircuitBreaker) -> None:
    """Callers who leave make no rate: neither of failures, nor of calls that went well."""
    for _ in range(50):
        cancelled(breaker)
    for fails in (True, False, True):
        call(breaker, fails=fails)
    assert state(breaker) == "closed"

    call(breaker, fails=True)

    assert state(breaker) == "open"


@pytest.mark.parametrize("fails", [True, False])
def test_a_call_from_before_it_opened_says_nothing_after(
    breaker: CircuitBreaker, clock: Clock, fails: bool
) -> None:
    """Who began earlier and ends while it probes neither frees a probe, nor opens or closes it."""
    before = [breaker.call(lambda _: True) for _ in range(4)]
    for one in before:
        one.__enter__()
    opened(breaker)
    clock.now = 5

    with breaker.call(lambda _: True):
        for one in before:
            end(one, fails=fails)
            assert state(breaker) == "half-open"
        with pytest.raises(CircuitOpenError):
            call(breaker, fails=False)
    assert state(breaker) == "half-open"
    call(breaker, fails=False)

    assert state(breaker) == "closed"


def test_a_call_from_before_it_opened_does_not_count_once_it_is_closed_again(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    """Failures of an outage that is over do not open it anew."""
    before = [breaker.call(lambda _: True) for _ in range(4)]
    for one in before:
        one.__enter__()
    opened(breaker)
    clock.now = 5
    for _ in range(2):
        call(breaker, fails=False)

    for one in before:
        end(one, fails=True)

    assert state(breaker) == "closed"


def test_a_call_from_before_a_second_outage_says_nothing_after_it_began(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    """What holds for the first outage holds for each."""
    opened(breaker)
    clock.now = 5
    for _ in range(2):
        call(breaker, fails=False)
    before = breaker.call(lambda _: True)
    before.__enter__()
    opened(breaker)
    clock.now = 10

    end(before, fails=True)

    assert state(breaker) == "half-open"


def end(one: AbstractContextManager[None], *, fails: bool) -> None:
    """End a call that was begun before."""
    if fails:
        assert not one.__exit__(OSError, OSError(), None)
    else:
        one.__exit__(None, None, None)
