from contextlib import suppress

import pytest

from app.circuit_breaker import CircuitBreaker, CircuitOpenError, Thresholds


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


def test_failures_beyond_the_window_are_forgotten(breaker: CircuitBreaker, clock: Clock) -> None:
    """A failure an hour, all night long, opens nothing."""
    for _ in range(50):
        call(breaker, fails=True)
        clock.now += 3600

    assert state(breaker) == "closed"


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
    with breaker.call(lambda _: True), pytest.raises(CircuitOpenError):
        call(breaker, fails=False)
    call(breaker, fails=True)
    assert state(breaker) == "open"

    clock.now = 10
    call(breaker, fails=False)
    call(breaker, fails=False)

    assert state(breaker) == "closed"
