"""The choice of an index, by the expected time of each kind, computed from measured costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashmatch.algorithms import Metric
from hashmatch.index.base import MAX_BYTES, Codes, check_codes, check_radius
from hashmatch.index.bktree import DEFAULT_LEAF, BKTree
from hashmatch.index.costs import MEASURED, Costs
from hashmatch.index.editable import DEFAULT_PENDING
from hashmatch.index.exact import ExactIndex
from hashmatch.index.linear import LinearIndex
from hashmatch.index.multi.index import MultiIndex
from hashmatch.index.multi.substrings import choose_widths, expected_cost
from hashmatch.index.space import space_of

__all__ = ["Kind", "Plan", "build_index", "plan_index", "sample_of"]

Kind: TypeAlias = Literal["linear", "bktree", "multi", "exact"]

_SAMPLE: Final = 256
_NAMES: Final[Mapping[Kind, str]] = MappingProxyType(
    {"linear": "LinearIndex", "bktree": "BKTree", "multi": "MultiIndex", "exact": "ExactIndex"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The chosen kind of index, and the reason.

    Parameters
    ----------
    kind : str
        ``"linear"``, ``"bktree"``, ``"multi"`` or ``"exact"``.
    why : str
        The reason, in a sentence.
    expected_us : mapping of str to float
        Expected time of a search by each kind that was compared, microseconds, read only; for few codes, of the chosen
        kind alone.
    """

    kind: Kind
    why: str
    expected_us: Mapping[Kind, float]


