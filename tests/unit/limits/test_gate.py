"""Who comes in, who waits and who is refused; the loop's time is the test's."""

import asyncio
from collections.abc import Callable
from unittest.mock import patch

from app.errors import VaultBffError
from app.limits.gate import Gate
from app.observability.metrics import Metrics
from app.settings import LimitSettings

FULL = "as many requests wait as may"
LATE = "no place became free within 2 s"


class Loop(asyncio.SelectorEventLoop):
    """A loop whose time is as the test has it."""

    now = 1000.0

    def time(self) -> float:
        """Return its time in seconds."""
        return self.now


class Visitor:
    """A request that notes what becomes of it."""

    def __init__(self, *, gone: bool = False) -> None:
        self.became = "waits"
        self.broken = ""
        self.told: list[tuple[str, float | None]] = []
        self._gone = gone

    def start(self) -> bool:
        """Begin, unless nobody asks any more."""
        self.became = "gone" if self._gone else "inside"
        return not self._gone

    def refuse(self, error: VaultBffError) -> bool:
        """Be refused, unless nobody asks any more."""
        reason = error.reason or ""
        self.told.append((error.detail, error.retry_after))
        self.became = "gone" if self._gone else reason
        if reason == self.broken:
            raise RuntimeError
        return not self._gone


