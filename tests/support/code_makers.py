"""Codes for the tests of kernels, and holding two answers against each other."""

from __future__ import annotations

from typing import Any

import numpy as np


def clustered(n: int, n_bytes: int, seed: int) -> np.ndarray:
    """Codes near each other and far apart, some of them equal."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (n, n_bytes), dtype=np.uint8)
    codes[: n // 2] = codes[:1]
    for row in range(n // 2):
        bits = rng.choice(8 * n_bytes, row % 8, replace=False)
        for bit in bits:
            codes[row, bit >> 3] ^= 1 << (bit & 7)
    return codes


def same(left: Any, right: Any) -> None:
    """Hold two answers against each other, types and all."""
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            assert a.tolist() == b.tolist()
        else:
            assert a == b
