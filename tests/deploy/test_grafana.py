"""The Grafana dashboard is current, uses existing metrics, and shows data."""

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
from tests.support.events_service import SIGNING_SECRET
from tests.support.http import bearer
from tests.support.ports import free_ports
from tests.support.process import environment_for, serving, url
from tests.support.promql import series, unknown
from tests.support.waiting import http_client

FOLDER = ROOT / "deploy" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [
    pytest.param(one["expr"], id=f"{panel['title']} {one['refId']}")
    for panel in PANELS
    for one in panel["targets"]
]
# A service without failures has no data for these panels.
EMPTY_WITHOUT_FAILURES = {"Sessions by problem", "Retries"}


def filled(query: str) -> str:
    """Return a query with Grafana's variables replaced by values."""
    return query.replace("$__rate_interval", "1m").replace("$namespace", ".*")


def test_the_dashboard_is_current() -> None:
    """dashboard.json has the content that `make dashboard` writes."""
    rendered = runpy.run_path(str(FOLDER / "render.py"))["dashboard"]()

    assert (FOLDER / "dashboard.json").read_text() == rendered


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_uses_existing_metrics_and_labels(query: str) -> None:
    """The service exports every metric and label of the query."""
    assert unknown(filled(query), series()) == []


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_selects_the_selected_namespace(query: str) -> None:
    """The panels do not mix namespaces such as production and staging."""
    assert query.count('namespace=~"$namespace"') == query.count("vault_bff_")


def test_every_metric_of_the_service_is_on_the_dashboard() -> None:
    """The dashboard has a panel for each metric."""
    text = " ".join(one["expr"] for panel in PANELS for one in panel["targets"])
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in series()} - {"up"}

    assert {family for family in families if family not in text} == set()


def test_panels_fill_their_rows_and_have_descriptions() -> None:
    """Panels do not overlap, each row has the full width, and each panel has a description."""
    positions = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    for height in {position["y"] for position in positions}:
        row = sorted((one["x"], one["w"]) for one in positions if one["y"] == height)
        assert [x for x, _ in row] == [sum(w for _, w in row[:i]) for i in range(len(row))]
        assert sum(w for _, w in row) == 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(positions)
    assert all(panel["description"].endswith(".") for panel in PANELS)


def test_the_runbook_names_existing_panels() -> None:
    """Every panel that the runbook names is on the dashboard."""
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    named = set(re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", runbook))

    assert named
    assert named <= {panel["title"] for panel in PANELS}


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """Run Prometheus with the rules of deploy/prometheus and one target; yields its URL."""
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
        [  # noqa: S607 - the Prometheus of the machine
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


def run_query(server: httpx.Client, query: str) -> list[Any]:
    """Return the result of a Prometheus query."""
    body = server.get("/api/v1/query", params={"query": query}, timeout=10).json()
    assert body["status"] == "success", (query, body)
    return list(body["data"]["result"])


def until_collected(server: httpx.Client) -> None:
    """Wait for two samples of each series, which rates need."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if run_query(server, "count_over_time(vault_bff_apideck_requests_total[1m]) >= 2"):
                return
        except (httpx.TransportError, json.JSONDecodeError):
            pass
        time.sleep(0.1)
    raise AssertionError("Prometheus has collected no samples")


@pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="needs Prometheus: apt-get install prometheus"
)
def test_prometheus_has_data_for_every_query(
    tmp_path: Path,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    unused_tcp_port: int,
) -> None:
    """Prometheus scrapes a running service, and returns data for each panel and no alert."""
    environment = {
        **environment_for(issuer.issuer, apideck_url, unused_tcp_port),
        "WEBHOOKS__TARGET_URL": "http://127.0.0.1:9/",
        "WEBHOOKS__SIGNING_SECRET": SIGNING_SECRET,
    }
    with (
        serving(environment),
        prometheus(tmp_path, f"127.0.0.1:{unused_tcp_port}") as address,
        http_client() as server,
    ):
        server.base_url = httpx.URL(address)
        created = server.post(url(environment, "/vault-session"), headers=bearer(issuer.token()))
        assert (created.status_code, len(apideck.minted)) == (201, 1)
        read = server.get(url(environment, "/vault-connections"), headers=bearer(issuer.token()))
        assert read.status_code == 200
        until_collected(server)

        empty = {
            p["title"]
            for p in PANELS
            for t in p["targets"]
            if not run_query(server, filled(t["expr"]))
        }
        alerts = server.get("/api/v1/alerts").json()["data"]["alerts"]

    assert empty == EMPTY_WITHOUT_FAILURES
    assert alerts == []
