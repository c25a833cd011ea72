from app.identity.jwks import MAX_UNKNOWN_KIDS, UnknownKids
from tests.support.in_process import Clock


def test_an_id_that_is_not_in_the_set_is_fetched_for_once_per_cooldown() -> None:
    """Whichever id it is: the first one spends the fetch."""
    clock = Clock()
    kids = UnknownKids(30, clock)
    told_so = []
    for kid, later in (("a", 0), ("b", 0), ("a", 29.9), ("c", 0.1), ("d", 0), (None, 30)):
        clock.now += later
        told_so.append(kids.may_be_new(kid))

    assert told_so == [True, False, False, True, False, True]


def test_an_unknown_id_leaves_the_next_fetch_to_others() -> None:
    """It is asked for no more during two cool-downs, or until the set changes."""
    clock = Clock()
    kids = UnknownKids(30, clock)
    kids.remember("a")
    kids.remember(None)
    clock.now += 59.9
    assert not kids.may_be_new("a")
    assert not kids.may_be_new(None)
    clock.now += 0.1
    assert kids.may_be_new("a")

    kids.remember("b")
    kids.forget()
    assert len(kids) == 0
    clock.now += 30
    assert kids.may_be_new("b")


def test_an_id_that_is_still_unknown_at_the_end_leaves_the_next_fetch_to_others_again() -> None:
    """Who comes with it meanwhile changes nothing; who was let look for it in vain does."""
    clock = Clock()
    kids = UnknownKids(30, clock)
    kids.remember("a")
    clock.now += 30
    kids.remember("a")
    clock.now += 30
    assert kids.may_be_new("a")
    kids.remember("a")
    clock.now += 59
    assert not kids.may_be_new("a")
    clock.now += 1
    assert kids.may_be_new("a")


def test_of_too_many_unknown_ids_the_oldest_is_forgotten() -> None:
    """One that was asked for again is not the oldest."""
    kids = UnknownKids(30, Clock())
    for i in range(MAX_UNKNOWN_KIDS):
        kids.remember(str(i))
    kids.remember("0")
    assert len(kids) == MAX_UNKNOWN_KIDS
    kids.remember("new")

    assert len(kids) == MAX_UNKNOWN_KIDS
    assert not kids.may_be_new("0")
    assert not kids.may_be_new("2")
    assert kids.may_be_new("1")
