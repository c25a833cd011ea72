import os
from pathlib import Path

import pytest

from app.server.cores import usable_cores

V2, V1 = "0::/{path}\n", "3:cpu,cpuacct:/{path}\n2:cpuset:/\n1:name=systemd:/\n"


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def cores(folder: Path, text: str, path: str = "", **files: str) -> int:
    """Return the number of cores of a process in a control group.

    Args:
        folder: an empty folder.
        text: the content of the file that lists the groups.
        path: the path of the group in that file.
        files: the contents of the files of the control groups. In their names, `__` stands for a
            slash, and `_` after cpu for a dot.
    """
    groups = folder / "cgroup"
    groups.write_text(text.format(path=path))
    for name, content in files.items():
        file = folder / "mount" / name.replace("__", "/").replace("cpu_", "cpu.", 1)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return usable_cores(groups, folder / "mount")


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("1600000 100000", 8),
        ("", 8),
    ],
)
def test_the_quota_of_control_groups_version_2_is_used(
    tmp_path: Path, limit: str, expected: int
) -> None:
    """It is rounded down, and is at least one core and at most the CPU affinity."""
    assert cores(tmp_path, V2, cpu_max=limit) == expected


def test_the_quota_of_a_parent_group_is_used(tmp_path: Path) -> None:
    """The smallest quota on the path applies."""
    files = {"pods__cpu_max": "300000 100000", "pods__one__cpu_max": "max 100000"}

    assert cores(tmp_path, V2, "pods/one", **files) == 3


def test_the_quota_is_found_under_the_path_of_the_host(tmp_path: Path) -> None:
    """A container without its own namespace sees its group as the root."""
    assert cores(tmp_path, V2, "docker/0123", cpu_max="200000 100000") == 2


@pytest.mark.parametrize(("quota", "expected"), [("-1", 8), ("200000", 2), ("10000", 1)])
def test_the_quota_of_control_groups_version_1_is_used(
    tmp_path: Path, quota: str, expected: int
) -> None:
    """Its files are in the folder of the controller."""
    folder = "cpu,cpuacct__docker"
    files = {f"{folder}__cpu_cfs_quota_us": quota, f"{folder}__cpu_cfs_period_us": "100000"}

    assert cores(tmp_path, V1, "docker", **files) == expected


def test_without_control_groups_the_affinity_is_used(tmp_path: Path) -> None:
    """Some systems have no such files."""
    assert usable_cores(tmp_path / "missing", tmp_path) == 8
