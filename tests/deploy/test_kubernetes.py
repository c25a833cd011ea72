"""The Kubernetes manifests, as `kubectl apply -k` renders them."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.api.body import MAX_BODY_BYTES
from app.api.health import router as health
from app.api.metrics_page import router as metrics_page
from app.common.http_limits import MAX_HEAD_BYTES
from app.settings import Settings
from app.settings.sources import load_settings
from tests.support import deployment
from tests.support.deployment import (
    KUBERNETES,
    OVERLAYS,
    ROOT,
    Json,
    compose,
    container_of,
    image,
    of_kind,
    render,
    unknown_settings,
    with_components,
)
from tests.support.kubernetes import VERSIONS
from tests.support.tools import program

pytestmark = pytest.mark.skipif(
    not deployment.renderer(), reason="needs kustomize 5, or kubectl 1.27 or newer: make programs"
)


FOLDERS = ("base", *(f"overlays/{name}" for name in OVERLAYS))
# No package has the schemas of the Prometheus Operator; the manifests use only these fields.
MONITOR_FIELDS = {"endpoints", "jobLabel", "selector"}
ENDPOINT_FIELDS = {"port", "path", "interval", "scrapeTimeout"}

# Memory of a process, measured and rounded up: 80 MB when idle, and 20 MB for 10,000 cached tokens;
# 55 KB for a small request in flight, and 20 KB for a queued request.
IDLE = 100_000_000
IN_FLIGHT, WAITING = 60_000, 22_000
# The share of the memory for idle connections, which need 7 KB each.
SPARE = 0.25


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> list[Json]:
    """Return the manifests of an overlay."""
    return render(KUBERNETES / "overlays" / request.param)


@pytest.fixture
def pod(manifests: list[Json]) -> Json:
    """Return the specification of the pods."""
    return dict(of_kind(manifests, "Deployment")["spec"]["template"]["spec"])


@pytest.fixture
def settings(manifests: list[Json], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Return the settings of the service in a pod."""
    config = tmp_path / "config.toml"
    config.write_text(of_kind(manifests, "ConfigMap")["data"]["config.toml"])
    for name, value in {**image().environment, **environment_of(manifests)}.items():
        if "__" in name:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv(deployment.CONFIG_FILE, str(config))
    return load_settings()


def environment_of(manifests: list[Json]) -> dict[str, str]:
    """Return the environment of the container, with a Redis URL for values from a Secret."""
    variables = container_of(manifests)["env"]
    return {one["name"]: one.get("value", "redis://redis:6379/0") for one in variables}


