"""A service that asks Apideck through something that fails, with times that tests can afford."""

from typing import Any

ATTEMPT_SECONDS = 1.0
DEADLINE_SECONDS = 5.0
SOON = DEADLINE_SECONDS + 2.0
"""Seconds within which a caller must have an answer: the deadline, and what a busy machine adds."""


def behind(url: str, **more: Any) -> dict[str, Any]:
    """Return the settings of a service that asks this URL.

    Args:
        url: whatever stands before the emulator.
        more: further settings of Apideck's.
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
    """Return what the metrics say when one caller's attempts all ended like this."""
    return {
        f'requests_total{{application="default",outcome="{outcome}"}}': attempts,
        'retries_total{application="default"}': attempts - 1,
    }
