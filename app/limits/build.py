"""Puts together where requests are counted, from its settings."""

from app.limits.guarded import GuardedStore, Store
from app.limits.memory import MemoryStore
from app.settings import LimitSettings
from app.settings.limits import MEMORY


def build_store(settings: LimitSettings) -> Store:
    """Build the store that the settings name; nothing is opened yet."""
    url = settings.store.get_secret_value()
    if url == MEMORY:
        return MemoryStore()
    # Here, because whoever counts in memory should not wait for the import.
    from app.limits.redis import RedisStore  # noqa: PLC0415

    shared = RedisStore(url, settings.store_prefix)
    return GuardedStore(shared, settings.store_timeout_seconds)
