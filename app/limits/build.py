"""Builds the store that the settings describe."""

from ..settings import LimitSettings
from ..settings.limits import MEMORY
from .guarded import GuardedStore, Store
from .memory import MemoryStore


def build_store(settings: LimitSettings) -> Store:
    """Build the store that the settings describe; nothing is connected yet."""
    url = settings.store.get_secret_value()
    if url == MEMORY:
        return MemoryStore()
    # Here, because a service that counts in memory should not wait for the import.
    from ..common.redis_url import redis_address  # noqa: PLC0415
    from .redis import RedisStore  # noqa: PLC0415

    shared = RedisStore(url, settings.store_prefix)
    return GuardedStore(shared, redis_address(url), settings.store_timeout_seconds)
