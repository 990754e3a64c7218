"""Keypoint index files live as those of other hashes do: taken up at any version, changed beside, compacted."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hashmatch import Matcher, ReferenceList, profiles
from hashmatch.errors import IndexFormatError
from hashmatch.index import segmented
from hashmatch.index.storage import Section, read_index_file
from hashmatch.lists import Entry
from hashmatch.policy import KeypointRule
from hashmatch.store import keypoint_rows as room
from hashmatch.store.folder import build_files, remove_others
from hashmatch.store.index_file import identity_of, verify_index_file
from support.list_makers import made_up, made_up_record

N = 300
KEYPOINTS = replace(profiles.THOROUGH, name="keypoints", rotations=False, shrinks=False, trims=False, crops=None)


def entry(number: int) -> Entry:
    """Make the entry of this number: a keypoint record and a hash."""
    return Entry.of(f"e{number}", hashes=[made_up_record(number, 60), made_up(number)], quality=80)


def found(matcher: Matcher, number: int) -> list[str]:
    """Names of the entries that the record of this number matches."""
    return [match.entry_id for match in matcher.match_hash(made_up_record(number, 60)).matches]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a list of some hundred records."""
    with ReferenceList.create(tmp_path / "list", name="records") as ref:
        ref.add_many(entry(number) for number in range(N))
    return tmp_path / "list"


def file_of(folder: Path) -> Path:
    """Give the only keypoint file of a folder."""
    (file,) = folder.glob("*.keypoint.index")
    return file


def opened(path: Path, folder: Path | None, **more: object) -> Matcher:
    """Open a matcher of keypoint records."""
    return Matcher.open(path, index_folder=folder, policy=KEYPOINTS, **more)  # type: ignore[arg-type]


def change(path: Path, added: list[int], withdrawn: list[int]) -> None:
    """Change the list."""
    with ReferenceList.open(path, writable=True) as ref:
        ref.add_many(entry(number) for number in added)
        for number in withdrawn:
            assert ref.withdraw(f"e{number}")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the keypoint indexes that are built."""
    sizes: list[int] = []
    real = room.KeypointIndex.build

    def build(*args: object, **more: object) -> object:
        index = real(*args, **more)  # type: ignore[arg-type]
        sizes.append(len(index))
        return index

    monkeypatch.setattr(room.KeypointIndex, "build", build)
    return sizes


def test_the_file_stays_when_a_record_is_added(path: Path, folder: Path, counted: list[int]) -> None:
    """After changes an opening and a reload take the same file up, and build an index of what came alone."""
    opened(path, folder).close()
    before = identity_of(file_of(folder))
    counted.clear()
    with opened(path, folder) as running:
        change(path, [N], [4])
        assert running.reload()
        with opened(path, folder) as anew:
            for matcher in (running, anew):
                assert [found(matcher, number) for number in (N, 4, 5)] == [[f"e{N}"], [], ["e5"]]
                report = matcher.match_hash(made_up_record(5, 60))
                assert report.lists[0].compared == {"keypoint": N}
    assert counted == [1, 1]
    assert identity_of(file_of(folder)) == before


@pytest.mark.parametrize("maps", [True, False])
def test_added_and_withdrawn_again(path: Path, folder: Path, maps: bool) -> None:
    """A record that came after the file was made goes again, and a file serves later versions however it is read."""
    opened(path, folder).close()
    before = identity_of(file_of(folder))
    with opened(path, folder, map_files=maps) as running:
        for step in range(4):
            change(path, [N + step], [N + step - 1] if step else [0])
            with opened(path, folder, map_files=maps) as anew:
                assert running.reload()
                for matcher in (running, anew):
                    assert found(matcher, N + step) == [f"e{N + step}"]
                    assert found(matcher, N + step - 1) == ([] if step else [f"e{N - 1}"])
                    assert found(matcher, 0) == []
    assert identity_of(file_of(folder)) == before


def test_building_leaves_nothing_to_build(path: Path, folder: Path, counted: list[int]) -> None:
    """What `index build` makes for a policy with keypoints serves the first matcher; a second call makes nothing."""
    with ReferenceList.open(path) as ref:
        made = {built.algorithm: built for built in build_files(ref, profiles.THOROUGH, folder)}
        assert made.keys() == {"pdq", "keypoint"}
        assert (made["keypoint"].made, made["keypoint"].n_rows, made["keypoint"].path) == (True, N, file_of(folder))
        assert not any(built.made for built in build_files(ref, profiles.THOROUGH, folder))
        before = {file: identity_of(file) for file in folder.glob("[!.]*")}
        assert len(before) == 3
        counted.clear()
        with Matcher.open(path, index_folder=folder, policy=profiles.THOROUGH) as matcher:
            assert found(matcher, 7) == ["e7"]
        assert counted == []
        assert list(remove_others(ref, profiles.THOROUGH, folder)) == []
        assert {file: identity_of(file) for file in folder.glob("[!.]*")} == before
        change(path, [N], [])
        assert [built.made for built in build_files(ref, profiles.THOROUGH, folder)] == [True, True]
        (only,) = [
            built for built in build_files(ref, profiles.THOROUGH, folder, again=True) if built.algorithm != "pdq"
        ]
        assert (only.made, only.n_rows) == (True, N + 1)
        assert list(remove_others(ref, profiles.STANDARD, folder)) == [only.path]


def test_compaction_goes_on_beside(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file far behind is made anew in the background, and the new one is taken up by others, who build nothing."""
    monkeypatch.setattr(segmented, "_REBUILD_FLOOR", 5)
    monkeypatch.setattr(segmented, "_REBUILD_SHARE", 0.0)
    real, began, go_on = room.KeypointIndex._write, threading.Event(), threading.Event()

    def slow(*args: object, **more: object) -> None:
        began.set()
        assert go_on.wait(60)
        real(*args, **more)  # type: ignore[arg-type]

    with opened(path, folder) as matcher, opened(path, folder) as other:
        before = identity_of(file_of(folder))
        with monkeypatch.context() as patch:
            patch.setattr(room.KeypointIndex, "_write", slow)
            change(path, list(range(N, N + 6)), [4])
            assert matcher.reload()
            assert began.wait(60)
            assert [found(matcher, number) for number in (N + 5, 4, 3)] == [[f"e{N + 5}"], [], ["e3"]]
            assert identity_of(file_of(folder)) == before
            go_on.set()
            assert matcher._keeper.wait(60)
        assert (matcher.upkeep.compactions, matcher.upkeep.compaction_error) == (1 + 1, None), "that of pdq, too"
        after = identity_of(file_of(folder))
        assert after != before
        monkeypatch.setattr(room.KeypointIndex, "build", None)
        assert other.reload()
        for each in (matcher, other):
            keypoints = each._snapshots[0].keypoints
            assert keypoints is not None
            assert keypoints.kept is not None
            assert (keypoints.kept.identity, keypoints.segments.recent, each._snapshots[0].due()) == (after, (), ())
            assert [found(each, number) for number in (N + 5, 4, 3)] == [[f"e{N + 5}"], [], ["e3"]]
    assert verify_index_file(file_of(folder)) is not None


