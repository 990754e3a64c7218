"""The compiled scans against their NumPy twins, on every path of this processor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.kernels import codes as facade
from hashmatch.kernels import pack_words
from hashmatch.kernels.numpy import codes as reference
from support.code_makers import clustered, same

native: Any = facade.native
PATHS = native.PATHS if native is not None else ("portable",)
needs_native = pytest.mark.skipif(native is None, reason="the compiled kernels were not built")
every_path = pytest.mark.parametrize("path", PATHS)
SHAPES = st.tuples(st.integers(0, 70), st.sampled_from([1, 8, 9, 16, 24, 32, 72]))


@needs_native
@every_path
@settings(max_examples=60)
@given(shape=SHAPES, radius=st.integers(0, 300), seed=st.integers(0, 99))
def test_scan(path: str, shape: tuple[int, int], radius: int, seed: int) -> None:
    """A scan finds the same rows in both layouts, at every length of list and code."""
    codes = clustered(*shape, seed)
    columns = pack_words(codes)
    query = pack_words(clustered(1, shape[1], seed))[:, 0]
    expected = reference.hamming_scan(columns, query, radius)
    same(native.hamming_scan(columns, query, radius, path), expected)
    rows = np.ascontiguousarray(columns.T)
    same(native.rows_scan(rows, query, radius, path), expected)
    same(reference.rows_scan(rows, query, radius), expected)


def test_the_facade_serves_what_was_built() -> None:
    """The compiled kernels serve where they were built."""
    assert (facade.rows_scan is reference.rows_scan) is (native is None)
