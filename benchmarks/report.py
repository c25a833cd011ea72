"""Results: tables, ratios, raw data and versions."""

import contextlib
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from benchmarks.contestants import COLD, NO_WORK, NODE, OURS, SDK_PER_REQUEST, Contestant
from benchmarks.load import Result

Results = Mapping[str, Mapping[str, list[Result]]]
Starts = Mapping[str, list[tuple[float, float]]]


_BETWEEN = {
    "b/per_second/4000 over 1000 connections": ("b-4000", "b-1000"),
    "f/per_second/two processes over one": ("f-two-processes", "a-64"),
    "f/per_second/two workers over one": ("f-two-workers", "a-64"),
    "g/per_second/three times over capacity": ("g-three-times", "g-capacity"),
    "g/per_second/eight times over capacity": ("g-overload", "g-capacity"),
    "g/per_second/twelve times over capacity": ("g-beyond", "g-capacity"),
    "g/per_second/three times the arrivals over capacity": ("g-arrivals", "g-capacity"),
}
"""Ratios of the service in two scenarios."""
_PACKAGES = (
    "fastapi",
    "starlette",
    "uvicorn",
    "aiohttp",
    "httpx",
    "httpx-aiohttp",
    "pyjwt",
    "limits",
    "structlog",
    "prometheus-client",
    "apideck-unify",
)


def median(results: list[Result], what: str) -> float:
    """Return the median of one figure."""
    return statistics.median(float(asdict(one)[what]) for one in results)


def show(name: str, by_contestant: Mapping[str, list[Result]]) -> None:
    """Print a scenario's table, and a second one of the peers that only pass requests on."""
    no_work = {one.name for one in (*NO_WORK, SDK_PER_REQUEST)}
    print(f"\n### {name}\n")
    _table({one: each for one, each in by_contestant.items() if one not in no_work})
    if second := {one: each for one, each in by_contestant.items() if one in no_work}:
        print("\nPeers that do none of this work:\n")
        _table(second)


def _table(by_contestant: Mapping[str, list[Result]]) -> None:
    print("| contestant | good/s | CPU ms each (min to max) | p50 ms | p99 ms | errors | RSS MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for contestant, results in by_contestant.items():
        cpu = [one.cpu_ms for one in results]
        print(
            f"| {contestant} | {median(results, 'per_second'):,.0f} "
            f"| {statistics.median(cpu):.2f} ({min(cpu):.2f} to {max(cpu):.2f}) "
            f"| {median(results, 'p50_ms'):,.0f} | {median(results, 'p99_ms'):,.0f} "
            f"| {sum(one.errors + one.wrong for one in results)} "
            f"| {median(results, 'rss_mb'):.0f} |"
        )


def ratios(results: Results, starts: Starts) -> Iterator[tuple[str, float]]:
    """Yield the ratio of the service's figures to those of each contestant, by scenario."""
    for name, by_contestant in results.items():
        for us in (OURS, COLD):
            if ours := by_contestant.get(us.name):
                others = {one: by for one, by in by_contestant.items() if one != us.name}
                for (what, contestant), ratio in _over(ours, others):
                    yield f"{_named(name, us)}/{what}/{contestant}", ratio
    for name, (over, under) in _BETWEEN.items():
        if results.get(over, {}).get(OURS.name) and results.get(under, {}).get(OURS.name):
            first, second = (median(results[one][OURS.name], "per_second") for one in (over, under))
            yield name, first / second
    for contestant, each in starts.items():
        if contestant != OURS.name and OURS.name in starts:
            for index, what in enumerate(("ready_seconds", "rest_rss_mb")):
                ours_now = statistics.median(one[index] for one in starts[OURS.name])
                theirs = statistics.median(one[index] for one in each)
                yield f"d/{what}/{contestant}", ours_now / theirs


def _over(
    ours: list[Result], others: Mapping[str, list[Result]]
) -> Iterator[tuple[tuple[str, str], float]]:
    for contestant, results in others.items():
        for what in ("cpu_ms", "per_second", "p99_ms"):
            if theirs := median(results, what):
                yield (what, contestant), median(ours, what) / theirs


def _named(scenario: str, us: Contestant) -> str:
    return f"{scenario}-cold" if us is COLD else scenario


def versions() -> dict[str, str]:
    """Return the versions of packages and programs, and what the machine is."""

    def first_line(*command: str) -> str:
        with contextlib.suppress(OSError):
            out = subprocess.run(command, capture_output=True, text=True, check=False)
            return (out.stdout + out.stderr).partition("\n")[0]
        return "absent"

    locked = json.loads((NODE / "package-lock.json").read_text())["packages"]
    wanted = locked[""]["dependencies"]
    return {
        **{package: version(package) for package in _PACKAGES},
        **{package: locked[f"node_modules/{package}"]["version"] for package in wanted},
        "python": platform.python_version(),
        "node": first_line("node", "--version"),
        "nginx": first_line("nginx", "-v"),
        "wrk": first_line("wrk", "-v").partition(" Copyright")[0],
        "cpus": str(os.cpu_count()),
        "kernel": platform.release().partition("-")[0],
    }


def report(results: Results, starts: Starts) -> None:
    """Print everything."""
    for name, by_contestant in results.items():
        show(name, by_contestant)
    print("\n### d: startup and memory at rest\n")
    print("| contestant | ready after s | RSS MB |\n| --- | ---: | ---: |")
    for contestant, each in starts.items():
        ready, rest = (statistics.median(column) for column in zip(*each, strict=True))
        print(f"| {contestant} | {ready:.2f} | {rest:.0f} |")
    print()
    for name, value in ratios(results, starts):
        print(f"ratio {name} {value:.3f}")


def keep(results: Results, starts: Starts, folder: Path) -> None:
    """Write the raw data."""
    folder.mkdir(exist_ok=True)
    raw = {
        "versions": versions(),
        "results": {
            name: {one: [asdict(result) for result in each] for one, each in by.items()}
            for name, by in results.items()
        },
        "starts": starts,
    }
    (folder / "compare.json").write_text(json.dumps(raw, indent=1) + "\n")
