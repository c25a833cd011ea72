"""The components `ingress` and `gateway`, which route external requests to the Service."""

import kubernetes_validate
import pytest

from app.api import problem_pages, vault_connections, vault_session
from tests.support import deployment
from tests.support.deployment import Json, of_kind, render, with_components
from tests.support.kubernetes import VERSIONS

pytestmark = pytest.mark.skipif(
    not deployment.renderer(), reason="needs kustomize 5, or kubectl 1.27 or newer: make programs"
)
# No package has the schemas of the Gateway API; the route uses only these fields.
ROUTE_FIELDS = {"parentRefs", "hostnames", "rules"}
RULE_FIELDS = {"matches", "timeouts", "backendRefs"}
PUBLIC = {vault_session.PATH, vault_connections.PATH, problem_pages.PATH}


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> list[Json]:
    """Return the manifests of the production overlay with both components."""
    return render(with_components(tmp_path_factory.mktemp("routes"), "ingress", "gateway"))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_ingress_is_strictly_valid(manifests: list[Json], version: str) -> None:
    """It matches the schemas of the oldest and the newest supported Kubernetes."""
    kubernetes_validate.validate(of_kind(manifests, "Ingress"), version, strict=True)


def test_the_ingress_exposes_the_api_only(manifests: list[Json]) -> None:
    """Each path leads to the public port of the Service, and none leads to probes or metrics."""
    ingress, service = of_kind(manifests, "Ingress"), of_kind(manifests, "Service")
    [rule] = ingress["spec"]["rules"]
    assert [rule["host"]] == ingress["spec"]["tls"][0]["hosts"]
    assert {one["path"] for one in rule["http"]["paths"]} == PUBLIC
    for one in rule["http"]["paths"]:
        backend = one["backend"]["service"]
        assert backend == {"name": service["metadata"]["name"], "port": {"name": "http"}}


def test_the_route_exposes_the_api_only(manifests: list[Json]) -> None:
    """Each path leads to the public port of the Service, and none leads to probes or metrics."""
    route, service = of_kind(manifests, "HTTPRoute"), of_kind(manifests, "Service")
    assert set(route["spec"]) == ROUTE_FIELDS
    [rule] = route["spec"]["rules"]
    assert set(rule) == RULE_FIELDS
    assert {one["path"]["value"] for one in rule["matches"]} == PUBLIC
    public, internal = service["spec"]["ports"]
    assert rule["backendRefs"] == [{"name": service["metadata"]["name"], "port": public["port"]}]
    assert internal["name"] == "internal"


def test_the_network_policy_allows_the_gateway(manifests: list[Json]) -> None:
    """Pods in the Gateway's namespace can connect to the public port only."""
    public, internal = of_kind(manifests, "NetworkPolicy")["spec"]["ingress"]
    namespace = of_kind(manifests, "HTTPRoute")["spec"]["parentRefs"][0]["namespace"]
    assert namespace in str(public["from"])
    assert namespace not in str(internal["from"])
