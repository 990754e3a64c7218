"""Substring tables in plain NumPy: filling them, and looking queries up in them; see `hashmatch.index.multi`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hashmatch.kernels.reference import Distances, Rows, Words, expand_ranges, hamming_scan

__all__ = ["rows_scan", "table_fill", "table_find", "table_pack"]

Found = tuple[Rows, Rows, Distances, int, Rows]

_BLOCK: Final = 1 << 16
_RUN: Final = np.uint64(1 << 63)


def rows_scan(codes: Words, query: Words, radius: int) -> tuple[Rows, Distances]:
    """Find every code within ``radius`` bits of ``query``, as `hamming_scan` does, in ``(n, n_words)`` codes."""
    if len(query) != codes.shape[1] or not len(query):
        raise ValueError("a query has as many words as a code")
    parts = [
        (first, *hamming_scan(np.ascontiguousarray(codes[first : first + _BLOCK].T), query, radius))
        for first in range(0, len(codes), _BLOCK)
    ]
    rows = [found + first for first, found, _ in parts]
    distances = [bits for _, _, bits in parts]
    return np.concatenate([np.empty(0, np.int64), *rows]), np.concatenate([np.empty(0, np.int32), *distances])


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
    ends: NDArray[np.uint32], items: NDArray[np.uint32], base: int
) -> tuple[NDArray[np.bool_], NDArray[np.uint64], NDArray[np.uint32]]:
    """Write the buckets of one table as heads and runs.

    Parameters
    ----------
    ends : (2 ** width,) uint32 array
        As `table_fill` gives them.
    items : (n,) uint32 array
        What stands in the buckets: the rows that `table_fill` gives, with their tags.
    base : int
        Runs of the tables before this one.

    Returns
    -------
    filled : (buckets,) bool array
        Which buckets hold a row.
    heads : (f,) uint64 array
        For each filled bucket its item, if it is the only one; else 2^63 plus the place of its run.
    runs : (r,) uint32 array
        For each bucket of several items their count, then the items.

    Raises
    ------
    ValueError
        If ``ends`` and ``items`` are no table.
    """
    stops = ends.astype(np.int64)
    if not len(stops) or stops[-1] != len(items):
        raise ValueError("the items do not fill the table")
    counts = np.diff(stops, prepend=0)
    if (counts < 0).any():
        raise ValueError("the buckets overlap")
    filled = counts > 0
    starts, sizes = (stops - counts)[filled], counts[filled]
    several = sizes > 1
    lengths = sizes[several] + 1
    places = np.cumsum(lengths) - lengths
    heads = np.empty(len(sizes), dtype=np.uint64)
    heads[~several] = items[starts[~several]]
    heads[several] = (places + base).astype(np.uint64) | _RUN
    runs = np.empty(int(lengths.sum()), dtype=np.uint32)
    runs[places] = sizes[several]
    runs[expand_ranges(places + 1, lengths - 1)] = items[expand_ranges(starts[several], lengths - 1)]
    return filled, heads, runs


def table_find(
    codes: Words,
    marks: Words,
    heads: NDArray[Any],
    runs: NDArray[np.uint32],
    queries: Words,
    starts: NDArray[np.int64],
    widths: NDArray[np.int64],
    tables: NDArray[np.int64],
    masks: NDArray[np.int64],
    bounds: NDArray[np.int64],
    tag_bits: int,
    radius: int,
    most: int,
) -> Found:
    """Look queries up in substring tables, and check what stands in the buckets.

    Parameters
    ----------
    codes : (n, n_words) uint64 array
        Stored codes, n of 1 or more.
    marks : (w, 2) uint64 array
        For 64 buckets each, those of all tables one after the other, widest first: a bit for each that is filled, and
        how many are filled before them.
    heads : (f,) uint32 or uint64 array
        For each filled bucket its item; or, with the highest bit set, the place of its items in ``runs``. The lowest
        bits of an item, as many as n - 1 has and at least one, are a row; those above them are the row's tag.
    runs : (r,) uint32 array
        At each place a count, then as many items.
    queries : (n_words, k) uint64 array
        Queries.
    starts, widths : (t,) int64 arrays
        First bit and number of bits of each table's substring.
    tables, masks : (p,) int64 arrays
        For each probe the table, and what to XOR its substring with to get the bucket; see `ProbePlan`.
    bounds : (p,) int64 array
        For each probe in how many bits a tag may differ from the query's; what differs more is not compared.
    tag_bits : int
        Bits of a tag, 0 to the width of the narrowest table: the lowest of the next table's substring, after the last
        table the first one's.
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
    k, p, n = queries.shape[1], len(tables), len(codes)
    row_bits = max(1, (n - 1).bit_length())
    if not 0 <= tag_bits <= min(32 - row_bits, int(widths.min())):
        raise ValueError("a tag has more bits than there are")
    keys = _keys(queries, starts, widths)
    buckets = (keys.take(tables, axis=1) ^ masks).ravel()
    words, below = marks[:, 0].take(buckets >> 6), (buckets & 63).astype(np.uint64)
    filled = ((words >> below) & np.uint64(1)).nonzero()[0]
    words, below = words[filled], below[filled]
    before = np.bitwise_count(words & ((np.uint64(1) << below) - np.uint64(1)))
    ranks = marks[:, 1].take(buckets[filled] >> 6).astype(np.int64) + before
    first = heads.take(ranks)
    run = heads.dtype.type(1 << (8 * heads.itemsize - 1))
    alone = first < run
    places = (first[~alone] ^ run).astype(np.int64)
    counts = runs.take(places).astype(np.int64)
    askers = filled // max(p, 1)
    totals = np.bincount(askers[alone], minlength=k)
    totals += np.bincount(askers[~alone], weights=counts, minlength=k).astype(np.int64)
    crowded = totals > most
    lone, grouped = alone & ~crowded[askers], ~crowded[askers[~alone]]
    counts = counts[grouped]
    in_runs = runs.take(expand_ranges(places[grouped] + 1, counts))
    items = np.concatenate([first[lone].astype(np.int64), in_runs.astype(np.int64)])
    probes = np.concatenate([filled[lone], np.repeat(filled[~alone][grouped], counts)])
    candidates = items & ((1 << row_bits) - 1)
    if len(candidates) and candidates.max() >= n:
        raise IndexError("a row or an offset lies outside its table")
    tags = np.roll(keys, -1, axis=1) & ((1 << tag_bits) - 1)
    owners, which = probes // max(p, 1), probes % max(p, 1)
    off = (items >> row_bits ^ tags[owners, tables[which]]) & ((1 << tag_bits) - 1)
    near = (np.bitwise_count(off) <= bounds[which]).nonzero()[0]
    candidates, owners = candidates[near], owners[near]
    near, distances = _within(codes, candidates, queries, owners, radius)
    found, owners = candidates.take(near), owners.take(near)
    _, once = np.unique(owners * n + found, return_index=True)
    return owners[once], found[once], distances[once], len(candidates), crowded.nonzero()[0]


