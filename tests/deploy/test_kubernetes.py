"""The manifests, as `kubectl apply -k` would send them."""

import json
import re
import shutil
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
from app.bounded_http import MAX_HEAD_BYTES
from app.settings import Settings
from app.settings.sources import load_settings
from emulators.issuer import DevelopmentIssuer
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
)
from tests.support.service import running, settings_for
from tests.support.skips import IMPOSSIBLE

pytestmark = pytest.mark.skipif(
    not deployment.renderer(), reason="needs kustomize 5, or kubectl 1.27 or newer"
)

VERSIONS = ("1.31", "1.37")
FOLDERS = ("base", *(f"overlays/{name}" for name in OVERLAYS))
# The operator's own types are in no package; these are the fields of them that are used here.
MONITOR_FIELDS = {"endpoints", "selector"}
ENDPOINT_FIELDS = {"port", "path", "interval", "scrapeTimeout"}

# What a process takes, seen on one and rounded up: 80 MB at rest and 20 for ten thousand remembered
# tokens; for a request with a small head and no body, 55 KB in flight, and 10 while it waits.
AT_REST = 100_000_000
IN_FLIGHT, WAITING = 60_000, 12_000
# Left for connections on which nothing is asked, of 7 KB each.
SPARE = 0.25


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> list[Json]:
    """Return what an overlay renders to."""
    return render(KUBERNETES / "overlays" / request.param)


@pytest.fixture
def pod(manifests: list[Json]) -> Json:
    """Return the specification of the pods."""
    return dict(of_kind(manifests, "Deployment")["spec"]["template"]["spec"])


