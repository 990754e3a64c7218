"""Laws of counting processors: what binds this process counts, not what the machine has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hashmatch.jail import cpus
from hashmatch.jail.cpus import usable_cpus


@pytest.fixture(autouse=True)
def _many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpus.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(cpus.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)


def test_affinity_binds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Processors that this process is not bound to are not counted."""
    monkeypatch.setattr(cpus.os, "sched_getaffinity", lambda _: {3, 9}, raising=False)
    assert usable_cpus(tmp_path, tmp_path / "none") == 2


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000", "cpu.max": "max 100000"}, 3),
        ("0::/of/the/host\n", {"cpu.max": "200000 100000\n"}, 2),
        (
            "4:memory:/x\n3:cpu,cpuacct:/x\n",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "400000\n", "cpu,cpuacct/x/cpu.cfs_period_us": "100000\n"},
            4,
        ),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ("0::/\n", {"cpu.max": "nonsense\n"}, 64),
        ("0::/\n", {"cpu.max": "1 0\n"}, 64),
        ("nonsense\n\n::\n", {}, 64),
    ],
)
def test_quotas_bind(tmp_path: Path, membership: str, files: dict[str, str], expected: int) -> None:
    """The least quota from the innermost group to the outermost counts, rounded up; what cannot be read is none."""
    (tmp_path / "self").write_text(membership)
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert usable_cpus(tmp_path / "groups", tmp_path / "self") == expected


def test_here_at_least_one_is_there() -> None:
    """On this machine there is a number."""
    assert 1 <= usable_cpus() <= max(64, os.cpu_count() or 1)
