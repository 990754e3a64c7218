"""The substring tables of a `MultiIndex`: their layout, and how they are built in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashmatch import kernels
from hashmatch.index.space import Packed
from hashmatch.kernels.tables import table_fill, table_pack

__all__ = ["PADDING", "ItemLayout", "Tables", "build_tables", "item_layout", "ranked"]

PADDING: Final = np.zeros(8, dtype=np.uint8)
"""Ends slots and runs, so that the last item can be read by eight bytes."""

_ENOUGH_TAG: Final = 11
_ITEM_BYTES: Final = 5


@dataclass(frozen=True, slots=True)
class Tables:
    """The arrays of the substring tables; `hashmatch.kernels.numpy.tables.TableSearch` describes each array."""

    widths: tuple[int, ...]
    ranks: NDArray[np.uint64]
    slots: NDArray[np.uint8]
    runs: NDArray[np.uint8]


class ItemLayout(NamedTuple):
    """Bits of the row and of the tag in an item, and bytes of an item."""

    row_bits: int
    tag_bits: int
    item_bytes: int


def build_tables(columns: Packed, widths: tuple[int, ...]) -> Tables:
    """Sort the rows of word columns into the buckets of every table."""
    layout = item_layout(columns.shape[1], widths)
    kinds, slots, runs = [], [], []
    n_runs = 0
    starts = np.cumsum([0, *widths])
    first = keys = kernels.substring_keys(columns, 0, widths[0])
    for i, width in enumerate(widths):
        ends, rows = table_fill(keys, width)
        is_last = i == len(widths) - 1
        keys = first if is_last else kernels.substring_keys(columns, int(starts[i + 1]), widths[i + 1])
        items = rows.astype("<u8")
        if layout.tag_bits:
            tags = keys & np.uint32((1 << layout.tag_bits) - 1)
            items |= tags.take(rows).astype("<u8") << np.uint64(layout.row_bits)
        some_kinds, some_slots, some_runs = table_pack(ends, items, n_runs, layout.item_bytes)
        kinds.append(some_kinds)
        slots.append(some_slots)
        runs.append(some_runs)
        n_runs += len(some_runs) // layout.item_bytes
    together = np.concatenate(kinds)
    planes = [np.packbits(together & bit, bitorder="little") for bit in (1, 2)]
    return Tables(widths, ranked(*planes), np.concatenate([*slots, PADDING]), np.concatenate([*runs, PADDING]))


def ranked(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Put two planes of bits of all buckets' kinds, eight to a byte, together with the slots before each word."""
    ranks = np.zeros((-(-len(one) // 8), 3), dtype="<u8")
    for column, plane in ((1, one), (2, two)):
        whole = np.zeros(8 * len(ranks), dtype=np.uint8)
        whole[: len(plane)] = plane
        ranks[:, column] = whole.view("<u8")
    slots = np.bitwise_count(ranks[:, 1:]).sum(axis=1, dtype="<u8")
    np.cumsum(slots, out=ranks[:, 0])
    ranks[:, 0] -= slots
    return ranks


def item_layout(n: int, widths: tuple[int, ...]) -> ItemLayout:
    """Say how the items of tables over ``n`` codes are laid out.

    Notes
    -----
    An item has four bytes if the tag keeps some bits and the place of any run fits too; else it has five. A longer tag
    excludes more candidates.
    """
    row_bits = max(1, (n - 1).bit_length())
    useful = min(widths) if len(widths) > 1 else 0  # there may be no next substring
    is_short = 32 - row_bits >= min(_ENOUGH_TAG, useful) and 4 * n * len(widths) < 3 << 32
    item_bytes = 4 if is_short else _ITEM_BYTES
    return ItemLayout(row_bits, min(8 * item_bytes - row_bits, useful), item_bytes)