class Scene:
    """A gate with two places, at which two may wait for two seconds."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.metrics = Metrics()
        limits = LimitSettings(max_in_flight=2, max_waiting=2, max_wait_seconds=2)
        self.gate = Gate(limits, self.metrics)

    async def come(self, number: int, *, gone: bool = False) -> list[Visitor]:
        """Have so many come at the same time."""
        visitors = [Visitor(gone=gone) for _ in range(number)]
        for visitor in visitors:
            self.gate.come(visitor)
        await asyncio.sleep(0)
        return visitors

    async def later(self, seconds: float) -> None:
        """Let time pass."""
        self._loop.now += seconds
        for _ in range(3):
            await asyncio.sleep(0)

    def seen(self, name: str) -> float | None:
        """Return what a metric says."""
        return self.metrics.registry.get_sample_value(f"vault_bff_requests_{name}")


def became(visitors: list[Visitor]) -> list[str]:
    """Return what became of each."""
    return [one.became for one in visitors]


def played(scenario: Callable[[Scene], "asyncio.Future[None] | object"]) -> None:
    """Run a scenario on a loop of its own."""
    loop = Loop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:

        async def run() -> None:
            await scenario(Scene(loop))  # type: ignore[misc]

        runner.run(run())


def test_two_come_in_two_wait_and_the_rest_is_refused() -> None:
    """Nothing is begun for who waits; and who left makes room for the first of them."""

    async def scenario(scene: Scene) -> None:
        visitors = await scene.come(5)
        assert became(visitors) == ["inside", "inside", "waits", "waits", FULL]
        assert scene.seen("waiting") == 2
        await scene.later(0.5)
        scene.gate.leave()
        assert became(visitors)[2:4] == ["inside", "waits"]
        scene.gate.leave()
        assert became(visitors)[2:4] == ["inside", "inside"]
        assert scene.seen("waiting") == 0
        assert scene.seen("shed_total") == 1

    played(scenario)


def test_who_is_refused_is_told_when_to_come_again() -> None:
    """At once or after a while, they hear the same; that the process ends is another matter."""

    async def scenario(scene: Scene) -> None:
        *_, late, full = await scene.come(5)
        await scene.later(2.1)
        scene.gate.close()
        [ends] = await scene.come(1)
        busy = "There are too many requests just now; try again shortly."
        assert full.told == late.told == [(busy, 1)]
        assert ends.told == [("This service is restarting; try again shortly.", 1)]

    played(scenario)


def test_who_is_refused_at_once_is_not_refused_before_they_have_come() -> None:
    """What stands behind them on their connection must not overtake them."""

    async def scenario(scene: Scene) -> None:
        await scene.come(4)
        visitor = Visitor()
        scene.gate.come(visitor)
        assert visitor.became == "waits"
        await asyncio.sleep(0)
        assert visitor.became == FULL

    played(scenario)


def test_who_finds_no_place_in_time_is_refused_and_nobody_else() -> None:
    """Each waits for as long as the settings say, from when they came."""

    async def scenario(scene: Scene) -> None:
        await scene.come(2)
        [first] = await scene.come(1)
        await scene.later(1.5)
        [second] = await scene.come(1)
        await scene.later(0.4)
        assert became([first, second]) == ["waits", "waits"]
        await scene.later(0.2)
        assert became([first, second]) == [LATE, "waits"]
        await scene.later(1.3)
        assert second.became == "waits"
        await scene.later(0.2)
        assert second.became == LATE
        [third] = await scene.come(1)
        await scene.later(2.1)
        assert third.became == LATE
        assert scene.seen("shed_total") == 3

    played(scenario)


def test_a_place_that_is_left_in_vain_goes_to_the_next() -> None:
    """Who waits and hangs up takes no place, and keeps nobody from one."""

    async def scenario(scene: Scene) -> None:
        await scene.come(2)
        [gone] = await scene.come(1, gone=True)
        [next_one] = await scene.come(1)
        scene.gate.leave()
        assert became([gone, next_one]) == ["gone", "inside"]
        assert became(await scene.come(1)) == ["waits"]
        [late] = await scene.come(1, gone=True)
        scene.gate.leave()
        scene.gate.leave()
        assert late.became == "gone"
        assert became(await scene.come(2)) == ["inside", "waits"]

    played(scenario)


def test_places_that_nobody_waited_for_are_there_for_who_comes_next() -> None:
    """All of them, however many were left."""

    async def scenario(scene: Scene) -> None:
        await scene.come(2)
        scene.gate.leave()
        scene.gate.leave()
        assert became(await scene.come(3)) == ["inside", "inside", "waits"]

    played(scenario)


def test_nothing_is_done_for_who_waits_until_the_time_of_the_first_is_up() -> None:
    """One timer is all there is; and it goes off when it should, not a moment later."""

    async def scenario(scene: Scene) -> None:
        loop = asyncio.get_running_loop()
        with patch.object(loop, "call_at", wraps=loop.call_at) as timers:
            await scene.come(2)
            waiting = await scene.come(2)
            for _ in range(3):
                await scene.later(0.5)
            assert became(waiting) == ["waits", "waits"]
            await scene.later(0.5)
        assert became(waiting) == [LATE, LATE]
        assert timers.call_count == 1

    played(scenario)


def test_who_comes_and_is_gone_already_takes_no_place() -> None:
    """However many there are of them."""

    async def scenario(scene: Scene) -> None:
        await scene.come(9, gone=True)
        assert became(await scene.come(3)) == ["inside", "inside", "waits"]

    played(scenario)


def test_who_hangs_up_makes_room_for_another_to_wait() -> None:
    """At once; and it is no matter whether the place came first."""

    async def scenario(scene: Scene) -> None:
        [inside, _] = await scene.come(2)
        [first, second] = await scene.come(2)
        assert scene.gate.forget(first)
        assert not scene.gate.forget(first)
        assert not scene.gate.forget(inside)
        [third, fourth] = await scene.come(2)
        assert became([second, third, fourth]) == ["waits", "waits", FULL]
        scene.gate.leave()
        await scene.later(2.1)
        assert became([first, second, third]) == ["waits", "inside", LATE]

    played(scenario)


def test_one_that_breaks_costs_the_others_nothing() -> None:
    """Those who came with it are told all the same."""

    async def scenario(scene: Scene) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        await scene.come(2)
        broken, other = await scene.come(2)
        broken.broken = LATE
        await scene.later(2.1)
        assert became([broken, other]) == [LATE, LATE]

    played(scenario)


def test_who_is_gone_is_not_counted_as_refused() -> None:
    """Nobody was."""

    async def scenario(scene: Scene) -> None:
        await scene.come(2)
        await scene.come(2, gone=True)
        await scene.later(2.1)
        assert scene.seen("waiting") == 0
        assert scene.seen("shed_total") == 0

    played(scenario)


def test_a_gate_that_is_closed_lets_nobody_in() -> None:
    """Who waits is refused, and so is who comes; and a place that is left stays empty."""

    async def scenario(scene: Scene) -> None:
        await scene.come(2)
        waiting = await scene.come(2)
        scene.gate.close()
        coming = await scene.come(1)
        scene.gate.leave()
        coming += await scene.come(1)
        assert became([*waiting, *coming]) == ["the process ends"] * 4

    played(scenario)


def test_a_gate_at_which_nobody_waits_can_be_closed() -> None:
    """As it mostly is."""

    async def scenario(scene: Scene) -> None:
        scene.gate.close()
        assert became(await scene.come(1)) == ["the process ends"]

    played(scenario)


def test_thousands_are_not_refused_in_one_turn() -> None:
    """Somebody else has theirs in between; and all of them are refused."""

    async def scenario(scene: Scene) -> None:
        gate = Gate(LimitSettings(max_in_flight=1, max_waiting=999), scene.metrics)
        visitors = [Visitor() for _ in range(1000)]
        for visitor in visitors:
            gate.come(visitor)
        await scene.later(2.1)
        at_once = became(visitors).count(LATE)
        for _ in range(3):
            await scene.later(0)
        assert 0 < at_once < 999
        assert became(visitors).count(LATE) == 999

    played(scenario)


def test_a_gate_that_is_closed_has_refused_thousands_in_a_turn() -> None:
    """What comes after it may be the end of everything."""

    async def scenario(scene: Scene) -> None:
        gate = Gate(LimitSettings(max_in_flight=1, max_waiting=4999), scene.metrics)
        visitors = [Visitor() for _ in range(5000)]
        for visitor in visitors:
            gate.come(visitor)
        gate.close()
        await asyncio.sleep(0)
        assert became(visitors).count("the process ends") == 4999

    played(scenario)
