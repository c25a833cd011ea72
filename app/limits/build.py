"""Builds the store that the settings describe."""

from app.limits.guarded import GuardedStore, Store
from app.limits.memory import MemoryStore
from app.settings import LimitSettings
from app.settings.limits import MEMORY


def build_store(settings: LimitSettings) -> Store:
    """Build the store that the settings describe; nothing is connected yet."""
    url = settings.store.get_secret_value()
    if url == MEMORY:
        return MemoryStore()
    # Here, because a service that counts in memory should not wait for the import.
    from app.common.redis_url import redis_address  # noqa: PLC0415
    from app.limits.redis import RedisStore  # noqa: PLC0415

    shared = RedisStore(url, settings.store_prefix)
    return GuardedStore(shared, redis_address(url), settings.store_timeout_seconds)
