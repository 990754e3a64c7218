"""The kernels of the keypoint index: NumPy's against plain arrays and loops, the compiled against NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.index.keypoint.key_tables import Directory, high_words, low_bits, low_words
from hashmatch.kernels import compiled, keys
from hashmatch.kernels.numpy import keys as reference_keys
from hashmatch.kernels.numpy.keys import Starts

native: Any = keys.native
PATHS = native.PATHS if native is not None else ("portable",)
needs_native = pytest.mark.skipif(native is None, reason="the compiled kernels were not built")
every_path = pytest.mark.parametrize("path", PATHS)


def directory(counts: np.ndarray) -> tuple[Starts, np.ndarray]:
    """Pack counts; give the plain offsets too."""
    made = Directory(len(counts), int(counts.sum()))
    made.add(counts)
    return made.starts, np.r_[0, np.cumsum(counts)].astype("<u4")


COUNTS = st.integers(0, 2**32 - 1).flatmap(
    lambda seed: st.sampled_from([0.0, 0.3, 1.2, 5.0, 40.0, 700.0]).map(lambda mean: made_counts(seed, mean))
)


def made_counts(seed: int, mean: float) -> np.ndarray:
    """Rows of 256 buckets: mostly few, some crowded, one perhaps huge."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(mean, 256) * rng.choice([0, 1, 1, 6], 256)
    counts[rng.integers(256)] += rng.choice([0, 5000])
    return counts.astype(np.int64)


@settings(max_examples=60, deadline=None)
@given(counts=COUNTS)
def test_buckets_are_where_the_offsets_say(counts: np.ndarray) -> None:
    """The compact directory gives every start and length, and has the size that is computed beforehand."""
    starts, offsets = directory(counts)
    buckets = np.random.default_rng(1).permutation(256).astype(np.int64)
    begins, lengths = reference_keys.bucket_ranges(starts, buckets)
    assert lengths.tolist() == counts[buckets].tolist()
    filled = lengths > 0
    assert begins[filled].tolist() == offsets[buckets][filled].tolist()
    n = int(offsets[-1])
    assert (len(starts.low), len(starts.high)) == (low_words(256, n), high_words(256, n))
    assert starts.shift == low_bits(256, n)
    assert 64 * (len(starts.low) + len(starts.high)) <= 256 * (starts.shift + 1) + (n >> starts.shift) + 3 * 64


@needs_native
@every_path
@settings(max_examples=60, deadline=None)
@given(counts=COUNTS, wide=st.booleans())
def test_ranges_are_those_of_the_twin(path: str, counts: np.ndarray, wide: bool) -> None:
    """Starts and lengths, with heads of four or of eight bytes."""
    starts, _ = directory(counts)
    if wide:
        starts = Starts(starts.heads.astype("<u8"), starts.low, starts.high, starts.shift)
    buckets = np.random.default_rng(2).integers(0, 256, 300)
    for a, b in zip(
        reference_keys.bucket_ranges(starts, buckets), native.bucket_ranges(starts, buckets, path), strict=True
    ):
        assert a.dtype == b.dtype
        assert a.tolist() == b.tolist()


@pytest.mark.parametrize("module", [reference_keys, *([native] if native is not None else [])])
def test_damaged_directories_are_harmless(module: Any) -> None:
    """Random bits give any numbers or an IndexError, and buckets that are not there always an IndexError."""
    rng = np.random.default_rng(3)
    starts, _ = directory(made_counts(4, 5.0))
    outcomes = set()
    for _ in range(200):
        heads, low, high = (
            np.where(rng.random(len(array)) < 0.2, rng.integers(0, 2**32, len(array)), array).astype(array.dtype)
            for array in (starts.heads, starts.low, starts.high)
        )
        try:
            _, lengths = module.bucket_ranges(Starts(heads, low, high, starts.shift), np.arange(256))
            assert (lengths >= 0).all()
            outcomes.add("numbers")
        except IndexError:
            outcomes.add("error")
    assert outcomes <= {"numbers", "error"}
    assert "error" in outcomes
    for bucket in (-1, 256):
        with pytest.raises(IndexError):
            module.bucket_ranges(starts, np.array([bucket]))


def stock(seed: int) -> tuple[np.ndarray, ...]:
    """Codes, rows, starts, lengths, owners and queries that are near some of the codes."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**64, (300, 2), dtype=np.uint64)
    queries = codes[rng.integers(300, size=9)] ^ (np.uint64(1) << rng.integers(0, 64, (9, 2)).astype(np.uint64))
    rows = rng.integers(0, 300, 900).astype(np.uint32)
    begins = rng.integers(0, 880, 200)
    return codes, rows, begins, rng.integers(0, 21, 200), rng.integers(0, 9, 200), queries


def test_near_rows_are_those_of_the_written_out_loop() -> None:
    """Each row of a bucket is compared with the bucket's query, in order."""
    codes, rows, begins, lengths, owners, queries = stock(6)
    found = reference_keys.near_rows(codes, rows, begins, lengths, owners, queries, 50)
    wanted = []
    for begin, length, owner in zip(begins.tolist(), lengths.tolist(), owners.tolist(), strict=True):
        for row in rows[begin : begin + length].tolist():
            apart = sum((int(a) ^ int(b)).bit_count() for a, b in zip(codes[row], queries[owner], strict=True))
            if apart <= 50:
                wanted.append((owner, row, apart))
    assert wanted
    assert list(zip(*(part.tolist() for part in found), strict=True)) == wanted


@needs_native
@every_path
@pytest.mark.parametrize("seed", range(20))
def test_near_rows_are_those_of_the_twin(path: str, seed: int) -> None:
    """Pairs, their order and types, at several bounds, and nothing for no bucket."""
    codes, rows, begins, lengths, owners, queries = stock(seed)
    for most in (0, 2, 55, 128):
        for chosen in (slice(0), slice(None)):
            asked = begins[chosen], lengths[chosen], owners[chosen]
            one = reference_keys.near_rows(codes, rows, *asked, queries, most)
            two = native.near_rows(codes, rows, *asked, queries, most, path)
            for a, b in zip(one, two, strict=True):
                assert a.dtype == b.dtype
                assert a.tolist() == b.tolist()


@pytest.mark.parametrize("module", [reference_keys, *([native] if native is not None else [])])
def test_rows_outside_are_refused(module: Any) -> None:
    """A start, a length, a row or a query that is not there raises IndexError; arrays that do not fit ValueError."""
    codes, rows, begins, lengths, owners, queries = stock(1)
    for place, value in ((2, -1), (2, 901), (3, -1), (3, 901), (4, -1), (4, 9)):
        wrong = [codes, rows, begins.copy(), lengths.copy(), owners.copy(), queries]
        wrong[place][7] = value
        with pytest.raises(IndexError):
            module.near_rows(*wrong, 26)
    with pytest.raises(IndexError):
        module.near_rows(codes, np.full(900, 300, np.uint32), begins, np.full(200, 3), owners, queries, 26)
    with pytest.raises(ValueError):
        module.near_rows(codes, rows, begins[1:], lengths, owners, queries, 26)


def test_group_says_whether_it_is_compiled() -> None:
    """`compiled` names the group."""
    assert compiled()["keys"] == (native is not None)
