"""The service compared with its alternatives: `make bench`.

The first part measures the CPU of a request, with all contestants side by side. The second part
loads the contestants of each scenario with wrk, one at a time, in random order, on one stub
upstream. The server has one core; the load generator and the upstream share the other core. The
output has a table for each scenario, and lines `ratio <name> <value>`. The raw data are saved.
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
from benchmarks.report import report, save, versions
from benchmarks.servers import LOAD_CORE, redis
from emulators.issuer import DevelopmentIssuer

RESULTS = Path(__file__).parent / "results"
CPU = "cpu"
"""The name of the scenario with all contestants side by side."""
CPU_ROUNDS, QUICK_CPU_ROUNDS = 100, 20


def measurements(
    comparison: Comparison, checkout: Path | None, *, quick: bool
) -> dict[str, Callable[[], None]]:
    """Return a function for each scenario that measures it once.

    Args:
        comparison: measures, and stores the results.
        checkout: another version of the service; if given, only the two versions are compared.
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
    """Measure, print and save all scenarios, or only the selected ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="rounds of each scenario with wrk")
    parser.add_argument("--cpu-rounds", type=int, default=CPU_ROUNDS)
    parser.add_argument(
        "--quick", action="store_true", help="fewer scenarios and rounds, in four minutes"
    )
    parser.add_argument("--port", type=int, default=21_000)
    parser.add_argument("--only", nargs="*", help=f"scenarios to measure, such as {CPU}")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument(
        "--baseline", type=Path, help="another checkout of the service, to compare two versions"
    )
    arguments = parser.parse_args()
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))
    missing = [one.missing() for one in (*scenarios.SAME_WORK, *contestants.NO_WORK)]
    programs = {"redis-server": "redis-server", "wrk": "wrk", "taskset": "util-linux"}
    for program, package in programs.items():
        missing.append(None if shutil.which(program) else f"apt-get install {package}")
    if any(missing):
        sys.exit(f"needs: {', '.join(filter(None, missing))}")
    issuer, port = DevelopmentIssuer(), arguments.port
    with issuer.serve(), tempfile.TemporaryDirectory() as folder, redis(port - 1) as store:
        os.sched_setaffinity(0, {int(LOAD_CORE)})
        measure(Comparison(port, issuer, store, Path(folder)), arguments)


def measure(comparison: Comparison, arguments: argparse.Namespace) -> None:
    """Measure the scenarios that the arguments select; print and save the results."""
    arguments.out.mkdir(exist_ok=True)
    if not arguments.baseline and (not arguments.only or CPU in arguments.only):
        batches = comparison.cpu(QUICK_CPU_ROUNDS if arguments.quick else arguments.cpu_rounds)
        print("\n".join(["### CPU of a request\n", *paired.table(batches)]))
        raw = {"versions": versions(), "cpu_ms": batches}
        (arguments.out / "cpu.json").write_text(json.dumps(raw, indent=1) + "\n")
    checkout = arguments.baseline and arguments.baseline.resolve()
    for number in range(arguments.rounds):
        print(f"round {number + 1}", file=sys.stderr, flush=True)
        for name, run in measurements(comparison, checkout, quick=arguments.quick).items():
            if not arguments.only or name in arguments.only:
                run()
    if comparison.results:
        report(comparison.results, comparison.starts)
        save(comparison.results, comparison.starts, arguments.out)
    if comparison.probes:
        probes.show(comparison.probes)


if __name__ == "__main__":
    main()
