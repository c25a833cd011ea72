"""The examples for Cloud Run and Fly.io match the settings; no local tool can run them."""

import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.settings import Settings
from app.settings.sources import load_settings
from tests.support.deployment import ROOT, image, unknown_settings

PLATFORMS = ROOT / "deploy" / "platforms"
CLOUD_RUN = yaml.safe_load((PLATFORMS / "cloud-run.yaml").read_text())
FLY = tomllib.loads((PLATFORMS / "fly.toml").read_text())
# https://fly.io/docs/reference/configuration/ lists all keys; the example uses these.
FLY_TABLES = {
    "build": {"image"},
    "http_service": {
        "internal_port",
        "force_https",
        "auto_stop_machines",
        "min_machines_running",
        "concurrency",
    },
    "metrics": {"port", "path"},
}
KILLED_AFTER_SECONDS = 10
"""The time between SIGTERM and SIGKILL on Cloud Run."""


@pytest.fixture
def revision() -> dict[str, Any]:
    """Return the specification of a revision on Cloud Run."""
    return dict(CLOUD_RUN["spec"]["template"]["spec"])


def loaded(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, key_file: Path
) -> Settings:
    """Return the settings in an environment, combined with the image's environment."""
    assert unknown_settings(list(environment)) == []
    for name, value in {**image().environment, **environment}.items():
        monkeypatch.setenv(name, value)
    key_file.write_text("sk_live_1234567890")
    monkeypatch.setenv("APIDECK__API_KEY_FILE", str(key_file))
    return load_settings()


def test_the_cloud_run_example_has_a_valid_container(revision: dict[str, Any]) -> None:
    """Containers and volumes have only fields of the Kubernetes API."""
    assert (CLOUD_RUN["apiVersion"], CLOUD_RUN["kind"]) == ("serving.knative.dev/v1", "Service")
    cloud_run_only = {"containerConcurrency", "timeoutSeconds"}
    pod = {name: value for name, value in revision.items() if name not in cloud_run_only}
    # A container of a pod needs a name; a container of a revision does not.
    pod["containers"] = [{"name": "service", **one} for one in pod["containers"]]
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": pod}
    kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_the_cloud_run_example_matches_the_settings(
    revision: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One port is public, probes use the internal port, and the process exits before SIGKILL."""
    [container] = revision["containers"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    settings = loaded(environment, monkeypatch, tmp_path / "key")

    assert [port["containerPort"] for port in container["ports"]] == [settings.server.port]
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == settings.server.internal_port
    assert revision["containerConcurrency"] == settings.limits.max_in_flight
    server = settings.server
    stopping = server.shutdown_delay_seconds + server.shutdown_grace_seconds
    assert settings.apideck.deadline_seconds < stopping < KILLED_AFTER_SECONDS
    [mount] = container["volumeMounts"]
    [volume] = revision["volumes"]
    [item] = volume["secret"]["items"]
    assert mount["name"] == volume["name"]
    file = f"{mount['mountPath']}/{item['path']}"
    assert environment["APIDECK__API_KEY_FILE"] == file


def test_the_fly_example_has_only_known_keys() -> None:
    """Fly.io ignores unknown keys, so the test lists the allowed keys."""
    assert set(FLY) - FLY_TABLES.keys() == {
        "app",
        "primary_region",
        "kill_signal",
        "kill_timeout",
        "env",
        "checks",
        "vm",
    }
    for name, keys in FLY_TABLES.items():
        assert set(FLY[name]) == keys
    assert set(FLY["http_service"]["concurrency"]) == {"type", "soft_limit", "hard_limit"}


def test_the_fly_example_matches_the_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One port is public, and checks and metrics use the internal port."""
    settings = loaded(FLY["env"], monkeypatch, tmp_path / "key")

    assert FLY["http_service"]["internal_port"] == settings.server.port
    assert FLY["checks"]["ready"]["port"] == FLY["metrics"]["port"] == settings.server.internal_port
    assert FLY["kill_signal"] == "SIGTERM"
    server, limits = settings.server, settings.limits
    stopping = server.shutdown_delay_seconds + server.shutdown_grace_seconds
    assert stopping < int(FLY["kill_timeout"].removesuffix("s"))
    concurrency = FLY["http_service"]["concurrency"]
    assert concurrency["soft_limit"] == limits.max_in_flight
    assert concurrency["hard_limit"] == limits.max_in_flight + limits.max_waiting
