"""docker-compose.yml, really brought up."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support import containers
from tests.support.containers import BASE, Engine
from tests.support.deployment import compose
from tests.support.ports import free_ports

NEEDED = containers.missing()
SERVICES = ("issuer", "apideck", "redis", "service", "demo")
PORTS = {"service": 8000, "apideck": 8001, "issuer": 8002, "demo": 8003}


@pytest.fixture
def ports(tmp_path: Path) -> dict[str, int]:
    """Return a free port of this machine for each that the compose file publishes."""
    first = free_ports(len(PORTS))
    chosen = {name: first + i for i, name in enumerate(PORTS)}
    published = [f'"127.0.0.1:{chosen[name]}:{port}"' for name, port in PORTS.items()]
    (tmp_path / "ports.yml").write_text(
        f"services: {{issuer: {{ports: !override [{', '.join(published)}]}}}}\n"
    )
    return chosen


@pytest.fixture
def stack(engine: Engine, ports: dict[str, int], tmp_path: Path) -> Iterator[dict[str, str]]:
    """Bring up all that has no profile; yields where each of it is."""
    engine.run("tag", BASE, compose()["services"]["redis"]["image"])
    engine.compose("build", timeout=600)
    try:
        engine.compose("--file", tmp_path / "ports.yml", "up", "--detach", "--no-build")
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        until_ready(urls["service"], engine)
        yield urls
    finally:
        engine.compose("down")


def until_ready(service: str, engine: Engine) -> None:
    """Wait until the service is ready; show its log when it is not in time."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{service}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(engine.compose("logs"))


@pytest.mark.skipif(NEEDED is not None, reason=NEEDED or "")
def test_one_command_brings_up_everything_and_it_works_together(
    engine: Engine, stack: dict[str, str]
) -> None:
    """Each is healthy; a token of the issuer gives a link that opens; Redis counts; it all ends."""
    for name in SERVICES:
        engine.run("healthcheck", "run", f"vault-bff_{name}_1")
    token = httpx.get(f"{stack['issuer']}/token/ada").text
    answer = httpx.post(
        f"{stack['service']}/vault-session", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 201, answer.text
    link = httpx.URL(answer.json()["redirect_url"])
    assert "Ada Byron" in httpx.get(f"{stack['apideck']}{link.path}").text
    assert httpx.get(stack["demo"]).status_code == 200
    counted = engine.run("exec", "vault-bff_redis_1", "redis-cli", "--raw", "keys", "*")
    assert counted.startswith("{vault-bff}:user:")

    engine.compose("stop")
    ended = {name: engine.state(f"vault-bff_{name}_1")["ExitCode"] for name in SERVICES}

    assert ended == dict.fromkeys(SERVICES, 0)