def test_a_file_far_behind_is_made_anew_at_opening(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At opening, changes beyond a share of the file are not laid over it; the list in memory is indexed anew."""
    monkeypatch.setattr(segmented, "_REBUILD_FLOOR", 5)
    monkeypatch.setattr(segmented, "_REBUILD_SHARE", 0.0)
    with opened(path, None) as memory:
        opened(path, folder).close()
        before = identity_of(file_of(folder))
        change(path, list(range(N, N + 6)), [])
        assert memory.reload()
        with opened(path, folder) as anew:
            for matcher in (memory, anew):
                keypoints = matcher._snapshots[0].keypoints
                assert keypoints is not None
                assert not keypoints.segments.recent
                assert found(matcher, N + 5) == [f"e{N + 5}"]
    assert identity_of(file_of(folder)) != before


def test_a_list_that_went_on_differently_is_noticed(path: Path, folder: Path) -> None:
    """A backup that took another course from an earlier version is not what the file says, whatever its version."""
    backup = path.read_bytes()
    change(path, [N], [])
    opened(path, folder).close()
    path.unlink()
    path.write_bytes(backup)
    change(path, [N + 1], [])
    with opened(path, folder) as matcher:
        assert [found(matcher, number) for number in (N, N + 1, 0)] == [[], [f"e{N + 1}"], ["e0"]]


@pytest.mark.parametrize("spoil", ["row.marks", "row.ids"])
def test_rows_that_are_not_the_lists_are_found(path: Path, folder: Path, spoil: str) -> None:
    """A file whose columns are not those of its records is refused by verify, and one without them is made anew."""
    opened(path, folder).close()
    file = file_of(folder)
    content = verify_index_file(file)
    assert content is not None
    assert content.n_rows == N
    index = room.KeypointIndex.load(file)
    columns = {name: a.copy() for name, a in read_index_file(file).sections.items() if name.startswith("row.")}
    columns[spoil][7] = columns[spoil][8]
    forged = folder / "forged"
    index._write(forged, index.tag, [Section(name, a.dtype.str, [a]) for name, a in columns.items()])
    with pytest.raises(IndexFormatError, match="rows"):
        verify_index_file(forged)
    file.unlink()
    index.save(file, tag=index.tag)
    with opened(path, folder) as matcher:
        assert found(matcher, 7) == ["e7"]
    assert verify_index_file(file_of(folder)) == content


def test_answers_follow_any_changes(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every bound turned down, random changes and compactions answer as the list does."""
    monkeypatch.setattr(segmented, "_REBUILD_FLOOR", 12)
    monkeypatch.setattr(segmented, "_REBUILD_SHARE", 0.0)
    monkeypatch.setattr(segmented, "_SCANNED_BYTES", 3 * 4096)
    rng = np.random.default_rng(5)
    held = set(range(N))
    keyed = replace(KEYPOINTS, keypoints=KeypointRule(max_chance=-6.0, key=bytes(32)))
    with (
        ReferenceList.open(path, writable=True) as ref,
        opened(path, folder) as one,
        opened(path, None) as two,
        Matcher.open(path, index_folder=folder, policy=keyed) as three,
    ):
        for step in range(30):
            for number in {int(number) for number in rng.integers(N - 30, N + 30, int(rng.integers(1, 5)))}:
                if number in held:
                    ref.withdraw(f"e{number}")
                else:
                    ref.add_many([entry(number)])
                held ^= {number}
            if step % 9 == 8:
                ref.compact()
            for matcher in (one, two, three):
                matcher.reload()
                if step % 4 == 3:
                    assert matcher._keeper.wait(60)
            for number in rng.integers(N - 30, N + 30, 5).tolist():
                expected = [f"e{number}"] if number in held else []
                assert [found(one, number), found(two, number), found(three, number)] == [expected, expected, []]
        assert one.match_hash(made_up_record(1, 60)).lists[0].compared == {"keypoint": len(held)}
        assert one.upkeep.compaction_error is None
        assert one.upkeep.compactions > 0
