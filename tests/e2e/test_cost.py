"""The CPU of a request, compared with other services."""

import functools
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.contestants import Run
from benchmarks.paired import CAREFUL, COST_TEST_ROWS, REFERENCE, TYPICAL, Batches, measured, ratio
from benchmarks.servers import LOAD_CORE, upstream
from emulators.issuer import DevelopmentIssuer
from tests.support.deployment import ROOT
from tests.support.ports import free_ports

pytestmark = pytest.mark.serial

COMMITTED: Batches = json.loads((ROOT / "benchmarks" / "results" / "cpu.json").read_text())[
    "cpu_ms"
]
MAX_ROUNDS = 100
TOLERANCE = 1.15


@pytest.fixture
def _on_the_load_core() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    yield
    os.sched_setaffinity(0, before)


def exceeded(batches: Batches) -> dict[str, tuple[float, float]]:
    """Return each ratio above its limit, with the limit."""
    found = {}
    for other in (REFERENCE, CAREFUL):
        measured_ratio, _ = ratio(batches, TYPICAL.name, other.name)
        limit = TOLERANCE * ratio(COMMITTED, TYPICAL.name, other.name)[0]
        if measured_ratio > limit:
            found[other.name] = (measured_ratio, limit)
    return found


@pytest.mark.usefixtures("_on_the_load_core")
def test_a_request_uses_no_more_cpu_than_in_the_benchmark(
    issuer: DevelopmentIssuer, tmp_path: Path
) -> None:
    """The ratios to two other services are at most 15 % above those in benchmarks/results.

    If a ratio is too high, more processes are measured: other load can disturb some rounds, and the
    same code uses more CPU in some processes.
    """
    with upstream(free_ports(), 0.0) as url:
        run_for = functools.partial(_run, url, issuer.issuer, tmp_path)
        batches = measured(
            issuer, COST_TEST_ROWS, MAX_ROUNDS, run_for, enough=lambda rounds: not exceeded(rounds)
        )

    assert exceeded(batches) == {}


def test_higher_cpu_usage_is_detected() -> None:
    """A ratio of 1.2 times the committed ratio exceeds the limit; the committed ratio does not."""
    slower = {**COMMITTED, TYPICAL.name: [1.2 * one for one in COMMITTED[TYPICAL.name]]}

    assert set(exceeded(slower)) == {REFERENCE.name, CAREFUL.name}
    assert exceeded(COMMITTED) == {}


def _run(url: str, issuer: str, folder: Path) -> Run:
    return Run(free_ports(), url, issuer, folder)
