"""Writes dashboard.json, which Grafana imports, from dashboard.toml: `make dashboard`."""

import json
import tomllib
from itertools import count
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WIDTH = 24

Json = dict[str, Any]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
VARIABLES: list[Json] = [
    {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
    {
        "name": "namespace",
        "label": "Namespace",
        "type": "query",
        "datasource": SOURCE,
        "query": "label_values(vault_bff_http_requests_total, namespace)",
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        # This also matches targets without a namespace.
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    },
]
HEAD: Json = {
    "uid": "vault-bff",
    "title": "Vault BFF",
    "description": "Sessions for Apideck's Hosted Vault: who is affected, and by whose trouble?",
    "tags": ["vault-bff"],
    "schemaVersion": 39,
    "editable": True,
    "graphTooltip": 1,
    "refresh": "30s",
    "time": {"from": "now-6h", "to": "now"},
    "timezone": "browser",
    "templating": {"list": VARIABLES},
}


def dashboard() -> str:
    """Return the whole dashboard."""
    rows = tomllib.loads((HERE / "dashboard.toml").read_text())["rows"]
    ids, panels, y = count(1), [], 0
    for row in rows:
        where = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        panels.append({"id": next(ids), "type": "row", "title": row["title"], "gridPos": where})
        width = WIDTH // len(row["panels"])
        for i, panel in enumerate(row["panels"]):
            where = {"x": i * width, "y": y + 1, "w": width, "h": row["height"]}
            panels.append({"id": next(ids), **drawn(panel), "gridPos": where})
        y += row["height"] + 1
    return json.dumps({**HEAD, "panels": panels}, indent=2) + "\n"


def drawn(panel: Json) -> Json:
    """Return a panel, without its position."""
    named = {"title": panel["title"], "description": panel["about"], "datasource": SOURCE}
    return {**named, **(figure(panel) if "query" in panel else lines(panel))}


def figure(panel: Json) -> Json:
    """Return a panel with one large figure, or one for each label."""
    words, legend = panel.get("words"), panel.get("legend", "")
    defaults: Json = {"unit": panel["unit"], "color": {"mode": "thresholds"}}
    if steps := panel.get("steps"):
        defaults["thresholds"] = {"mode": "absolute", "steps": [step(*one) for one in steps]}
    if words:
        options = {value: {"text": text, "color": color} for value, (text, color) in words.items()}
        defaults["mappings"] = [{"type": "value", "options": options}]
    return {
        "type": "stat",
        "targets": [target("A", legend, panel["query"])],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {
            "colorMode": "background" if words else "value",
            "graphMode": "none" if words else "area",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "value_and_name" if legend else "value",
        },
    }


def step(value: float, color: str) -> Json:
    """Return a threshold: the lowest value with a colour; Grafana uses null for minus infinity."""
    return {"value": None if value == float("-inf") else value, "color": color}


def lines(panel: Json) -> Json:
    """Return a panel with lines over time, or with stacked areas."""
    stacked = panel.get("stacked", False)
    custom = {
        "lineWidth": 1 if stacked else 2,
        "fillOpacity": 60 if stacked else 8,
        "showPoints": "never",
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
    return {
        "type": "timeseries",
        "targets": [target("ABCDEF"[i], *line) for i, line in enumerate(panel["lines"])],
        "fieldConfig": {
            "defaults": {"unit": panel["unit"], "min": 0, "custom": custom},
            "overrides": [coloured(*one) for one in panel.get("colors", {}).items()],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }


def coloured(pattern: str, color: str) -> Json:
    """Return an override that sets the colour of lines whose legend matches a pattern."""
    return {
        "matcher": {"id": "byRegexp", "options": pattern},
        "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}],
    }


def target(reference: str, legend: str, query: str) -> Json:
    """Return one query of a panel."""
    return {
        "refId": reference,
        "datasource": SOURCE,
        "expr": query,
        "legendFormat": legend or "__auto",
    }


if __name__ == "__main__":
    (HERE / "dashboard.json").write_text(dashboard())
