"""Substring tables in plain NumPy: filling them, and looking queries up in them; see `hashmatch.index.multi.index`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashmatch.kernels.numpy.codes import Distances, Rows, Words, expand_ranges

__all__ = ["Probes", "TableSearch", "table_fill", "table_pack"]

Found = tuple[Rows, Rows, Distances, int, Rows]
Bytes = NDArray[np.uint8]


def table_fill(keys: NDArray[np.uint32], width: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Sort rows into the buckets of one table.

    Parameters
    ----------
    keys : (n,) uint32 array, 0 to ``2 ** width - 1``
        Bucket of each row.
    width : int
        Bits of a key, 1 to 32.

    Returns
    -------
    ends : (2 ** width,) uint32 array
        Where each bucket's rows end in ``rows``.
    rows : (n,) uint32 array
        All rows by bucket, ascending within one.

    Raises
    ------
    ValueError
        If the width or a key is out of range.
    """
    if not 1 <= width <= 32:
        raise ValueError("a substring has 1 to 32 bits")
    if len(keys) and int(keys.max()) >= 1 << width:
        raise ValueError("a key has more bits than its table")
    ends = np.cumsum(np.bincount(keys, minlength=1 << width)).astype(np.uint32)
    return ends, np.argsort(keys, kind="stable").astype(np.uint32)


def table_pack(
    ends: NDArray[np.uint32], items: NDArray[np.uint64], base: int, item_bytes: int
) -> tuple[Bytes, Bytes, Bytes]:
    """Write the buckets of one table as slots and runs.

    Parameters
    ----------
    ends : (2 ** width,) uint32 array
        As `table_fill` gives them.
    items : (n,) uint64 array
        What stands in the buckets: the rows that `table_fill` gives, with their tags.
    base : int
        Items in the runs of the tables before this one.
    item_bytes : int
        4 or 5, the lowest bytes of an item.

    Returns
    -------
    kinds : (2 ** width,) uint8 array
        What each bucket has: bit 0 a slot with an item, bit 1 one more slot, with a second item or, alone, with the
        place of a run. So 0 stands for no item, 1 for one, 3 for two and 2 for more.
    slots : (s * item_bytes,) uint8 array
        One after the other: the items of a bucket of one or two; of a bucket of more the place of its run.
    runs : (r * item_bytes,) uint8 array
        For each bucket of more than two items their count, then the items.

    Raises
    ------
    ValueError
        If ``ends`` and ``items`` are no table.
    """
    stops = ends.astype(np.int64)
    if not len(stops) or stops[-1] != len(items) or not 4 <= item_bytes <= 5:
        raise ValueError("the items do not fill the table")
    counts = np.diff(stops, prepend=0)
    if (counts < 0).any():
        raise ValueError("the buckets overlap")
    firsts, is_run = stops - counts, counts > 2
    kinds = np.where(is_run, 2, (1 << np.minimum(counts, 2)) - 1).astype(np.uint8)
    lengths = counts[is_run] + 1
    places = np.cumsum(lengths) - lengths
    runs = np.empty(int(lengths.sum()), dtype=np.uint64)
    runs[places] = counts[is_run]
    runs[expand_ranges(places + 1, lengths - 1)] = items[expand_ranges(firsts[is_run], lengths - 1)]
    taken = np.where(is_run, 1, counts)
    first_slots = np.cumsum(taken) - taken
    slots = np.empty(int(taken.sum()), dtype=np.uint64)
    slots[first_slots[is_run]] = places + base
    few = np.where(is_run, 0, counts)
    slots[expand_ranges(first_slots, few)] = items[expand_ranges(firsts, few)]
    return kinds, _shortened(slots, item_bytes), _shortened(runs, item_bytes)


def _shortened(numbers: NDArray[np.uint64], n_bytes: int) -> Bytes:
    """Give the lowest bytes of numbers, one after the other."""
    return np.ascontiguousarray(numbers.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :n_bytes]).reshape(-1)


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """What one search looks up; made and checked by `TableSearch.probes`: for each probe the table, mask and bound."""

    owner: TableSearch
    tables: NDArray[np.int64]
    masks: NDArray[np.int64]
    bounds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.masks)


