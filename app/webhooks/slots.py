"""A limit on how much happens at the same time."""

from types import TracebackType

from app.webhooks.errors import RelayOverloadedError


class Slots:
    """A context that so many tasks can be in; nothing waits for a slot.

    Attributes:
        used: how many are in it now.
    """

    def __init__(self, limit: int, doing: str) -> None:
        """Take the limit.

        Args:
            limit: how many tasks may be in the context.
            doing: what they do, for the operator, such as `being forwarded`.
        """
        self._limit = limit
        self._doing = doing
        self.used = 0

    def __enter__(self) -> None:
        """Take a slot.

        Raises:
            RelayOverloadedError: none is free.
        """
        if self.used >= self._limit:
            raise RelayOverloadedError(
                "Too many events are being received.",
                reason=f"{self._limit} events are {self._doing}",
                retry_after=1,
            )
        self.used += 1

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Free the slot."""
        self.used -= 1
