"""The index file: nothing changed, cut or added goes unnoticed, and nothing half-written is ever seen."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashmatch.algorithms import Metric
from hashmatch.errors import IndexFormatError
from hashmatch.index import BKTree, ExactIndex, LinearIndex, MultiIndex, load_index, storage
from support.index_makers import exact, linear, multi, tree

GOLDEN = Path(__file__).parent.parent / "golden"
KINDS = {
    "linear": (lambda codes: linear(codes), LinearIndex),
    "bktree": (lambda codes: tree(codes), BKTree),
    "multi": (lambda codes: multi(codes, widths=(2, 2, 1)), MultiIndex),
    "exact": (lambda codes: exact(codes), ExactIndex),
}


def some_codes(n: int = 9, n_bytes: int = 2) -> np.ndarray:
    """Seeded codes."""
    return np.random.default_rng(8).integers(0, 256, (n, n_bytes), dtype=np.uint8)


@pytest.fixture(params=KINDS)
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[type[Any], Path]:
    """Save a small index of each kind."""
    make, cls = KINDS[request.param]
    make(some_codes()).save(tmp_path / "index", tag={"list": "ä", "version": "3"})
    (tmp_path / "index").chmod(0o600)
    return cls, tmp_path / "index"


def change_byte(path: Path, at: int, change: int) -> None:
    """Flip bits of one byte in place; the same call again undoes it."""
    with open(path, "r+b") as stream:
        stream.seek(at)
        (old,) = stream.read(1)
        stream.seek(at)
        stream.write(bytes([old ^ change]))


def test_every_changed_byte_is_found(saved: tuple[type[Any], Path]) -> None:
    """Flipping a bit of any one byte of the file makes loading fail."""
    cls, path = saved
    for at in range(path.stat().st_size):
        change_byte(path, at, 1 << (at % 8))
        with pytest.raises(IndexFormatError, match="rebuild it from the list"):
            cls.load(path)
        change_byte(path, at, 1 << (at % 8))
    assert len(cls.load(path)) == 9


def test_every_length_is_checked(saved: tuple[type[Any], Path]) -> None:
    """A file with bytes after its end, or cut anywhere, is refused."""
    cls, path = saved
    whole = path.read_bytes()
    for more in (b"\0", bytes(64), whole):
        path.write_bytes(whole + more)
        with pytest.raises(IndexFormatError):
            cls.load(path, verify="header")
    for length in reversed(range(len(whole))):
        os.truncate(path, length)
        with pytest.raises(IndexFormatError):
            cls.load(path, verify="full" if length % 2 else "header")


def test_header_mode_never_reads_out_of_range(saved: tuple[type[Any], Path]) -> None:
    """Opened without a full check, corrupt sections give an answer or a typed error, never anything else."""
    cls, path = saved
    header = int.from_bytes(path.read_bytes()[12:16], "little")
    queries = some_codes()
    outcomes = set()
    for at in range(header, path.stat().st_size):
        change = (0x01, 0x80, 0xFF)[at % 3]
        change_byte(path, at, change)
        try:
            index = cls.load(path, verify="header")
            index.search(queries[0], 1)
            index.search_batch(queries, 0)
            outcomes.add("answer")
        except IndexFormatError:
            outcomes.add("error")
        change_byte(path, at, change)
    assert ("error" in outcomes) == (cls is not LinearIndex)


def test_resealed_header_is_still_checked(saved: tuple[type[Any], Path]) -> None:
    """A header with impossible numbers and a fitting checksum is refused before anything is allocated."""
    cls, path = saved
    whole = path.read_bytes()
    length = int.from_bytes(whole[12:16], "little")
    for at in range(16, length - 32):
        changed = bytearray(whole)
        changed[at] ^= 0xFF
        changed[length - 32 : length] = hashlib.sha256(changed[: length - 32]).digest()
        path.write_bytes(changed)
        try:
            index = cls.load(path)
        except IndexFormatError:
            continue
        index._check()
        assert len(index) == 9


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    """Something else, an empty file and another kind of index each say what to do."""
    for content in (b"", b"not an index", bytes(4096)):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(IndexFormatError, match="not a hashmatch index"):
            load_index(tmp_path / "file")
    linear(some_codes()).save(tmp_path / "file")
    with pytest.raises(IndexFormatError, match="load_index"):
        MultiIndex.load(tmp_path / "file")
    assert isinstance(load_index(tmp_path / "file"), LinearIndex)
    with pytest.raises(FileNotFoundError):
        load_index(tmp_path / "missing")
    with pytest.raises(ValueError, match="verify"):
        load_index(tmp_path / "file", verify="none")


def test_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing fails, the old file stays and no other file is left behind."""
    path = tmp_path / "index"
    index = linear(some_codes())
    index.save(path)
    before = path.read_bytes()
    index.add(some_codes())

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        index.save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["index"]


def test_save_over_the_mapped_file(tmp_path: Path) -> None:
    """An index may be saved over the file it is mapped from; readers of the old file keep it."""
    path = tmp_path / "index"
    codes = some_codes(40, 8)
    multi(codes).save(path)
    old, index = MultiIndex.load(path), MultiIndex.load(path)
    index.add(codes[:5])
    index.save(path)
    assert len(MultiIndex.load(path)) == 45
    assert len(old) == 40
    assert old.search(codes[0], 0)[0].tolist() == [0]


def test_loaded_arrays_are_read_only(tmp_path: Path) -> None:
    """The mapped codes cannot be written to."""
    linear(some_codes()).save(tmp_path / "index")
    packed = LinearIndex.load(tmp_path / "index")._segments[0].core.packed()
    with pytest.raises(ValueError, match="read-only"):
        packed[0, 0] = 1


