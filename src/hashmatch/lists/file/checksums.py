"""Check values that tell a decayed list from a sound one. SQLite finds broken pages, not changed bytes within a row.

Floor: lists. Three kinds, all 64 bits and seeded with the list's uuid:

``mark`` of a hash row, computed for whole arrays at once, so that a snapshot of a million rows is checked in
milliseconds; that of a row whose hash varies in length is a seal of the row. ``seal`` of an entry, over all that is
stored of it; seal of the state, over the counters. The marks and the seals are also summed modulo 2**64 in the state,
in any order, so that a missing row shows.

They find decay and accidents. They do not find a forger, who can compute them too.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["mark_of_record", "marks_of_rows", "seal", "signed", "sum_of_marks"]

_RECORD_HEAD: Final = struct.Struct("<qqhBhH")
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)


def signed(value: int) -> int:
    """Reduce an integer modulo 2**64 to the range of a signed 64-bit integer, the only one SQLite has."""
    return ((value + 2**63) & (2**64 - 1)) - 2**63


def seal(uuid: bytes, data: bytes) -> int:
    """Signed 64-bit BLAKE2b of the list's uuid (16 bytes) and ``data``, in which lengths tell the parts apart."""
    return int.from_bytes(hashlib.blake2b(uuid + data, digest_size=8).digest(), "little", signed=True)


def marks_of_rows(
    uuid: bytes,
    algorithm: int,
    ids: NDArray[np.int64],
    entries: NDArray[np.int64],
    sources: NDArray[np.int64],
    quality: NDArray[np.int16],
    codes: NDArray[np.uint8],
) -> NDArray[np.int64]:
    """Compute the marks of hash rows of one algorithm.

    Parameters
    ----------
    uuid : bytes
        16 bytes, the list's.
    algorithm : int
        Number of the algorithm in the list file.
    ids, entries, sources : (n,) int64 array
        Columns of the rows.
    quality : (n,) int16 array, -1 to 100
        -1 where there is none.
    codes : (n, n_bytes) uint8 array
        The hashes.

    Returns
    -------
    (n,) int64 array

    Notes
    -----
    Each 64-bit word of a row in turn goes through the finaliser of SplitMix64, which is a bijection, so a row with
    one changed word always has another mark. Source: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom
    number generators", OOPSLA 2014.
    """
    n, n_bytes = codes.shape
    padded = codes
    if n_bytes % 8:
        padded = np.zeros((n, n_bytes + -n_bytes % 8), np.uint8)
        padded[:, :n_bytes] = codes
    words = np.ascontiguousarray(padded).view("<u8").astype(np.uint64, copy=False)
    tags = (sources.astype(np.int64) << 16) | (algorithm << 8) | (quality.astype(np.int64) + 1)
    acc = np.full(n, int.from_bytes(uuid[:8], "little"), np.uint64)
    scratch = np.empty_like(acc)
    for word in (ids.view(np.uint64), entries.view(np.uint64), tags.view(np.uint64), *words.T):
        np.bitwise_xor(acc, word, out=acc)
        np.add(acc, _GOLDEN, out=acc)
        np.bitwise_xor(acc, np.right_shift(acc, _S30, out=scratch), out=acc)
        np.multiply(acc, _MIX_1, out=acc)
        np.bitwise_xor(acc, np.right_shift(acc, _S27, out=scratch), out=acc)
        np.multiply(acc, _MIX_2, out=acc)
        np.bitwise_xor(acc, np.right_shift(acc, _S31, out=scratch), out=acc)
    return acc.view(np.int64)


def mark_of_record(
    uuid: bytes, algorithm: int, row: int, entry: int, source: int, quality: int | None, code: bytes
) -> int:
    """Compute the mark of a row whose hash varies in length: the seal of all its columns.

    Parameters
    ----------
    uuid : bytes
        16 bytes, the list's.
    algorithm, row, entry, source : int
        Columns of the row.
    quality : int or None
        0 to 100.
    code : bytes
        The hash, up to 65,535 bytes.
    """
    head = _RECORD_HEAD.pack(row, entry, source, algorithm, -1 if quality is None else quality, len(code))
    return seal(uuid, head + code)


def sum_of_marks(marks: NDArray[np.int64]) -> int:
    """Sum modulo 2**64, as a signed integer."""
    return signed(int(marks.view(np.uint64).sum(dtype=np.uint64)))
