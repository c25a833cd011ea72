"""The dashboard: current, about metrics that exist, and with something to show."""

import json
import re
import runpy
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.deployment import ROOT
from tests.support.http import bearer
from tests.support.ports import free_ports
from tests.support.process import environment_for, serving, url
from tests.support.promql import series, unknown

FOLDER = ROOT / "deploy" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [
    pytest.param(one["expr"], id=f"{panel['title']} {one['refId']}")
    for panel in PANELS
    for one in panel["targets"]
]
# Nothing of these has happened in a service that was asked for one session.
EMPTY_WHEN_ALL_IS_WELL = {"Sessions by problem", "Retries"}


def filled(query: str) -> str:
    """Return a query with Grafana's variables replaced as Grafana does."""
    return query.replace("$__rate_interval", "1m").replace("$namespace", ".*")


def test_it_is_what_its_source_says() -> None:
    """`make dashboard` would write the very same file."""
    written = runpy.run_path(str(FOLDER / "render.py"))["dashboard"]()

    assert (FOLDER / "dashboard.json").read_text() == written


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_asks_for_metrics_and_labels_that_exist(query: str) -> None:
    """A metric that was renamed in the code is renamed here."""
    assert unknown(filled(query), series()) == []


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_keeps_to_the_chosen_namespace(query: str) -> None:
    """Production's figures are not mixed with those of staging."""
    assert query.count('namespace=~"$namespace"') == query.count("vault_bff_")


def test_every_metric_of_the_service_is_on_it() -> None:
    """What is worth counting is worth seeing."""
    text = " ".join(one["expr"] for panel in PANELS for one in panel["targets"])
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in series()} - {"up"}

    assert {family for family in families if family not in text} == set()


def test_panels_fill_their_rows_and_say_what_they_show() -> None:
    """None lies over another, each row is as wide as the page, and each panel explains itself."""
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    for height in {place["y"] for place in places}:
        row = sorted((place["x"], place["w"]) for place in places if place["y"] == height)
        assert [x for x, _ in row] == [sum(w for _, w in row[:i]) for i in range(len(row))]
        assert sum(w for _, w in row) == 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
    assert all(panel["description"].endswith(".") for panel in PANELS)


def test_the_runbook_names_panels_that_are_there() -> None:
    """Whoever is sent to a panel finds it."""
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    named = set(re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", runbook))

    assert named
    assert named <= {panel["title"] for panel in PANELS}


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """Run Prometheus with our rules over one target; yields its URL."""
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ROOT / "deploy" / "prometheus" / "rules.yml")],
        "scrape_configs": [
            {
                "job_name": "vault-bff",
                "static_configs": [{"targets": [target], "labels": {"namespace": "test"}}],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    address = f"127.0.0.1:{free_ports()}"
    process = subprocess.Popen(
        [  # noqa: S607 - whichever the machine has
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            "--log.level=error",
        ]
    )
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def ask(server: str, query: str) -> list[Any]:
    """Return what Prometheus answers to a query."""
    answer = httpx.get(f"{server}/api/v1/query", params={"query": query}, timeout=10).json()
    assert answer["status"] == "success", (query, answer)
    return list(answer["data"]["result"])


def until_collected(server: str) -> None:
    """Wait until rates can be computed: two samples of everything."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if ask(server, "count_over_time(vault_bff_apideck_requests_total[1m]) >= 2"):
                return
        except (httpx.TransportError, json.JSONDecodeError):
            pass
        time.sleep(0.1)
    raise AssertionError("Prometheus collected nothing")


@pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="needs Prometheus: apt-get install prometheus"
)
def test_a_real_prometheus_answers_every_query(
    tmp_path: Path,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    unused_tcp_port: int,
) -> None:
    """It collects a running service, loads the rules, and has something for each panel."""
    environment = environment_for(issuer.issuer, apideck_url, unused_tcp_port)
    with serving(environment), prometheus(tmp_path, f"127.0.0.1:{unused_tcp_port}") as server:
        asked = httpx.post(url(environment, "/vault-session"), headers=bearer(issuer.token()))
        assert (asked.status_code, len(apideck.minted)) == (201, 1)
        until_collected(server)

        empty = {
            p["title"] for p in PANELS for t in p["targets"] if not ask(server, filled(t["expr"]))
        }
        alerts = httpx.get(f"{server}/api/v1/alerts").json()["data"]["alerts"]

    assert empty == EMPTY_WHEN_ALL_IS_WELL
    assert alerts == []
