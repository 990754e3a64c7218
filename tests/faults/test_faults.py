"""Faults of disks and processes, a sample of each; ``python -m fuzz.faults`` tries them all."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from fuzz.engine import Run

from fuzz import faults
from hashmatch.index import storage

POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
pytestmark = [POSIX, pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")]


def tried(part: Any, folder: Path, **more: Any) -> Run:
    """Run a part; gives its counts after holding that nothing went wrong."""
    run = Run("test", 3)
    part(run, folder, **more)
    assert [(found.kind, found.what, found.where) for found in run.findings] == []
    return run


@pytest.mark.parametrize("kind", ["linear", "bktree", "multi", "exact", "keypoint", "kept"])
def test_flips_and_truncations_of_indexes(kind: str, tmp_path: Path) -> None:
    """A flipped bit or a missing end of an index file is always refused."""
    run = tried(faults.flips, tmp_path, stride=23, names=(kind,))
    assert run.outcomes == {f"{kind}: refused": run.executions}
    assert run.executions > 200


@pytest.mark.parametrize("name", list(faults.LISTS))
def test_flips_and_truncations_of_lists(name: str, tmp_path: Path) -> None:
    """A flipped bit or a missing end of a list file is refused, or is in no byte that is read."""
    run = tried(faults.flips, tmp_path, stride=449, names=(name,))
    assert min(run.outcomes.values()) > 20
    assert len(run.outcomes) == 2


@pytest.mark.long
@pytest.mark.parametrize("name", ["multi", "list"])
def test_every_flip(name: str, tmp_path: Path) -> None:
    """Every single bit."""
    tried(faults.flips, tmp_path, names=(name,))


def test_failed_calls(tmp_path: Path) -> None:
    """Whichever call of publishing fails, there is the old file or the new one and nothing beside it."""
    run = tried(faults.calls, tmp_path)
    assert run.outcomes["multi: old"] > 10


def test_failed_calls_of_a_keypoint_file(tmp_path: Path) -> None:
    """Whichever call fails while a keypoint file is made, taken up or compacted: a typed error or right answers."""
    outcomes = tried(faults.records, tmp_path, stride=3).outcomes
    assert outcomes["made: ReferenceListError"] > 4
    assert outcomes["taken up: ReferenceListError"] > 0
    assert outcomes["compacted: answers, and keeps an error"] > 4
    assert all(outcomes[f"{stage}: answers"] for stage in ("made", "taken up", "compacted"))


def test_lost_power(tmp_path: Path) -> None:
    """Whenever the power goes, there is the old file or the new one."""
    assert tried(faults.power, tmp_path).outcomes["multi: new"] > 0


def test_lost_power_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without flushing before renaming, the same test fails: it can."""
    monkeypatch.setattr(faults._Watched, "fsync", lambda *_: None)
    run = Run("test", 3)
    faults.power(run, tmp_path)
    assert {found.kind for found in run.findings} == {"lost"}
    assert storage.os is os  # type: ignore[attr-defined]


@pytest.mark.skipif(sys.platform == "darwin", reason="forking beside Apple's frameworks is unsafe")
def test_killed_processes(tmp_path: Path) -> None:
    """Killed at any moment, an index is old or new, and a list is of the version told or the next."""
    run = tried(faults.kills, tmp_path, n=60)
    assert run.executions == 120
    assert run.outcomes["list: the version told"] + run.outcomes["list: one version more than told"] == 60


@pytest.mark.skipif(sys.platform == "darwin", reason="forking beside Apple's frameworks is unsafe")
def test_killed_compactions(tmp_path: Path) -> None:
    """Killed at any moment of making an index file beside, the next matcher answers as the list does."""
    run = tried(faults.compactions, tmp_path, n=25)
    assert run.executions == 25
    assert run.outcomes["from a file"] > 0
    assert run.outcomes["a keypoint file there"] > 0


def test_full_disk(tmp_path: Path) -> None:
    """A disk that is full at any length leaves the old state, and says so by an error."""
    outcomes = tried(faults.full, tmp_path, stride=4096).outcomes
    assert outcomes["list: done"] == outcomes["index: done"] == 1
    assert outcomes["index: OSError"] > 0
    assert outcomes["list: ReferenceListError"] > 2


def test_read_only_folder(tmp_path: Path) -> None:
    """A folder that may not be written to gives a typed error."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    own = tmp_path / "own"
    own.mkdir()
    own.chmod(0o755)
    assert tried(faults.readonly, own).executions == 2