@pytest.fixture
def settings(manifests: list[Json], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Return the settings that a pod would start with."""
    config = tmp_path / "config.toml"
    config.write_text(of_kind(manifests, "ConfigMap")["data"]["config.toml"])
    for name, value in {**image().environment, **environment_of(manifests)}.items():
        if "__" in name:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv(deployment.CONFIG_FILE, str(config))
    return load_settings()


def environment_of(manifests: list[Json]) -> dict[str, str]:
    """Return the environment of the container; what is from a Secret is a URL of a Redis."""
    variables = container_of(manifests)["env"]
    return {one["name"]: one.get("value", "redis://redis:6379/0") for one in variables}


def labels_of_pods(manifests: list[Json]) -> dict[str, str]:
    """Return the labels that selectors have to meet."""
    return dict(of_kind(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_manifest_is_strictly_valid(folder: str, version: str) -> None:
    """No field is unknown, missing or of another type, in the oldest and newest Kubernetes."""
    for manifest in render(KUBERNETES / folder):
        if manifest["kind"] == "ServiceMonitor":
            assert set(manifest["spec"]) == MONITOR_FIELDS
            assert all(set(one) == ENDPOINT_FIELDS for one in manifest["spec"]["endpoints"])
        else:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_a_field_that_does_not_exist_is_noticed(manifests: list[Json]) -> None:
    """The validation above is strict."""
    deployment_ = of_kind(manifests, "Deployment")
    deployment_["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment_, VERSIONS[-1], strict=True)


def test_every_setting_exists_and_together_they_are_a_configuration(
    manifests: list[Json], settings: Settings
) -> None:
    """The service would start with what the pods are given."""
    assert unknown_settings(list(environment_of(manifests))) == []
    assert settings.identity.issuers
    assert settings.server.host == "0.0.0.0"  # noqa: S104 - inside a container


def test_pods_meet_the_restricted_security_standard(pod: Json, manifests: list[Json]) -> None:
    """Not root, nothing to gain, nothing to write, no token, and no variables of other services."""
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


def test_probes_ask_what_the_service_answers(manifests: list[Json]) -> None:
    """Each probe's path is a route: living restarts, readiness only takes out of service."""
    container = container_of(manifests)
    routes = {getattr(route, "path", None) for route in health.routes}
    paths = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness")}
    assert {probe["path"] for probe in paths.values()} == {"/livez"} <= routes
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert "/readyz" in routes


async def test_the_patch_for_allowed_hosts_lets_probes_in(
    tmp_path: Path, issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """Who asks for the pod's address, as probes do, is served, and the host; no other is."""
    page = (ROOT / "deploy" / "README.md").read_text()
    [patch] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    folder = shutil.copytree(KUBERNETES, tmp_path / "kubernetes") / "overlays" / "production"
    file = folder / "kustomization.yaml"
    overlay = yaml.safe_load(file.read_text())
    overlay["patches"] += yaml.safe_load(patch)
    file.write_text(yaml.safe_dump(overlay))

    added = container_of(render(folder))["env"][-2:]
    assert added[0] == {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    assert added[1]["name"] == "SERVER__ALLOWED_HOSTS"
    # As Kubernetes does with a variable that was named before.
    hosts = json.loads(added[1]["value"].replace("$(POD_IP)", "10.1.2.3"))

    settings = settings_for(issuer.issuer, apideck_url, server={"allowed_hosts": hosts})
    async with running(settings) as service:
        answered = {
            host: (await service.get("/livez", headers={"host": host})).status_code
            for host in ("10.1.2.3:8000", "vault.example.com", "10.1.2.4:8000")
        }
    assert list(answered.values()) == [200, 200, 421]


def test_pods_have_the_time_that_the_service_takes_to_end(
    pod: Json, manifests: list[Json], settings: Settings
) -> None:
    """Readiness goes off within the delay; nothing is killed before delay and grace are over."""
    server = settings.server
    readiness = container_of(manifests)["readinessProbe"]
    assert readiness["periodSeconds"] * readiness["failureThreshold"] <= (
        server.shutdown_delay_seconds
    )
    taken = server.shutdown_delay_seconds + server.shutdown_grace_seconds
    assert taken < pod["terminationGracePeriodSeconds"]
    assert settings.apideck.deadline_seconds < server.shutdown_grace_seconds


def test_memory_lasts_for_every_request_that_is_let_in(
    manifests: list[Json], settings: Settings
) -> None:
    """The largest requests on every place, and in every wait, leave a quarter of the limit."""
    limits = settings.limits
    taken = (
        AT_REST
        + limits.max_in_flight * (IN_FLIGHT + MAX_HEAD_BYTES + MAX_BODY_BYTES)
        + limits.max_waiting * (WAITING + MAX_HEAD_BYTES + MAX_BODY_BYTES)
    )
    memory = container_of(manifests)["resources"]["limits"]["memory"]
    assert taken <= (1 - SPARE) * int(memory.removesuffix("Mi")) * 2**20


def test_pods_are_added_once_they_use_half_a_core(manifests: list[Json]) -> None:
    """The autoscaler counts in shares of what a pod asks for, and docs/operations.md in cores."""
    [metric] = of_kind(manifests, "HorizontalPodAutoscaler")["spec"]["metrics"]
    assert metric["resource"]["name"] == "cpu"
    assert container_of(manifests)["resources"]["requests"]["cpu"] == "1"
    assert metric["resource"]["target"] == {"type": "Utilization", "averageUtilization": 50}


def test_selectors_meet_the_pods_and_nothing_names_what_is_not_there(
    manifests: list[Json],
) -> None:
    """Service, autoscaler, budget, policy and spread are all about the Deployment's pods."""
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


def test_the_network_policy_lets_in_and_out_whom_it_says(manifests: list[Json]) -> None:
    """In: the ingress, and Prometheus' pods. Out: DNS, https to the Internet, and maybe Redis."""
    spec = of_kind(manifests, "NetworkPolicy")["spec"]
    assert sorted(spec["policyTypes"]) == ["Egress", "Ingress"]
    [inward] = spec["ingress"]
    assert [peer(one) for one in inward["from"]] == [
        ("ingress-nginx", None),
        ("monitoring", {"app.kubernetes.io/name": "prometheus"}),
    ]
    assert inward["ports"] == [{"protocol": "TCP", "port": "http"}]

    dns, internet, *more = spec["egress"]
    assert [peer(one) for one in dns["to"]] == [("kube-system", {"k8s-app": "kube-dns"})]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert [block["ipBlock"]["cidr"] for block in internet["to"]] == ["0.0.0.0/0", "::/0"]
    assert "169.254.0.0/16" in internet["to"][0]["ipBlock"]["except"]
    assert internet["ports"] == [{"protocol": "TCP", "port": 443}]
    assert bool(more) == ("LIMITS__STORE" in environment_of(manifests))
    assert [port["port"] for rule in more for port in rule["ports"]] in ([], [6379])


def peer(one: Json) -> tuple[str, Any]:
    """Return the namespace and the pods that a peer is."""
    namespace = one["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    return namespace, one.get("podSelector", {}).get("matchLabels")


def test_the_service_monitor_finds_the_metrics() -> None:
    """It selects the Service by its labels, and asks a port of its for a path that is a route."""
    manifests = render(KUBERNETES / "overlays" / "production")
    monitor = of_kind(manifests, "ServiceMonitor")["spec"]
    service = of_kind(manifests, "Service")
    [endpoint] = monitor["endpoints"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["path"] in {getattr(route, "path", None) for route in metrics_page.routes}


def test_secrets_come_from_a_directory_and_from_nowhere_else(manifests: list[Json]) -> None:
    """The key is a file that follows its Secret, readable by the service's group alone."""
    container, text = container_of(manifests), str(manifests)
    file = PurePosixPath(environment_of(manifests)["APIDECK__API_KEY_FILE"])
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    volumes = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]["volumes"]
    [secret] = [volume["secret"] for volume in volumes if "secret" in volume]
    assert PurePosixPath(mounts["secrets"]["mountPath"]) == file.parent
    assert "subPath" not in mounts["secrets"]
    assert [item["path"] for item in secret["items"]] == [file.name]
    assert secret["defaultMode"] == 0o440
    assert "APIDECK__API_KEY'" not in text
    assert not [manifest for manifest in manifests if manifest["kind"] == "Secret"]


@pytest.mark.skipif(
    not deployment.patches_from_files(), reason=f"{IMPOSSIBLE}: Debian's kubectl is older than 1.21"
)
def test_the_runbooks_command_changes_one_field_of_the_secret(tmp_path: Path) -> None:
    """A new key leaves the store of the limits as it is."""
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
        here = command.replace(
            "-n vault-bff patch secret vault-bff", "patch --local -f secret.yaml"
        )
        made = subprocess.run(
            ["/bin/sh", "-c", f"{here} -o yaml"],
            check=True,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        data = yaml.safe_load(made.stdout)["data"]
        changed.append({name: data[name] for name in data if data[name] != before.get(name)})
        assert data.keys() == before.keys()
    assert changed == [{"apideck-api-key": "bmV3"}]


def test_image_compose_file_and_manifests_agree(pod: Json, manifests: list[Json]) -> None:
    """One port, one user, and one place for the configuration file."""
    container, built = container_of(manifests), image()
    service = compose()["services"]["service"]
    assert int(built.environment["SERVER__PORT"]) == built.port
    assert container["ports"] == [{"name": "http", "containerPort": built.port}]
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
    asked = compose()["services"]["service"]["stop_grace_period"]
    assert asked == f"{pod['terminationGracePeriodSeconds']}s"


def kustomizations() -> Iterator[Path]:
    """Yield every folder with a kustomization."""
    yield from (path.parent for path in KUBERNETES.rglob("kustomization.yaml"))


def test_no_file_is_left_out() -> None:
    """Whatever lies in a folder, its kustomization uses."""
    for folder in kustomizations():
        text = (folder / "kustomization.yaml").read_text()
        for file in folder.iterdir():
            assert file.is_dir() or file.name == "kustomization.yaml" or file.name in text, file
