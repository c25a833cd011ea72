import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

import pytest

from app.common.circuit_breaker import CircuitBreaker, CircuitOpenError, Thresholds


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock at zero."""
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    """Return a breaker that opens when half of at least four calls have failed."""
    return CircuitBreaker(Thresholds(min_calls=4, probes=2), clock)


def call(breaker: CircuitBreaker, *, fails: bool) -> None:
    """Make one call."""
    with suppress(OSError), breaker.call(lambda error: isinstance(error, OSError)):
        if fails:
            raise OSError


def state(breaker: CircuitBreaker) -> str:
    """Return the state; a function, so that mypy does not assume that it stays the same."""
    return breaker.state


def test_it_opens_at_a_failure_rate_even_if_some_calls_succeed(
    breaker: CircuitBreaker,
) -> None:
    """A success between two failures does not reset the count."""
    for fails in (True, False, True):
        call(breaker, fails=fails)
    assert state(breaker) == "closed"

    call(breaker, fails=False)

    assert state(breaker) == "open"
    with pytest.raises(CircuitOpenError) as error:
        call(breaker, fails=False)
    assert error.value.retry_after == 5
    assert str(error.value) == "open for another 5.0 s"


def test_one_failure_among_many_calls_does_not_open_it(
    breaker: CircuitBreaker,
) -> None:
    """Below the rate, it stays closed for any number of calls."""
    call(breaker, fails=True)
    for _ in range(20):
        call(breaker, fails=False)
        assert state(breaker) == "closed"


def test_failures_before_the_window_do_not_count(breaker: CircuitBreaker, clock: Clock) -> None:
    """One failure every hour does not open it."""
    for _ in range(50):
        call(breaker, fails=True)
        clock.now += 3600

    assert state(breaker) == "closed"


def test_calls_as_old_as_the_window_are_not_counted(breaker: CircuitBreaker, clock: Clock) -> None:
    """The rate covers only the calls within the window."""
    for fails in (False, True, True):
        call(breaker, fails=fails)
    clock.now = 10
    for fails in (False, True, False, False, True):
        call(breaker, fails=fails)
        assert state(breaker) == "closed"

    call(breaker, fails=True)

    assert state(breaker) == "open"


def test_an_exception_that_is_not_a_failure_counts_as_a_success(breaker: CircuitBreaker) -> None:
    """The other system has responded, even if it has rejected the request."""
    for _ in range(50):
        with pytest.raises(ValueError, match="no"), breaker.call(lambda _: False):
            raise ValueError("no")

    assert state(breaker) == "closed"


def test_successful_probes_close_it_and_a_failed_one_opens_it_again(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    """After the wait, it allows one call at a time as a probe."""
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


def open_by_failures(breaker: CircuitBreaker) -> None:
    """Open the breaker with failed calls."""
    for _ in range(4):
        call(breaker, fails=True)
    assert state(breaker) == "open"


def cancelled(breaker: CircuitBreaker) -> None:
    """Make one call that is cancelled."""
    with pytest.raises(asyncio.CancelledError), breaker.call(lambda _: True):
        raise asyncio.CancelledError


def inconclusive(breaker: CircuitBreaker) -> None:
    """Make one call whose exception says nothing about the other system."""
    with pytest.raises(ValueError, match="ours"), breaker.call(lambda _: None):
        raise ValueError("ours")


without_result = pytest.mark.parametrize("uncounted", [cancelled, inconclusive])


@without_result
def test_a_probe_without_a_result_is_followed_by_another(
    breaker: CircuitBreaker, clock: Clock, uncounted: Callable[[CircuitBreaker], None]
) -> None:
    """It neither opens the breaker again nor counts towards closing it."""
    open_by_failures(breaker)
    clock.now = 5

    for _ in range(3):
        uncounted(breaker)
        assert state(breaker) == "half-open"
    call(breaker, fails=False)
    uncounted(breaker)
    assert state(breaker) == "half-open"
    call(breaker, fails=False)

    assert state(breaker) == "closed"


@without_result
def test_a_call_without_a_result_counts_neither_as_a_failure_nor_as_a_success(
    breaker: CircuitBreaker, uncounted: Callable[[CircuitBreaker], None]
) -> None:
    """The rate covers only the other calls."""
    for _ in range(50):
        uncounted(breaker)
    for fails in (True, False, True):
        call(breaker, fails=fails)
    assert state(breaker) == "closed"

    call(breaker, fails=True)

    assert state(breaker) == "open"


@pytest.mark.parametrize("fails", [True, False])
def test_a_call_that_began_before_it_opened_does_not_count_afterwards(
    breaker: CircuitBreaker, clock: Clock, fails: bool
) -> None:
    """If it ends during a probe, it neither ends the probe, nor opens or closes the breaker."""
    earlier = [breaker.call(lambda _: True) for _ in range(4)]
    for one in earlier:
        one.__enter__()
    open_by_failures(breaker)
    clock.now = 5

    with breaker.call(lambda _: True):
        for one in earlier:
            end(one, fails=fails)
            assert state(breaker) == "half-open"
        with pytest.raises(CircuitOpenError):
            call(breaker, fails=False)
    assert state(breaker) == "half-open"
    call(breaker, fails=False)

    assert state(breaker) == "closed"


def test_a_call_that_began_before_it_opened_does_not_count_after_it_closes(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    """Late failures from an earlier outage do not open it again."""
    earlier = [breaker.call(lambda _: True) for _ in range(4)]
    for one in earlier:
        one.__enter__()
    open_by_failures(breaker)
    clock.now = 5
    for _ in range(2):
        call(breaker, fails=False)

    for one in earlier:
        end(one, fails=True)

    assert state(breaker) == "closed"


def test_a_call_that_began_before_a_second_outage_does_not_count_during_it(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    """A second outage follows the same rule as the first."""
    open_by_failures(breaker)
    clock.now = 5
    for _ in range(2):
        call(breaker, fails=False)
    earlier = breaker.call(lambda _: True)
    earlier.__enter__()
    open_by_failures(breaker)
    clock.now = 10

    end(earlier, fails=True)

    assert state(breaker) == "half-open"


def end(one: AbstractContextManager[None], *, fails: bool) -> None:
    """End a call that began earlier."""
    if fails:
        assert not one.__exit__(OSError, OSError(), None)
    else:
        one.__exit__(None, None, None)
