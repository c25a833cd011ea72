"""The alerts fire when they should, use existing metrics, and have runbook entries."""

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from emulators.issuer import DevelopmentIssuer
from tests.support.deployment import ROOT, unknown_settings
from tests.support.events_service import SIGNING_SECRET
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
    """Run promtool; if it fails, fail with its output."""
    ended = subprocess.run(
        ["promtool", *arguments],  # noqa: S607 - the promtool of the machine
        check=False,
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@with_promtool
def test_the_rules_are_valid() -> None:
    """Promtool accepts the rules, and its linter has no findings."""
    promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yml")


@with_promtool
def test_alerts_fire_exactly_in_their_scenarios() -> None:
    """In each scenario of the rule tests exactly the listed alerts fire."""
    promtool("test", "rules", "rules_test.yml", "rules_days_test.yml")


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_is_in_a_scenario(name: str) -> None:
    """At least one scenario tests the alert."""
    assert f'alertname="{name}"' in (FOLDER / "rules_test.yml").read_text()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert", rule.get("record")))
def test_every_query_uses_existing_metrics_and_labels(rule: dict[str, Any]) -> None:
    """The service exports every metric and label of the rule."""
    known = series() | dict.fromkeys(RECORDS, frozenset({"namespace", "job"}))

    assert unknown(rule["expr"], known) == []


async def test_counters_of_alerts_start_at_zero(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """A new process exports each series as 0, because `increase` ignores the first sample."""
    webhooks = {"target_url": "http://127.0.0.1:9/", "signing_secret": SIGNING_SECRET}
    async with running(settings_for(issuer.issuer, apideck_url, webhooks=webhooks)) as service:
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


def test_an_unknown_metric_or_label_is_detected() -> None:
    """The check above detects unknown names in every part of a query."""
    query = (
        'sum by (job) (rate(vault_bff_sessions[5m])) / max_over_time(up{jobs="x"}[1m:]) > 0 '
        'and on () (absent(vault_bff_jwks_keys{issuer="main"}) or -vault_bff_keys offset 1h)'
    )
    assert unknown(query, series()) == ["vault_bff_sessions", "up{jobs}", "vault_bff_keys"]


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_a_severity_a_description_and_a_runbook_entry(name: str) -> None:
    """The severity is page or ticket, and the annotations link to the runbook."""
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["description"].endswith(".")
    url = f"https://docs.example.com/vault-bff/runbook.md#{name.lower()}"
    assert alert["annotations"]["runbook_url"] == url


def test_the_runbook_has_exactly_one_entry_for_each_alert() -> None:
    """Each entry has the severity, and the points Means, Look at and Do."""
    entries = re.findall(r"^## (\w+)\n\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in entries] == list(ALERTS)
    for name, entry in entries:
        assert entry.startswith(f"**{ALERTS[name]['labels']['severity']}.** "), name
        assert re.findall(r"^- \*\*(.*?):\*\*", entry, re.MULTILINE) == ["Means", "Look at", "Do"]


def test_the_runbook_names_existing_metrics_and_settings() -> None:
    """Every metric and every setting that the runbook names exists."""
    assert set(re.findall(r"`(vault_bff_\w+)`", RUNBOOK)) <= set(series())
    assert unknown_settings(re.findall(r"`([A-Z]+__[A-Z_]+)`", RUNBOOK)) == []


def test_the_prometheus_rule_has_the_same_rules() -> None:
    """The command in deploy/README.md creates a PrometheusRule with the rules of the file."""
    page = (ROOT / "deploy" / "README.md").read_text()
    [command] = re.findall(r"^(\{ printf .*?; \}) \| kubectl", page, re.MULTILINE | re.DOTALL)
    ended = subprocess.run(
        ["/bin/sh", "-c", command], check=True, cwd=ROOT, capture_output=True, text=True
    )

    resource = yaml.safe_load(ended.stdout)

    assert (resource["apiVersion"], resource["kind"]) == (
        "monitoring.coreos.com/v1",
        "PrometheusRule",
    )
    assert resource["spec"] == {"groups": GROUPS}
