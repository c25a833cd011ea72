"""One run of the benchmark: starts contestants, loads them and stores the results."""

import contextlib
import itertools
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx

from benchmarks import paired, scenarios
from benchmarks.contestants import API_KEY, EVENTS, INTERNAL, OURS, WORKERS, Contestant, Run
from benchmarks.load import PEOPLE, Result, Scenario, checked, lua, measure
from benchmarks.paced import paced
from benchmarks.probes import probing
from benchmarks.report import median
from benchmarks.samples import signed_events
from benchmarks.servers import LOAD_CORE, SERVER_CORE, Server, serving, upstream
from emulators.issuer import DevelopmentIssuer


class Comparison:
    """One run, and its results by scenario and contestant."""

    def __init__(self, port: int, issuer: DevelopmentIssuer, redis: str, folder: Path) -> None:
        self._ports = itertools.count(port + 1)
        self._upstream_port = port
        self._issuer = issuer
        self._redis = redis
        people = [f"person-{number}" for number in range(PEOPLE)]
        self._tokens = [issuer.token(sub=one, expires_in=86_400) for one in people]
        self._opaque = [issuer.opaque_token(sub=one, expires_in=86_400) for one in people]
        self._events = signed_events(PEOPLE, API_KEY)
        self._folder = folder
        self.results: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
        self.starts: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.probes: dict[str, list[float]] = defaultdict(list)

    def cpu(self, rounds: int) -> paired.Batches:
        """Measure the CPU of a request of all contestants side by side."""
        with upstream(self._upstream_port, 0.0) as url:
            return paired.measured(self._issuer, paired.ROWS, rounds, partial(self._run, url))

    def scenario(self, name: str, scenario: Scenario, contestants: list[Contestant]) -> None:
        """Measure each contestant once, one at a time, in random order."""
        with upstream(self._upstream_port, scenario.delay) as url:
            for contestant in random.sample(contestants, len(contestants)):
                sent, headers = self._credentials(contestant), contestant.headers
                script = lua(self._folder, sent, headers, scenario.operation)
                run = self._run(url)
                with _reported(name, contestant), serving(contestant, run) as server:
                    self.starts[contestant.name].append((server.ready_seconds, server.rss_mb()))
                    checked(run, sent[0], headers, scenario.operation)
                    result = measure(server, run, script, scenario)
                    self._store(name, contestant.name, result)

    def paced_arrivals(self) -> None:
        """Measure contestants with random arrivals, at half of their throughput in a-64."""
        load = scenarios.PACED
        contestants = scenarios.PACED_CONTESTANTS
        for contestant in random.sample(contestants, len(contestants)):
            with (
                upstream(self._upstream_port, load.delay) as url,
                _reported("c-paced", contestant),
                serving(contestant, run := self._run(url)) as server,
            ):
                per_second = self._capacity(contestant, "a-64") * scenarios.PACED_SHARE
                result = self._at_rate(server, run, per_second, load.seconds, load.delay)
                self._store("c-paced", contestant.name, result)

    def arrivals(self, contestants: list[Contestant]) -> None:
        """Measure each contestant during arrivals at three times its capacity, and afterwards."""
        for contestant in random.sample(contestants, len(contestants)):
            with (
                upstream(self._upstream_port, 0.0) as url,
                _reported("g-arrivals", contestant),
                serving(contestant, run := self._run(url)) as server,
            ):
                for name, share in scenarios.ARRIVALS.items():
                    per_second = self._capacity(contestant, "g-capacity") * share
                    seconds = scenarios.ARRIVALS_SECONDS
                    self._store(
                        name, contestant.name, self._at_rate(server, run, per_second, seconds, 0.0)
                    )
                    time.sleep(scenarios.PAUSE_SECONDS)

    def probe(self, contestants: list[Contestant]) -> None:
        """Time probes on the public or the internal port while the public port is busy."""
        script = lua(self._folder, self._tokens)
        for contestant in random.sample(contestants, len(contestants)):
            with (
                upstream(self._upstream_port, scenarios.BUSY.delay) as url,
                _reported("g-probes", contestant),
                serving(contestant, run := self._run(url)) as server,
            ):
                port = run.internal_port if contestant is INTERNAL else run.port
                with probing(port) as durations:
                    result = measure(server, run, script, scenarios.BUSY)
                    self._store("g-probes", contestant.name, result)
                self.probes[contestant.name] += durations

    def two_processes(self) -> None:
        """Measure the service as two processes, each with a core that it shares with the load."""
        script = lua(self._folder, self._tokens)
        with upstream(self._upstream_port, 0.0) as url, contextlib.ExitStack() as stack:
            runs = [self._run(url) for _ in range(2)]
            servers = [
                stack.enter_context(serving(OURS, run, cores))
                for run, cores in zip(runs, (SERVER_CORE, LOAD_CORE), strict=True)
            ]
            with ThreadPoolExecutor() as pool:
                measure_one = partial(measure, script=script, scenario=scenarios.TWO_PROCESSES)
                both = list(pool.map(measure_one, servers, runs))
        result = Result(
            sum(one.per_second for one in both),
            statistics.mean(one.cpu_ms for one in both),
            statistics.mean(one.p50_ms for one in both),
            max(one.p99_ms for one in both),
            sum(one.errors for one in both),
            sum(one.rss_mb for one in both),
        )
        self._store("f-two-processes", OURS.name, result)

    def two_workers(self) -> None:
        """Measure the service with two workers, each with a core that it shares with the load."""
        script = lua(self._folder, self._tokens)
        cores = f"{SERVER_CORE},{LOAD_CORE}"
        with (
            upstream(self._upstream_port, 0.0) as url,
            _reported("f-two-workers", WORKERS),
            serving(WORKERS, run := self._run(url), cores) as server,
        ):
            result = measure(server, run, script, scenarios.TWO_WORKERS)
            self._store("f-two-workers", OURS.name, result)

    def _credentials(self, contestant: Contestant) -> list[str]:
        if contestant is EVENTS:
            return self._events
        return self._opaque if contestant.opaque else self._tokens

    def _capacity(self, contestant: Contestant, scenario: str) -> float:
        return median(self.results[scenario][contestant.name], "per_second")

    def _at_rate(
        self, server: Server, run: Run, per_second: float, seconds: float, delay: float
    ) -> Result:
        before = server.cpu_seconds()
        measured = paced(run.port, self._tokens, per_second, seconds)
        cpu = server.cpu_seconds() - before
        return Result(
            measured.successful / seconds,
            1000 * cpu / max(measured.successful, 1),
            measured.p50_ms - 1000 * delay,
            measured.p99_ms - 1000 * delay,
            measured.errors + measured.rejected,
            server.rss_mb(),
        )

    def _run(self, url: str) -> Run:
        port, internal_port = next(self._ports), next(self._ports)
        return Run(port, url, self._issuer.issuer, self._folder, self._redis, internal_port)

    def _store(self, name: str, row: str, result: Result) -> None:
        self.results[name][row].append(result)
        print(f"  {name} {row}: {result}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _reported(name: str, contestant: Contestant) -> Iterator[None]:
    """Report the failure of a contestant, and continue without it."""
    try:
        yield
    except (RuntimeError, OSError, AssertionError, httpx.HTTPError, ValueError) as error:
        print(f"  {name} {contestant.name} failed: {error!r}", file=sys.stderr, flush=True)
    except subprocess.CalledProcessError as error:
        print(f"  {name} {contestant.name}: wrk failed: {error.stderr}", file=sys.stderr)
