"""The substring tables of a `MultiIndex`: what stands in them, and building them in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashmatch import kernels
from hashmatch.index.space import Packed
from hashmatch.kernels.codes import table_fill, table_pack

__all__ = ["Tables", "build_tables", "has_short_heads", "item_bits", "shortened"]


@dataclass(frozen=True, slots=True)
class Tables:
    """The arrays of the substring tables; `hashmatch.kernels.reference_codes.table_find` says what stands in each."""

    widths: tuple[int, ...]
    marks: NDArray[np.uint64]
    heads: NDArray[Any]
    runs: NDArray[np.uint32]


def build_tables(columns: Packed, widths: tuple[int, ...]) -> Tables:
    """Sort the rows of word columns into the buckets of every table."""
    n = columns.shape[1]
    row_bits, tag_bits = item_bits(n, widths)
    is_short = has_short_heads(n, widths)
    filled = np.zeros(-(-sum(1 << width for width in widths) // 64) * 64, dtype=np.bool_)
    heads, runs = [], []
    bucket = n_runs = 0
    starts = np.cumsum([0, *widths])
    first = keys = kernels.substring_keys(columns, 0, widths[0])
    for i, width in enumerate(widths):
        ends, items = table_fill(keys, width)
        is_last = i == len(widths) - 1
        keys = first if is_last else kernels.substring_keys(columns, int(starts[i + 1]), widths[i + 1])
        if tag_bits:
            items |= (keys & np.uint32((1 << tag_bits) - 1)).take(items) << np.uint32(row_bits)
        filled[bucket : bucket + (1 << width)], some_heads, some_runs = table_pack(ends, items, n_runs)
        heads.append(shortened(some_heads) if is_short else some_heads)
        runs.append(some_runs)
        bucket += 1 << width
        n_runs += len(some_runs)
    bits = np.packbits(filled, bitorder="little").view("<u8")
    counts = np.bitwise_count(bits)
    before = np.cumsum(counts, dtype="<u8") - counts
    return Tables(widths, np.stack([bits, before], axis=1), np.concatenate(heads), np.concatenate(runs))


def item_bits(n: int, widths: tuple[int, ...]) -> tuple[int, int]:
    """Say how many bits of what stands in a bucket are the row, and how many the tag; 31 at most, or 32 and none."""
    row_bits = max(1, (n - 1).bit_length())
    if len(widths) == 1:
        return row_bits, 0  # there is no next substring
    return row_bits, max(0, min(31 - row_bits, min(widths)))


def has_short_heads(n: int, widths: tuple[int, ...]) -> bool:
    """Say whether 31 bits hold any row and the place of any run: a table has at most 1.5 n numbers of runs."""
    return item_bits(n, widths)[0] < 32 and 3 * n * len(widths) < 1 << 32


def shortened(heads: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Move the mark of a run from the highest of 64 bits to that of 32."""
    return ((heads >> np.uint64(63) << np.uint64(31)) | heads).astype("<u4")
