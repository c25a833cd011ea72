"""Every file of deploy/ is run or checked by a test."""

import subprocess
from pathlib import PurePosixPath

from tests.support.tools import ROOT

TESTS = ROOT / "tests"
# The test or helper that runs or checks the files, by path; the longest matching path applies.
CHECKED_BY = {
    "README.md": "architecture/test_docs.py",
    "grafana": "deploy/test_grafana.py",
    "helm": "deploy/test_helm.py",
    "kubernetes": "deploy/test_kubernetes.py",
    "kubernetes/components/gateway": "deploy/test_kubernetes_routes.py",
    "kubernetes/components/ingress": "deploy/test_kubernetes_routes.py",
    "local/Dockerfile": "deploy/test_containers.py",
    "local/config.toml": "support/demo_stack.py",
    "local/demo": "support/demo_stack.py",
    "local/emulators": "conftest.py",
    "local/look": "support/demo_states.py",
    "local/run.py": "support/demo_stack.py",
    "local/service_environment.py": "demo/test_environment.py",
    "local/service_log.py": "e2e/test_demo_stack.py",
    "platforms": "deploy/test_platforms.py",
    "prometheus": "deploy/test_prometheus.py",
    "proxies": "support/proxies.py",
    "proxies/README.md": "architecture/test_docs.py",
    "systemd": "deploy/test_systemd.py",
}


def files() -> list[PurePosixPath]:
    """Return the files of deploy/ that git does not ignore, relative to deploy/."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        check=True,
        cwd=ROOT / "deploy",
        capture_output=True,
        text=True,
    )
    return [PurePosixPath(line) for line in listed.stdout.splitlines()]


def test_every_file_is_run_or_checked_by_a_test() -> None:
    """A file that no row of the table covers fails the test, and so does an unused row."""
    covered = {file: [row for row in CHECKED_BY if file.is_relative_to(row)] for file in files()}

    assert [str(file) for file, rows in covered.items() if not rows] == []
    used = {max(rows, key=len) for rows in covered.values()}
    assert used == CHECKED_BY.keys()
    assert [check for check in CHECKED_BY.values() if not (TESTS / check).exists()] == []
