"""docker-compose.yml is valid and complete, and its settings are valid."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.settings.sources import load_settings
from tests.support import deployment
from tests.support.deployment import ROOT, compose, image, unknown_settings

LINTER = ROOT / "tests" / "support" / "compose_lint"
DCLINT = LINTER / "node_modules" / ".bin" / "dclint"
VAULT_BFF = ("service", "real")


def no_linter() -> str | None:
    """Return what is missing and how to install it, or None."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "needs Node.js with npm: apt-get install nodejs npm"
    return None if DCLINT.exists() else "needs npm packages: make node-modules"


def services() -> dict[str, Any]:
    """Return the services of the compose file."""
    return dict(compose()["services"])


@pytest.mark.skipif(no_linter() is not None, reason=no_linter() or "")
def test_the_file_matches_the_compose_specification() -> None:
    """Dclint checks the file against the schema of the specification and common rules."""
    ended = subprocess.run(
        [DCLINT, "--config", LINTER / "dclint.json", ROOT / "docker-compose.yml"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("name", services())
def test_every_service_is_hardened_and_has_a_health_check(name: str) -> None:
    """Services are read-only, have no capabilities, cannot gain privileges, have a health check."""
    service = services()[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert "privileged" not in service
    assert "cap_add" not in service


def test_services_start_in_a_valid_order() -> None:
    """Each service waits until its dependencies are healthy, and there is no cycle."""
    depends_on = {name: service.get("depends_on", {}) for name, service in services().items()}
    for name, others in depends_on.items():
        assert set(others) <= set(depends_on), name
        assert all(other == {"condition": "service_healthy"} for other in others.values()), name

    assert set(depends_on["service"]) == {"issuer", "apideck", "redis"}
    assert set(depends_on["demo"]) == {"service"}
    started: set[str] = set()
    while ready := {n for n, others in depends_on.items() if set(others) <= started} - started:
        started |= ready
    assert started == set(depends_on)


def test_ports_are_published_on_loopback_only() -> None:
    """Other machines cannot reach any service."""
    published = [port for service in services().values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert len({port.rpartition(":")[0] for port in published}) == len(published)


def test_the_default_services_do_not_use_the_real_apideck() -> None:
    """Only the profile `real` contacts other machines, and it is disabled by default."""
    with_profile = {name for name, one in services().items() if "profiles" in one}
    assert with_profile == {"real"}
    assert services()["real"]["profiles"] == ["real"]
    assert "depends_on" not in services()["real"]


def test_the_compose_file_uses_the_settings_of_make_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Together with the compose file's environment they are complete, and the ports match."""
    service = services()["service"]
    [source, target, mode] = service["volumes"][0].split(":")
    environment = {**image().environment, **service["environment"]}
    assert (environment.pop(deployment.CONFIG_FILE), mode) == (target, "ro")
    for name, value in environment.items():
        if "__" in name:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv(deployment.CONFIG_FILE, str(ROOT / source))

    settings = load_settings()

    published = services()["issuer"]["ports"]
    for port in (settings.server.port, 8001, 8002, 8003):
        assert f"127.0.0.1:{port}:{port}" in published
    assert settings.server.host == "::"
    assert settings.limits.store.get_secret_value().startswith("redis://")
    assert "6379" in services()["redis"]["command"]


@pytest.mark.parametrize("name", VAULT_BFF)
def test_every_setting_exists(name: str) -> None:
    """The compose file has no unknown setting."""
    assert unknown_settings(list(services()[name]["environment"])) == []


def test_an_unknown_setting_is_detected() -> None:
    """The check above also detects unknown settings in groups whose names operators choose."""
    known = ["IDENTITY__ISSUERS__MAIN__CLAIMS__EMAIL", "SERVER__PORT", "LIMITS__STORE", "PATH"]
    wrong = ["SERVER__PROT", "METRICS__ON", "IDENTITY__ISSUERS__MAIN__KEY", "SERVER__PORT__X"]

    assert unknown_settings([*known, *wrong]) == wrong


def test_the_real_service_reads_its_key_from_a_file() -> None:
    """The key is a secret of the compose file, and is mounted at the path in the setting."""
    real = services()["real"]
    file = Path(real["environment"]["APIDECK__API_KEY_FILE"])
    assert file.parent == Path("/run/secrets")
    assert real["secrets"] == [file.name]
    assert file.name in compose()["secrets"]
    assert real["ports"] == [f"127.0.0.1:8080:{image().port}"]
