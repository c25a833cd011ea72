"""Settings of a service whose Apideck fails, with timeouts that are short enough for tests."""

from typing import Any

from tests.support.measured import sessions_requested

ATTEMPT_SECONDS = 1.0
DEADLINE_SECONDS = 5.0
SOON = DEADLINE_SECONDS + 2.0
"""Seconds within which a caller must have a response: the deadline, and a margin for a busy CPU."""


def behind(url: str, **more: Any) -> dict[str, Any]:
    """Return the settings of a service that sends its requests for Apideck to this URL.

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


def asked(attempts: int, outcome: str) -> dict[str, float]:
    """Return the metrics after one call whose attempts all had this outcome."""
    return {
        sessions_requested(outcome): attempts,
        'retries_total{application="default"}': attempts - 1,
    }
