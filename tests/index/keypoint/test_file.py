"""The file of a keypoint index: nothing changed, cut or added goes unnoticed, and old files stay readable."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashmatch.errors import IndexFormatError
from hashmatch.index import KeypointIndex, KeypointSearch, LinearIndex, load_index
from support.keypoint_makers import some_pictures

GOLDEN = Path(__file__).parent.parent.parent / "golden"
PICTURES = some_pictures(6, 12)
QUERY = PICTURES.seen(4, n_shared=8, n_strange=5)


def found(index: KeypointIndex) -> list[tuple[Any, ...]]:
    """Search with bounds wide enough to see everything, as plain numbers."""
    options = KeypointSearch(max_distance=64, min_votes=1)
    return [
        (one.entry, one.mirrored, one.weight, one.query_points.tolist(), one.reference_points.tolist())
        for one in index.search(*QUERY[:3], mirrored_codes=QUERY[3], options=options)
    ]


def change_byte(path: Path, at: int, change: int) -> None:
    """Flip bits of one byte in place; the same call again undoes it."""
    with open(path, "r+b") as stream:
        stream.seek(at)
        (old,) = stream.read(1)
        stream.seek(at)
        stream.write(bytes([old ^ change]))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Save a small index."""
    PICTURES.index(n_tables=1, key_bits=8).save(tmp_path / "index", tag={"list": "ä"})
    (tmp_path / "index").chmod(0o600)
    return tmp_path / "index"


@pytest.mark.parametrize("verify", ["full", "header"])
def test_loaded_is_the_same(tmp_path: Path, verify: Any) -> None:
    """A loaded index gives the same candidates, is sound, knows its tag and cannot be written to."""
    index = PICTURES.index()
    index.save(tmp_path / "index", tag={"list": "demo"})
    loaded = KeypointIndex.load(tmp_path / "index", verify=verify)
    loaded._check()
    assert found(loaded) == found(index)
    assert found(index)[0][0] == 4
    assert (len(loaded), loaded.n_points, dict(loaded.tag)) == (6, 72, {"list": "demo"})
    assert dict(index.tag) == {}
    assert loaded.n_bytes <= (tmp_path / "index").stat().st_size
    with pytest.raises(ValueError, match="read-only"):
        loaded._codes[0, 0] = 1


def test_empty_index_is_saved(tmp_path: Path) -> None:
    """An index without points comes back."""
    empty = KeypointIndex.build(PICTURES.codes[:0], np.empty(0, np.int64), PICTURES.geometry[:0], n_entries=3)
    empty.save(tmp_path / "index")
    loaded = KeypointIndex.load(tmp_path / "index")
    assert (len(loaded), found(loaded)) == (3, [])


def test_files_are_deterministic(tmp_path: Path) -> None:
    """The same codes give the same bytes."""
    for name in ("a", "b"):
        PICTURES.index().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_changed_byte_is_found(saved: Path) -> None:
    """Flipping a bit of any one byte makes loading fail."""
    for at in range(saved.stat().st_size):
        change_byte(saved, at, 1 << (at % 8))
        with pytest.raises(IndexFormatError, match="rebuild it from the list"):
            KeypointIndex.load(saved)
        change_byte(saved, at, 1 << (at % 8))
    assert len(KeypointIndex.load(saved)) == 6


def test_every_length_is_checked(saved: Path) -> None:
    """A file with bytes after its end, or cut anywhere, is refused."""
    whole = saved.read_bytes()
    saved.write_bytes(whole + bytes(64))
    with pytest.raises(IndexFormatError):
        KeypointIndex.load(saved, verify="header")
    for length in reversed(range(0, len(whole), 7)):
        os.truncate(saved, length)
        with pytest.raises(IndexFormatError):
            KeypointIndex.load(saved, verify="header")


def test_header_mode_never_reads_out_of_range(saved: Path) -> None:
    """Opened without a full check, corrupt sections give an answer or a typed error, never anything else."""
    header = int.from_bytes(saved.read_bytes()[12:16], "little")
    outcomes = set()
    for at in range(header, saved.stat().st_size, 4):
        change = (0x01, 0x80, 0xFF)[at // 4 % 3]
        change_byte(saved, at, change)
        try:
            index = KeypointIndex.load(saved, verify="header")
            assert all(0 <= one[0] < 6 for one in found(index))
            index.pairs(4, QUERY[0])
            outcomes.add("answer")
        except IndexFormatError:
            outcomes.add("error")
        change_byte(saved, at, change)
    assert outcomes == {"answer", "error"}


def test_resealed_header_is_still_checked(saved: Path) -> None:
    """A header with impossible numbers and a fitting checksum is refused, or was not impossible."""
    whole = saved.read_bytes()
    length = int.from_bytes(whole[12:16], "little")
    for at in range(16, length - 32):
        changed = bytearray(whole)
        changed[at] ^= 0xFF
        changed[length - 32 : length] = hashlib.sha256(changed[: length - 32]).digest()
        saved.write_bytes(changed)
        try:
            index = KeypointIndex.load(saved)
        except IndexFormatError:
            continue
        index._check()
        assert len(index) == 6


def test_other_kinds_are_refused(saved: Path, tmp_path: Path) -> None:
    """A keypoint index is not opened as one of the exact indexes, nor one of those as it."""
    with pytest.raises(IndexFormatError):
        load_index(saved)
    LinearIndex.build(PICTURES.codes).save(tmp_path / "linear")
    with pytest.raises(IndexFormatError, match="another kind"):
        KeypointIndex.load(tmp_path / "linear")


def test_check_sees_what_is_wrong() -> None:
    """The check of the invariants fails where a table, a place or a start is not what it must be."""
    for spoil in (
        lambda index: setattr(index, "_starts", index._starts[:-1]),
        lambda index: setattr(index, "_starts", index._starts[::-1].copy()),
        lambda index: setattr(index, "_geometry", index._geometry[:-1]),
        lambda index: setattr(index._tables, "rows", index._tables.rows[::-1].copy()),
        lambda index: index._tables.starts.heads.__setitem__(1, 7),
        lambda index: index._tables.starts.high.__setitem__(0, 7),
    ):
        index = PICTURES.index()
        index._check()
        spoil(index)
        with pytest.raises(ValueError):
            index._check()


def test_golden_file() -> None:
    """A file written once is read for ever."""
    index = KeypointIndex.load(GOLDEN / "index-v5-keypoint.bin")
    index._check()
    assert (len(index), index.n_points, dict(index.tag)) == (6, 72, {"list": "golden"})
    best = found(index)[0]
    assert best[:2] == (4, False)
    assert len(best[3]) >= 6
