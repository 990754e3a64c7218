"""The NumPy kernels against plain Python integers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch import kernels


def as_int(code: np.ndarray) -> int:
    """Read a code as one number."""
    return int.from_bytes(code.tobytes())


@st.composite
def code_tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Codes and one query that is near some of them."""
    n_bytes = draw(st.sampled_from([1, 7, 8, 9, 16, 24, 32, 33]))
    n = draw(st.integers(0, 12))
    data = draw(st.binary(min_size=(n + 1) * n_bytes, max_size=(n + 1) * n_bytes))
    rows = np.frombuffer(data, np.uint8).reshape(n + 1, n_bytes)
    return rows[:n], rows[n]


@settings(max_examples=150, deadline=None)
@given(code_tables(), st.integers(0, 300))
def test_scan_is_a_comparison_of_all(table: tuple[np.ndarray, np.ndarray], radius: int) -> None:
    """A scan gives exactly the rows within the radius, ascending, with their distances."""
    codes, query = table
    packed = kernels.pack_words(codes)
    rows, distances = kernels.hamming_scan(packed, kernels.pack_words(query[None])[:, 0], radius)
    slow = [(i, (as_int(code) ^ as_int(query)).bit_count()) for i, code in enumerate(codes)]
    assert list(zip(rows.tolist(), distances.tolist(), strict=True)) == [hit for hit in slow if hit[1] <= radius]


@settings(max_examples=100, deadline=None)
@given(code_tables(), st.integers(0, 300), st.data())
def test_pairs(table: tuple[np.ndarray, np.ndarray], radius: int, data: st.DataObject) -> None:
    """Distances of chosen pairs are those of the integers, and filtering keeps the near ones."""
    codes, query = table
    if not len(codes):
        return
    queries = np.array([query, codes[0]])
    rows = np.array(data.draw(st.lists(st.integers(0, len(codes) - 1), max_size=20)), dtype=np.int64)
    owners = np.array([i % 2 for i in range(len(rows))], dtype=np.int64)
    packed, packed_queries = kernels.pack_words(codes), kernels.pack_words(queries)
    slow = [(as_int(codes[r]) ^ as_int(queries[o])).bit_count() for r, o in zip(rows, owners, strict=True)]
    assert kernels.hamming_at(packed, rows, packed_queries, owners).tolist() == slow
    kept, distances = kernels.hamming_within(packed, rows, packed_queries, owners, radius)
    expected = [(i, d) for i, d in enumerate(slow) if d <= radius]
    assert list(zip(kept.tolist(), distances.tolist(), strict=True)) == expected
    only_first = kernels.hamming_at(packed, rows, packed_queries, None)
    assert only_first.tolist() == [(as_int(codes[r]) ^ as_int(query)).bit_count() for r in rows]


def test_scan_over_many_blocks() -> None:
    """Rows are numbered through the blocks of a long scan, and the largest distance is not lost."""
    codes = np.zeros((100_000, 32), dtype=np.uint8)
    codes[[0, 32_767, 32_768, 99_999]] = 255
    packed = kernels.pack_words(codes)
    rows, distances = kernels.hamming_scan(packed, kernels.pack_words(codes[:1])[:, 0], 0)
    assert rows.tolist() == [0, 32_767, 32_768, 99_999]
    assert not distances.any()
    rows, distances = kernels.hamming_scan(packed, kernels.pack_words(codes[:1])[:, 0], 256)
    assert len(rows) == 100_000
    assert distances[1] == 256


@settings(max_examples=60, deadline=None)
@given(code_tables())
def test_packing_is_undone(table: tuple[np.ndarray, np.ndarray]) -> None:
    """Packed codes unpack to themselves."""
    codes, query = table
    assert np.array_equal(kernels.unpack_words(kernels.pack_words(codes), len(query)), codes)


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.data())
def test_substrings(data: bytes, choose: st.DataObject) -> None:
    """A substring is the bits from its start on, counted from the least significant of the little-endian words."""
    width = choose.draw(st.integers(1, 32))
    start = choose.draw(st.integers(0, 256 - width))
    packed = kernels.pack_words(np.frombuffer(data, np.uint8)[None])
    whole = int.from_bytes(data, "little")
    assert kernels.substring_keys(packed, start, width).tolist() == [(whole >> start) % (1 << width)]


@pytest.mark.parametrize("n_bytes", [1, 144, 258, 259, 4096])
def test_euclidean_is_exact(n_bytes: int) -> None:
    """The rounded distance is the integer root, also where the sums are largest."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (40, n_bytes), dtype=np.uint8)
    codes[0], codes[1], codes[2, -1] = 0, 255, 254
    queries = np.array([codes[1], codes[0], codes[3]])
    rows = np.repeat(np.arange(40), 3)
    owners = np.tile(np.arange(3), 40)
    slow = []
    for row, owner in zip(rows, owners, strict=True):
        squared = sum((int(x) - int(y)) ** 2 for x, y in zip(codes[row], queries[owner], strict=True))
        slow.append(math.isqrt(squared) + (math.isqrt(squared) ** 2 < squared))
    assert kernels.euclidean_at(codes, rows, queries, owners).tolist() == slow
    scanned, distances = kernels.euclidean_scan(codes, queries[0], slow[6])
    assert dict(zip(scanned.tolist(), distances.tolist(), strict=True)) == {
        i: d for i, d in enumerate(slow[::3]) if d <= slow[6]
    }


def test_ranges() -> None:
    """Ranges are written out one after the other; empty ones vanish and negative ones are refused."""
    expanded = kernels.expand_ranges(np.array([5, 1, 9], np.uint32), np.array([2, 0, 3], np.uint32))
    assert expanded.tolist() == [5, 6, 9, 10, 11]
    assert kernels.expand_ranges(np.empty(0, np.int64), np.empty(0, np.int64)).tolist() == []
    with pytest.raises(ValueError, match="negative"):
        kernels.expand_ranges(np.array([5]), np.array([-1]))
