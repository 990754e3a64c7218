"""Index files that serve by themselves: tied to the list, brought up to date, refused where they are wrong."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hashmatch import Matcher, Outcome, ReferenceList, profiles
from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import IndexFormatError, ReferenceListError
from hashmatch.hashes import HashValue, distance
from hashmatch.index import segmented
from hashmatch.index.costs import MEASURED
from hashmatch.index.loading import load_index
from hashmatch.index.storage import read_index_file, write_index_file
from hashmatch.lists import Changes, Entry
from hashmatch.store import folder as files
from hashmatch.store import hash_rows as rows
from hashmatch.store import index_file as kept
from support.list_makers import made_up, tampered

KINDS = ("pdq", "md5", "phash", "photodna", "sha1")


def entry(number: int, *algorithms: str) -> Entry:
    """Make the entry of a number."""
    return Entry.of(
        f"e{number}", hashes=[made_up(number, name) for name in algorithms or ("pdq",)], quality=50 + number % 51
    )


def make(path: Path, n: int, *algorithms: str) -> Path:
    """Make a list of n entries."""
    with ReferenceList.create(path, name="kept") as ref:
        ref.add_many(entry(number, *algorithms) for number in range(n))
    return path


def found(matcher: Matcher, number: int, algorithm: str = "pdq") -> list[str]:
    """Ids of the entries that a hash matches."""
    return [match.entry_id for match in matcher.match_hash(made_up(number, algorithm), quality=90).matches]


def file_of(folder: Path, algorithm: str = "pdq") -> Path:
    """Index file of an algorithm."""
    (file,) = folder.glob(f"*.{algorithm}.index")
    return file


@pytest.mark.parametrize("n", [30, 3000])
def test_a_file_serves_every_kind(n: int, tmp_path: Path, folder: Path) -> None:
    """Fresh, from the file, and brought up to date by changes, every algorithm finds what the list holds."""
    path = make(tmp_path / "list", n, *KINDS)
    for _ in range(2):
        with Matcher.open(path, index_folder=folder) as matcher:
            assert all(found(matcher, number, name) == [f"e{number}"] for name in KINDS for number in (0, 7, n - 1))
    stamps = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.index")}
    assert len(stamps) == len(KINDS)
    with ReferenceList.open(path, writable=True) as ref:
        ref.withdraw("e7")
        ref.add_many([entry(n, *KINDS)])
        ref.withdraw("e3")
    with Matcher.open(path, index_folder=folder) as matcher:
        for name in KINDS:
            assert [found(matcher, number, name) for number in (3, 7, 0, n)] == [[], [], ["e0"], [f"e{n}"]]
        assert matcher._snapshots[0].sizes == dict.fromkeys(KINDS, n - 1)
    assert {file.name: file.stat().st_mtime_ns for file in folder.glob("*.index")} == stamps, "nothing was made anew"
    for file in folder.glob("*.index"):
        content = kept.verify_index_file(file)
        assert content is not None
        assert content.n_rows == n


def test_opening_reads_no_rows(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a file that fits neither rows of the list nor sections of the file are read."""
    path = make(tmp_path / "list", 3000)
    Matcher.open(path, index_folder=folder).close()
    asked = []
    real = kept.read_index_stream
    monkeypatch.setattr(
        kept, "read_index_stream", lambda at, *, verify, **more: asked.append(verify) or real(at, verify=verify, **more)
    )
    monkeypatch.setattr(kept, "build_index_file", None)
    monkeypatch.setattr("hashmatch.lists.read.rows.read_row_blocks", None)
    with Matcher.open(path, index_folder=folder) as matcher:
        assert found(matcher, 5) == ["e5"]
    assert asked == ["header"]
    os.utime(file_of(folder))
    Matcher.open(path, index_folder=folder).close()
    Matcher.open(path, index_folder=folder).close()
    assert asked == ["header", "full", "header"], "a file that was touched is checked once"


