"""Kernels of the guided search in NumPy: the likeliest keys of uncertain codes, and what they find in a table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hashmatch.kernels.numpy.codes import expand_ranges

__all__ = ["likely_keys", "near_by_keys"]

Floats = npt.NDArray[np.float32]
Keys = npt.NDArray[np.uint32]


def likely_keys(
    odds: Floats, size: Floats, sure: Floats, subsets: npt.NDArray[np.uint32], flips: int
) -> tuple[Keys, Floats]:
    """Make keys of uncertain bits, with their least sure bits as they are and the other way.

    Parameters
    ----------
    odds : (v, g, k) float32 array
        Of v codes and g groups of k bits, 1 to 32, the log-odds of each bit being 1.
    size : (v, g, k) float32 array
        What it costs to take the bit the other way, nats, 0 or more.
    sure : (v, g, k) float32 array
        Logarithm of the chance that the bit is right.
    subsets : (s,) uint32 array
        Which of the ``flips`` least sure bits are taken the other way; bit i stands for the i-th least, from 0.
    flips : int
        0 to 10, at most k.

    Returns
    -------
    keys : (g, s, v) uint32 array
        Bit i of a key is bit i of the group.
    chances : (g, s, v) float32 array
        Logarithm of the chance of each key.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a subset has a bit that is none of ``flips``.
    """
    if odds.ndim != 3 or size.shape != odds.shape or sure.shape != odds.shape or not 1 <= odds.shape[2] <= 32:
        raise ValueError("odds, sizes and chances have one shape, with 1 to 32 bits a group")
    if not 0 <= flips <= min(10, odds.shape[2]) or (len(subsets) and int(subsets.max()) >= 1 << flips):
        raise ValueError("a subset is one of 0 to 10 bits of the group")
    values = np.uint32(1) << np.arange(odds.shape[2], dtype=np.uint32)
    least = np.argsort(size, axis=2, kind="stable")[..., :flips]
    key = ((odds > 0) * values).sum(axis=2, dtype=np.uint32)
    chance = np.zeros(key.shape, np.float32)
    for bit in range(odds.shape[2]):
        chance = chance + sure[..., bit]
    cost, flipped = np.zeros((len(subsets), *key.shape), np.float32), np.zeros((len(subsets), *key.shape), np.uint32)
    for i in range(flips):
        has = (subsets >> np.uint32(i) & np.uint32(1)).astype(np.bool_)[:, None, None]
        step = np.take_along_axis(size, least[..., i : i + 1], axis=2)[..., 0]
        cost = np.where(has, cost + step, cost)
        flipped |= np.where(has, values[least[..., i]], np.uint32(0))
    keys, chances = key ^ flipped, chance - cost
    return np.ascontiguousarray(keys.transpose(2, 0, 1)), np.ascontiguousarray(chances.transpose(2, 0, 1))


def near_by_keys(
    words: npt.NDArray[np.uint64],
    offsets: npt.NDArray[np.int32],
    positions: npt.NDArray[np.int32],
    keys: Keys,
    chances: Floats,
    least: float,
    queries: npt.NDArray[np.uint64],
    limit: int,
    radius: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Look keys up and keep the entries that lie near the code that each key is of.

    Parameters
    ----------
    words : (n, w) uint64 array
        Entries.
    offsets : (2 ** key bits + 1,) int32 array
        Where each key's entries begin in ``positions``.
    positions : (n,) int32 array
        Entries by key.
    keys, chances : (s, v) uint32 and float32 arrays
        Keys of each query, those to look up first above; those with a lower chance than ``least`` are passed over.
    least : float
        Least chance of a key.
    queries : (v, w) uint64 array
        Codes that are compared.
    limit : int
        Most entries compared; no key is looked up from the one on that would pass it.
    radius : int
        Largest distance kept, bits.

    Returns
    -------
    rows : (h,) int64 array
        Which query; hits stand in the order of their keys.
    found : (h,) int64 array
        Which entry.
    distances : (h,) int32 array
        Differing bits.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a key is beyond the table.
    """
    if keys.shape != chances.shape or keys.shape[1] != len(queries) or words.shape[1] != queries.shape[1]:
        raise ValueError("every key is of a query, whose words are as many as an entry's")
    if len(positions) != len(words) or not len(offsets):
        raise ValueError("the table must hold every entry")
    subset, view = np.nonzero(np.float32(least) <= chances)
    asked = keys[subset, view].astype(np.int64)
    if len(asked) and int(asked.max()) >= len(offsets) - 1:
        raise ValueError("a key lies beyond its table")
    starts = offsets.take(asked)
    lengths = offsets.take(asked + 1) - starts
    total = np.cumsum(lengths, dtype=np.int64)
    if len(total) and total[-1] > limit:
        lengths[int(np.searchsorted(total, limit, side="right")) :] = 0
    some = lengths.nonzero()[0]
    found = positions.take(expand_ranges(starts.take(some), lengths.take(some))).astype(np.int64)
    rows = view.take(some).repeat(lengths.take(some))
    distances = np.bitwise_count(words.take(found, axis=0) ^ queries.take(rows, axis=0)).sum(axis=1, dtype=np.int32)
    near = (distances <= radius).nonzero()[0]
    return rows[near].astype(np.int64), found[near], distances[near]