def plan_index(
    n: int,
    n_bits: int,
    *,
    metric: Metric = Metric.HAMMING,
    radius: int = 31,
    sample: ArrayLike | None = None,
    costs: Costs = MEASURED,
) -> Plan:
    """Choose the kind of index with the shortest expected time of a search.

    Parameters
    ----------
    n : int
        Entries, 0 or more.
    n_bits : int
        Length of a code, bits; a multiple of 8.
    metric : Metric
        How codes are compared.
    radius : int
        Radius of the searches, inclusive.
    sample : (s, n_bits / 8) uint8 array, optional
        Some of the codes; their distances decide what a BK-tree can prune. Without a sample, random bits are assumed
        for Hamming distances, and random bytes for Euclidean ones. It is not read if there are few codes.
    costs : Costs
        Measured costs of this machine.

    Returns
    -------
    Plan
        The choice with the expected times.

    Raises
    ------
    ValueError
        If a number is out of range.

    Notes
    -----
    The expected times hold for codes spread like random ones. For other codes the indexes check each search: a
    `MultiIndex` or `BKTree` scans if its own search would cost more. Up to 2,048 codes are few: every index scans them,
    and no times are compared.

    Examples
    --------
    >>> plan_index(1_000_000, 256, radius=31).kind
    'multi'
    >>> plan_index(1_000, 256, radius=31).kind
    'linear'
    """
    if n < 0 or n_bits % 8 or not 8 <= n_bits <= 8 * MAX_BYTES:
        raise ValueError(f"n must be 0 or more, and n_bits a multiple of 8 up to {8 * MAX_BYTES}")
    space = space_of(metric, n_bits // 8)
    bound = check_radius(radius, space.max_distance)
    expected: dict[Kind, float] = {"linear": costs.scan_start + costs.scan(metric, space.n_bytes) * n}
    if n <= DEFAULT_PENDING:
        kind: Kind = "exact" if metric is Metric.EXACT else "linear"
        why = f"{n} codes are few: {_NAMES[kind]} answers at once and every other index would scan them too."
        return _plan(kind, why, {kind: expected["linear"]})
    if metric is Metric.EXACT:
        expected["exact"] = costs.scan_start if bound == 0 else expected["linear"]
    else:
        spread = _spread(n_bits, metric, sample)
        expected["bktree"] = _tree_cost(n, spread, bound, costs.leaf(metric, space.n_bytes), costs)
    if metric is Metric.HAMMING:
        expected["multi"] = expected_cost(choose_widths(n, n_bits, bound, costs), n, bound, costs)
    kind = min(expected, key=lambda name: (expected[name], name != "linear"))
    return _plan(kind, _reason(kind, expected, n, n_bits, bound), expected)


def build_index(
    codes: ArrayLike,
    *,
    metric: Metric = Metric.HAMMING,
    radius: int = 31,
    costs: Costs = MEASURED,
    plan: Plan | None = None,
) -> LinearIndex | BKTree | MultiIndex | ExactIndex:
    """Build the index that `plan_index` chooses for these codes, with a sample of them.

    Parameters
    ----------
    codes : (n, n_bytes) uint8 array
        Codes; copied.
    metric : Metric
        How they are compared.
    radius : int
        Radius that the index is built for; searches at any radius are exact.
    costs : Costs
        Measured costs of this machine.
    plan : Plan, optional
        The choice, if it was made before.

    Raises
    ------
    TypeError, ValueError
        If the codes are not uint8 rows of usable length, or the radius is out of range.

    Examples
    --------
    >>> build_index(np.zeros((3, 32), dtype=np.uint8))
    <LinearIndex of 3 codes, 256 bits, hamming>
    """
    checked = check_codes(codes, None)
    if plan is None:
        sample = sample_of(checked)
        plan = plan_index(len(checked), 8 * checked.shape[1], metric=metric, radius=radius, sample=sample, costs=costs)
    builders: dict[Kind, Callable[[], LinearIndex | BKTree | MultiIndex | ExactIndex]] = {
        "linear": lambda: LinearIndex.build(checked, metric=metric),
        "bktree": lambda: BKTree.build(checked, metric=metric, costs=costs),
        "multi": lambda: MultiIndex.build(checked, radius=radius, costs=costs),
        "exact": lambda: ExactIndex.build(checked),
    }
    return builders[plan.kind]()


def sample_of(codes: Codes) -> Codes:
    """Take at most 256 codes, evenly over all."""
    return codes[np.linspace(0, max(len(codes) - 1, 0), min(_SAMPLE, len(codes)), dtype=np.int64)]


def _spread(n_bits: int, metric: Metric, sample: ArrayLike | None) -> NDArray[np.float64]:
    """How likely each distance between two codes is; indexed by the distance."""
    n_bytes = n_bits // 8
    codes: Codes = np.empty((0, n_bytes), dtype=np.uint8) if sample is None else check_codes(sample, n_bytes)
    if len(codes) < 2 and metric is Metric.HAMMING:
        logs = [math.lgamma(n_bits + 1) - math.lgamma(d + 1) - math.lgamma(n_bits - d + 1) for d in range(n_bits + 1)]
        shares: NDArray[np.float64] = np.exp(np.array(logs) - n_bits * math.log(2))
        shares /= shares.sum()
        return shares
    if len(codes) < 2:
        codes = np.random.default_rng(0).integers(0, 256, (64, n_bytes), dtype=np.uint8)
    codes = codes[:_SAMPLE]
    space = space_of(metric, n_bytes)
    packed = space.pack(codes)
    first, second = np.triu_indices(len(codes), 1)
    distances = space.at(packed, first, space.take(packed, second), np.arange(len(first)))
    counts = np.bincount(distances, minlength=space.max_distance + 1).astype(np.float64)
    counts /= counts.sum()
    return counts


def _tree_cost(n: int, spread: NDArray[np.float64], radius: int, leaf: float, costs: Costs) -> float:
    """Walk an even tree: each level keeps the edges within the radius of the query's distance."""
    most = len(spread) - 1
    sums = np.concatenate([[0.0], np.cumsum(spread)])
    distances = np.arange(most + 1)
    near = sums[np.minimum(distances + radius, most) + 1] - sums[np.maximum(distances - radius, 0)]
    kept = float((spread * near).sum())
    branches = 1 / float((spread**2).sum())
    total, nodes, codes = costs.scan_start + costs.level, 1.0, float(n)
    size = float(n)
    while size > DEFAULT_LEAF and branches > 1.01:
        total += costs.level + costs.node * nodes
        size, codes = size / branches, codes * kept
        nodes = codes / max(size, 1.0)
    return total + leaf * codes


def _plan(kind: Kind, why: str, expected: Mapping[Kind, float]) -> Plan:
    return Plan(kind=kind, why=why, expected_us=MappingProxyType({k: v / 1000 for k, v in expected.items()}))


def _reason(kind: Kind, expected: Mapping[Kind, float], n: int, n_bits: int, radius: int) -> str:
    times = ", ".join(f"{_NAMES[k]} {v / 1000:,.0f} µs" for k, v in sorted(expected.items(), key=lambda item: item[1]))
    return f"{_NAMES[kind]} is expected to answer soonest for {n:,} codes of {n_bits} bits at radius {radius}: {times}."
