"""The image: linted, really built, and started as strictly as the manifests ask for."""

import subprocess
import sys
import time
import tomllib
from pathlib import Path

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from emulators.apideck.emulator import API_KEY
from emulators.issuer import DevelopmentIssuer
from tests.support import containers
from tests.support.containers import BASE, IMAGE, ROOT, Engine
from tests.support.http import bearer
from tests.support.process import environment_for

DOCKERFILES = ("Dockerfile", "deploy/local/Dockerfile")
NEEDED = containers.missing()
# Half as much again as deploy/README.md says that it is.
MAX_ADDED_BYTES = 140_000_000
built = pytest.mark.skipif(NEEDED is not None, reason=NEEDED or "")


@pytest.mark.parametrize("file", DOCKERFILES)
def test_the_linter_finds_nothing(file: str) -> None:
    """Hadolint has no complaint, and none is silenced."""
    hadolint = Path(sys.executable).parent / "hadolint"
    ended = subprocess.run([hadolint, ROOT / file], check=False, capture_output=True, text=True)

    assert (ended.returncode, ended.stdout) == (0, "")
    assert "hadolint ignore" not in (ROOT / file).read_text()


@built
def test_the_image_says_what_it_is(engine: Engine) -> None:
    """User, entry, port, stop signal, health check and labels are what the Dockerfile promises."""
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


@built
def test_the_image_adds_little_to_its_base(engine: Engine) -> None:
    """What our layers hold has a bound, so that nothing large gets in unnoticed."""
    added = engine.inspect(IMAGE)["Size"] - engine.inspect(BASE)["Size"]

    assert 0 < added < MAX_ADDED_BYTES, f"{added / 1e6:.0f} MB"


@built
def test_nothing_is_in_the_image_but_the_service(engine: Engine) -> None:
    """No tests, emulators, installer or development tool, and nothing that its user may write."""
    found = engine.run(
        "run", "--rm", "--network=none", "--entrypoint=find", IMAGE, "/srv", "/opt", "-writable"
    )
    assert found == ""
    top = engine.run("run", "--rm", "--network=none", "--entrypoint=ls", IMAGE, "-A", "/srv")
    assert top.split() == ["app"]
    modules = ("pip", "setuptools", "pytest", "hypothesis", "mypy", "emulators", "tests")
    find = "import importlib.util as i, sys; print([m for m in sys.argv[1:] if i.find_spec(m)])"
    importable = engine.run(
        "run", "--rm", "--network=none", "--entrypoint=python", IMAGE, "-c", find, *modules
    )
    assert importable.strip() == "[]"
    shell = "command -v pip pip3 gcc cc make git curl || true"
    tools = engine.run("run", "--rm", "--network=none", "--entrypoint=sh", IMAGE, "-c", shell)
    assert tools == ""


@built
def test_it_serves_with_a_read_only_root_and_ends_on_sigterm(
    engine: Engine,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    unused_tcp_port: int,
    tmp_path: Path,
) -> None:
    """As nobody in particular, without a capability, it mints, is healthy, and ends with 0."""
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
        until_ready(base, engine, container)
        answer = httpx.post(f"{base}/vault-session", headers=bearer(issuer.token()))
        engine.run("healthcheck", "run", container)
        engine.run("kill", "--signal=TERM", container)

        assert answer.status_code == 201, answer.text
        assert len(apideck.minted) == 1
        assert engine.wait(container, 15) == 0


def until_ready(base: str, engine: Engine, container: str) -> None:
    """Wait until the service is ready; show its log when it is not in time."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{base}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(engine.run("logs", container))