def test_the_columns_are_narrow_where_they_can_be(tmp_path: Path, folder: Path) -> None:
    """A row takes 11 bytes at most: number and entry 4 each, source 2, quality 1; of a plain list less."""
    plain = tmp_path / "plain"
    with ReferenceList.create(plain, name="plain") as ref:
        ref.add_many(Entry.of(f"e{number}", hashes=[made_up(number)], quality=90) for number in range(3000))
    mixed = make(tmp_path / "mixed", 3000)
    with ReferenceList.open(mixed, writable=True) as ref:
        ref.add("e5", hashes=[made_up(5)], source="another")
        ref.withdraw("e5")
        ref.add_many([entry(3000)])
    for path, size in ((plain, 4 * 3000 + 2 + 1), (mixed, 11 * 3001)):
        for _ in range(2):
            with Matcher.open(path, index_folder=folder) as matcher:
                assert all(found(matcher, number) == [f"e{number}"] for number in (0, 5, 2999))
        file = file_of(folder)
        sections = read_index_file(file).sections
        assert sum(array.nbytes for name, array in sections.items() if name.startswith("row.")) == size
        assert "positions" not in sections
        assert kept.verify_index_file(file) is not None
        file.unlink()


def test_a_copy_that_went_on_differently_is_noticed(tmp_path: Path, folder: Path) -> None:
    """A file of one course of a list is not taken for the other, though id, version and number of rows are the same."""
    path = make(tmp_path / "list", 50)
    shutil.copyfile(path, tmp_path / "backup")
    with ReferenceList.open(path, writable=True) as ref:
        ref.add_many([entry(100)])
    Matcher.open(path, index_folder=folder).close()
    with ReferenceList.open(tmp_path / "backup", writable=True) as ref:
        ref.add_many([entry(200)])
    os.replace(tmp_path / "backup", path)
    with Matcher.open(path, index_folder=folder) as matcher:
        assert [found(matcher, number) for number in (100, 200, 3)] == [[], ["e200"], ["e3"]]


@pytest.mark.parametrize("more", [0, 3])
def test_a_backup_beside_a_running_matcher(more: int, tmp_path: Path, folder: Path) -> None:
    """A backup that SQLite copies into the open list is told by its content at the next reload."""
    path = make(tmp_path / "list", 50)
    shutil.copyfile(path, tmp_path / "backup")
    with ReferenceList.open(path, writable=True) as ref:
        ref.add_many([entry(100)])
    with Matcher.open(path, index_folder=folder) as matcher:
        with ReferenceList.open(tmp_path / "backup", writable=True) as ref:
            for number in range(200, 201 + more):
                ref.add_many([entry(number)])
        with (
            contextlib.closing(sqlite3.connect(tmp_path / "backup")) as source,
            contextlib.closing(sqlite3.connect(path)) as target,
        ):
            source.backup(target)
        assert matcher.reload()
        assert [found(matcher, number) for number in (100, 200, 3)] == [[], ["e200"], ["e3"]]


