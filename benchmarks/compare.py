"""The service beside what people write in its place: `make bench`.

All contestants in one run and on one stub upstream, each alone, in rounds of shuffled order;
medians and spread. The server has one core, the load and the upstream the other. Prints a table for
each scenario and lines `ratio <name> <value>`, and keeps the raw data.
"""

import argparse
import contextlib
import itertools
import json
import os
import platform
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import httpx

from benchmarks import contestants
from benchmarks.contestants import FEATURES, OURS, Contestant, Run
from benchmarks.paced import paced
from emulators.issuer import DevelopmentIssuer

HERE = Path(__file__).parent
RESULTS = HERE / "results"
_TICKS = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 60.0
_SERVER_CORE, _LOAD_CORE = "0", str(max(os.sched_getaffinity(0)))
_WARM_UP_SECONDS = 2
_PEOPLE = 2000


@dataclass(frozen=True)
class Scenario:
    """How much is asked of whom.

    Attributes:
        delay: seconds that the upstream takes.
        connections: how many are open at once; each has one request under way.
        seconds: how long is measured.
        tokens: how many different credentials are used.
    """

    delay: float
    connections: int
    seconds: int
    tokens: int = _PEOPLE


SCENARIOS = {
    "a-1": Scenario(0.0, 1, 3),
    "a-64": Scenario(0.0, 64, 4),
    "a-256": Scenario(0.0, 256, 4),
    "b-1000": Scenario(0.3, 1000, 6),
    "b-4000": Scenario(0.3, 4000, 6),
}
PAIR = Scenario(0.0, 64, 6)
PACED = Scenario(0.15, 0, 6)


@dataclass(frozen=True)
class Result:
    """One contestant in one scenario and round.

    Attributes:
        per_second: answers with 201 (nginx: 200) a second.
        cpu_ms: CPU of the server's processes in milliseconds for each such answer.
        p50_ms: half of the answers took no longer.
        p99_ms: 99 of 100 took no longer.
        errors: answers of another status, and broken or late ones.
        rss_mb: memory of the server's processes at the end.
    """

    per_second: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    errors: int
    rss_mb: float


class Server:
    """A contestant that runs."""

    def __init__(self, process: "subprocess.Popen[bytes]", ready_seconds: float) -> None:
        self.pid = process.pid
        self.ready_seconds = ready_seconds

    def cpu_seconds(self) -> float:
        """Return the CPU that its processes have used."""
        total = 0
        for pid in self._family():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / _TICKS

    def rss_mb(self) -> float:
        """Return the memory that its processes have."""
        status = "".join(Path(f"/proc/{pid}/status").read_text() for pid in self._family())
        return sum(map(int, re.findall(r"VmRSS:\s+(\d+)", status))) / 1024

    def _family(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]


