"""The service compared with its alternatives: `make bench`.

First the CPU of a request, of all contestants side by side. Then load by wrk: all contestants of a
scenario on one stub upstream, one at a time, in rounds of random order; medians and spread. The
server has one core; the load and the upstream have the other. Prints a table for each scenario and
lines `ratio <name> <value>`, and keeps the raw data.
"""

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import contestants, paired, probes, scenarios
from benchmarks.comparison import Comparison
from benchmarks.contestants import COLD, FEATURES, INTERNAL, MINIMAL, OURS, Contestant
from benchmarks.report import keep, report, versions
from benchmarks.servers import LOAD_CORE, redis
from emulators.issuer import DevelopmentIssuer

RESULTS = Path(__file__).parent / "results"
CPU = "cpu"
"""The scenario with all contestants side by side."""
CPU_ROUNDS, QUICK_CPU_ROUNDS = 100, 20


def plays(
    comparison: Comparison, checkout: Path | None, *, quick: bool
) -> dict[str, Callable[[], None]]:
    """Return what measures each scenario once.

    Args:
        comparison: measures and keeps the results.
        checkout: another version of the service, which is compared with this one only.
        quick: whether to leave out most scenarios and most peers.
    """
    baselines = [contestants.baseline(checkout, one) for one in (OURS, COLD)] if checkout else []
    overloaded = [OURS, *baselines[:1]]

    def contestants_of(scenario: list[Contestant]) -> list[Contestant]:
        if checkout:
            return [OURS, COLD, *baselines]
        return [*scenarios.SAME_WORK, MINIMAL] if quick else scenario

    measured = {
        name: partial(comparison.scenario, name, scenario, contestants_of(usual))
        for name, (scenario, usual) in scenarios.SCENARIOS.items()
    }
    if quick:
        return {name: measured[name] for name in scenarios.QUICK}
    features = [OURS, *FEATURES]
    return {
        **measured,
        "c-paced": comparison.paced_arrivals,
        "e-features": partial(
            comparison.scenario, "e-features", scenarios.SCENARIOS["a-64"][0], features
        ),
        **{
            name: partial(comparison.scenario, name, scenario, ours)
            for name, (scenario, ours) in scenarios.FURTHER.items()
        },
        "f-two-processes": comparison.two_processes,
        "f-two-workers": comparison.two_workers,
        **{
            name: partial(comparison.scenario, name, scenario, overloaded)
            for name, scenario in scenarios.OVERLOAD.items()
        },
        "g-arrivals": partial(comparison.arrivals, overloaded),
        "g-probes": partial(comparison.probe, [*overloaded, INTERNAL]),
    }


def main() -> None:
    """Measure, print and keep everything, or only what was chosen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="of each scenario with wrk")
    parser.add_argument("--cpu-rounds", type=int, default=CPU_ROUNDS)
    parser.add_argument("--quick", action="store_true", help="less of everything, in four minutes")
    parser.add_argument("--port", type=int, default=21_000)
    parser.add_argument("--only", nargs="*", help=f"scenarios to measure; {CPU} is the first")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument(
        "--baseline", type=Path, help="another checkout of the service, to compare two versions"
    )
    chosen = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    needed = [one.missing() for one in (*scenarios.SAME_WORK, *contestants.NO_WORK)]
    programs = {"redis-server": "redis-server", "wrk": "wrk", "taskset": "util-linux"}
    for program, package in programs.items():
        needed.append(None if shutil.which(program) else f"apt-get install {package}")
    if any(needed):
        sys.exit(f"needs: {', '.join(filter(None, needed))}")
    issuer = DevelopmentIssuer()
    with issuer.serve(), tempfile.TemporaryDirectory() as folder, redis(chosen.port - 1) as store:
        os.sched_setaffinity(0, {int(LOAD_CORE)})
        measure(Comparison(chosen.port, issuer, store, Path(folder)), chosen)


def measure(comparison: Comparison, chosen: argparse.Namespace) -> None:
    """Measure what the arguments say; print and keep it."""
    chosen.out.mkdir(exist_ok=True)
    if not chosen.baseline and (not chosen.only or CPU in chosen.only):
        batches = comparison.cpu(QUICK_CPU_ROUNDS if chosen.quick else chosen.cpu_rounds)
        print("\n".join(["### CPU of a request\n", *paired.table(batches)]))
        kept = {"versions": versions(), "cpu_ms": batches}
        (chosen.out / "cpu.json").write_text(json.dumps(kept, indent=1) + "\n")
    checkout = chosen.baseline and chosen.baseline.resolve()
    for number in range(chosen.rounds):
        print(f"round {number + 1}", file=sys.stderr, flush=True)
        for name, play in plays(comparison, checkout, quick=chosen.quick).items():
            if not chosen.only or name in chosen.only:
                play()
    if comparison.results:
        report(comparison.results, comparison.starts)
        keep(comparison.results, comparison.starts, chosen.out)
    if comparison.probes:
        probes.show(comparison.probes)


if __name__ == "__main__":
    main()
