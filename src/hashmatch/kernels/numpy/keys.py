"""The keypoint index's kernels in plain NumPy: a compact directory of buckets, and codes compared bucket by bucket.

A directory of 2**25 buckets at four bytes each is a fifteenth of the index. Here it takes 2 to 5 bits a bucket, as Fano
(1971) and Elias (1974) keep ascending numbers: of every start the low bits as they are, and the rest, which grows
slowly, as gaps between ones. Every 64th start is kept whole, so that few bits are read for any one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hashmatch.kernels.numpy.codes import expand_ranges

__all__ = ["BLOCK", "Starts", "bucket_ranges", "near_rows"]

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

BLOCK: Final = 64
"""Buckets of a block: those to each of which a whole start belongs."""

_AT_ONCE: Final = 1 << 16
_ONE: Final = np.uint64(1)
_PLACES: Final = np.zeros((256, 8), np.int64)
"""Of each byte, where its first, second, ... bit set is, from the lowest."""
for _byte in range(256):
    _set = [_bit for _bit in range(8) if _byte >> _bit & 1]
    _PLACES[_byte, : len(_set)] = _set


@dataclass(frozen=True, slots=True, eq=False)
class Starts:
    """Where the rows of every bucket start, and the end of the last: ascending numbers.

    Parameters
    ----------
    heads : (blocks,) uint32 or uint64 array
        The start of every 64th bucket.
    low : (ceil((buckets + 1) * shift / 64),) uint64 array
        The ``shift`` lowest bits of each start, the first in a word's lowest bits; empty where ``shift`` is 0.
    high : (words,) uint64 array
        Bit ``(start >> shift) + bucket`` is 1, the first bit a word's lowest; all others are 0.
    shift : int
        0, 1, 2, 4, 8 or 16, so that no number lies across two words.
    """

    heads: NDArray[Any]
    low: Words
    high: Words
    shift: int


def bucket_ranges(starts: Starts, buckets: Ints) -> tuple[Ints, Ints]:
    """Say where buckets start and how many rows they have.

    Parameters
    ----------
    starts : Starts
        As above.
    buckets : (n,) int64 array
        Numbers of buckets.

    Returns
    -------
    starts, lengths : (n,) int64 arrays
        Of a damaged directory any numbers, but no length below 0.

    Raises
    ------
    IndexError
        If there is no such bucket, or the directory is damaged.
    """
    if not len(buckets):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    if not 0 <= buckets.min() <= buckets.max() < BLOCK * len(starts.heads):
        raise IndexError("there is no such bucket")
    block = buckets >> 6
    first = (starts.heads.take(block).astype(np.int64) >> starts.shift) + BLOCK * block
    here, there = _two_ones(starts.high, first, buckets & 63)
    begin = (here - buckets << starts.shift) + _low(starts, buckets)
    end = (there - buckets - 1 << starts.shift) + _low(starts, buckets + 1)
    return begin, np.maximum(end - begin, 0)


def _low(starts: Starts, numbers: Ints) -> Ints:
    if not starts.shift:
        return np.zeros(len(numbers), np.int64)
    at = numbers * starts.shift
    words = starts.low.take(at >> 6) >> (at & 63).astype(np.uint64)
    return (words & np.uint64((1 << starts.shift) - 1)).astype(np.int64)


def _two_ones(high: Words, first: Ints, skipped: Ints) -> tuple[Ints, Ints]:
    """Find the bit set that comes ``skipped`` after the first one from ``first`` on, and the one after it."""
    if (first < 0).any():
        raise IndexError("the directory is damaged")
    word, left = first >> 6, skipped.copy()
    bits = high.take(word) & (~np.uint64(0) << (first & 63).astype(np.uint64))
    waiting = np.flatnonzero(np.bitwise_count(bits) <= left)
    while len(waiting):
        left[waiting] -= np.bitwise_count(bits[waiting])
        word[waiting] += 1
        bits[waiting] = high.take(word[waiting])
        waiting = waiting[np.bitwise_count(bits[waiting]) <= left[waiting]]
    # in which byte of the word, and then in which bit of the byte
    every = np.arange(len(bits))
    eight = bits.astype("<u8").view(np.uint8).reshape(-1, 8)
    sums = np.zeros((len(bits), 9), np.uint8)
    np.cumsum(np.bitwise_count(eight), axis=1, dtype=np.uint8, out=sums[:, 1:])
    byte = np.count_nonzero(sums[:, 1:] <= left[:, None].astype(np.uint8), axis=1)
    place = 8 * byte + _PLACES[eight[every, byte], left - sums[every, byte]]
    here = 64 * word + place
    bits &= ~((np.uint64(2) << place.astype(np.uint64)) - _ONE)
    waiting = np.flatnonzero(bits == 0)
    while len(waiting):
        word[waiting] += 1
        bits[waiting] = high.take(word[waiting])
        waiting = waiting[bits[waiting] == 0]
    return here, 64 * word + np.bitwise_count((bits & (~bits + _ONE)) - _ONE)


def near_rows(
    codes: Words, rows: NDArray[np.uint32], starts: Ints, lengths: Ints, owners: Ints, queries: Words, most: int
) -> tuple[Ints, Ints, NDArray[np.int32]]:
    """Compare queries with the codes of their buckets.

    Parameters
    ----------
    codes, queries : (n, 2), (k, 2) uint64 arrays
        Codes of 16 bytes.
    rows : (r,) uint32 array
        Rows of ``codes``, bucket by bucket.
    starts, lengths, owners : (b,) int64 arrays
        Where a bucket starts in ``rows``, how many of it are compared, and with which query.
    most : int
        Bits that may differ.

    Returns
    -------
    owners, rows : (p,) int64 arrays
        Pairs of a query and a row that agree, in the order of the buckets; a row may come more than once.
    distances : (p,) int32 array
        Differing bits.

    Raises
    ------
    IndexError
        If a bucket, a row or a query lies outside its array.
    ValueError
        If the arrays do not fit together.
    """
    if codes.shape[1:] != (2,) or queries.shape[1:] != (2,) or not starts.shape == lengths.shape == owners.shape:
        raise ValueError("codes of 16 bytes, and a length and a query for each start")
    if len(starts):
        inside = 0 <= owners.min() <= owners.max() < len(queries) and starts.min() >= 0 <= lengths.min()
        if not inside or (starts > len(rows)).any() or (lengths > len(rows) - starts).any():
            raise IndexError("a row lies outside its table")
    # one 16-byte number a code: one read fetches it whole
    stored, asked = codes.view(np.complex128).ravel(), queries.view(np.complex128).ravel()
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.unique([0, *np.searchsorted(ends, np.arange(_AT_ONCE, total, _AT_ONCE)).tolist(), len(ends)])
    parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int32))]
    for a, b in pairwise(cuts.tolist()):
        reached = rows.take(expand_ranges(starts[a:b], lengths[a:b])).astype(np.int64)
        points = np.repeat(owners[a:b], lengths[a:b])
        words = stored.take(reached).view("<u8")
        words ^= asked.take(points).view("<u8")
        bits = np.bitwise_count(words)
        apart = bits[0::2] + bits[1::2]
        near = np.flatnonzero(apart <= most)
        parts.append((points[near], reached[near], apart[near].astype(np.int32)))
    found, near_, distances = zip(*parts, strict=True)
    return np.concatenate(found), np.concatenate(near_), np.concatenate(distances)
