"""The kernels of the guided search: NumPy's against written-out loops, the compiled against NumPy's, every path."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hashmatch.kernels import compiled, guided
from hashmatch.kernels.numpy import guided as reference_guided

native: Any = guided.native
PATHS = native.PATHS if native is not None else ("portable",)
needs_native = pytest.mark.skipif(native is None, reason="the compiled kernels were not built")
every_path = pytest.mark.parametrize("path", PATHS)
LEVELS = st.sampled_from([-3.0, -1.0, -0.0, 0.0, 0.25, 1.0, 7.5])
Table = tuple[np.ndarray, np.ndarray, np.ndarray]


def same(left: tuple[np.ndarray, ...], right: tuple[np.ndarray, ...]) -> None:
    """Hold two answers against each other, types and bits."""
    for a, b in zip(left, right, strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes()


def table(words: np.ndarray, width: int) -> Table:
    """File codes by the low bits of their first word."""
    keys = (words[:, 0] & np.uint64((1 << width) - 1)).astype(np.int64)
    ends = np.cumsum(np.bincount(keys, minlength=1 << width))
    return words, np.r_[0, ends].astype(np.int32), np.argsort(keys, kind="stable").astype(np.int32)


def test_keys_are_those_of_the_written_out_loop() -> None:
    """A key has the bits that are likelier, but for those of the subset; its chance is the product of the bits'."""
    odds = np.random.default_rng(3).normal(0, 2, (5, 2, 9)).astype(np.float32)
    size, sure = np.abs(odds), -np.log1p(np.exp(-np.abs(odds)))
    subsets = np.array([0, 1, 5, 7, 2], np.uint32)
    keys, chances = guided.likely_keys(odds, size, sure, subsets, 3)
    for view, group, place in itertools.product(range(5), range(2), range(5)):
        least = np.argsort(size[view, group], kind="stable")[:3]
        bits = odds[view, group] > 0
        flipped = [int(least[i]) for i in range(3) if int(subsets[place]) >> i & 1]
        bits[flipped] = ~bits[flipped]
        assert keys[group, place, view] == sum(1 << i for i in range(9) if bits[i])
        right = 1 / (1 + np.exp(-np.where(bits, 1, -1) * odds[view, group].astype(np.float64)))
        assert math.isclose(chances[group, place, view], np.log(right).sum(), rel_tol=1e-4, abs_tol=1e-4)


@needs_native
@every_path
@settings(max_examples=80, deadline=None)
@given(data=st.data(), shape=st.tuples(st.integers(0, 9), st.integers(1, 3), st.integers(1, 22)), tied=st.booleans())
def test_keys_are_those_of_the_twin(path: str, data: st.DataObject, shape: tuple[int, int, int], tied: bool) -> None:
    """Of any odds, ties too, any groups and subsets, keys and chances have the bits of NumPy's."""
    odds = data.draw(npst.arrays(np.float32, shape, elements=LEVELS if tied else st.floats(-40, 40, width=32)))
    flips = data.draw(st.integers(0, min(10, shape[2])))
    subsets = data.draw(npst.arrays(np.uint32, st.integers(0, 20), elements=st.integers(0, (1 << flips) - 1)))
    size = np.minimum(np.abs(odds), np.float32(5.8))
    given_all = (odds, size, -np.log1p(np.exp(-size)), subsets, flips)
    same(native.likely_keys(*given_all, path), reference_guided.likely_keys(*given_all))


@needs_native
@every_path
@settings(max_examples=80, deadline=None)
@given(
    sizes=st.tuples(st.integers(0, 300), st.integers(1, 5), st.integers(1, 8), st.integers(0, 40), st.integers(1, 7)),
    limit=st.integers(0, 3000),
    radius=st.integers(-1, 200),
    seed=st.integers(0, 10**6),
)
def test_what_is_near_is_what_the_twin_finds(
    path: str, sizes: tuple[int, int, int, int, int], limit: int, radius: int, seed: int
) -> None:
    """In any table, crowded buckets and copies too, the same hits in the same order, up to the same limit."""
    n, n_words, width, n_subsets, n_queries = sizes
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 1 << 63, (n, n_words)).astype(np.uint64)
    words[: n // 2] = words[:1]
    queries = rng.integers(0, 1 << 63, (n_queries, n_words)).astype(np.uint64)
    queries[: min(n, n_queries)] = words[: min(n, n_queries)] ^ np.uint64(2)
    keys = rng.integers(0, 1 << width, (n_subsets, n_queries)).astype(np.uint32)
    chances = rng.integers(-4, 0, keys.shape).astype(np.float32)
    given_all = (*table(words, width), keys, chances, -3.0, queries, limit, radius)
    same(native.near_by_keys(*given_all, path), reference_guided.near_by_keys(*given_all))


@pytest.mark.parametrize("kernels", [reference_guided, pytest.param(native, marks=needs_native)])
def test_what_does_not_fit_is_refused(kernels: Any) -> None:
    """Shapes that do not fit, keys beyond a table and subsets of other bits raise ValueError."""
    odds, subsets = np.ones((3, 2, 8), np.float32), np.array([0, 3], np.uint32)
    for sizes, places, flips in ((odds[:2], subsets, 2), (odds, subsets, 1), (odds, subsets, 11), (odds, subsets, -1)):
        with pytest.raises(ValueError, match=r"shape|subset"):
            kernels.likely_keys(odds, sizes, odds, places, flips)
    with pytest.raises(ValueError, match="1 to 32"):
        kernels.likely_keys(*[np.ones((3, 2, 33), np.float32)] * 3, subsets, 2)
    words, offsets, positions = table(np.arange(20, dtype=np.uint64).reshape(10, 2), 3)
    keys, chances = np.zeros((2, 4), np.uint32), np.zeros((2, 4), np.float32)
    queries = words[:4]

    def ask(
        words: np.ndarray = words,
        offsets: np.ndarray = offsets,
        positions: np.ndarray = positions,
        keys: np.ndarray = keys,
        queries: np.ndarray = queries,
    ) -> None:
        kernels.near_by_keys(words, offsets, positions, keys, chances, -1.0, queries, 99, 9)

    ask()
    for wrong in (
        {"queries": queries[:3]},
        {"queries": np.ascontiguousarray(queries[:, :1])},
        {"positions": positions[:-1]},
        {"offsets": offsets[:0]},
        {"keys": keys + np.uint32(8)},
        {"keys": np.ascontiguousarray(keys[:1])},
    ):
        with pytest.raises(ValueError, match=r"key|words|table"):
            ask(**wrong)


@needs_native
def test_tables_that_are_none_are_refused() -> None:
    """Offsets and positions outside the entries are found before they are read."""
    words, offsets, positions = table(np.arange(20, dtype=np.uint64).reshape(10, 2), 3)
    keys, chances = np.zeros((1, 1), np.uint32), np.zeros((1, 1), np.float32)
    for offsets_, positions_ in (
        (offsets + np.int32(100), positions),
        (-offsets, positions),
        (offsets, positions - 99),
    ):
        with pytest.raises(ValueError, match="none"):
            native.near_by_keys(words, offsets_, positions_, keys, chances, -1.0, words[:1], 99, 9)
    with pytest.raises(ValueError, match="no such path"):
        native.near_by_keys(words, offsets, positions, keys, chances, -1.0, words[:1], 99, 9, "abacus")


def test_compiled_says_what_serves() -> None:
    """The group is said to be compiled exactly where its module is there."""
    assert compiled()["guided"] == (native is not None)
