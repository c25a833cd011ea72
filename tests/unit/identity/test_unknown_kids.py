from app.identity.unknown_kids import MAX_UNKNOWN_KIDS, UnknownKids
from tests.support.in_process import Clock


def test_unknown_ids_cause_one_fetch_per_cooldown() -> None:
    """The first unknown id in each cooldown causes the fetch."""
    clock = Clock()
    kids = UnknownKids(30, clock)
    admitted = []
    for kid, later in (("a", 0), ("b", 0), ("a", 29.9), ("c", 0.1), ("d", 0), (None, 30)):
        clock.now += later
        admitted.append(kids.admit_fetch(kid))

    assert admitted == [True, False, False, True, False, True]


def test_an_unknown_id_causes_no_fetch_for_two_cooldowns() -> None:
    """A change of the key set ends this time."""
    clock = Clock()
    kids = UnknownKids(30, clock)
    kids.add("a")
    kids.add(None)
    clock.now += 59.9
    assert not kids.admit_fetch("a")
    assert not kids.admit_fetch(None)
    clock.now += 0.1
    assert kids.admit_fetch("a")

    kids.add("b")
    kids.clear()
    assert len(kids) == 0
    clock.now += 30
    assert kids.admit_fetch("b")


def test_an_id_that_is_still_unknown_after_its_fetch_must_wait_again() -> None:
    """Tokens with the id do not extend the wait, but a fetch without the key does."""
    clock = Clock()
    kids = UnknownKids(30, clock)
    kids.add("a")
    clock.now += 30
    kids.add("a")
    clock.now += 30
    assert kids.admit_fetch("a")
    kids.add("a")
    clock.now += 59
    assert not kids.admit_fetch("a")
    clock.now += 1
    assert kids.admit_fetch("a")


def test_the_least_recently_used_of_too_many_unknown_ids_is_removed() -> None:
    """An id that occurs again becomes the most recently used one."""
    kids = UnknownKids(30, Clock())
    for i in range(MAX_UNKNOWN_KIDS):
        kids.add(str(i))
    kids.add("0")
    assert len(kids) == MAX_UNKNOWN_KIDS
    kids.add("new")

    assert len(kids) == MAX_UNKNOWN_KIDS
    assert not kids.admit_fetch("0")
    assert not kids.admit_fetch("2")
    assert kids.admit_fetch("1")
