"""Laws of the walk: what is passed over or not reached is counted, and no link leads it round in circles."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hashmatch.scan import ScanSummary, WalkCounts, iter_files


def walk(*roots: Path, **options: Any) -> tuple[list[str], WalkCounts, list[str | None]]:
    """Names of the files, the counts, and the names in the errors."""
    counts, problems = WalkCounts(), []
    names = [path.name for path in iter_files(roots, on_error=problems.append, counts=counts, **options)]
    assert counts.found == len(names)
    return names, counts, [problem.filename for problem in problems]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make two files, an empty folder, a pipe, a socket, and links of every kind."""
    root, outside = tmp_path / "tree", tmp_path / "outside"
    (root / "sub" / "empty").mkdir(parents=True)
    outside.mkdir()
    (root / "one").write_bytes(b"1")
    (root / "sub" / "two").write_bytes(b"2")
    (outside / "three").write_bytes(b"3")
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(root / "sock"))
    for name, target in {
        "again": root / "one",
        "broken": root / "nowhere",
        "inner": root / "sub",
        "itself": root / "itself",
        "loop": root,
        "out": outside,
        "through": root / "one" / "x",
    }.items():
        (root / "sub" / f"link-{name}").symlink_to(target)
    return root


def test_everything_met_is_counted(tree: Path) -> None:
    """Files, folders, links and special files are in a count each; passing over by rule leaves the walk complete."""
    names, counts, problems = walk(tree)
    assert (names, problems) == (["one", "two"], [])
    assert counts == WalkCounts(found=2, folders=3, folders_empty=1, links=7, special=2, ended=True)
    assert counts.complete


def test_links_are_followed_to_each_real_file_once(tree: Path) -> None:
    """Loops end, links that lead nowhere are passed over, and those that leave the roots are told."""
    names, counts, problems = walk(tree, follow_links=True)
    assert (sorted(names), problems) == (["one", "three", "two"], [])
    assert (counts.links_followed, counts.links_outside, counts.links, counts.special) == (4, 1, 3, 2)
    assert (counts.repeated, counts.folders, counts.folders_empty, counts.complete) == (3, 4, 1, True)
    # roots within one another and hard links too
    os.link(tree / "one", tree / "hard")
    names, counts, _ = walk(tree, tree / "sub", tree / "one", follow_links=True)
    assert sorted(names) == ["hard", "three", "two"]
    assert len(walk(tree, tree / "sub")[0]) == 4


def test_special_files_behind_links_are_passed_over(tmp_path: Path) -> None:
    """A link to a pipe or a device is followed to something that is no file."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to(os.devnull)
    (tmp_path / "to-pipe").symlink_to(tmp_path / "pipe")
    names, counts, _ = walk(tmp_path, follow_links=True)
    assert (names, counts.special + counts.repeated, counts.links_followed) == ([], 3, 2)


class _Breaking:
    """A folder whose listing breaks after its first name."""

    def __init__(self, found: Any) -> None:
        self._found = found

    def __enter__(self) -> Iterator[os.DirEntry[str]]:
        def names() -> Iterator[os.DirEntry[str]]:
            yield next(self._found)
            raise OSError(5, "Input/output error", "sub")

        return names()

    def __exit__(self, *_: object) -> None:
        self._found.close()


def test_a_listing_that_breaks_loses_only_what_was_not_listed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came before the error is taken, the folder is told, and the walk is incomplete."""
    (tree / "sub" / "two").unlink()
    (tree / "only").mkdir()
    (tree / "only" / "file").write_bytes(b"")
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: _Breaking(real(path)) if path.endswith("only") else real(path))
    names, counts, problems = walk(tree)
    assert ("file" in names, problems) == (True, ["sub"])
    assert (counts.folders_unreadable, counts.ended, counts.complete) == (1, True, False)


def test_what_is_gone_before_it_is_looked_at_is_told(tree: Path) -> None:
    """A folder that goes while its neighbours are walked, and a root that is not there, make the walk incomplete."""
    counts, problems = WalkCounts(), []
    found = iter_files([tree, tree / "nowhere"], on_error=problems.append, counts=counts)
    assert next(found).name == "one"
    assert not counts.ended
    for path in sorted((tree / "sub").iterdir()):
        path.rmdir() if path.name == "empty" else path.unlink()
    (tree / "sub").rmdir()
    assert list(found) == []
    assert (counts.folders_unreadable, counts.unreachable, len(problems), counts.complete) == (1, 1, 2, False)


def test_a_walk_gives_files_before_it_has_seen_them_all(tree: Path) -> None:
    """Paths come as folders are listed: a walk over millions of files starts at once and keeps none of them."""
    counts = WalkCounts()
    found = iter_files([tree], counts=counts)
    next(found)
    assert (counts.folders, counts.found) == (1, 1)


def test_a_summary_is_complete_when_every_file_was_answered_for(tree: Path) -> None:
    """Files that were found and not counted, as after an interrupt, leave the summary incomplete."""
    summary = ScanSummary(walk=WalkCounts())
    assert list(iter_files([tree], counts=summary.walk))
    assert not summary.complete
    assert ScanSummary().complete
    assert "found" not in ScanSummary().to_dict()
    assert summary.to_dict()["found"] == 2
