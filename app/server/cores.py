"""How many cores this process may use."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

_GROUPS: Final = Path("/proc/self/cgroup")
_MOUNT: Final = Path("/sys/fs/cgroup")


def usable_cores(groups: Path = _GROUPS, mount: Path = _MOUNT) -> int:
    """Return the number of cores by CPU affinity and by quota, at least 1.

    A quota of two and a half cores is two: a third worker would make all of them wait for CPU time.

    Args:
        groups: the file that names the control groups of this process.
        mount: where control groups are mounted.
    """
    # macOS has no affinity.
    affine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, int(min([affine or 1, *_quotas(groups, mount)])))


def _quotas(groups: Path, mount: Path) -> Iterator[float]:
    """Yield the quota, in cores, of each control group of this process and of those around it.

    Sources: the kernel's Documentation/admin-guide/cgroup-v2.rst ("cpu.max") and
    Documentation/scheduler/sched-bwc.rst (version 1).
    """
    for folder in _folders(groups, mount):
        # Files are missing where a group has no limit, and the root of a hierarchy has none.
        with suppress(OSError, ValueError):
            quota, period = (folder / "cpu.max").read_text().split()
            yield int(quota) / int(period)  # "max" is no number: no limit.
        with suppress(OSError, ValueError):
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
            if int(quota) > 0:  # -1: no limit.
                yield int(quota) / int(period)


def _folders(groups: Path, mount: Path) -> Iterator[Path]:
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # Version 2 has no name here. In a container the path may be that of the host, of which the
        # container sees only its own group, as the root.
        group = PurePosixPath(path.lstrip("/"))
        for one in (group, *group.parents):
            yield mount / controllers / one