def labels_of_pods(manifests: list[Json]) -> dict[str, str]:
    """Return the labels of the pods."""
    return dict(of_kind(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_manifest_is_strictly_valid(folder: str, version: str) -> None:
    """Every manifest matches the schemas of the oldest and the newest supported Kubernetes."""
    for manifest in render(KUBERNETES / folder):
        if manifest["kind"] == "ServiceMonitor":
            assert set(manifest["spec"]) == MONITOR_FIELDS
            assert all(set(one) == ENDPOINT_FIELDS for one in manifest["spec"]["endpoints"])
        else:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_an_unknown_field_is_detected(manifests: list[Json]) -> None:
    """The validation above is strict."""
    deployment_ = of_kind(manifests, "Deployment")
    deployment_["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment_, VERSIONS[-1], strict=True)


def test_the_settings_are_a_complete_configuration(
    manifests: list[Json], settings: Settings
) -> None:
    """The settings of the pods are valid and complete, and none of them is unknown."""
    assert unknown_settings(list(environment_of(manifests))) == []
    assert settings.identity.issuers
    assert settings.server.host == "::"


def test_pods_comply_with_the_restricted_security_standard(
    pod: Json, manifests: list[Json]
) -> None:
    """Pods run without root, privileges, writable files, API token and service variables."""
    container = container_of(manifests)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert of_kind(manifests, "ServiceAccount")["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == of_kind(manifests, "ServiceAccount")["metadata"]["name"]
    assert pod["enableServiceLinks"] is False
    labels = of_kind(manifests, "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_probes_use_existing_paths(manifests: list[Json]) -> None:
    """Startup and liveness probes use /livez, the readiness probe /readyz, on the internal port."""
    container = container_of(manifests)
    routes = {getattr(route, "path", None) for route in health.routes}
    paths = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness")}
    assert {probe["path"] for probe in paths.values()} == {"/livez"} <= routes
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "internal"}
    assert {probe["port"] for probe in paths.values()} == {"internal"}
    assert "/readyz" in routes


def test_pods_have_enough_time_to_shut_down(
    pod: Json, manifests: list[Json], settings: Settings
) -> None:
    """Readiness fails within the delay, and pods are not killed during the delay or the grace."""
    server = settings.server
    readiness = container_of(manifests)["readinessProbe"]
    assert readiness["periodSeconds"] * readiness["failureThreshold"] <= (
        server.shutdown_delay_seconds
    )
    needed = server.shutdown_delay_seconds + server.shutdown_grace_seconds
    assert needed < pod["terminationGracePeriodSeconds"]
    assert settings.apideck.deadline_seconds < server.shutdown_grace_seconds


def test_the_memory_limit_suffices_for_the_admitted_requests(
    manifests: list[Json], settings: Settings
) -> None:
    """With the maximum number of requests of maximum size, a quarter of the memory is free."""
    limits = settings.limits
    needed = (
        IDLE
        + limits.max_in_flight * (IN_FLIGHT + MAX_HEAD_BYTES + MAX_BODY_BYTES)
        + limits.max_waiting * (WAITING + MAX_HEAD_BYTES + MAX_BODY_BYTES)
    )
    memory = container_of(manifests)["resources"]["limits"]["memory"]
    assert needed <= (1 - SPARE) * int(memory.removesuffix("Mi")) * 2**20


def test_pods_are_added_above_half_a_core(manifests: list[Json]) -> None:
    """The autoscaler's target is half of the CPU request, as in docs/operations.md."""
    [metric] = of_kind(manifests, "HorizontalPodAutoscaler")["spec"]["metrics"]
    assert metric["resource"]["name"] == "cpu"
    assert container_of(manifests)["resources"]["requests"]["cpu"] == "1"
    assert metric["resource"]["target"] == {"type": "Utilization", "averageUtilization": 50}


def test_selectors_match_the_pods_and_references_exist(
    manifests: list[Json],
) -> None:
    """All selectors match the pods of the Deployment, and the autoscaler's target exists."""
    labels = labels_of_pods(manifests)
    spec = of_kind(manifests, "Deployment")["spec"]
    selectors = [
        spec["selector"]["matchLabels"],
        of_kind(manifests, "Service")["spec"]["selector"],
        of_kind(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        of_kind(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(
            spread["labelSelector"]["matchLabels"]
            for spread in spec["template"]["spec"]["topologySpreadConstraints"]
        ),
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)
    scaled = of_kind(manifests, "HorizontalPodAutoscaler")["spec"]
    assert scaled["scaleTargetRef"]["name"] == of_kind(manifests, "Deployment")["metadata"]["name"]
    assert "replicas" not in spec
    assert (
        scaled["minReplicas"] > of_kind(manifests, "PodDisruptionBudget")["spec"]["maxUnavailable"]
    )
    namespace = of_kind(manifests, "Namespace")["metadata"]["name"]
    assert {m["metadata"]["namespace"] for m in manifests if m["kind"] != "Namespace"} == {
        namespace
    }


def test_the_network_policy_allows_only_the_needed_connections(manifests: list[Json]) -> None:
    """Ingress: the controller and Prometheus. Egress: DNS, https to the Internet, Redis if used."""
    spec = of_kind(manifests, "NetworkPolicy")["spec"]
    assert sorted(spec["policyTypes"]) == ["Egress", "Ingress"]
    public, internal = spec["ingress"]
    assert [peer(one) for one in public["from"]] == [("ingress-nginx", None)]
    assert public["ports"] == [{"protocol": "TCP", "port": "http"}]
    assert [peer(one) for one in internal["from"]] == [
        ("monitoring", {"app.kubernetes.io/name": "prometheus"})
    ]
    assert internal["ports"] == [{"protocol": "TCP", "port": "internal"}]

    dns, internet, *more = spec["egress"]
    assert [peer(one) for one in dns["to"]] == [("kube-system", {"k8s-app": "kube-dns"})]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert [block["ipBlock"]["cidr"] for block in internet["to"]] == ["0.0.0.0/0", "::/0"]
    assert "169.254.0.0/16" in internet["to"][0]["ipBlock"]["except"]
    assert internet["ports"] == [{"protocol": "TCP", "port": 443}]
    assert bool(more) == ("LIMITS__STORE" in environment_of(manifests))
    assert [port["port"] for rule in more for port in rule["ports"]] in ([], [6379])


def test_the_component_webhooks_allows_connections_to_the_backend(tmp_path: Path) -> None:
    """The pods can read the signing secret, and connect to the port of the backend."""
    manifests = render(with_components(tmp_path, "webhooks"))

    *_, rule = of_kind(manifests, "NetworkPolicy")["spec"]["egress"]
    assert [peer(one) for one in rule["to"]] == [("backend", None)]
    assert rule["ports"] == [{"protocol": "TCP", "port": 8080}]
    secret = PurePosixPath(environment_of(manifests)["WEBHOOKS__SIGNING_SECRET_FILE"])
    mounts = {one["name"]: one for one in container_of(manifests)["volumeMounts"]}
    assert secret.parent == PurePosixPath(mounts["secrets"]["mountPath"])
    assert unknown_settings(list(environment_of(manifests))) == []


def peer(one: Json) -> tuple[str, Any]:
    """Return the namespace and the pod labels of a peer."""
    namespace = one["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    return namespace, one.get("podSelector", {}).get("matchLabels")


def test_the_service_monitor_finds_the_metrics() -> None:
    """The monitor selects the Service, scrapes an existing path, and sets the job of the alerts."""
    manifests = render(KUBERNETES / "overlays" / "production")
    monitor = of_kind(manifests, "ServiceMonitor")["spec"]
    service = of_kind(manifests, "Service")
    [endpoint] = monitor["endpoints"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "vault-bff"
    [port] = [one for one in service["spec"]["ports"] if one["name"] == endpoint["port"]]
    assert port["targetPort"] == "internal"
    assert endpoint["path"] in {getattr(route, "path", None) for route in metrics_page.routes}


def test_secrets_are_mounted_as_files_only(manifests: list[Json]) -> None:
    """The API key is a file that changes with its Secret, and only the service can read it."""
    container, text = container_of(manifests), str(manifests)
    file = PurePosixPath(environment_of(manifests)["APIDECK__API_KEY_FILE"])
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    volumes = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]["volumes"]
    [secret] = [volume["secret"] for volume in volumes if "secret" in volume]
    assert PurePosixPath(mounts["secrets"]["mountPath"]) == file.parent
    assert "subPath" not in mounts["secrets"]
    assert "items" not in secret  # Each key of the Secret is a file.
    assert secret["defaultMode"] == 0o440
    assert "APIDECK__API_KEY'" not in text
    assert not [manifest for manifest in manifests if manifest["kind"] == "Secret"]


@pytest.mark.skipif(
    not deployment.patches_from_files(), reason="needs kubectl 1.21 or newer: make programs"
)
def test_the_command_in_the_runbook_changes_one_key_of_the_secret(tmp_path: Path) -> None:
    """The command sets a new API key, and does not change the other keys of the Secret."""
    page = (ROOT / "docs" / "runbook.md").read_text()
    commands = re.findall(
        r"^  (kubectl create secret .*?/dev/stdin)$", page, re.MULTILINE | re.DOTALL
    )
    before = {"apideck-api-key": "b2xk", "limits-store": "b2xk"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "vault-bff"}}
    (tmp_path / "secret.yaml").write_text(yaml.safe_dump({**secret, "data": before}))
    (tmp_path / "apideck-api-key").write_text("new")

    changed = []
    for command in commands:
        local = command.replace(
            "-n vault-bff patch secret vault-bff", "patch --local -f secret.yaml"
        ).replace("kubectl", program("kubectl"))
        patched = subprocess.run(
            ["/bin/sh", "-c", f"{local} -o yaml"],
            check=True,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        data = yaml.safe_load(patched.stdout)["data"]
        changed.append({name: data[name] for name in data if data[name] != before.get(name)})
        assert data.keys() == before.keys()
    assert changed == [{"apideck-api-key": "bmV3"}]


def test_image_compose_file_and_manifests_agree(pod: Json, manifests: list[Json]) -> None:
    """They have the same ports, user, configuration file and grace period."""
    container, built = container_of(manifests), image()
    service = compose()["services"]["service"]
    assert int(built.environment["PORT"]) == built.port
    internal = int(environment_of(manifests)["SERVER__INTERNAL_PORT"])
    assert container["ports"] == [
        {"name": "http", "containerPort": built.port},
        {"name": "internal", "containerPort": internal},
    ]
    for name in ("service", "real"):
        composed = compose()["services"][name]
        assert int(composed["environment"]["SERVER__INTERNAL_PORT"]) == internal
        assert f":{internal}/readyz" in composed["healthcheck"]["test"][-1]
    assert of_kind(manifests, "Service")["spec"]["ports"][0]["targetPort"] == "http"
    ids = pod["securityContext"]
    assert {ids["runAsUser"], ids["runAsGroup"], ids["fsGroup"]} == {built.user}
    assert image("deploy/local/Dockerfile").user == built.user
    assert "user" not in service
    file = PurePosixPath(environment_of(manifests)[deployment.CONFIG_FILE])
    assert str(file) == service["environment"][deployment.CONFIG_FILE]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts["config"] == str(file.parent)
    assert {"command", "args"}.isdisjoint({*container, *service})
    grace_period = compose()["services"]["service"]["stop_grace_period"]
    assert grace_period == f"{pod['terminationGracePeriodSeconds']}s"


def kustomizations() -> Iterator[Path]:
    """Yield the folders that have a kustomization."""
    yield from (path.parent for path in KUBERNETES.rglob("kustomization.yaml"))


def test_kustomizations_use_every_file() -> None:
    """The kustomization of each folder names all files of the folder."""
    for folder in kustomizations():
        text = (folder / "kustomization.yaml").read_text()
        for file in folder.iterdir():
            assert file.is_dir() or file.name == "kustomization.yaml" or file.name in text, file
