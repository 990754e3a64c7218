"""Laws of scanning: every file is counted once, in order, and nothing that goes wrong is lost."""

from __future__ import annotations

import inspect
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hashmatch import Matcher, Outcome, ReferenceList, hash_image
from hashmatch.picture.encode import encode
from hashmatch.scan import ScanSummary, iter_files, scan
from hashmatch.synthetic import picture


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a folder with a match, a mirrored match, another picture, a flat one, text, an empty file and traps."""
    root = tmp_path / "tree"
    (root / "b" / "c").mkdir(parents=True)
    photo, other = picture("photo", 5, size=(160, 200)), picture("photo", 6, size=(160, 200))
    (root / "a.png").write_bytes(encode(photo, "PNG"))
    (root / "b" / "mirrored.jpg").write_bytes(encode(photo[:, ::-1], "JPEG", quality=90))
    (root / "b" / "c" / "other.webp").write_bytes(encode(other, "WEBP"))
    (root / "b" / "flat.png").write_bytes(encode(np.full((50, 50, 3), 9, np.uint8), "PNG"))
    (root / "b" / "notes.txt").write_text("no picture")
    (root / "b" / "c" / "empty.jpg").write_bytes(b"")
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "again.png").symlink_to(root / "a.png")
    os.mkfifo(root / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(root / "sock"))
    with ReferenceList.create(tmp_path / "list.hashmatch", name="demo") as ref:
        ref.add("photo", hashes=[hash_image(photo)])
    return root


def test_files_come_once_in_a_fixed_order(tree: Path) -> None:
    """Links, pipes and sockets are passed over; the rest comes in the same order every time."""
    names = [path.relative_to(tree).as_posix() for path in iter_files([tree])]
    assert names == ["a.png", "b/flat.png", "b/mirrored.jpg", "b/notes.txt", "b/c/empty.jpg", "b/c/other.webp"]
    assert list(iter_files([tree])) == list(iter_files([str(tree)]))


def test_a_named_root_is_taken_even_through_a_link(tree: Path) -> None:
    """What a person names is meant: a file or folder behind a link is scanned; a pipe is not, and that is told."""
    problems: list[OSError] = []
    assert list(iter_files([tree / "again.png", tree / "pipe.png"], on_error=problems.append)) == [tree / "again.png"]
    assert [problem.filename for problem in problems] == [str(tree / "pipe.png")]
    with pytest.raises(OSError, match="neither a file nor a folder"):
        list(iter_files([tree / "pipe.png"]))
    assert len(list(iter_files([tree / "loop"]))) == 6


@pytest.mark.parametrize("workers", [1, 3])
def test_every_file_is_in_exactly_one_outcome(tree: Path, workers: int) -> None:
    """The counts add up to the files, whatever the files are."""
    summary = ScanSummary()
    paths = list(iter_files([tree]))
    with Matcher.open(tree.parent / "list.hashmatch") as matcher:
        for path, item in zip(paths, scan(matcher, paths, workers=workers), strict=True):
            assert item.path == path
            summary.count(item)
    assert summary.outcomes == {
        Outcome.MATCH: 2,
        Outcome.NO_MATCH: 1,
        Outcome.UNDECIDABLE: 1,
        Outcome.UNREADABLE: 2,
    }
    assert summary.reasons == {"too-plain": 1, "not-an-image": 1, "empty": 1}
    assert summary.n_files == len(paths)
    assert sum(summary.to_dict()["outcomes"].values()) == len(paths)  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("isolate", [False, True])
def test_an_endless_iterator_is_read_a_few_ahead(tree: Path, workers: int, *, isolate: bool) -> None:
    """Paths come from an iterator, which is read as the answers are taken."""
    taken = 0

    def paths() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield tree / "a.png"

    with Matcher.open(tree.parent / "list.hashmatch") as matcher:
        items = scan(matcher, paths(), workers=workers, isolate=isolate)
        assert taken == 0
        assert [next(items).path.name for _ in range(5)] == ["a.png"] * 5
        assert 5 <= taken < 100
        items.close()


def test_missing_roots_are_told_and_the_rest_goes_on(tree: Path) -> None:
    """A root that is not there is handed to the caller; without a handler it is raised."""
    problems: list[OSError] = []
    found = list(iter_files([tree / "nowhere", tree / "b" / "c"], on_error=problems.append))
    assert len(found) == 2
    assert [type(problem) for problem in problems] == [FileNotFoundError]
    with pytest.raises(FileNotFoundError):
        list(iter_files([tree / "nowhere"]))


def test_a_file_that_goes_while_scanning_is_an_outcome(tree: Path) -> None:
    """A file deleted between listing and reading is unreadable, not an error."""
    paths = list(iter_files([tree]))
    paths[0].unlink()
    with Matcher.open(tree.parent / "list.hashmatch") as matcher:
        (first, *_) = scan(matcher, paths)
    assert (first.report.outcome, first.report.reason) == (Outcome.UNREADABLE, "not-found")


def test_folders_nested_deeper_than_the_interpreter_recurses(tmp_path: Path) -> None:
    """Folders within one another are walked however deep they are; media can be hostile in this way too."""
    deepest = tmp_path.joinpath(*["d"] * 150)
    deepest.mkdir(parents=True)
    (deepest / "file").write_bytes(b"")
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        found = list(iter_files([tmp_path]))
    finally:
        sys.setrecursionlimit(before)
    assert found == [deepest / "file"]


def test_a_folder_that_cannot_be_read_is_told(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a folder that is refused are not silently missing: the folder is handed to the caller."""
    real = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("c"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    problems: list[OSError] = []
    assert len(list(iter_files([tree], on_error=problems.append))) == 4
    assert [problem.filename for problem in problems] == [str(tree / "b" / "c")]
