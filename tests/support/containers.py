"""Containers without a registry or a daemon: podman, with a base image of Debian packages.

This needs root, because many machines have no subordinate user ids. Images and containers are
stored in one temporary directory.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.skips import IMPOSSIBLE

ROOT = Path(__file__).parent.parent.parent
# Built locally under the name that the Dockerfiles use, so that podman does not pull it.
BASE = (ROOT / "Dockerfile").read_text().partition("\nFROM ")[2].split()[0]
IMAGE = "localhost/vault-bff:test"
COMPOSE = Path(sys.executable).parent / "podman-compose"

_TOOLS = ("podman", "runc", "mmdebstrap", "iptables", "make")
_NAMESPACES = ("unshare", "--mount", "--pid", "--net", "--fork", "true")
_PLUGINS = Path("/usr/lib/cni/bridge")
_PACKAGES = "python3,python3-pip,python3-venv,python-is-python3,ca-certificates,redis-server"
_NOT_NEEDED = ("doc", "locale", "man")
_CA = Path("/etc/ssl/certs/ca-certificates.crt")
# This works with both versions of cgroups, without systemd, and with low resource limits.
_CONFIGURATION = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
image_default_format = "v2s2"
"""


def missing() -> str | None:
    """Return what is missing and how to install it, or None."""
    if os.geteuid() != 0:
        return "needs root, to build a container"
    if tools := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        return f"needs {' '.join(tools)}: apt-get install {' '.join(tools)}"
    if not _PLUGINS.exists():
        return "needs apt-get install containernetworking-plugins"
    isolated = subprocess.run(_NAMESPACES, check=False, capture_output=True).returncode == 0
    return None if isolated else f"{IMPOSSIBLE}: it does not allow namespaces"


class Engine:
    """Podman with separate storage.

    Attributes:
        build_seconds: how long it took to build the image.
    """

    build_seconds = 0.0

    def __init__(self, home: Path) -> None:
        self._home = home
        (home / "containers.conf").write_text(_CONFIGURATION)
        (home / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{home}/images"\nrunroot = "{home}/run"\n'
        )
        (home / "bin").mkdir()
        (home / "bin" / "docker").write_text("#!/bin/sh\nexit 1\n")
        (home / "bin" / "docker").chmod(0o755)
        self.environment = {
            **os.environ,
            # This `docker` fails, so `make image` uses podman even on machines with docker.
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
            "CONTAINERS_CONF": str(home / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(home / "storage.conf"),
            "BUILDAH_ISOLATION": "chroot",
            "BUILDAH_FORMAT": "docker",
        }

    def run(self, *arguments: str, timeout: float = 60) -> str:
        """Run a podman command and return its output.

        Raises:
            AssertionError: the command failed; the message is its output.
        """
        return self.command("podman", *arguments, timeout=timeout)

    def command(self, *arguments: str, timeout: float = 60) -> str:
        """Run any command with the environment of this podman, and return its output."""
        ended = subprocess.run(
            arguments,
            check=False,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def make_base(self) -> None:
        """Build a base image with Python and pip, like the real one."""
        tar = self._home / "base.tar"
        trust = [f"--customize-hook=copy-in {_CA} {_CA.parent}"] if _CA.exists() else []
        self.command(
            "mmdebstrap",
            "--quiet",
            "--variant=essential",
            f"--include={_PACKAGES}",
            *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in _NOT_NEEDED),
            # Without this file, pip can remove itself, as in the real base image.
            '--customize-hook=rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
            '--customize-hook=chroot "$1" python3 -m pip install --quiet --ignore-installed'
            " --root-user-action ignore --no-index --find-links /usr/share/python-wheels pip",
            '--customize-hook=chroot "$1" dpkg --purge --force-depends python3-pip',
            *trust,
            "bookworm",
            str(tar),
            timeout=600,
        )
        self.run("import", "--quiet", str(tar), BASE, timeout=120)
        tar.unlink()

    def compose(self, *arguments: str | Path, timeout: float = 120) -> str:
        """Run podman-compose with docker-compose.yml."""
        file = str(ROOT / "docker-compose.yml")
        return self.command(str(COMPOSE), "--file", file, *map(str, arguments), timeout=timeout)

    def state(self, container: str) -> dict[str, Any]:
        """Return the state of a container."""
        return dict(json.loads(self.run("inspect", container))[0]["State"])

    def inspect(self, image: str) -> dict[str, Any]:
        """Return the metadata of an image."""
        [described] = json.loads(self.run("image", "inspect", image))
        return dict(described)

    @contextmanager
    def container(self, *options: str, image: str = IMAGE) -> Iterator[str]:
        """Run a container with the restrictions of the manifests; yields its id."""
        strict = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--network=host")
        no_new = "--security-opt=no-new-privileges"
        started = self.run("run", "--detach", *strict, no_new, *options, image).strip()
        try:
            yield started
        finally:
            self.run("rm", "--force", "--time", "0", started)

    def wait(self, container: str, seconds: float) -> int:
        """Wait until a container has exited, and return its exit status."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.state(container)
            if not state["Running"]:
                return int(state["ExitCode"])
            time.sleep(0.05)
        raise AssertionError("the container did not exit")

    def remove_everything(self) -> None:
        """Remove every container and image."""
        self.run("rm", "--all", "--force", "--time", "0")
        self.run("rmi", "--all", "--force", timeout=120)
        subprocess.run(["umount", str(self._home / "images" / "overlay")], check=False)  # noqa: S607
