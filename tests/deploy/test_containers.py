"""The image and the compose file, built and run with podman.

All tests are in one file, so that one worker of pytest-xdist runs them: the image is built once.
"""

import contextlib
import json
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from emulators.apideck.emulator import API_KEY
from emulators.issuer import DevelopmentIssuer
from tests.support import containers
from tests.support.containers import BASE, IMAGE, ROOT, Engine
from tests.support.deployment import compose
from tests.support.http import bearer
from tests.support.ports import free_ports, has_ipv6
from tests.support.process import environment_for
from tests.support.summary import SUMMARY
from tests.support.waiting import until_ready

# 1.5 times the size in deploy/README.md.
MAX_ADDED_BYTES = 140_000_000
SERVICES = ("issuer", "apideck", "redis", "service", "demo")
# Starting a container takes seconds, so one program collects all the information.
_CONTENTS = """
import importlib.util, json, os, shutil, sys
modules, programs = (words.split() for words in sys.argv[1:])
paths = [
    os.path.join(folder, name)
    for top in ("/srv", "/opt")
    for folder, folders, files in os.walk(top)
    for name in ("", *files)
]
print(json.dumps({
    "application": os.listdir("/srv"),
    "writable": [path for path in paths if os.access(path, os.W_OK)],
    "modules": [name for name in modules if importlib.util.find_spec(name)],
    "programs": [name for name in programs if shutil.which(name)],
}))
"""
PORTS = {"service": 8000, "apideck": 8001, "issuer": 8002, "demo": 8003}

pytestmark = pytest.mark.skipif(containers.missing() is not None, reason=containers.missing() or "")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Build the image with `make image`, on a local base image."""
    engine = Engine(tmp_path_factory.mktemp("containers"))
    engine.make_base()
    started = time.monotonic()
    engine.command("make", "image", f"IMAGE={IMAGE}", "ARGS=--quiet", timeout=600)
    engine.build_seconds = time.monotonic() - started
    yield engine
    engine.remove_everything()


@pytest.fixture
def ports(tmp_path: Path) -> dict[str, int]:
    """Return a free port for each port that the compose file publishes."""
    first = free_ports(len(PORTS))
    chosen = {name: first + i for i, name in enumerate(PORTS)}
    published = [f'"127.0.0.1:{chosen[name]}:{port}"' for name, port in PORTS.items()]
    (tmp_path / "ports.yml").write_text(
        f"services: {{issuer: {{ports: !override [{', '.join(published)}]}}}}\n"
    )
    return chosen


def wait_until_healthy(engine: Engine, container: str) -> None:
    """Run a container's health check until it passes: the internal port is not published."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(AssertionError):
            engine.run("healthcheck", "run", container)
            return
    engine.run("healthcheck", "run", container)


@pytest.fixture
def stack(engine: Engine, ports: dict[str, int], tmp_path: Path) -> Iterator[dict[str, str]]:
    """Start all services without a profile; yields their URLs."""
    engine.run("tag", BASE, compose()["services"]["redis"]["image"])
    engine.compose("build", timeout=600)
    try:
        engine.compose("--file", tmp_path / "ports.yml", "up", "--detach", "--no-build")
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        assert until_ready(f"{urls['service']}/problems", 60), engine.compose("logs")
        wait_until_healthy(engine, "vault-bff_service_1")
        yield urls
    finally:
        engine.compose("down")


def test_the_image_has_the_metadata_of_the_dockerfile(engine: Engine) -> None:
    """User, entry point, port, stop signal, health check and labels match the Dockerfile."""
    image = engine.inspect(IMAGE)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    config = image["Config"]

    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["python", "-m", "app"]
    assert config["Cmd"] == ["serve"]
    assert set(config["ExposedPorts"]) == {"8000/tcp"}
    assert config["StopSignal"] == "SIGTERM"
    assert image["Healthcheck"]["Test"][:2] == ["CMD", "python"]
    assert config["Labels"]["org.opencontainers.image.version"] == version
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert len(config["Labels"]["org.opencontainers.image.revision"]) == 40


