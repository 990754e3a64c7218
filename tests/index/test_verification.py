"""`verify_index`: sound indexes pass, and every kind of wrong answer is noticed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hashmatch.algorithms import Metric
from hashmatch.errors import IndexFormatError
from hashmatch.index import BKTree, ExactIndex, LinearIndex, MultiIndex, load_index
from hashmatch.index.verification import AnyIndex, default_radii, verify_index


def codes(n: int = 3_000, n_bytes: int = 32) -> np.ndarray:
    """Random codes, some of them doubled."""
    made = np.random.default_rng(n).integers(0, 256, (n, n_bytes), dtype=np.uint8)
    made[1::50] = made[::50]
    return made


def made(kind: str) -> AnyIndex:
    """Build one of each kind, with later additions and removals."""
    index: AnyIndex
    if kind == "euclidean":
        index = LinearIndex.build(codes(500, 144), metric=Metric.EUCLIDEAN, pending_limit=100)
        index.add(codes(60, 144))
    else:
        cls = {"linear": LinearIndex, "bktree": BKTree, "multi": MultiIndex, "exact": ExactIndex}[kind]
        index = cls.build(codes(), pending_limit=100)
        index.add(codes(60))
    index.remove(np.arange(5, 400, 7))
    return index


@pytest.mark.parametrize("kind", ["linear", "bktree", "multi", "exact", "euclidean"])
def test_a_sound_index_passes(kind: str, tmp_path: Path) -> None:
    """Fresh and after save and load, with hits among the searches."""
    index = made(kind)
    index.save(tmp_path / "index")
    for item in (index, load_index(tmp_path / "index")):
        found = verify_index(item, sample=12, seed=3)
        assert (found.n_wrong, found.n_entries) == (0, len(index))
        assert found.n_searches == 12 * len(found.radii)
        assert found.n_hits > 0


def test_an_empty_index_is_sound() -> None:
    """There is nothing to search."""
    assert verify_index(LinearIndex.build(np.empty((0, 32), np.uint8))).n_searches == 0


def test_a_missed_hit_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that drops a hit differs from brute force."""
    index = made("multi")
    search = index.search
    monkeypatch.setattr(index, "search", lambda query, radius: tuple(part[1:] for part in search(query, radius)))
    assert verify_index(index, sample=8).n_wrong > 0


def test_a_broken_table_is_noticed() -> None:
    """An invariant that does not hold is an error that says what to do."""
    index = MultiIndex.build(codes())
    core = index._segments[0].core
    core._tables.runs.setflags(write=True)
    core._tables.runs[:2] = core._tables.runs[:2][::-1] + 1
    with pytest.raises(IndexFormatError, match="rebuild"):
        verify_index(index)


def test_radii_and_samples_are_checked() -> None:
    """Digests are searched at 0 only; a sample is at least one query."""
    assert default_radii(ExactIndex.build(codes())) == (0,)
    assert default_radii(LinearIndex.build(codes())) == (0, 8, 31, 42)
    with pytest.raises(ValueError, match="sample"):
        verify_index(LinearIndex.build(codes()), sample=0)
