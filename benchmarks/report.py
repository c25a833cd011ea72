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


def median(results: list[Result], figure: str) -> float:
    """Return the median of one figure."""
    return statistics.median(float(asdict(one)[figure]) for one in results)


def show(name: str, by_contestant: Mapping[str, list[Result]]) -> None:
    """Print a scenario's table, and a second table for the peers that only forward requests."""
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
        for service in (OURS, COLD):
            if ours := by_contestant.get(service.name):
                others = {one: by for one, by in by_contestant.items() if one != service.name}
                for (figure, contestant), ratio in _ratios_to(ours, others):
                    yield f"{_scenario_name(name, service)}/{figure}/{contestant}", ratio
    for name, scenarios in _BETWEEN.items():
        if all(results.get(one, {}).get(OURS.name) for one in scenarios):
            first, second = (median(results[one][OURS.name], "per_second") for one in scenarios)
            yield name, first / second
    for contestant, each in starts.items():
        if contestant != OURS.name and OURS.name in starts:
            for index, figure in enumerate(("ready_seconds", "rest_rss_mb")):
                our_median = statistics.median(one[index] for one in starts[OURS.name])
                other_median = statistics.median(one[index] for one in each)
                yield f"d/{figure}/{contestant}", our_median / other_median


def _ratios_to(
    ours: list[Result], others: Mapping[str, list[Result]]
) -> Iterator[tuple[tuple[str, str], float]]:
    for contestant, results in others.items():
        for figure in ("cpu_ms", "per_second", "p99_ms"):
            if other_median := median(results, figure):
                yield (figure, contestant), median(ours, figure) / other_median


def _scenario_name(scenario: str, service: Contestant) -> str:
    return f"{scenario}-cold" if service is COLD else scenario


def versions() -> dict[str, str]:
    """Return the versions of packages and programs, and a description of the machine."""

    def first_line(*command: str) -> str:
        with contextlib.suppress(OSError):
            out = subprocess.run(command, capture_output=True, text=True, check=False)
            return (out.stdout + out.stderr).partition("\n")[0]
        return "absent"

    locked = json.loads((NODE / "package-lock.json").read_text())["packages"]
    dependencies = locked[""]["dependencies"]
    return {
        **{package: version(package) for package in _PACKAGES},
        **{package: locked[f"node_modules/{package}"]["version"] for package in dependencies},
        "python": platform.python_version(),
        "node": first_line("node", "--version"),
        "nginx": first_line("nginx", "-v"),
        "wrk": first_line("wrk", "-v").partition(" Copyright")[0],
        "cpus": str(os.cpu_count()),
        "kernel": platform.release().partition("-")[0],
    }


def report(results: Results, starts: Starts) -> None:
    """Print all tables and ratios."""
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


def save(results: Results, starts: Starts, folder: Path) -> None:
    """Write the raw data to a folder."""
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
