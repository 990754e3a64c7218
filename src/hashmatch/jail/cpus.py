"""How many processors this process may use: those it is bound to, and what its control groups grant it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["usable_cpus"]

_GROUPS: Final = Path("/sys/fs/cgroup")
_MEMBERSHIP: Final = Path("/proc/self/cgroup")


def usable_cpus(groups: Path = _GROUPS, membership: Path = _MEMBERSHIP) -> int:
    """Count the processors this process may use, 1 or more.

    Parameters
    ----------
    groups, membership : path
        Where Linux shows control groups, and those of this process.

    Notes
    -----
    A quota, as ``docker run --cpus`` sets it, is rounded up. `os.cpu_count` counts those of the machine, of which a
    container may have few.
    """
    bound = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        with suppress(OSError):
            bound = len(os.sched_getaffinity(0))
    return max(1, min([bound, *(math.ceil(quota) for quota in _quotas(groups, membership))]))


def _quotas(groups: Path, membership: Path) -> Iterator[float]:
    """Processors that each control group grants which this process is in, as cgroup v2 and v1 write it."""
    try:
        lines = membership.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        kinds, _, path = rest.partition(":")
        top = groups / kinds if kinds else groups
        if kinds and "cpu" not in kinds.split(","):
            continue
        inner = Path(path.lstrip("/"))
        for part in (inner, *inner.parents):  # in a container the path may be the host's: then the top alone is there
            with suppress(OSError, ValueError, ZeroDivisionError):
                if kinds:
                    quota = float((top / part / "cpu.cfs_quota_us").read_text())
                    period = float((top / part / "cpu.cfs_period_us").read_text())
                else:
                    quota, period = map(float, (top / part / "cpu.max").read_text().split())
                if quota > 0:
                    yield quota / period
