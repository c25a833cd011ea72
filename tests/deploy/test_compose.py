"""docker-compose.yml: valid, complete, and with settings that the service takes."""

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
OURS = ("service", "real")


def no_linter() -> str | None:
    """Return what is missing to lint, or None when nothing is."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "needs Node.js with npm: apt-get install nodejs npm"
    return None if DCLINT.exists() else "needs npm packages: make node-modules"


def services() -> dict[str, Any]:
    """Return every service of the compose file."""
    return dict(compose()["services"])


@pytest.mark.skipif(no_linter() is not None, reason=no_linter() or "")
def test_it_is_what_the_compose_specification_allows() -> None:
    """Dclint holds it against the specification's JSON schema, and against good practice."""
    ended = subprocess.run(
        [DCLINT, "--config", LINTER / "dclint.json", ROOT / "docker-compose.yml"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("name", services())
def test_every_service_is_hardened_and_says_when_it_is_well(name: str) -> None:
    """Read-only, without capabilities or new privileges, and with a health check in exec form."""
    service = services()[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert "privileged" not in service
    assert "cap_add" not in service


def test_services_start_in_an_order_that_leads_somewhere() -> None:
    """Each waits until what it needs is healthy, and from each there is a way to the issuer."""
    needed = {name: service.get("depends_on", {}) for name, service in services().items()}
    for name, others in needed.items():
        assert set(others) <= set(needed), name
        assert all(other == {"condition": "service_healthy"} for other in others.values()), name

    assert set(needed["service"]) == {"issuer", "apideck", "redis"}
    assert set(needed["demo"]) == {"service"}
    started: set[str] = set()
    while ready := {n for n, others in needed.items() if set(others) <= started} - started:
        started |= ready
    assert started == set(needed)


def test_everything_is_published_on_loopback_only() -> None:
    """Nobody but the person at the machine reaches any of it."""
    published = [port for service in services().values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert len({port.rpartition(":")[0] for port in published}) == len(published)


def test_one_command_brings_up_no_real_apideck() -> None:
    """Only the profile `real` leaves the machine, and it is not on unless asked for."""
    profiled = {name for name, one in services().items() if "profiles" in one}
    assert profiled == {"real"}
    assert services()["real"]["profiles"] == ["real"]
    assert "depends_on" not in services()["real"]


def test_the_local_stack_has_the_settings_of_make_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what the compose file adds they are a whole configuration, on the ports it publishes."""
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
    assert settings.server.host == "0.0.0.0"  # noqa: S104 - inside a container
    assert settings.limits.store.get_secret_value().startswith("redis://")
    assert "6379" in services()["redis"]["command"]


@pytest.mark.parametrize("name", OURS)
def test_every_setting_that_is_used_exists(name: str) -> None:
    """A setting that was renamed in the code is renamed here."""
    assert unknown_settings(list(services()[name]["environment"])) == []


def test_a_setting_that_does_not_exist_is_noticed() -> None:
    """The check above tells real settings from others, also below names of one's own."""
    known = ["IDENTITY__ISSUERS__MAIN__CLAIMS__EMAIL", "SERVER__PORT", "LIMITS__STORE", "PATH"]
    wrong = ["SERVER__PROT", "METRICS__ON", "IDENTITY__ISSUERS__MAIN__KEY", "SERVER__PORT__X"]

    assert unknown_settings([*known, *wrong]) == wrong


def test_the_real_one_takes_its_key_from_a_file() -> None:
    """The key is a secret of the compose file's, mounted where the setting says."""
    real = services()["real"]
    file = Path(real["environment"]["APIDECK__API_KEY_FILE"])
    assert file.parent == Path("/run/secrets")
    assert real["secrets"] == [file.name]
    assert file.name in compose()["secrets"]
    assert real["ports"] == [f"127.0.0.1:8080:{image().port}"]
