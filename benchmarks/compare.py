"""The service beside what people write in its place: `make bench`.

All contestants in one run and on one stub upstream, each alone, in rounds of shuffled order;
medians and spread. The server has one core, the load and the upstream the other. Prints a table for
each scenario and lines `ratio <name> <value>`, and keeps the raw data.
"""

import argparse
import contextlib
import itertools
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx

from benchmarks import contestants, probes
from benchmarks.contestants import (
    API_KEY,
    COLD,
    EVENTS,
    FEATURES,
    INTERNAL,
    LISTS,
    MINIMAL,
    OURS,
    WORKERS,
    Contestant,
    Run,
)
from benchmarks.load import PEOPLE, Result, Scenario, checked, lua, measure
from benchmarks.operations import EVENT, LIST
from benchmarks.paced import paced
from benchmarks.probes import probing
from benchmarks.report import keep, median, report
from benchmarks.samples import signed_events
from benchmarks.servers import LOAD_CORE, SERVER_CORE, Server, redis, serving, upstream
from emulators.issuer import DevelopmentIssuer

HERE = Path(__file__).parent
RESULTS = HERE / "results"

SCENARIOS = {
    "a-1": Scenario(0.0, 1, 3),
    "a-64": Scenario(0.0, 64, 4),
    "a-256": Scenario(0.0, 256, 4),
    "b-1000": Scenario(0.3, 1000, 8),
    "b-4000": Scenario(0.3, 4000, 8),
}
FURTHER = {
    "e-list": (Scenario(0.0, 16, 8, LIST), LISTS),
    "e-event": (Scenario(0.0, 64, 8, EVENT), EVENTS),
}
"""What the service does besides creating sessions; the other contestants do not."""
OVERLOAD = {
    "g-capacity": Scenario(0.0, 1000, 16),
    "g-three-times": Scenario(0.0, 3000, 16),
    "g-overload": Scenario(0.0, 8000, 16),
    "g-beyond": Scenario(0.0, 12_000, 16),
}
ARRIVING = {"g-arrivals": 3.0, "g-after": 0.5}
"""Of what the service can do in g-capacity: how often it is asked, too often and then less."""
ARRIVING_SECONDS = 10.0
CALM_SECONDS = 3.0
"""Between the two."""
BUSY = OVERLOAD["g-overload"]
"""The load while probes are timed."""
PAIR = Scenario(0.0, 64, 6)
PAIR_OF_WORKERS = Scenario(0.0, 128, 6)
PACED = Scenario(0.15, 0, 6)
SHARES = {"a quarter": 0.25, "three quarters": 0.75}
"""Of what the service can do in a-64: how often it is asked in the scenario c-shares."""


