"""The choice of the substrings of a `MultiIndex`, and of the buckets that a search must probe.

If a code is within distance r of the query, and each substring i is probed to a radius r_i so that Σ (r_i + 1) > r,
then in at least one substring the two differ in at most r_i bits; else they would differ in at least Σ (r_i + 1) bits.
This holds for any disjoint substrings, of any widths, whether or not they cover all bits. The textbook choice for m
equal substrings and r = m q + a is radius q for a + 1 of them and q - 1 for the others.

More can be asked of a candidate. Let d_i be its distance in substring i and x_i = d_i - (r_i + 1); the x_i of a hit
add up to less than 0. Arranged in a ring, the substrings therefore have one from which on all sums x_i, x_i + x_(i+1),
... are below 0 (Raney's lemma). That substring finds the hit, and there d_i + d_(i+1) <= r_i + r_(i+1) + 1. A code in a
bucket that differs more in the next substring need not be compared: if it is a hit, another substring finds it.
Source: J. Qin, C. Xiao, "Pigeonring: a principle for faster thresholded similarity search", VLDB 2018.
"""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hashmatch.index.costs import Costs

__all__ = ["ProbePlan", "choose_widths", "expected_cost", "plan_probes"]

MAX_WIDTH: Final = 26
_MAX_SUBSTRINGS: Final = 64
_MAX_PROBES: Final = 1 << 16
_BUCKETS_PER_CODE: Final = 32
_MIN_BUCKETS: Final = 1 << 12


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """Which buckets to look up for one radius.

    Parameters
    ----------
    masks : (p,) uint32 array
        Values to XOR the key of the substring with; they include the number of the first bucket of the substring.
    groups : (g, 3) int64 array
        For each run of probes: the substring, the end of the run, and the most bits in which a candidate may differ
        from the query in the next substring (the first substring follows the last).
    radii : tuple of int
        Radius of each substring; -1 where it is not probed.
    """

    masks: NDArray[np.uint32]
    groups: NDArray[np.int64]
    radii: tuple[int, ...]


def choose_widths(n: int, n_bits: int, radius: int, costs: Costs) -> tuple[int, ...]:
    """Choose the substrings of an index of ``n`` codes for searches at ``radius``.

    Returns
    -------
    tuple of int
        Widths in bits, widest first; together at most ``n_bits``.

    Notes
    -----
    For every number of substrings, and every width of those that must be probed deepest, the probes and (for evenly
    spread codes) the candidates are counted and multiplied by the measured costs; the cheapest choice is taken. All
    tables together have at most 32 buckets a code.
    """
    best: tuple[int, ...] = (min(n_bits, 12),)
    best_cost = math.inf
    limit = max(_MIN_BUCKETS, _BUCKETS_PER_CODE * n)
    for count in range(1, min(radius + 1, _MAX_SUBSTRINGS, n_bits) + 1):
        deep_radius, rest = divmod(radius, count)
        deep, shallow = rest + 1, count - rest - 1
        for deep_width in range(max(1, deep_radius), min(MAX_WIDTH, n_bits // deep) + 1):
            left = n_bits - deep * deep_width
            if shallow and left < shallow:
                break
            widths = [deep_width] * deep
            if shallow:
                narrow, wider = divmod(left, shallow)
                widths += [min(narrow + (i < wider), deep_width) for i in range(shallow)]
            if sum(1 << width for width in widths) > limit:
                break
            radii = [deep_radius] * deep + [deep_radius - 1] * shallow
            cost = sum(_table_cost(width, r, n, costs) for width, r in zip(widths, radii, strict=True))
            if cost < best_cost:
                best, best_cost = tuple(widths), cost
    return best


def _table_cost(width: int, radius: int, n: int, costs: Costs) -> float:
    return sum(_step_cost(width, k, n, costs) for k in range(radius + 1))


def _step_cost(width: int, k: int, n: int, costs: Costs) -> float:
    """Probe all keys that differ in exactly k bits, nanoseconds, codes spread evenly."""
    return math.comb(width, k) * (costs.probe + costs.candidate * n / (1 << width))


def _choose_radii(widths: tuple[int, ...], n: int, radius: int, costs: Costs) -> tuple[list[int], float] | None:
    """Take the radius + 1 cheapest steps; None if they would be too many probes or more steps than there are."""
    radii = [-1] * len(widths)
    steps = [(_step_cost(width, 0, n, costs), i) for i, width in enumerate(widths)]
    heapq.heapify(steps)
    total, probes = costs.multi_start, 0
    for _ in range(radius + 1):
        if not steps:
            return None
        cost, i = heapq.heappop(steps)
        radii[i] += 1
        total += cost
        probes += math.comb(widths[i], radii[i])
        if probes > _MAX_PROBES:
            return None
        if radii[i] < widths[i]:
            heapq.heappush(steps, (_step_cost(widths[i], radii[i] + 1, n, costs), i))
    return radii, total


def expected_cost(widths: tuple[int, ...], n: int, radius: int, costs: Costs) -> float:
    """Compute the time of a search by probing, nanoseconds, for evenly spread codes; infinite if impossible."""
    chosen = _choose_radii(widths, n, radius, costs)
    return math.inf if chosen is None else chosen[1]


@lru_cache(maxsize=256)
def plan_probes(widths: tuple[int, ...], n: int, radius: int, affordable: float, costs: Costs) -> ProbePlan | None:
    """Choose the radius of every substring for an exact search at ``radius``.

    Parameters
    ----------
    widths : tuple of int
        Widths of the substrings, widest first.
    n : int
        Codes.
    radius : int
        Radius of the search.
    affordable : float
        Nanoseconds that a scan of all codes would take.
    costs : Costs
        Measured costs.

    Returns
    -------
    ProbePlan or None
        None where probing is expected to cost more than the scan.

    Notes
    -----
    Raising the radius of one substring from k - 1 to k is one step; radius + 1 steps make the search exact, and the
    cheapest are taken.
    """
    chosen = _choose_radii(widths, n, radius, costs)
    if chosen is None or chosen[1] > affordable:
        return None
    masks: list[NDArray[np.int64]] = []
    groups, first, end = [], 0, 0
    for i, (width, r) in enumerate(zip(widths, chosen[0], strict=True)):
        masks.append(_masks_within(width, r) | first)
        for flips in range(r + 1):
            end += math.comb(width, flips)
            groups.append((i, end, r + chosen[0][(i + 1) % len(widths)] + 1 - flips))
        first += 1 << width
    return ProbePlan(np.concatenate(masks).astype(np.uint32), np.array(groups, dtype=np.int64), tuple(chosen[0]))


@lru_cache(maxsize=128)
def _masks_within(width: int, radius: int) -> NDArray[np.int64]:
    """All numbers of ``width`` bits with at most ``radius`` bits set, fewest first, then ascending.

    Ascending, numbers that differ in low bits follow each other: their buckets lie on one line of the cache.
    """
    masks = [
        mask
        for count in range(radius + 1)
        for mask in sorted(sum(1 << bit for bit in bits) for bits in itertools.combinations(range(width), count))
    ]
    return np.array(masks, dtype=np.int64)