def test_wrong_files_are_refused_with_the_reason(tmp_path: Path, folder: Path) -> None:
    """Another list, radius or algorithm, an older format, no rows: each is named, and the matcher makes a new file."""
    path = make(tmp_path / "list", 3000)
    Matcher.open(path, index_folder=folder).close()
    file = file_of(folder)
    list_id, pdq = file.name.split(".")[0], ALGORITHMS["pdq"]
    kept.open_index_file(file, list_id, pdq, 31, MEASURED)
    for wrong, says in (
        (("0" * 32, pdq, 31), "another list"),
        ((list_id, ALGORITHMS["sha256"], 31), "another algorithm"),
        ((list_id, pdq, 30), "another radius"),
    ):
        with pytest.raises(IndexFormatError, match=says):
            kept.open_index_file(file, *wrong, MEASURED)
    golden = Path(__file__).parent.parent / "golden"
    good = file.read_bytes()
    spoilt = [bytearray(good) for _ in range(3)]
    spoilt[0][len(good) // 2] ^= 1
    spoilt[1][20] ^= 1
    spoilt[2][-70] ^= 1
    for data in (b"", good[:-1], good + b"\0", *spoilt, *(path.read_bytes() for path in golden.glob("index-v*.bin"))):
        file.chmod(0o600)
        file.write_bytes(data)
        with pytest.raises(IndexFormatError):
            kept.open_index_file(file, list_id, pdq, 31, MEASURED)
        with Matcher.open(path, index_folder=folder) as matcher:
            assert found(matcher, 5) == ["e5"]
        assert file.read_bytes() == good, "a file that does not serve is made anew"


def test_a_note_of_another_file_is_not_believed(tmp_path: Path, folder: Path) -> None:
    """The note that a file was checked is for that very file, unchanged, and may hold anything."""
    path = make(tmp_path / "list", 3000)
    Matcher.open(path, index_folder=folder).close()
    file = file_of(folder)
    (note,) = folder.glob(".*.checked")
    for text in ("", "[]", "null", '{"checked": 3}', "x" * 10_000, json.dumps({"checked": [1, 2, 3, 4, 5]})):
        note.write_text(text)
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.chmod(0o600)
        file.write_bytes(data)
        with Matcher.open(path, index_folder=folder) as matcher:
            assert found(matcher, 5) == ["e5"]
        assert file.read_bytes() != data


def test_rows_that_are_not_the_lists_are_found_by_verify(tmp_path: Path, folder: Path) -> None:
    """A forged column under fitting checksums is found, from the marks."""
    from hashmatch.index.storage import Section

    path = make(tmp_path / "list", 3000, "pdq", "md5")
    with ReferenceList.open(path, writable=True) as ref:
        ref.add("more", hashes=[made_up(5000)], source="another")
    Matcher.open(path, index_folder=folder).close()
    file = file_of(folder)
    sections = read_index_file(file).sections
    for name, change in (("row.entries", 1), ("row.ids", 0), ("row.quality", 1), ("row.sources", 1)):
        index = load_index(file)
        columns = {other: array.copy() for other, array in sections.items() if other.startswith("row.")}
        columns[name][1500] = columns[name][1500] + change if change else columns[name][1499]
        index._write(tmp_path / "forged", index.tag, [Section(other, a.dtype.str, [a]) for other, a in columns.items()])
        with pytest.raises(IndexFormatError, match="rows"):
            kept.verify_index_file(tmp_path / "forged")
    index.save(tmp_path / "plain")
    assert kept.verify_index_file(tmp_path / "plain") is None


def test_a_file_far_behind_is_made_anew(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At opening, changes beyond a share of the file are not laid over it."""
    monkeypatch.setattr(segmented, "_REBUILD_FLOOR", 5)
    path = make(tmp_path / "list", 50)
    Matcher.open(path, index_folder=folder).close()
    before = file_of(folder).read_bytes()
    with ReferenceList.open(path, writable=True) as ref:
        ref.add_many(entry(number) for number in range(50, 56))
    with Matcher.open(path, index_folder=folder) as matcher:
        assert found(matcher, 55) == ["e55"]
        assert not matcher._snapshots[0].rows["pdq"].segments.recent
    assert file_of(folder).read_bytes() != before


def test_compaction_goes_on_beside(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a share of changes a reload has a new file made, and answers are right before, during and after."""
    monkeypatch.setattr(segmented, "_REBUILD_FLOOR", 5)
    path = make(tmp_path / "list", 50)
    real, began, go_on = rows.build_index_file, threading.Event(), threading.Event()

    def slow(*args: object, **more: object) -> None:
        began.set()
        assert go_on.wait(30)
        real(*args, **more)  # type: ignore[arg-type]

    with Matcher.open(path, index_folder=folder) as matcher, Matcher.open(path, index_folder=folder) as other:
        monkeypatch.setattr(rows, "build_index_file", slow)
        before = file_of(folder).read_bytes()
        with ReferenceList.open(path, writable=True) as ref:
            ref.add_many(entry(number) for number in range(50, 60))
            ref.withdraw("e4")
            assert matcher.reload()
            assert began.wait(30)
            assert [found(matcher, number) for number in (55, 4, 3)] == [["e55"], [], ["e3"]]
            ref.add_many([entry(60)])
            assert matcher.reload()
            assert found(matcher, 60) == ["e60"]
            assert file_of(folder).read_bytes() == before
            go_on.set()
            assert matcher._keeper.wait(30)
        snapshot = matcher._snapshots[0].rows["pdq"]
        assert (len(snapshot.segments.recent), snapshot.segments.base.n_deleted, len(snapshot.segments.base)) == (
            1,
            0,
            59,
        )
        assert matcher.upkeep.compactions == 1
        assert matcher.upkeep.compaction_error is None
        for each in (matcher, other):
            each.reload()
            assert [found(each, number) for number in (60, 55, 4, 3)] == [["e60"], ["e55"], [], ["e3"]]
        assert other._snapshots[0].rows["pdq"].kept.identity == snapshot.kept.identity, "one file for both"


def test_one_process_makes_a_file(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many that open a list at once one makes the file, and the others wait for it."""
    path = make(tmp_path / "list", 3000)
    real, made = rows.build_index_file, []

    def slow(*args: object, **more: object) -> None:
        made.append(1)
        time.sleep(0.2)
        real(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(rows, "build_index_file", slow)
    matchers: list[Matcher] = []
    threads = [
        threading.Thread(target=lambda: matchers.append(Matcher.open(path, index_folder=folder))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(matchers)) == (1, 4)
    for matcher in matchers:
        assert found(matcher, 5) == ["e5"]
        matcher.close()


def test_what_a_killed_maker_left_is_taken_away(tmp_path: Path, folder: Path) -> None:
    """Parts of files that were never finished go when the next file is made."""
    path = make(tmp_path / "list", 20)
    Matcher.open(path, index_folder=folder).close()
    file = file_of(folder)
    part = file.with_name(f".{file.name}.0123456789abcdef.part")
    part.write_bytes(b"a part")
    file.unlink()
    Matcher.open(path, index_folder=folder).close()
    assert not part.exists()


def test_answers_follow_any_changes(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every bound turned down, random changes by three matchers' reloads answer like brute force."""
    monkeypatch.setattr(segmented, "_REBUILD_FLOOR", 12)
    monkeypatch.setattr(segmented, "_SCANNED_BYTES", 100)
    rng = np.random.default_rng(5)
    path = make(tmp_path / "list", 40, "pdq", "md5")
    held = set(range(40))
    crops = replace(profiles.THOROUGH, keypoints=None)
    with (
        ReferenceList.open(path, writable=True) as ref,
        Matcher.open(path, index_folder=folder) as one,
        Matcher.open(path, index_folder=folder, policy=crops) as two,
        Matcher.open(path) as three,
    ):
        for step in range(40):
            for number in rng.integers(0, 80, int(rng.integers(1, 5))).tolist():
                if number in held:
                    ref.withdraw(f"e{number}")
                else:
                    ref.add_many([entry(number, "pdq", "md5")])
                held ^= {number}
            if step % 9 == 8:
                ref.compact()
            for matcher in (one, two, three):
                matcher.reload()
                assert matcher.lists[0][2] == len(held)
                for number in rng.integers(0, 80, 12).tolist():
                    expected = [f"e{number}"] if number in held else []
                    assert found(matcher, number) == found(matcher, number, "md5") == expected
        assert one._keeper.wait(30)
        assert two._keeper.wait(30)
        assert one.upkeep.compaction_error is None
        assert two.upkeep.compaction_error is None


def test_a_layer_that_is_not_what_the_list_says_is_dropped(tmp_path: Path) -> None:
    """Changes that do not lead to the list's content, or withdraw what is not there, make no layer."""
    path = make(tmp_path / "list", 10)
    with Matcher.open(path) as matcher:
        before = matcher._snapshots[0].rows["pdq"]

        def without(*ids: int) -> Changes:
            gone = {"pdq": np.array(ids, np.int64)}
            return Changes(since=1, version=2, n_entries=0, added={}, withdrawn=gone, records={})

        assert before.updated(without(), before.content) is not None
        assert before.updated(without(3), before.content) is None
        assert before.updated(without(77), before.content) is None
        with ReferenceList.open(path, writable=True) as ref:
            ref.withdraw("e2")
            after = before.updated(without(3), ref.contents["pdq"])
            assert after is not None
            assert after.updated(without(3), ref.contents["pdq"]) is None, "gone already"
            changed = ref.contents["pdq"]
            assert before.updated(without(4), changed) is None, "another row of the same number"


def test_a_hit_whose_entry_is_missing_is_an_error(tmp_path: Path, folder: Path) -> None:
    """A match that the list can no longer explain, though nothing was withdrawn, is damage and never "no match"."""
    path = make(tmp_path / "list", 50)
    Matcher.open(path, index_folder=folder).close()
    spoilt = tampered(path, tmp_path / "spoilt", "DELETE FROM entry WHERE key = 8")
    os.replace(spoilt, path)
    with Matcher.open(path, index_folder=folder) as matcher:
        assert found(matcher, 3) == ["e3"]
        with pytest.raises(ReferenceListError, match="index file is damaged"):
            matcher.match_hash(made_up(7))
    with pytest.raises(ReferenceListError):
        Matcher.open(path).match_hash(made_up(7))


def test_measured_costs_are_used(tmp_path: Path, folder: Path) -> None:
    """Costs in the folder choose the index and are those that it scans by; wrong ones are passed over."""
    from hashmatch.index.calibration import COSTS_FILE, save_costs

    path = make(tmp_path / "list", 3000)
    save_costs(folder, replace(MEASURED, multi_start=1e9))
    Matcher.open(path, index_folder=folder).close()
    first = read_index_file(file_of(folder)).kind
    costs = replace(MEASURED, probe=0.0, candidate=0.0, multi_start=0.0, scan_code=1e6)
    save_costs(folder, costs)
    file_of(folder).unlink()
    with Matcher.open(path, index_folder=folder) as matcher:
        assert matcher._snapshots[0].rows["pdq"].segments.base.index._costs == costs
        assert (first, read_index_file(file_of(folder)).kind) == ("linear", "multi")
        near = HashValue("pdq", bytes([made_up(5).data[0] ^ 3]) + made_up(5).data[1:])
        assert distance(near, made_up(5)) == 2
        assert matcher.match_hash(near).matches[0].entry_id == "e5"
        assert matcher.match_hash(made_up(4000)).outcome is Outcome.NO_MATCH
    (folder / COSTS_FILE).write_text("junk")
    with Matcher.open(path, index_folder=folder) as matcher:
        assert found(matcher, 5) == ["e5"]


def test_crops_have_a_file_too(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a policy with crops files more is mapped as well, made once, and anew with the index file or when spoilt."""
    from hashmatch import hash_image
    from hashmatch.synthetic import picture

    policy = replace(profiles.THOROUGH, keypoints=None)
    photo = picture("photo", 3, size=(300, 400))
    path = make(tmp_path / "list", 200)
    with ReferenceList.open(path, writable=True) as ref:
        ref.add("photo", hashes=[hash_image(photo)])
    cropped = np.ascontiguousarray(photo[:, :372])
    built = []
    real = rows.guided_index
    monkeypatch.setattr(rows, "guided_index", lambda codes: built.append(len(codes)) or real(codes))

    def answer() -> tuple[list[str], list[float | None]]:
        with Matcher.open(path, index_folder=folder, policy=policy) as matcher:
            matches = matcher.match(cropped).matches
        return [match.entry_id for match in matches], [match.evidence for match in matches]

    with Matcher.open(path, policy=policy) as matcher:
        matches = matcher.match(cropped).matches
        expected = [match.entry_id for match in matches], [match.evidence for match in matches]
    assert expected[0] == ["photo"]
    assert expected[1][0] is not None, "found as a crop"
    built.clear()
    assert answer() == answer() == expected
    (file,) = folder.glob("*.crops")
    stamp, data = file.stat().st_mtime_ns, file.read_bytes()
    assert answer() == expected
    assert file.stat().st_mtime_ns == stamp
    for spoilt in (b"", data[:-1], bytes([*data[:5000], data[5000] ^ 1, *data[5001:]])):
        file.chmod(0o600)
        file.write_bytes(spoilt)
        assert answer() == expected
        assert file.read_bytes() == data
    file.unlink()
    assert answer() == expected
    assert not built, "every one of them was mapped"
    assert kept.verify_index_file(file_of(folder)) is not None
    sections = {name: array.copy() for name, array in read_index_file(file).sections.items()}
    sections["positions.2"][[3, 4]] = sections["positions.2"][[4, 3]]
    sound = read_index_file(file)
    write_index_file(file, replace(sound, sections=sections))
    with pytest.raises(IndexFormatError, match="crop search"):
        kept.verify_index_file(file_of(folder))
    with pytest.raises(IndexFormatError, match="another search"):
        load_index(file)
    file.unlink()
    assert answer() == expected
    with ReferenceList.open(path, writable=True) as ref:
        ref.withdraw("e3")
        ref.add_many([entry(777)])
    assert answer()[0] == ["photo"]
    assert built == [1], "later hashes are filed in memory"
    Matcher.open(path, index_folder=folder, policy=profiles.FAST).close()
    monkeypatch.setattr(segmented, "_REBUILD_FLOOR", 0)
    monkeypatch.setattr(segmented, "_REBUILD_SHARE", 0.0)
    assert answer()[0] == ["photo"]
    (other,) = folder.glob("*.crops")
    assert other.name != file.name, "the older one went"


def test_a_file_made_without_crops_is_completed(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index file that another policy's process made is taken up once the file for crops is there too."""
    policy = replace(profiles.THOROUGH, keypoints=None)
    path = make(tmp_path / "list", 60)
    with (
        Matcher.open(path, index_folder=folder, policy=policy) as thorough,
        Matcher.open(path, index_folder=folder, policy=profiles.FAST) as fast,
    ):
        with ReferenceList.open(path, writable=True) as ref:
            ref.add_many([entry(100)])
        with monkeypatch.context() as patched:
            patched.setattr(segmented, "_REBUILD_FLOOR", 0)
            patched.setattr(segmented, "_REBUILD_SHARE", 0.0)
            fast.reload()
            assert fast._keeper.wait(30)
        assert fast.upkeep.compactions == 1
        newer = kept.identity_of(file_of(folder))
        assert thorough.reload()
        assert found(thorough, 100) == ["e100"]
        assert thorough._keeper.wait(30)
        now = thorough._snapshots[0].rows["pdq"]
        assert (now.kept.identity, now.segments.recent) == (newer, ())
        assert now.segments.base.guided is not None
        assert thorough.upkeep.compaction_error is None
        assert len(list(folder.glob("*.crops"))) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything may be written to here")
def test_a_folder_that_cannot_be_written_serves(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that somebody else made serve from a read-only folder, also far behind; without a file it is an error."""
    monkeypatch.setattr(segmented, "_REBUILD_FLOOR", 0)
    path = make(tmp_path / "list", 50)
    Matcher.open(path, index_folder=folder).close()
    with ReferenceList.open(path, writable=True) as ref:
        ref.add_many(entry(number) for number in range(50, 70))
    folder.chmod(0o500)
    try:
        with Matcher.open(path, index_folder=folder) as matcher:
            assert found(matcher, 69) == ["e69"]
        path.unlink()
        make(path, 3)
        with pytest.raises(ReferenceListError, match="index folder"):
            Matcher.open(path, index_folder=folder)
    finally:
        folder.chmod(0o700)


def test_a_folder_that_fails_serves_what_it_has(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that cannot be had leaves the file that is far behind, with the changes over it."""
    monkeypatch.setattr(segmented, "_REBUILD_FLOOR", 0)
    path = make(tmp_path / "list", 50)
    Matcher.open(path, index_folder=folder).close()
    with ReferenceList.open(path, writable=True) as ref:
        ref.add_many(entry(number) for number in range(50, 70))

    def refused(*_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "lock_of", refused)
    with Matcher.open(path, index_folder=folder) as matcher:
        assert found(matcher, 69) == ["e69"]
    file_of(folder).unlink()
    with pytest.raises(ReferenceListError, match="Permission denied"):
        Matcher.open(path, index_folder=folder)