def _within(codes: Words, rows: Rows, queries: Words, owners: Rows, radius: int) -> tuple[Rows, Distances]:
    """Compare the first two words of each candidate, then the others of those that are left."""
    chosen = queries.T
    first = np.bitwise_count(codes[rows, :2] ^ chosen[owners, :2]).sum(axis=1, dtype=np.int32)
    kept = (first <= radius).nonzero()[0]
    rest = np.bitwise_count(codes[rows[kept], 2:] ^ chosen[owners[kept], 2:]).sum(axis=1, dtype=np.int32)
    distances = first[kept] + rest
    near = (distances <= radius).nonzero()[0]
    return kept[near], distances[near]


def _keys(queries: Words, starts: NDArray[np.int64], widths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Substrings of the queries, ``(k, tables)``."""
    word, shift = starts // 64, (starts % 64).astype(np.uint64)[:, None]
    next_word = np.minimum(word + 1, len(queries) - 1)
    crosses = (starts % 64 + widths > 64)[:, None]
    carry = np.where(crosses, 64 - shift, 0).astype(np.uint64)
    low = queries.take(word, axis=0) >> shift
    keys = np.where(crosses, low | queries.take(next_word, axis=0) << carry, low)
    keys &= ((np.int64(1) << widths) - 1).astype(np.uint64)[:, None]
    return keys.T.astype(np.int64)
