"""Comparison of an index with brute force: the same searches by the index and by a scan of its own codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from hashmatch.algorithms import Metric
from hashmatch.errors import IndexFormatError
from hashmatch.index.base import Codes
from hashmatch.index.bktree import BKTree
from hashmatch.index.exact import ExactIndex
from hashmatch.index.frozen import CoreSegment, ScanCore
from hashmatch.index.keypoint.index import KeypointIndex
from hashmatch.index.linear import LinearIndex
from hashmatch.index.multi.index import MultiIndex

__all__ = ["AnyIndex", "Verification", "default_radii", "verify_index"]

AnyIndex: TypeAlias = LinearIndex | BKTree | MultiIndex | ExactIndex

_FAR: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Result of a comparison with brute force.

    Parameters
    ----------
    n_entries : int
        Live entries of the index.
    n_searches : int
        Searches made by both.
    n_hits : int
        Hits of brute force in all searches.
    n_wrong : int
        Searches whose answers differ; 0 for a sound index.
    radii : tuple of int
        Radii that were searched.
    """

    n_entries: int
    n_searches: int
    n_hits: int
    n_wrong: int
    radii: tuple[int, ...]


def default_radii(index: AnyIndex) -> tuple[int, ...]:
    """Return the radii to search at: 0, a small one, the usual one and a larger one."""
    if index.metric is Metric.EXACT:
        return (0,)
    most = index.max_distance
    return tuple(sorted({0, most // 32, most // 8 - 1, most // 6} - {-1}))


def verify_index(
    index: AnyIndex | KeypointIndex, *, sample: int = 100, radii: tuple[int, ...] | None = None, seed: int = 0
) -> Verification:
    """Check every invariant of an index, and compare its answers with a scan of all its codes.

    Parameters
    ----------
    index : an index
        Index of any kind; it is not changed. A `KeypointIndex` is not exact, so its tables are checked and no search is
        compared.
    sample : int
        Number of queries, 1 or more: stored codes with some bits changed; every fourth query is random.
    radii : tuple of int, optional
        Radii to search each query at; `default_radii` if not given.
    seed : int
        Seed of the queries.

    Raises
    ------
    IndexFormatError
        If an invariant does not hold, or the index fails in a search.
    ValueError
        If the sample is not 1 or more, or a radius is out of range.

    Notes
    -----
    Cost: the tables are built once more, then one scan for each search.
    """
    if sample < 1:
        raise ValueError("the sample must be 1 or more")
    try:
        index._check()
    except (ValueError, IndexError) as error:
        raise IndexFormatError(f"the index is damaged: {error}; rebuild it from the list") from None
    if isinstance(index, KeypointIndex):
        return Verification(n_entries=len(index), n_searches=0, n_hits=0, n_wrong=0, radii=())
    chosen = default_radii(index) if radii is None else radii
    scan = _scanning(index)
    n_hits = n_wrong = n_searches = 0
    if len(index):
        queries = _queries(scan, sample, np.random.default_rng(seed))
        for radius in chosen:
            for query in queries:
                found, expected = index.search(query, radius), scan.search(query, radius)
                n_searches += 1
                n_hits += len(expected[0])
                n_wrong += not (np.array_equal(found[0], expected[0]) and np.array_equal(found[1], expected[1]))
    return Verification(
        n_entries=len(index), n_searches=n_searches, n_hits=n_hits, n_wrong=n_wrong, radii=tuple(chosen)
    )


def _scanning(index: AnyIndex) -> LinearIndex:
    """Make an index of the same live codes that only scans."""
    scan = LinearIndex(index._space)
    parts = [index._live_part(segment) for segment in index._segments]
    scan._segments = tuple(
        CoreSegment(core=ScanCore(index._space, packed), positions=positions)
        for packed, positions in parts
        if len(positions)
    )
    return scan


def _queries(scan: LinearIndex, sample: int, rng: np.random.Generator) -> Codes:
    """Take stored codes with up to an eighth of their bits changed; every fourth query is random."""
    n_bytes = scan.n_bits // 8
    queries: Codes = rng.integers(0, 256, (sample, n_bytes), dtype=np.uint8)
    sizes = np.array([segment.core.n for segment in scan._segments])
    ends = np.cumsum(sizes)
    for number in range(sample):
        if number % _FAR == _FAR - 1:
            continue
        row = int(rng.integers(ends[-1]))
        place = int(np.searchsorted(ends, row, side="right"))
        packed = scan._segments[place].core.packed()
        within = np.array([row - (int(ends[place - 1]) if place else 0)])
        code = scan._space.unpack(scan._space.take(packed, within))[0]
        bits = np.unpackbits(code)
        if scan.metric is Metric.HAMMING:
            bits[rng.permutation(len(bits))[: int(rng.integers(len(bits) // 8 + 1))]] ^= 1
        queries[number] = np.packbits(bits)
    return queries
