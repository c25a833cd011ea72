"""Alerts that fire when they should, about metrics that exist, with a way out for each."""

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from emulators.issuer import DevelopmentIssuer
from tests.support.deployment import ROOT, unknown_settings
from tests.support.promql import matches, selectors, series, unknown
from tests.support.service import running, settings_for

FOLDER = ROOT / "deploy" / "prometheus"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
GROUPS = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDS = {rule["record"] for rule in RULES if "record" in rule}

with_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool: apt-get install prometheus"
)


def promtool(*arguments: str) -> None:
    """Run promtool, and show what it complains of."""
    ended = subprocess.run(
        ["promtool", *arguments],  # noqa: S607 - whichever the machine has
        check=False,
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@with_promtool
def test_the_rules_are_valid() -> None:
    """Prometheus would load them, and promtool's linter has nothing to say."""
    promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yml")


@with_promtool
def test_every_alert_fires_when_it_should_and_only_then() -> None:
    """The scenarios beside the rules name every alert that fires in each."""
    promtool("test", "rules", "rules_test.yml")


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_is_in_a_scenario(name: str) -> None:
    """No alert is left to luck."""
    assert f'alertname="{name}"' in (FOLDER / "rules_test.yml").read_text()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert", rule.get("record")))
def test_every_query_asks_for_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    """A metric that was renamed in the code is renamed here."""
    known = series() | dict.fromkeys(RECORDS, frozenset({"namespace", "job"}))

    assert unknown(rule["expr"], known) == []


async def test_what_alerts_count_is_there_before_it_happens(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """A series that begins with 1 has not grown: of each, a new process shows what is still 0."""
    async with running(settings_for(issuer.issuer, apideck_url)) as service:
        text = (await service.get("/metrics")).text
    shown = [
        {"__name__": sample.name, **sample.labels}
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    for rule in RULES:
        for one in selectors(rule["expr"]):
            if re.search(r"_(total|count|bucket)$", one.name or ""):
                assert any(matches(one, labels) for labels in shown), (rule, one)


def test_a_metric_or_label_that_does_not_exist_is_noticed() -> None:
    """The check above looks into every corner of a query."""
    query = (
        'sum by (job) (rate(vault_bff_sessions[5m])) / max_over_time(up{jobs="x"}[1m:]) > 0 '
        'and on () (absent(vault_bff_jwks_keys{issuer="main"}) or -vault_bff_keys offset 1h)'
    )
    assert unknown(query, series()) == ["vault_bff_sessions", "up{jobs}", "vault_bff_keys"]


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_what_it_is_and_where_the_way_out_is(name: str) -> None:
    """It pages or it waits, and its annotations lead to its entry in the runbook."""
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["description"].endswith(".")
    assert alert["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"


def test_the_runbook_has_an_entry_for_each_alert_and_for_no_other() -> None:
    """Each says whether it wakes somebody, what it means, what to look at and what to do."""
    entries = re.findall(r"^## (\w+)\n\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in entries] == list(ALERTS)
    for name, entry in entries:
        assert entry.startswith(f"**{ALERTS[name]['labels']['severity']}.** "), name
        assert re.findall(r"^- \*\*(.*?):\*\*", entry, re.MULTILINE) == ["Means", "Look at", "Do"]


def test_the_runbook_names_only_metrics_and_settings_that_exist() -> None:
    """Nobody looks at night for what is not there."""
    assert set(re.findall(r"`(vault_bff_\w+)`", RUNBOOK)) <= set(series())
    assert unknown_settings(re.findall(r"`([A-Z]+__[A-Z_]+)`", RUNBOOK)) == []


def test_the_operators_resource_holds_the_same_rules() -> None:
    """The command in deploy/README.md makes a PrometheusRule of the file, whole and as it is."""
    page = (ROOT / "deploy" / "README.md").read_text()
    [command] = re.findall(r"^(\{ printf .*?; \}) \| kubectl", page, re.MULTILINE | re.DOTALL)
    made = subprocess.run(
        ["/bin/sh", "-c", command], check=True, cwd=ROOT, capture_output=True, text=True
    )

    resource = yaml.safe_load(made.stdout)

    assert (resource["apiVersion"], resource["kind"]) == (
        "monitoring.coreos.com/v1",
        "PrometheusRule",
    )
    assert resource["spec"] == {"groups": GROUPS}