def test_the_image_adds_few_bytes_to_its_base(engine: Engine) -> None:
    """The size of the image's own layers is limited, so that a large file fails the test."""
    added = engine.inspect(IMAGE)["Size"] - engine.inspect(BASE)["Size"]

    assert 0 < added < MAX_ADDED_BYTES, f"{added / 1e6:.0f} MB"


def test_the_image_contains_only_the_service(engine: Engine) -> None:
    """The image has no tests, emulators, installers or development tools, and no writable file."""
    run = ("run", "--rm", "--network=none", "--entrypoint=python", IMAGE, "-c", _CONTENTS)
    modules = ("pip", "setuptools", "pytest", "hypothesis", "mypy", "emulators", "tests")
    programs = ("pip", "pip3", "gcc", "cc", "make", "git", "curl")

    found = json.loads(engine.run(*run, " ".join(modules), " ".join(programs)))

    assert found == {"application": ["app"], "writable": [], "modules": [], "programs": []}


def test_the_image_runs_with_a_read_only_root_and_stops_on_sigterm(
    engine: Engine,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    unused_tcp_port: int,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Without root and capabilities it creates a session, is healthy, and exits with status 0."""
    started = time.monotonic()
    key = tmp_path / "apideck-api-key"
    key.write_text(API_KEY)
    tmp_path.chmod(0o755)
    settings = environment_for(issuer.issuer, apideck_url, unused_tcp_port)
    settings = {name: value for name, value in settings.items() if "__" in name}
    del settings["APIDECK__API_KEY"]
    options = [f"--env={name}={value}" for name, value in settings.items()]
    options += [
        "--env=APIDECK__API_KEY_FILE=/run/secrets/apideck-api-key",
        f"--volume={key}:/run/secrets/apideck-api-key:ro",
    ]
    with engine.container(*options) as container:
        base = f"http://127.0.0.1:{unused_tcp_port}"
        assert until_ready(f"{base}/readyz", 30), engine.run("logs", container)
        seconds = engine.build_seconds + time.monotonic() - started
        record_property(SUMMARY, f"container: {seconds:.0f} s to the first response")
        response = httpx.post(f"{base}/vault-session", headers=bearer(issuer.token()))
        if has_ipv6():
            assert httpx.get(f"http://[::1]:{unused_tcp_port}/livez").status_code == 200
        engine.run("healthcheck", "run", container)
        engine.run("kill", "--signal=TERM", container)

        assert response.status_code == 201, response.text
        assert len(apideck.minted) == 1
        assert engine.wait(container, 15) == 0


def test_one_command_starts_all_services_of_the_compose_file(
    engine: Engine, stack: dict[str, str]
) -> None:
    """Each service is healthy, a session opens the Vault, Redis counts, and all stop cleanly."""
    for name in SERVICES:
        engine.run("healthcheck", "run", f"vault-bff_{name}_1")
    token = httpx.get(f"{stack['issuer']}/token/ada").text
    response = httpx.post(f"{stack['service']}/vault-session", headers=bearer(token))
    assert response.status_code == 201, response.text
    link = httpx.URL(response.json()["redirect_url"])
    assert "Ada Byron" in httpx.get(f"{stack['apideck']}{link.path}").text
    assert httpx.get(stack["demo"]).status_code == 200
    keys, deadline = "", time.monotonic() + 60
    # On a slow machine, the first connection to Redis can take longer than its timeout of 0.1 s.
    while not keys and time.monotonic() < deadline:
        httpx.post(f"{stack['service']}/vault-session", headers=bearer(token))
        keys = engine.run("exec", "vault-bff_redis_1", "redis-cli", "--raw", "keys", "*").strip()
    assert keys.startswith("{vault-bff}:user:")

    engine.compose("stop")
    ended = {name: engine.state(f"vault-bff_{name}_1")["ExitCode"] for name in SERVICES}

    assert ended == dict.fromkeys(SERVICES, 0)
