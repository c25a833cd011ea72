"""Notices that Apideck accepts the key again, without waiting for a session.

A replica without traffic would otherwise report a repaired key or app ID as broken until its next
session. So it reads the connections of one consumer, which creates and changes nothing. Each of
these requests counts against the quota of the operator's plan, as far as is known.

Source: https://developers.apideck.com/apis/vault/reference (operation "Get all connections").
"""

import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from ..errors import ApideckError, OutOfDescriptorsError
from .client import ApideckClient
from .connections import CONNECTIONS_PATH, list_query
from .exchange import Call, Operation

CONSUMER: Final = "vault-bff-check"
"""The consumer of every check; no customer has this id."""

CHECK_ACCOUNT: Final = Operation(
    "check_account", "GET", CONNECTIONS_PATH, success="Read", is_large=True, not_found="named"
)
_FIRST_SECONDS: Final = 60.0
_LONGEST_SECONDS: Final = 960.0
_CALL: Final = Call(
    CONSUMER, target=f"{CONNECTIONS_PATH}?{urlencode(list_query(None, configured=True))}"
)


class AccountCheck:
    """Checks the account of one Unify app while Apideck last reported it as misconfigured.

    It waits for one minute before the first request, and twice as long before each further one, up
    to 16 minutes. After a change of the API key the next request is due within a minute.
    """

    def __init__(self, client: ApideckClient, clock: Callable[[], float] = time.monotonic) -> None:
        """Create the check.

        Args:
            client: the client whose account to check.
            clock: seconds from any fixed point, the same as that of its API key.
        """
        self._client = client
        self._clock = clock
        self._last: float | None = None
        self._wait = _FIRST_SECONDS

    async def run_if_due(self) -> None:
        """Send a request if one is due; it makes one attempt, and the client records the result."""
        now = self._clock()
        if self._client.account != "misconfigured":
            self._last, self._wait = None, _FIRST_SECONDS
            return
        if self._last is None:
            self._last = now
        since = now - self._last
        if self._client.key_age_seconds < since:
            self._wait = _FIRST_SECONDS
        if since < self._wait:
            return
        self._last, self._wait = now, min(self._wait * 2, _LONGEST_SECONDS)
        try:
            await self._client.call(CHECK_ACCOUNT, _CALL, lambda _: None, retries=False)
        except (ApideckError, OutOfDescriptorsError):
            return