def test_options_survive_the_file(tmp_path: Path) -> None:
    """What an index was told at building is used when it is rebuilt after loading."""
    codes = some_codes(50, 8)
    MultiIndex.build(codes, radius=5, widths=(9, 8), pending_limit=4).save(tmp_path / "multi")
    BKTree.build(codes, leaf_size=3, pending_limit=4).save(tmp_path / "tree")
    index = MultiIndex.load(tmp_path / "multi")
    index.add(codes)
    assert index._segments[-1].core._tables.widths == (9, 8)
    assert (index._radius, index._pending_limit) == (5, 4)
    assert BKTree.load(tmp_path / "tree")._leaf_size == 3


def test_no_code_is_shown(saved: tuple[type[Any], Path]) -> None:
    """What an index file holds is as sensitive as the list."""
    shown = repr(storage.read_index_file(saved[1]))
    assert "array" not in shown
    assert "IndexFile" in shown


def test_tags_are_text(tmp_path: Path) -> None:
    """A tag holds strings only and is bounded."""
    index = linear(some_codes())
    with pytest.raises(TypeError):
        index.save(tmp_path / "index", tag={"version": 3})
    with pytest.raises(ValueError, match="at most"):
        index.save(tmp_path / "index", tag={"version": "x" * 2_000_000})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["linear", "bktree", "bktree-euclidean", "multi", "exact"])
def test_golden_files(name: str) -> None:
    """Files written once are read for ever."""
    index = load_index(GOLDEN / f"index-v5-{name}.bin")
    index._check()
    codes = some_codes(40, 8)
    metric = {"bktree-euclidean": Metric.EUCLIDEAN, "exact": Metric.EXACT}.get(name, Metric.HAMMING)
    assert (index.metric, len(index), dict(index.tag)) == (metric, 39, {"list": "golden"})
    assert index.search(codes[7], 0)[0].tolist() == []
    assert index.search(codes[8], 0)[0].tolist() == [8]
    assert index.add(codes[:1]).tolist() == [40]


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4, 6, 2**32 - 1])
@pytest.mark.parametrize("name", ["linear", "multi", "keypoint"])
def test_other_versions_are_refused(tmp_path: Path, name: str, version: int) -> None:
    """Versions 1 to 4 were never released: an index is made anew from its list."""
    data = bytearray((GOLDEN / f"index-v5-{name}.bin").read_bytes())
    data[8:12] = version.to_bytes(4, "little")
    (tmp_path / "index").write_bytes(data)
    with pytest.raises(IndexFormatError, match=rf"format version {version}, this hashmatch reads 5; rebuild it from"):
        storage.read_index_file(tmp_path / "index")


def test_golden_file_without_positions() -> None:
    """A file of codes that were never edited says nothing of positions, and is read and edited like any other."""
    index = load_index(GOLDEN / "index-v5-multi-whole.bin")
    index._check()
    codes = some_codes(40, 8)
    assert [index.search(code, 0)[0].tolist() for code in codes] == [[i] for i in range(40)]
    assert index.codes_at([3, 30]).tolist() == codes[[3, 30]].tolist()
    assert index.add(codes[:1]).tolist() == [40]
    index.remove([0, 39])
    assert index.search(codes[0], 0)[0].tolist() == [40]
    assert index.all_codes().tolist() == codes[[*range(1, 39), 0]].tolist()


@pytest.mark.parametrize("make", [make for make, _ in KINDS.values()])
def test_codes_are_given_back(make: Any, tmp_path: Path) -> None:
    """Every kind gives its codes back by position, fresh, edited and from a file; what is not there is refused."""
    codes = some_codes()
    index = make(codes)
    index.remove([4])
    index.save(tmp_path / "index")
    left = np.delete(np.arange(len(codes)), 4)
    for each in (index, load_index(tmp_path / "index")):
        assert each.all_codes().tolist() == codes[left].tolist()
        assert each.codes_at(left[::3]).tolist() == codes[left[::3]].tolist()
        assert each.codes_at([]).shape == (0, codes.shape[1])
        for wrong in ([4], [len(codes)], [-1], [3, 2], [2, 2]):
            with pytest.raises(ValueError, match="live entries"):
                each.codes_at(wrong)


def test_a_writer_writes_what_it_announced(tmp_path: Path) -> None:
    """Sections by blocks are the sections at once; another number of them, or another shape, leaves no file."""
    array = np.arange(700, dtype=np.int64)
    facts = {"kind": "linear", "metric": Metric.HAMMING, "n_bytes": 8, "tag": {}}
    for name, blocks in (("a", [array]), ("b", np.array_split(array, 9))):
        with storage.IndexWriter(tmp_path / name, n_sections=1, **facts) as writer:
            assert writer.stream("numbers", np.int64, None, blocks) == 700
            assert writer.mapped(0).tolist() == array.tolist()
            writer.finish(n=700, next_position=700)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def wrong(blocks: list[np.ndarray], n_sections: int) -> None:
        with storage.IndexWriter(tmp_path / "c", n_sections=n_sections, **facts) as writer:
            writer.stream("numbers", np.int64, None, blocks)
            writer.finish(n=700, next_position=700)

    for blocks, n_sections in (([array], 2), ([array.reshape(-1, 7)], 1), ([array.astype(">i8")], 0)):
        with pytest.raises(ValueError, match="section"):
            wrong(blocks, n_sections)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_files_are_deterministic(tmp_path: Path) -> None:
    """The same index gives the same bytes."""
    for make, _ in KINDS.values():
        make(some_codes()).save(tmp_path / "a")
        make(some_codes()).save(tmp_path / "b")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
