"""The content of the wheel, and the command that it installs."""

import hashlib
import os
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer
from tests.support.process import environment_for, url
from tests.support.tools import ROOT, run, tool
from tests.support.waiting import until_ready

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def build(source: Path, folder: Path, *targets: str) -> None:
    """Build packages from a source tree, as `make wheel` and pip do."""
    options = [option for target in targets for option in ("-t", target)]
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), *options]
    subprocess.run(command, check=True, cwd=source, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("packages")
    build(ROOT, folder, "sdist", "wheel")
    return folder


@pytest.fixture(scope="module")
def wheel(packages: Path) -> Path:
    """Return the built wheel."""
    return packages / f"vault_bff-{VERSION}-py3-none-any.whl"


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel, and return the folder of its command.

    The virtual environment uses the dependencies of the tests, because an installation takes long.
    `make install-check` installs them.
    """
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=True)
    options = ("--offline", "--no-deps", "--python", folder)
    ended = run(tool("uv"), "pip", "install", *options, wheel)
    assert ended.returncode == 0, ended.stderr
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin"


def output(folder: Path, *command: str, **environment: str) -> str:
    """Run a command outside the repository, and return its output."""
    ended = subprocess.run(
        [folder / command[0], *command[1:]],
        check=False,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_the_wheel_has_all_modules_in_one_package(wheel: Path) -> None:
    """The package is `vault_bff`, and there is no package named `app`."""
    names = zipfile.ZipFile(wheel).namelist()
    modules = {str(path.relative_to(ROOT / "app")) for path in (ROOT / "app").rglob("*.py")}

    assert {name.partition("/")[0] for name in names} == {
        "vault_bff",
        f"vault_bff-{VERSION}.dist-info",
    }
    assert {
        name.removeprefix("vault_bff/") for name in names if name.startswith("vault_bff/")
    } == modules


def test_the_source_distribution_builds_the_same_wheel(
    packages: Path, wheel: Path, tmp_path: Path
) -> None:
    """The wheel that is built from the source distribution is identical, byte for byte."""
    with tarfile.open(packages / f"vault_bff-{VERSION}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    build(tmp_path / f"vault_bff-{VERSION}", tmp_path, "wheel")

    rebuilt = tmp_path / wheel.name

    digests = {hashlib.sha256(file.read_bytes()).hexdigest() for file in (wheel, rebuilt)}
    assert len(digests) == 1


def test_the_command_prints_its_version_and_its_name(installed: Path) -> None:
    """`--version` prints the release, and the usage has the command as the user typed it."""
    assert output(installed, "vault-bff", "--version") == f"vault-bff {VERSION}\n"
    help_of_module = output(installed, "python", "-m", "vault_bff", "--help")
    assert help_of_module.startswith("usage: python -m vault_bff ")


def test_the_command_creates_a_session_and_stops_on_sigterm(
    installed: Path,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    unused_tcp_port: int,
) -> None:
    """The installed service runs although no package named `app` can be imported."""
    environment = environment_for(issuer.issuer, apideck_url, unused_tcp_port)
    find = "import importlib.util as util; print(util.find_spec('app'))"
    assert output(installed, "python", "-c", find) == "None\n"
    assert "APIDECK__APP_ID: from environment" in output(
        installed, "vault-bff", "check", **environment
    )
    process = subprocess.Popen(
        [installed / "vault-bff", "serve"],
        cwd=installed,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert until_ready(
            url(environment, "/livez"), 60, is_running=lambda: process.poll() is None
        )
        response = httpx.post(url(environment, "/vault-session"), headers=bearer(issuer.token()))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()

    assert response.status_code == 201, response.text
    assert len(apideck.minted) == 1
    assert (process.returncode, err) == (0, "")