@contextlib.contextmanager
def upstream(port: int, delay: float) -> Iterator[str]:
    """Run the stub upstream."""
    command = ["taskset", "-c", _LOAD_CORE, sys.executable, "-m", "benchmarks.upstream"]
    command += ["--port", str(port), "--delay", str(delay)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def serving(contestant: Contestant, run: Run, cores: str = _SERVER_CORE) -> Iterator[Server]:
    """Run a contestant, once it answers."""
    started = time.monotonic()
    process = subprocess.Popen(
        ["taskset", "-c", cores, *contestant.command(run)],
        env=contestant.all_environment(run),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=HERE.parent,
    )
    try:
        ours = contestant.command(run)[-2:] == ["app", "serve"]
        url = f"http://127.0.0.1:{run.port}/{'readyz' if ours else ''}"
        while True:
            with contextlib.suppress(httpx.TransportError):
                # Peers know no such path; any answer shows that they are there.
                if httpx.get(url).status_code == 200 or not ours:
                    break
            if process.poll() is not None or time.monotonic() > started + _START_SECONDS:
                raise RuntimeError(f"{contestant.name} does not start")
            time.sleep(0.01)
        yield Server(process, time.monotonic() - started)
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def checked(run: Run, token: str) -> None:
    """Make sure that one answer is right in full."""
    headers = {"authorization": f"Bearer {token}"}
    answer = httpx.post(f"http://127.0.0.1:{run.port}/vault-session", headers=headers, timeout=30)
    body = answer.json()
    assert answer.is_success, answer.text
    assert body.get("session_token", "").count(".") == 2 or body["data"]["session_token"]


def wrk(run: Run, script: Path, connections: int, seconds: int) -> dict[str, float]:
    """Load for so long, and return what wrk says."""
    threads = "1"
    command = ["taskset", "-c", _LOAD_CORE, "wrk", "-t", threads, "-c", str(connections)]
    command += ["-d", f"{seconds}s", "--timeout", "20s", "-s", str(script)]
    command += [f"http://127.0.0.1:{run.port}/vault-session"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = json.loads(out[out.index("{") :])
    return found


def lua(folder: Path, tokens: list[str]) -> Path:
    """Write what has wrk use the tokens in turn, and say what it saw as JSON."""
    (folder / "tokens.txt").write_text("\n".join(tokens))
    script = folder / "load.lua"
    script.write_text(
        f"""
wrk.method = "POST"
local tokens, at = {{}}, 0
for line in io.lines("{folder}/tokens.txt") do tokens[#tokens + 1] = line end
local requests = {{}}
function request()
  at = at % #tokens + 1
  requests[at] = requests[at]
    or wrk.format(nil, nil, {{["Authorization"] = "Bearer " .. tokens[at]}})
  return requests[at]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '{{"requests": %d, "seconds": %f, "errors": %d, "p50": %f, "p99": %f}}',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""
    )
    return script


def measure(server: Server, run: Run, script: Path, scenario: Scenario) -> Result:
    """Warm up, then load and count."""
    wrk(run, script, scenario.connections, _WARM_UP_SECONDS)
    before = server.cpu_seconds()
    seen = wrk(run, script, scenario.connections, scenario.seconds)
    cpu = server.cpu_seconds() - before
    good = max(seen["requests"] - seen["errors"], 1)
    return Result(
        good / seen["seconds"],
        1000 * cpu / good,
        seen["p50"],
        seen["p99"],
        int(seen["errors"]),
        server.rss_mb(),
    )


class Competition:
    """One run of everything."""

    def __init__(self, port: int, issuer: str, tokens: list[str], folder: Path) -> None:
        self._ports = itertools.count(port + 1)
        self._upstream_port = port
        self._issuer = issuer
        self._tokens = tokens
        self._folder = folder
        self.results: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
        self.starts: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def play(self, name: str, scenario: Scenario, field: list[Contestant]) -> None:
        """Measure each contestant once in a scenario, in an order of chance."""
        script = lua(self._folder, self._tokens[: scenario.tokens])
        with upstream(self._upstream_port, scenario.delay) as url:
            for contestant in random.sample(field, len(field)):
                run = Run(next(self._ports), url, self._issuer, self._folder)
                with self._noted(name, contestant), serving(contestant, run) as server:
                    self.starts[contestant.name].append((server.ready_seconds, server.rss_mb()))
                    checked(run, self._tokens[0])
                    self._keep(name, contestant, measure(server, run, script, scenario))

    def pace(self, field: list[Contestant]) -> None:
        """Measure each at half of what it could do in a-64, with arrivals as chance has them."""
        with upstream(self._upstream_port, PACED.delay) as url:
            for contestant in random.sample(field, len(field)):
                capacity = median(self.results["a-64"][contestant.name], "per_second")
                run = Run(next(self._ports), url, self._issuer, self._folder)
                with self._noted("c-paced", contestant), serving(contestant, run) as server:
                    before = server.cpu_seconds()
                    seen = paced(run.port, self._tokens, capacity / 2, PACED.seconds)
                    cpu = server.cpu_seconds() - before
                    result = Result(
                        seen.good / PACED.seconds,
                        1000 * cpu / max(seen.good, 1),
                        seen.p50_ms - 1000 * PACED.delay,
                        seen.p99_ms - 1000 * PACED.delay,
                        seen.errors,
                        server.rss_mb(),
                    )
                    self._keep("c-paced", contestant, result)

    def pair(self) -> None:
        """Measure the service as two processes, each with a core that it shares with the load."""
        script = lua(self._folder, self._tokens)
        with upstream(self._upstream_port, 0.0) as url, contextlib.ExitStack() as stack:
            runs = [Run(next(self._ports), url, self._issuer, self._folder) for _ in range(2)]
            servers = [
                stack.enter_context(serving(OURS, run, cores))
                for run, cores in zip(runs, (_SERVER_CORE, _LOAD_CORE), strict=True)
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
        self._keep("f-two-processes", OURS, result)

    def _keep(self, name: str, contestant: Contestant, result: Result) -> None:
        self.results[name][contestant.name].append(result)
        print(f"  {name} {contestant.name}: {result}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def _noted(self, name: str, contestant: Contestant) -> Iterator[None]:
        """Go on without a contestant that breaks down, and say so."""
        try:
            yield
        except (RuntimeError, OSError, AssertionError, httpx.HTTPError, ValueError) as error:
            print(f"  {name} {contestant.name} broke down: {error!r}", file=sys.stderr, flush=True)
        except subprocess.CalledProcessError as error:
            print(f"  {name} {contestant.name} broke wrk: {error.stderr}", file=sys.stderr)


def median(results: list[Result], what: str) -> float:
    """Return the median of one figure."""
    return statistics.median(float(asdict(one)[what]) for one in results)


def show(name: str, by_contestant: dict[str, list[Result]]) -> None:
    """Print one scenario's table."""
    print(f"\n### {name}\n")
    print("| contestant | good/s | CPU ms each (min to max) | p50 ms | p99 ms | errors | RSS MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for contestant, results in by_contestant.items():
        cpu = [one.cpu_ms for one in results]
        print(
            f"| {contestant} | {median(results, 'per_second'):,.0f} "
            f"| {statistics.median(cpu):.2f} ({min(cpu):.2f} to {max(cpu):.2f}) "
            f"| {median(results, 'p50_ms'):,.0f} | {median(results, 'p99_ms'):,.0f} "
            f"| {sum(one.errors for one in results)} | {median(results, 'rss_mb'):.0f} |"
        )


def ratios(played: Competition) -> Iterator[tuple[str, float]]:
    """Yield the service's figures over each peer's, scenario by scenario."""
    for name, by_contestant in played.results.items():
        ours = by_contestant.get(OURS.name)
        if ours is None:
            continue
        for contestant, results in by_contestant.items():
            if contestant != OURS.name:
                for what in ("cpu_ms", "per_second", "p99_ms"):
                    theirs = median(results, what)
                    if theirs:
                        yield f"{name}/{what}/{contestant}", median(ours, what) / theirs
    started = played.starts
    for contestant, starts in started.items():
        if contestant != OURS.name and OURS.name in started:
            for index, what in enumerate(("ready_seconds", "rest_rss_mb")):
                ours_now = statistics.median(one[index] for one in started[OURS.name])
                theirs = statistics.median(one[index] for one in starts)
                yield f"d/{what}/{contestant}", ours_now / theirs


def versions() -> dict[str, str]:
    """Return what ran where."""

    def first_line(*command: str) -> str:
        with contextlib.suppress(OSError):
            out = subprocess.run(command, capture_output=True, text=True, check=False)
            return (out.stdout + out.stderr).partition("\n")[0]
        return "absent"

    return {
        "python": platform.python_version(),
        "node": first_line("node", "--version"),
        "nginx": first_line("nginx", "-v"),
        "wrk": first_line("wrk", "-v").partition(" Copyright")[0],
        "cpus": str(os.cpu_count()),
        "kernel": platform.release().partition("-")[0],
    }


def play_all(played: Competition, rounds: int, only: list[str] | None) -> None:
    """Play every scenario so often; where some are named, these alone."""
    for number in range(rounds):
        print(f"round {number + 1}", file=sys.stderr, flush=True)
        for name, scenario in SCENARIOS.items():
            if not only or name in only:
                played.play(name, scenario, contestants.ALL)
        if not only or "c-paced" in only:
            played.pace(contestants.ALL)
        if not only or "e-features" in only:
            played.play("e-features", SCENARIOS["a-64"], [OURS, *FEATURES])
        if not only or "f-two-processes" in only:
            played.pair()


def report(played: Competition) -> None:
    """Print everything."""
    for name, by_contestant in played.results.items():
        show(name, by_contestant)
    print("\n### d: start and rest\n")
    print("| contestant | ready after s | RSS MB |\n| --- | ---: | ---: |")
    for contestant, starts in played.starts.items():
        ready, rest = (statistics.median(column) for column in zip(*starts, strict=True))
        print(f"| {contestant} | {ready:.2f} | {rest:.0f} |")
    print()
    for name, value in ratios(played):
        print(f"ratio {name} {value:.3f}")


def keep(played: Competition, folder: Path) -> None:
    """Write the raw data."""
    folder.mkdir(exist_ok=True)
    raw = {
        "versions": versions(),
        "results": {
            name: {one: [asdict(result) for result in results] for one, results in by.items()}
            for name, by in played.results.items()
        },
        "starts": played.starts,
    }
    (folder / "compare.json").write_text(json.dumps(raw, indent=1) + "\n")


def main() -> None:
    """Run everything, print it, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port", type=int, default=21_000)
    parser.add_argument("--only", nargs="*", help="scenarios to play; all where none is given")
    parser.add_argument("--out", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for contestant in contestants.ALL:
        if needed := contestant.missing():
            sys.exit(f"{contestant.name} needs: {needed}")
    issuer = DevelopmentIssuer()
    with issuer.serve(), tempfile.TemporaryDirectory() as folder:
        os.sched_setaffinity(0, {int(_LOAD_CORE)})
        tokens = [
            issuer.token(sub=f"person-{number}", expires_in=86_400) for number in range(_PEOPLE)
        ]
        played = Competition(chosen.port, issuer.issuer, tokens, Path(folder))
        play_all(played, chosen.rounds, chosen.only)
    report(played)
    keep(played, chosen.out)


if __name__ == "__main__":
    main()
