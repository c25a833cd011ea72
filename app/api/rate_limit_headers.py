"""The headers that tell a caller where they stand.

Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (draft 10).
"""

import math
from collections.abc import Sequence

from app.limits.models import QuotaStatus


def rate_limit_headers(statuses: Sequence[QuotaStatus]) -> dict[str, str]:
    """Return the headers for where a caller stands; none where there is no limit.

    `RateLimit-Policy` names each limit with its quota `q` in `w` seconds; `RateLimit` says of each
    how many requests remain (`r`), and in how many seconds (`t`) the quota is whole again.
    """
    if not statuses:
        return {}
    return {
        "RateLimit-Policy": ", ".join(
            f'"{one.limit.policy}";q={one.limit.rate.quota};w={one.limit.rate.window_seconds}'
            for one in statuses
        ),
        "RateLimit": ", ".join(
            f'"{one.limit.policy}";r={one.remaining};t={math.ceil(one.until_full)}'
            for one in statuses
        ),
    }
