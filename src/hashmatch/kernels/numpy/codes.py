"""Kernels in plain NumPy: distances from one query to many codes, and the look-up of substrings.

Packed codes are *word columns*: a ``(n_words, n)`` little-endian uint64 array, one contiguous row per 8 bytes of the
code, the last word padded with zeros. A filter that reads only the first words then touches only their memory: at
256 bits and radius 31 two words of four discard all but one in 10⁸ unrelated codes.

Every function is pure, allocates its own scratch and may run in many threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "euclidean_at",
    "euclidean_scan",
    "expand_ranges",
    "hamming_at",
    "hamming_scan",
    "hamming_within",
    "pack_words",
    "rows_scan",
    "substring_keys",
    "unpack_words",
]

Words = NDArray[np.uint64]
Rows = NDArray[np.int64]
Distances = NDArray[np.int32]

_WORD: Final = np.dtype("<u8")
_SCAN_BLOCK: Final = 1 << 15
_FILTER_WORDS: Final = 2
_EUCLIDEAN_BLOCK: Final = 1 << 12
_FLOAT32_EXACT_BYTES: Final = (1 << 24) // (255 * 255)


def pack_words(codes: NDArray[np.uint8]) -> Words:
    """Turn codes into word columns.

    Parameters
    ----------
    codes : (n, n_bytes) uint8 array
        One code a row.

    Returns
    -------
    (ceil(n_bytes / 8), n) uint64 array, C-contiguous
        Bytes after the end of a code are zero, so they never add to a distance.
    """
    n, n_bytes = codes.shape
    n_words = -(-n_bytes // 8)
    if n_bytes != 8 * n_words:
        padded = np.zeros((n, 8 * n_words), dtype=np.uint8)
        padded[:, :n_bytes] = codes
        codes = padded
    return np.ascontiguousarray(np.ascontiguousarray(codes).view(_WORD).T)


def unpack_words(columns: Words, n_bytes: int) -> NDArray[np.uint8]:
    """Turn word columns back into ``(n, n_bytes)`` uint8 codes; the inverse of `pack_words`."""
    rows = np.ascontiguousarray(columns.T).view(np.uint8)
    return np.ascontiguousarray(rows.reshape(columns.shape[1], 8 * columns.shape[0])[:, :n_bytes])


def hamming_at(columns: Words, rows: NDArray[Any], queries: Words, owners: NDArray[Any] | None) -> Distances:
    """Hamming distance of each stored code in ``rows`` to its query.

    Parameters
    ----------
    columns : (n_words, n) uint64 array
        Stored codes.
    rows : (c,) integer array, 0 to n - 1
        Stored codes to compare.
    queries : (n_words, k) uint64 array
        Queries.
    owners : (c,) integer array, 0 to k - 1, or None
        Query of each row; None where all belong to query 0.

    Returns
    -------
    (c,) int32 array
        Bits, 0 to ``64 * n_words``.

    Raises
    ------
    IndexError
        If a row or an owner is out of range.
    """
    total = np.zeros(len(rows), dtype=np.int32)
    for column, query in zip(columns, queries, strict=True):
        total += np.bitwise_count(column.take(rows) ^ (query[0] if owners is None else query.take(owners)))
    return total


def hamming_within(
    columns: Words, rows: NDArray[Any], queries: Words, owners: NDArray[Any] | None, radius: int
) -> tuple[Rows, Distances]:
    """Keep the pairs of `hamming_at` whose distance is at most ``radius``.

    Returns
    -------
    kept : (h,) int64 array
        Places in ``rows``, ascending.
    distances : (h,) int32 array
        Their distances, bits.

    Notes
    -----
    Two words of each code are read first; the others only where those two differ in at most ``radius`` bits.
    """
    first = min(_FILTER_WORDS, len(columns))
    partial = _partial_at(columns, rows, queries, owners, first)
    kept = (partial <= min(radius, 255)).nonzero()[0]
    distances = partial.take(kept).astype(np.int32)
    if first == len(columns) or not len(kept):
        return kept, distances
    owners_kept = None if owners is None else owners.take(kept)
    distances += hamming_at(columns[first:], rows.take(kept), queries[first:], owners_kept)
    near = (distances <= radius).nonzero()[0]
    return kept.take(near), distances.take(near)


def _partial_at(
    columns: Words, rows: NDArray[Any], queries: Words, owners: NDArray[Any] | None, first: int
) -> NDArray[np.uint8]:
    """Differing bits in the first one or two words: at most 128, so a byte holds them."""
    partial: NDArray[np.uint8] | None = None
    for column, query in zip(columns[:first], queries[:first], strict=True):
        words = column.take(rows)
        words ^= query[0] if owners is None else query.take(owners)
        bits = np.bitwise_count(words)
        partial = bits if partial is None else np.add(partial, bits, out=partial)
    return np.zeros(len(rows), dtype=np.uint8) if partial is None else partial


def hamming_scan(columns: Words, query: Words, radius: int) -> tuple[Rows, Distances]:
    """Find every stored code within ``radius`` bits of ``query`` by looking at all of them.

    Parameters
    ----------
    columns : (n_words, n) uint64 array
        Stored codes.
    query : (n_words,) uint64 array
        Query.
    radius : int
        Bits, inclusive, 0 or more.

    Returns
    -------
    rows : (h,) int64 array
        Ascending.
    distances : (h,) int32 array
        Bits.

    Notes
    -----
    O(n), at memory speed: in blocks that stay in the cache, the first two words of each code, then the others of the
    codes that are still within the radius.
    """
    n_words, n = columns.shape
    first = min(_FILTER_WORDS, n_words)
    found_rows: list[Rows] = []
    found_distances: list[Distances] = []
    for start in range(0, n, _SCAN_BLOCK):
        block = columns[:, start : start + _SCAN_BLOCK]
        partial = np.bitwise_count(block[0] ^ query[0])
        if first == _FILTER_WORDS:
            partial += np.bitwise_count(block[1] ^ query[1])
        rows = (partial <= min(radius, 255)).nonzero()[0]
        if not len(rows):
            continue
        distances = partial.take(rows).astype(np.int32)
        if first < n_words:
            distances += hamming_at(block[first:], rows, query[first:, None], None)
            near = (distances <= radius).nonzero()[0]
            rows, distances = rows.take(near), distances.take(near)
        rows += start
        found_rows.append(rows)
        found_distances.append(distances)
    return _joined(found_rows, np.int64), _joined(found_distances, np.int32)


def rows_scan(codes: Words, query: Words, radius: int) -> tuple[Rows, Distances]:
    """Find every code within ``radius`` bits of ``query``, as `hamming_scan` does, in ``(n, n_words)`` codes."""
    if len(query) != codes.shape[1] or not len(query):
        raise ValueError("a query has as many words as a code")
    parts = [
        (first, *hamming_scan(np.ascontiguousarray(codes[first : first + _SCAN_BLOCK].T), query, radius))
        for first in range(0, len(codes), _SCAN_BLOCK)
    ]
    rows = [found + first for first, found, _ in parts]
    distances = [bits for _, _, bits in parts]
    return np.concatenate([np.empty(0, np.int64), *rows]), np.concatenate([np.empty(0, np.int32), *distances])


def euclidean_at(
    codes: NDArray[np.uint8], rows: NDArray[Any], queries: NDArray[np.uint8], owners: NDArray[Any] | None
) -> Distances:
    """Euclidean distance, rounded up, of each stored code in ``rows`` to its query.

    Parameters
    ----------
    codes : (n, n_bytes) uint8 array
        Stored codes.
    rows : (c,) integer array, 0 to n - 1
        Stored codes to compare.
    queries : (k, n_bytes) uint8 array
        Queries.
    owners : (c,) integer array, 0 to k - 1, or None
        Query of each row; None where all belong to query 0.

    Returns
    -------
    (c,) int32 array
        Smallest integer not below the distance, so that ``<= r`` means "squared distance at most r²".

    Notes
    -----
    Exact on every machine: up to 258 bytes all sums are integers below 2²⁴, which float32 holds; longer codes are
    summed in float64.
    """
    result = np.empty(len(rows), dtype=np.int32)
    for start in range(0, len(rows), _EUCLIDEAN_BLOCK):
        part = slice(start, start + _EUCLIDEAN_BLOCK)
        mine = queries[:1] if owners is None else queries.take(owners[part], axis=0)
        result[part] = _rounded_up(codes.take(rows[part], axis=0), mine)
    return result


def euclidean_scan(codes: NDArray[np.uint8], query: NDArray[np.uint8], radius: int) -> tuple[Rows, Distances]:
    """Find every stored code within ``radius`` of ``query`` by looking at all of them; see `euclidean_at`.

    Returns
    -------
    rows : (h,) int64 array
        Ascending.
    distances : (h,) int32 array
        Distances, rounded up.
    """
    found_rows: list[Rows] = []
    found_distances: list[Distances] = []
    for start in range(0, len(codes), _EUCLIDEAN_BLOCK):
        distances = _rounded_up(codes[start : start + _EUCLIDEAN_BLOCK], query[None, :])
        rows = (distances <= radius).nonzero()[0]
        found_distances.append(distances.take(rows))
        found_rows.append(rows + start)
    return _joined(found_rows, np.int64), _joined(found_distances, np.int32)


def _rounded_up(codes: NDArray[np.uint8], queries: NDArray[np.uint8]) -> Distances:
    exact: type[Any] = np.float32 if codes.shape[1] <= _FLOAT32_EXACT_BYTES else np.float64
    difference: NDArray[Any] = codes.astype(exact)
    difference -= queries
    squared: Rows = np.einsum("ij,ij->i", difference, difference).astype(np.int64)
    root: Rows = np.sqrt(squared.astype(np.float64)).astype(np.int64)
    root += root * root < squared
    return root.astype(np.int32)


def expand_ranges(starts: NDArray[Any], lengths: NDArray[Any]) -> Rows:
    """Write out half-open ranges one after the other.

    Parameters
    ----------
    starts, lengths : (b,) integer arrays
        First number and count of each range; a length may be 0.

    Returns
    -------
    (sum of lengths,) int64 array
        ``starts[0], starts[0] + 1, ...``, then the next range.

    Raises
    ------
    ValueError
        If a length is negative.
    """
    lengths = lengths.astype(np.int64, copy=False)
    ends = lengths.cumsum()
    shift: Rows = starts.astype(np.int64, copy=False) + lengths
    shift -= ends
    numbers: Rows = shift.repeat(lengths)
    numbers += np.arange(len(numbers), dtype=np.int64)
    return numbers


def substring_keys(columns: Words, start: int, width: int) -> NDArray[np.uint32]:
    """Read the bits ``start`` to ``start + width - 1`` of every code as one number.

    Parameters
    ----------
    columns : (n_words, n) uint64 array
        Codes. Bit b is bit ``b % 64`` of word ``b // 64``, counted from the least significant.
    start : int
        First bit, 0 or more.
    width : int
        Bits, 1 to 32; the substring may cross from one word into the next.

    Returns
    -------
    (n,) uint32 array, 0 to ``2 ** width - 1``
    """
    word, shift = divmod(start, 64)
    keys: Words = columns[word] >> np.uint64(shift)
    if shift + width > 64:
        keys |= columns[word + 1] << np.uint64(64 - shift)
    keys &= np.uint64((1 << width) - 1)
    return keys.astype(np.uint32)


def _joined(parts: Sequence[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, dtype=dtype)