class Competition:
    """One run of everything."""

    def __init__(self, port: int, issuer: DevelopmentIssuer, redis: str, folder: Path) -> None:
        self._ports = itertools.count(port + 1)
        self._upstream_port = port
        self._issuer = issuer.issuer
        self._redis = redis
        people = [f"person-{number}" for number in range(PEOPLE)]
        self._tokens = [issuer.token(sub=one, expires_in=86_400) for one in people]
        self._opaque = [issuer.opaque_token(sub=one, expires_in=86_400) for one in people]
        self._events = signed_events(PEOPLE, API_KEY)
        self._folder = folder
        self.results: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
        self.starts: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.probes: dict[str, list[float]] = defaultdict(list)

    def play(self, name: str, scenario: Scenario, field: list[Contestant]) -> None:
        """Measure each contestant once in a scenario, in an order of chance."""
        with upstream(self._upstream_port, scenario.delay) as url:
            for contestant in random.sample(field, len(field)):
                sent, headers = self._credentials(contestant), contestant.headers
                script = lua(self._folder, sent, headers, scenario.operation)
                run = self._run(url)
                with self._noted(name, contestant), serving(contestant, run) as server:
                    self.starts[contestant.name].append((server.ready_seconds, server.rss_mb()))
                    checked(run, sent[0], headers, scenario.operation)
                    result = measure(server, run, script, scenario)
                    self._keep(name, contestant.name, result)

    def pace(self, field: list[Contestant]) -> None:
        """Measure each at half of what it could do in a-64, with arrivals as chance has them."""
        for contestant in random.sample(field, len(field)):
            self._paced("c-paced", contestant, contestant.name, 0.5)

    def shares(self) -> None:
        """Measure the service, and the least there can be, at shares of what each could do."""
        for contestant, (words, share) in itertools.product((OURS, MINIMAL), SHARES.items()):
            self._paced("c-shares", contestant, f"{contestant.name}, {words}", share)

    def arrive(self, versions: list[Contestant]) -> None:
        """Measure each version while three times its capacity arrives, and after that."""
        for version in random.sample(versions, len(versions)):
            with (
                upstream(self._upstream_port, 0.0) as url,
                self._noted("g-arrivals", version),
                serving(version, run := self._run(url)) as server,
            ):
                for name, share in ARRIVING.items():
                    per_second = self._capacity(version, "g-capacity") * share
                    result = self._asked(server, run, per_second, ARRIVING_SECONDS, 0.0)
                    self._keep(name, version.name, result)
                    time.sleep(CALM_SECONDS)

    def probe(self, field: list[Contestant]) -> None:
        """Time probes, on the public port or one of their own, while the public port is busy."""
        script = lua(self._folder, self._tokens)
        for contestant in random.sample(field, len(field)):
            with (
                upstream(self._upstream_port, BUSY.delay) as url,
                self._noted("g-probes", contestant),
                serving(contestant, run := self._run(url)) as server,
            ):
                port = run.internal_port if contestant is INTERNAL else run.port
                with probing(port) as took:
                    self._keep("g-probes", contestant.name, measure(server, run, script, BUSY))
                self.probes[contestant.name] += took

    def _credentials(self, contestant: Contestant) -> list[str]:
        if contestant is EVENTS:
            return self._events
        return self._opaque if contestant.opaque else self._tokens

    def _capacity(self, contestant: Contestant, scenario: str = "a-64") -> float:
        return median(self.results[scenario][contestant.name], "per_second")

    def _paced(self, name: str, contestant: Contestant, row: str, share: float) -> None:
        with (
            upstream(self._upstream_port, PACED.delay) as url,
            self._noted(name, contestant),
            serving(contestant, run := self._run(url)) as server,
        ):
            per_second = self._capacity(contestant) * share
            self._keep(name, row, self._asked(server, run, per_second, PACED.seconds, PACED.delay))

    def _asked(
        self, server: Server, run: Run, per_second: float, seconds: float, delay: float
    ) -> Result:
        before = server.cpu_seconds()
        seen = paced(run.port, self._tokens, per_second, seconds)
        cpu = server.cpu_seconds() - before
        return Result(
            seen.good / seconds,
            1000 * cpu / max(seen.good, 1),
            seen.p50_ms - 1000 * delay,
            seen.p99_ms - 1000 * delay,
            seen.errors + seen.turned_away,
            server.rss_mb(),
        )

    def pair(self) -> None:
        """Measure the service as two processes, each with a core that it shares with the load."""
        script = lua(self._folder, self._tokens)
        with upstream(self._upstream_port, 0.0) as url, contextlib.ExitStack() as stack:
            runs = [self._run(url) for _ in range(2)]
            servers = [
                stack.enter_context(serving(OURS, run, cores))
                for run, cores in zip(runs, (SERVER_CORE, LOAD_CORE), strict=True)
            ]
            with ThreadPoolExecutor() as pool:
                one_of = partial(measure, script=script, scenario=PAIR)
                both = list(pool.map(one_of, servers, runs))
        result = Result(
            sum(one.per_second for one in both),
            statistics.mean(one.cpu_ms for one in both),
            statistics.mean(one.p50_ms for one in both),
            max(one.p99_ms for one in both),
            sum(one.errors for one in both),
            sum(one.rss_mb for one in both),
        )
        self._keep("f-two-processes", OURS.name, result)

    def workers(self) -> None:
        """Measure the service with two workers, each with a core that it shares with the load."""
        script = lua(self._folder, self._tokens)
        cores = f"{SERVER_CORE},{LOAD_CORE}"
        with (
            upstream(self._upstream_port, 0.0) as url,
            self._noted("f-two-workers", WORKERS),
            serving(WORKERS, run := self._run(url), cores) as server,
        ):
            result = measure(server, run, script, PAIR_OF_WORKERS)
            self._keep("f-two-workers", OURS.name, result)

    def _run(self, url: str) -> Run:
        port, internal_port = next(self._ports), next(self._ports)
        return Run(port, url, self._issuer, self._folder, self._redis, internal_port)

    def _keep(self, name: str, row: str, result: Result) -> None:
        self.results[name][row].append(result)
        print(f"  {name} {row}: {result}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def _noted(self, name: str, contestant: Contestant) -> Iterator[None]:
        """Go on without a contestant that breaks down, and say so."""
        try:
            yield
        except (RuntimeError, OSError, AssertionError, httpx.HTTPError, ValueError) as error:
            print(f"  {name} {contestant.name} broke down: {error!r}", file=sys.stderr, flush=True)
        except subprocess.CalledProcessError as error:
            print(f"  {name} {contestant.name} broke wrk: {error.stderr}", file=sys.stderr)


def play_all(
    played: Competition, rounds: int, only: list[str] | None, checkout: Path | None
) -> None:
    """Play the scenarios: all of them, or only those that are named.

    Args:
        played: plays and keeps the results.
        rounds: how often each scenario is played.
        only: names of scenarios.
        checkout: another version of the service, which plays wherever the service does.
    """
    baselines = [contestants.baseline(checkout, one) for one in (OURS, COLD)] if checkout else []
    versions = [OURS, *baselines[:1]]
    field = versions if only and checkout else [*contestants.ALL, *baselines[:1]]
    cold = {"a-64": [COLD, *baselines[1:]]}
    plays: dict[str, Callable[[], None]] = {
        **{
            name: partial(played.play, name, scenario, [*field, *cold.get(name, [])])
            for name, scenario in SCENARIOS.items()
        },
        "c-paced": partial(played.pace, contestants.ALL),
        "c-shares": played.shares,
        "e-features": partial(played.play, "e-features", SCENARIOS["a-64"], [OURS, *FEATURES]),
        **{
            name: partial(played.play, name, scenario, [ours])
            for name, (scenario, ours) in FURTHER.items()
        },
        "f-two-processes": played.pair,
        "f-two-workers": played.workers,
        **{
            name: partial(played.play, name, scenario, versions)
            for name, scenario in OVERLOAD.items()
        },
        "g-arrivals": partial(played.arrive, versions),
        "g-probes": partial(played.probe, [*versions, INTERNAL]),
    }
    for number in range(rounds):
        print(f"round {number + 1}", file=sys.stderr, flush=True)
        for name, play in plays.items():
            if not only or name in only:
                play()


def main() -> None:
    """Run everything, print it, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port", type=int, default=21_000)
    parser.add_argument("--only", nargs="*", help="scenarios to play; all where none is given")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument(
        "--baseline",
        type=Path,
        help="another checkout of the service, to compare two versions in one run; with --only "
        "the other contestants are left out",
    )
    chosen = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    needed = [one.missing() for one in contestants.ALL]
    needed.append(None if shutil.which("redis-server") else "apt-get install redis-server")
    needed.append(None if shutil.which("wrk") else "apt-get install wrk")
    if any(needed):
        sys.exit(f"needs: {', '.join(filter(None, needed))}")
    issuer = DevelopmentIssuer()
    with (
        issuer.serve(),
        tempfile.TemporaryDirectory() as folder,
        redis(chosen.port - 1) as store,
    ):
        os.sched_setaffinity(0, {int(LOAD_CORE)})
        played = Competition(chosen.port, issuer, store, Path(folder))
        checkout = chosen.baseline and chosen.baseline.resolve()
        play_all(played, chosen.rounds, chosen.only, checkout)
    report(played.results, played.starts)
    if played.probes:
        probes.show(played.probes)
    keep(played.results, played.starts, chosen.out)


if __name__ == "__main__":
    main()
