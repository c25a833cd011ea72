"""The Helm chart renders the same objects as kustomize."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import __version__
from tests.support import deployment
from tests.support.deployment import KUBERNETES, ROOT, Json, of_kind, render, with_components
from tests.support.tools import program

CHART = ROOT / "deploy" / "helm"
# Labels that only the chart adds.
LABELS = {
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
}
ADDED = LABELS | {"checksum/config"}

pytestmark = pytest.mark.skipif(
    not program("helm") or not deployment.renderer(), reason="needs helm and kubectl: make programs"
)


def helm(
    command: str, *options: str, release: str = "vault-bff"
) -> "subprocess.CompletedProcess[str]":
    """Run a command of helm on the chart."""
    name = [release] if command == "template" else []
    return subprocess.run(
        [program("helm"), command, *name, str(CHART), *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def rendered(values: Json, folder: Path, release: str = "vault-bff") -> list[Json]:
    """Return the objects of a release."""
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    ended = helm("template", "--values", str(file), release=release)
    assert (ended.returncode, ended.stderr) == (0, "")
    return list(yaml.safe_load_all(ended.stdout))


def comparable(manifests: list[Json]) -> dict[str, Any]:
    """Return the objects by kind, without the parts that only one of the two tools adds."""
    # Kustomize names the ConfigMap after its content, sets the namespace, and labels the base only.
    text = re.sub(r"vault-bff-[0-9a-z]{10}\b", "vault-bff", yaml.safe_dump_all(manifests))
    objects = [_without(one) for one in yaml.safe_load_all(text) if one["kind"] != "Namespace"]
    for one in objects:
        for name in ("namespace", "labels"):
            one["metadata"].pop(name, None)
    return {one["kind"]: one for one in objects}


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        inner = {name: _without(value[name]) for name in value if name not in ADDED}
        return {name: inner[name] for name in inner if (name, inner[name]) != ("annotations", {})}
    return [_without(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("components", [[], ["webhooks", "ingress"]])
def test_the_chart_renders_what_kustomize_renders(components: list[str], tmp_path: Path) -> None:
    """A change to the manifests must be made in the chart, too, and vice versa."""
    overlay = KUBERNETES / "overlays" / "production"
    values = {
        "config": (overlay / "config.toml").read_text(),
        "autoscaling": {"minReplicas": 3},
        "serviceMonitor": {"enabled": True},
        **{name: {"enabled": True} for name in components},
    }

    expected = comparable(render(with_components(tmp_path, *components)))

    assert comparable(rendered(values, tmp_path)) == expected


def test_helm_lint_accepts_the_chart() -> None:
    """The strict mode of `helm lint` reports no problem."""
    assert helm("lint", "--strict", "--set", "config=x").returncode == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "config=x", "--set", "ingres.enabled=true"), "ingres"),
        ((), "config is required"),
    ],
)
def test_wrong_values_are_rejected(options: tuple[str, ...], message: str) -> None:
    """A misspelt value and missing settings are errors."""
    ended = helm("template", *options)

    assert ended.returncode != 0
    assert message in ended.stderr


def test_a_release_selects_only_its_own_pods(tmp_path: Path) -> None:
    """Two releases can run in the same namespace."""
    manifests = rendered({"config": "x"}, tmp_path, release="eu")

    own = {"app.kubernetes.io/name": "vault-bff", "app.kubernetes.io/instance": "eu"}
    deployment_ = of_kind(manifests, "Deployment")["spec"]
    assert deployment_["template"]["metadata"]["labels"] == own
    assert deployment_["selector"]["matchLabels"] == own
    assert of_kind(manifests, "Service")["spec"]["selector"] == own
    assert of_kind(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == own
    assert {one["metadata"]["name"] for one in manifests} == {"eu"}


def test_the_chart_has_the_version_of_the_service() -> None:
    """By default the chart runs the image of this version."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert {chart["version"], chart["appVersion"]} == {__version__}
