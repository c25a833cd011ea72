"""Settings with short timeouts, for tests in which Apideck fails."""

from typing import Any

from tests.support.measured import sessions_requested

ATTEMPT_SECONDS = 1.0
DEADLINE_SECONDS = 5.0
RESPONSE_SECONDS = DEADLINE_SECONDS + 2.0
"""Seconds within which a caller must get a response: the deadline and a margin for a busy CPU."""


def apideck_at(url: str, **more: Any) -> dict[str, Any]:
    """Return settings for a service that sends its requests to Apideck to this URL.

    Args:
        url: the URL of a proxy in front of the Apideck emulator.
        more: further settings in the group `apideck`.
    """
    return {
        "apideck": {
            "base_url": url,
            "deadline_seconds": DEADLINE_SECONDS,
            "attempt_timeout_seconds": ATTEMPT_SECONDS,
            "retries": {"base_delay_seconds": 0.001},
            **more,
        }
    }


def metrics_after(attempts: int, outcome: str) -> dict[str, float]:
    """Return the metrics after one call, if all its attempts had this outcome."""
    return {
        sessions_requested(outcome): attempts,
        'retries_total{application="default"}': attempts - 1,
    }