class TableSearch:
    """Substring tables that were checked to fit together, ready to look queries up in.

    Parameters
    ----------
    codes : (n, n_words) uint64 array
        Stored codes, n of 1 or more.
    ranks : (w, 3) uint64 array
        For 64 buckets each, those of all tables one after the other: how many slots there are before them, and the two
        bits of their kinds, see `table_pack`.
    slots : (s * item_bytes + 8,) uint8 array
        One after the other: the items of a bucket of one or two; of a bucket of more the place of its items in
        ``runs``. The lowest bits of an item, as many as n - 1 has and at least one, are a row; those above them are the
        row's tag. Eight bytes more are there to be read, and mean nothing.
    runs : (r * item_bytes + 8,) uint8 array
        At each place a count, then as many items; and eight bytes more.
    widths : sequence of int
        Bits of each table's substring, 1 to 32, widest first; they stand one after the other in a code.
    tag_bits : int
        Bits of a tag, 0 to the width of the narrowest table: the lowest of the next table's substring, after the last
        table the first one's.
    item_bytes : int
        4 or 5.

    Raises
    ------
    ValueError
        If they do not fit together. What stands in the tables is checked where it is used.
    """

    def __init__(
        self,
        codes: Words,
        ranks: Words,
        slots: Bytes,
        runs: Bytes,
        widths: Sequence[int],
        tag_bits: int,
        item_bytes: int,
    ) -> None:
        if not 0 < len(codes) <= 1 << 32 or not codes.shape[1]:
            raise ValueError("there are no codes, or too many")
        self._row_bits = max(1, (len(codes) - 1).bit_length())
        self._widths = np.array(widths, dtype=np.int64)
        firsts = np.cumsum([0, *(1 << width for width in widths)])
        if any(not 1 <= w <= 32 or first & (1 << w) - 1 for w, first in zip(widths, firsts.tolist(), strict=False)):
            raise ValueError("a substring has 1 to 32 bits, and the widest come first")
        if not len(widths) or sum(widths) > 64 * codes.shape[1] or firsts[-1] > 1 << 32:
            raise ValueError("the substrings do not fit the codes, or have too many buckets")
        if not 4 <= item_bytes <= 5 or not 0 <= tag_bits <= min(8 * item_bytes - self._row_bits, min(widths)):
            raise ValueError("an item has 4 or 5 bytes, and a tag no more bits than there are")
        if ranks.shape != ((firsts[-1] + 63) // 64, 3):
            raise ValueError("the tables have another number of buckets than ranks")
        if any(len(array) < 8 or (len(array) - 8) % item_bytes for array in (slots, runs)):
            raise ValueError("slots and runs are items, and eight bytes more")
        self._firsts = firsts
        self._cut = _Cut.of(self._widths, codes.shape[1])
        self._after = np.roll(np.arange(len(widths)), -1)
        self._codes, self._ranks, self._slots, self._runs = codes, ranks, slots, runs
        self._item_bytes = item_bytes
        self._tags = (1 << tag_bits) - 1

    def probes(self, masks: NDArray[np.uint32], groups: NDArray[np.int64]) -> Probes:
        """Prepare what a search looks up, once for many searches.

        Parameters
        ----------
        masks : (p,) uint32 array
            For each probe what to XOR its table's substring with; the number of the table's first bucket is contained.
        groups : (g, 3) int64 array
            For probes in a row their table, where they end in ``masks``, and in how many bits a tag may differ from
            the query's; what differs more is not compared.

        Raises
        ------
        ValueError
            If a group names no table, a mask leaves it, or a probe is in no group.
        """
        tables, ends, bounds = np.asarray(groups, dtype=np.int64).reshape(-1, 3).T
        sizes = np.diff(ends, prepend=0)
        if (tables < 0).any() or (tables >= len(self._widths)).any() or (sizes < 0).any() or (bounds < 0).any():
            raise ValueError("a group of probes names no table")
        if not len(masks) or not len(ends) or ends[-1] != len(masks):
            raise ValueError("the groups do not hold all probes")
        of_probe, wide = np.repeat(tables, sizes), masks.astype(np.int64)
        if ((wide < self._firsts[of_probe]) | (wide >= self._firsts[of_probe + 1])).any():
            raise ValueError("a probe names no bucket of its table")
        return Probes(self, of_probe, wide, np.repeat(bounds, sizes))

    def find(self, queries: Words, probes: Probes, radius: int, most: int) -> Found:
        """Look queries up, and check what stands in the buckets.

        Parameters
        ----------
        queries : (n_words, k) uint64 array
            Queries.
        probes : Probes
            From `probes`.
        radius : int
            Bits, inclusive.
        most : int
            Items that a query's buckets may hold; one with more is not looked up.

        Returns
        -------
        owners : (h,) int64 array
            Query of each hit, ascending.
        found : (h,) int64 array
            Row of each hit, ascending within a query, each once.
        distances : (h,) int32 array
            Bits.
        compared : int
            Codes compared.
        crowded : (c,) int64 array
            Queries that were not looked up, ascending.

        Raises
        ------
        ValueError
            If the arguments do not fit together.
        IndexError
            If a head, a run or a row lies outside its table.
        """
        if len(queries) != self._codes.shape[1] or probes.owner is not self:
            raise ValueError("the queries or the probes are of other tables")
        k, p, n = queries.shape[1], len(probes), len(self._codes)
        keys = self._cut.keys(queries)
        filled, kinds, places = self._filled(keys, probes)
        is_run = kinds == 2
        runs = self._items(self._slots, places[is_run]).astype(np.int64)
        counts = self._items(self._runs, runs).astype(np.int64)
        askers = filled // p
        sizes = np.bitwise_count(kinds).astype(np.int64)
        sizes[is_run] = counts
        totals = np.bincount(askers, weights=sizes, minlength=k)
        crowded = totals > most
        few, many = ~is_run & ~crowded[askers], ~crowded[askers[is_run]]
        in_slots = self._items(self._slots, expand_ranges(places[few], sizes[few]))
        in_runs = self._items(self._runs, expand_ranges(runs[many] + 1, counts[many]))
        items = np.concatenate([in_slots, in_runs]).astype(np.int64)
        which = np.concatenate([filled[few].repeat(sizes[few]), filled[is_run][many].repeat(counts[many])])
        candidates = items & ((1 << self._row_bits) - 1)
        if len(candidates) and candidates.max() >= n:
            raise IndexError("a row or an offset lies outside its table")
        owners, which = which // p, which % p
        tags = keys[owners, self._after[probes.tables[which]]]
        off = (items >> self._row_bits ^ tags) & self._tags
        near = (np.bitwise_count(off) <= probes.bounds[which]).nonzero()[0]
        candidates, owners = candidates[near], owners[near]
        near, distances = _within(self._codes, candidates, queries, owners, radius)
        found, owners = candidates.take(near), owners.take(near)
        _, once = np.unique(owners * n + found, return_index=True)
        return owners[once], found[once], distances[once], len(candidates), crowded.nonzero()[0]

    def _filled(self, keys: NDArray[np.int64], probes: Probes) -> tuple[Rows, Bytes, Rows]:
        """Probes of all queries that lead to filled buckets, the kinds of these, and the places of their slots."""
        buckets = (keys.take(probes.tables, axis=1) ^ probes.masks).ravel()
        words, below = buckets >> 6, (buckets & 63).astype(np.uint64)
        one, two = self._ranks[words, 1], self._ranks[words, 2]
        kinds = (one >> below & np.uint64(1) | (two >> below & np.uint64(1)) << np.uint64(1)).astype(np.uint8)
        filled = kinds.nonzero()[0]
        under = (np.uint64(1) << below[filled]) - np.uint64(1)
        places = self._ranks[words[filled], 0].astype(np.int64)
        places += np.bitwise_count(one[filled] & under).astype(np.int64) + np.bitwise_count(two[filled] & under)
        return filled, kinds[filled], places

    def _items(self, array: Bytes, places: Rows) -> NDArray[np.uint64]:
        """Items at places of slots or runs; IndexError for one outside."""
        if self._item_bytes == 4:
            return array[:-8].view("<u4").take(places).astype(np.uint64)
        items = np.zeros((len(places), 8), dtype=np.uint8)
        items[:, : self._item_bytes] = array[:-8].reshape(-1, self._item_bytes).take(places, axis=0)
        return items.view("<u8")[:, 0]


def _within(codes: Words, rows: Rows, queries: Words, owners: Rows, radius: int) -> tuple[Rows, Distances]:
    """Compare the first two words of each candidate, then the others of those that are left."""
    chosen = queries.T
    first = np.bitwise_count(codes[rows, :2] ^ chosen[owners, :2]).sum(axis=1, dtype=np.int32)
    kept = (first <= radius).nonzero()[0]
    rest = np.bitwise_count(codes[rows[kept], 2:] ^ chosen[owners[kept], 2:]).sum(axis=1, dtype=np.int32)
    distances = first[kept] + rest
    near = (distances <= radius).nonzero()[0]
    return kept[near], distances[near]


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """How substrings are cut from words: the word each begins in, the one after it, shifts and masks; a row a table."""

    word: NDArray[np.int64]
    next_word: NDArray[np.int64]
    shift: NDArray[np.uint64]
    crosses: NDArray[np.bool_]
    carry: NDArray[np.uint64]
    mask: NDArray[np.uint64]

    @classmethod
    def of(cls, widths: NDArray[np.int64], n_words: int) -> _Cut:
        starts = np.cumsum(widths) - widths
        word, shift = starts // 64, (starts % 64).astype(np.uint64)[:, None]
        crosses = (starts % 64 + widths > 64)[:, None]
        return cls(
            word=word,
            next_word=np.minimum(word + 1, n_words - 1),
            shift=shift,
            crosses=crosses,
            carry=np.where(crosses, 64 - shift, 0).astype(np.uint64),
            mask=((np.int64(1) << widths) - 1).astype(np.uint64)[:, None],
        )

    def keys(self, queries: Words) -> NDArray[np.int64]:
        """Give the substrings of queries, ``(k, tables)``."""
        low = queries.take(self.word, axis=0) >> self.shift
        keys = np.where(self.crosses, low | queries.take(self.next_word, axis=0) << self.carry, low)
        return (keys & self.mask).T.astype(np.int64)
