from app.identity.cache import Answer, ClaimsCache


async def test_what_is_remembered_is_not_shown() -> None:
    """A cache in a log line or a debugger's dump holds nobody's name."""
    cache = ClaimsCache()

    async def ask() -> Answer:
        return {"name": "Ada Lovelace"}, 60.0

    assert await cache.get("a-credential", ask) == {"name": "Ada Lovelace"}
    assert repr(cache._answers) == "<1 answers>"
