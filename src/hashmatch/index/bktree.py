"""`BKTree`: Burkhard-Keller tree for any integer metric, in flat arrays.

Over 400 lines because building, walking and checking share one layout of arrays.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashmatch import kernels
from hashmatch.algorithms import Metric
from hashmatch.index.base import Codes, check_codes
from hashmatch.index.costs import MEASURED, Costs
from hashmatch.index.editable import DEFAULT_PENDING, SegmentedIndex
from hashmatch.index.frozen import Core, Found, check_layout, check_sections, join_found, scan_all
from hashmatch.index.space import Packed, Space, space_of
from hashmatch.kernels.tree import TreeWalk

__all__ = ["DEFAULT_LEAF", "BKTree"]

DEFAULT_LEAF: Final = 128
_MAX_LEVELS: Final = 40
_BLOCK_QUERIES: Final = 32
_BLOCK_CODES: Final = 1 << 16
_MOST_RADII: Final = 64


@dataclass(frozen=True, slots=True)
class Tree:
    """The arrays of a tree over ``n`` slots; a slot is a row moved so that every subtree is one range of slots.

    Node j has its pivot in slot ``node_slot[j]``. Its edges have ``edge_key = j * span + distance``, ascending over
    the whole tree, where span is one more than the largest distance. Edge e leads to the slots ``edge_start[e]`` to
    ``edge_end[e] - 1``: to node ``edge_node[e]``, or to a leaf where that is -1. Node 0 is the root; a tree without
    nodes is one leaf.
    """

    order: NDArray[np.uint32]
    node_slot: NDArray[np.uint32]
    edge_key: NDArray[np.int64]
    edge_start: NDArray[np.uint32]
    edge_end: NDArray[np.uint32]
    edge_node: NDArray[np.int32]


def build_tree(space: Space, packed: Packed, leaf_size: int) -> Tree:
    """Build the tree level by level; all nodes of a level at once.

    Notes
    -----
    Cost: O(n) distances a level. The pivot of a node is its first row. Rows at distance 0 from their pivot form a leaf.
    Below 40 levels every range is a leaf; only sets in which nearly all codes are equally far apart reach that depth.
    """
    n, span = space.count(packed), space.max_distance + 1
    order = np.arange(n, dtype=np.int64)
    starts = np.zeros(int(n > leaf_size), dtype=np.int64)
    ends = np.full(int(n > leaf_size), n, dtype=np.int64)
    slots, keys, firsts, lasts, children = [], [], [], [], []
    n_nodes = 0
    for level in range(_MAX_LEVELS):
        if not len(starts):
            break
        members = kernels.expand_ranges(starts + 1, ends - starts - 1)
        group = np.repeat(np.arange(len(starts)), ends - starts - 1)
        rows = order[members]
        distance = space.at(packed, rows, space.take(packed, order[starts]), group)
        key = (group + n_nodes) * span + distance
        sort = np.argsort(key, kind="stable")
        order[members] = rows[sort]
        key = key[sort]
        opens = np.append(True, key[1:] != key[:-1]).nonzero()[0]
        closes = np.append(opens[1:], len(key)) - 1
        first, last, edge_key = members[opens], members[closes] + 1, key[opens]
        inner = (last - first > leaf_size) & (edge_key % span > 0) & (level + 1 < _MAX_LEVELS)
        child = np.full(len(opens), -1, dtype=np.int64)
        child[inner] = n_nodes + len(starts) + np.arange(int(inner.sum()))
        slots.append(starts)
        keys.append(edge_key)
        firsts.append(first)
        lasts.append(last)
        children.append(child)
        n_nodes += len(starts)
        starts, ends = first[inner], last[inner]
    return Tree(
        order=order.astype("<u4"),
        node_slot=_column(slots, "<u4"),
        edge_key=_column(keys, "<i8"),
        edge_start=_column(firsts, "<u4"),
        edge_end=_column(lasts, "<u4"),
        edge_node=_column(children, "<i4"),
    )


def _column(parts: list[NDArray[np.int64]], dtype: str) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype=np.int64), *parts]).astype(dtype)


class TreeCore:
    """A tree and its codes in slot order."""

    def __init__(self, space: Space, codes: Packed, tree: Tree, costs: Costs) -> None:
        self._space = space
        self._codes = codes
        self._tree = tree
        self._scan_cost = costs.scan_start + costs.scan(space.metric, space.n_bytes) * space.count(codes)
        self._code_cost = costs.leaf(space.metric, space.n_bytes)
        self._code_cost += costs.node * len(tree.node_slot) / max(space.count(codes), 1)
        self._depth = _mean_depth(tree, space.max_distance + 1)
        self._levels_cost = costs.level * max(self._depth - 1, 0.0)
        self._root_mass = _root_mass(tree, space.max_distance + 1)
        # the compiled walk counts bits; other metrics are walked level by level
        bits = space.metric is Metric.HAMMING and space.n_bytes % 8 == 0
        self._walk = None if TreeWalk is None or not bits or not len(tree.node_slot) else TreeWalk(
            codes, tree.order, tree.node_slot, tree.edge_key, tree.edge_start, tree.edge_end, tree.edge_node,
            space.max_distance + 1,
        )  # fmt: skip
        self._hopeless_at: dict[int, NDArray[np.bool_]] = {}

    @classmethod
    def build(cls, space: Space, packed: Packed, leaf_size: int, costs: Costs) -> TreeCore:
        """Build the tree and move the codes into slot order."""
        tree = build_tree(space, packed, leaf_size)
        return cls(space, space.take(packed, tree.order), tree, costs)

    @property
    def n(self) -> int:
        """Number of rows."""
        return self._space.count(self._codes)

    def find(self, queries: Packed, k: int, radius: int) -> Found:
        """Search ``k`` packed queries; scan for the queries whose leaves hold so many codes that a scan is cheaper."""
        if self._walk is not None:
            return self._walked(self._walk, queries, radius)
        parts = []
        for first in range(0, k, _BLOCK_QUERIES):
            asked = np.arange(first, min(first + _BLOCK_QUERIES, k))
            part = self._find_block(self._space.take(queries, asked), len(asked), radius)
            rows = self._tree.order.take(part.rows).astype(np.int64)
            parts.append(Found(part.owners + first, rows, part.distances, part.probes, part.compared, part.scanned))
        return join_found(parts)

    def _find_block(self, queries: Packed, k: int, radius: int) -> Found:
        """Search a few queries; the rows found are slots."""
        if not len(self._tree.node_slot):
            return scan_all(self._space, self._codes, queries, np.arange(k), radius)
        root = self._tree.node_slot[:1].astype(np.int64).repeat(k)
        hopeless = self._hopeless(radius)[self._space.at(self._codes, root, queries, np.arange(k))]
        asked = (~hopeless).nonzero()[0]
        if not len(asked):
            return scan_all(self._space, self._codes, queries, np.arange(k), radius)
        pivots, edges, owners = self._descend(queries, asked, radius)
        starts = self._tree.edge_start.take(edges).astype(np.int64)
        lengths = self._tree.edge_end.take(edges) - starts
        totals = np.bincount(owners, weights=lengths, minlength=k)
        costly = (hopeless | (totals > self._worth)).nonzero()[0]
        if not len(costly):
            return join_found([pivots, *self._compare(queries, owners, starts, lengths, radius)])
        cheap = np.ones(k, dtype=np.bool_)
        cheap[costly] = False
        mine, kept = cheap.take(pivots.owners), cheap.take(owners)
        pivots = Found(
            pivots.owners[mine], pivots.rows[mine], pivots.distances[mine], pivots.probes, pivots.compared, 0
        )
        scanned = scan_all(self._space, self._codes, queries, costly, radius)
        compared = self._compare(queries, owners[kept], starts[kept], lengths[kept], radius)
        return join_found([pivots, scanned, *compared])

    def _walked(self, walk: Any, queries: Packed, radius: int) -> Found:
        """Do what the walk level by level does by the compiled one."""
        owners, rows, distances, probes, compared, left = walk.find(
            queries, radius, self._hopeless(radius), self._worth
        )
        found = Found(owners, rows, distances, probes, compared, 0)
        if not len(left):
            return found
        scanned = scan_all(self._space, self._codes, queries, left, radius)
        scanned = scanned._replace(rows=self._tree.order.take(scanned.rows).astype(np.int64))
        return join_found([found, scanned])

    @property
    def _worth(self) -> float:
        """Codes in leaves that cost as much as the scan."""
        return self._scan_cost / max(self._code_cost, 1e-9)

    def _descend(
        self, queries: Packed, asked: NDArray[np.int64], radius: int
    ) -> tuple[Found, NDArray[np.int64], NDArray[np.int64]]:
        """Walk down level by level; gives the hits among pivots, and the edges to leaves with their queries."""
        tree, span = self._tree, self._space.max_distance + 1
        owners, nodes = asked, np.zeros(len(asked), dtype=np.int64)
        pivots: list[Found] = []
        leaf_edges: list[NDArray[np.int64]] = []
        leaf_owners: list[NDArray[np.int64]] = []
        while len(nodes):
            slots = tree.node_slot.take(nodes).astype(np.int64)
            distances = self._space.at(self._codes, slots, queries, owners)
            near = (distances <= radius).nonzero()[0]
            base = nodes * span
            low = tree.edge_key.searchsorted(base + np.maximum(distances - radius, 0), side="left")
            high = tree.edge_key.searchsorted(base + np.minimum(distances + radius, span - 1), side="right")
            pivots.append(
                Found(owners.take(near), slots.take(near), distances.take(near), 2 * len(nodes), len(nodes), 0)
            )
            edges = kernels.expand_ranges(low, high - low)
            owners = owners.repeat(high - low)
            child = tree.edge_node.take(edges)
            is_leaf = child < 0
            leaf_edges.append(edges[is_leaf])
            leaf_owners.append(owners[is_leaf])
            inner = ~is_leaf
            owners, nodes = owners[inner], child[inner].astype(np.int64)
        return join_found(pivots), np.concatenate(leaf_edges), np.concatenate(leaf_owners)

    def _hopeless(self, radius: int) -> NDArray[np.bool_]:
        """Tell by the distance from the root which queries, pruned alike on every level, cost more than a scan."""
        known = self._hopeless_at.get(radius)
        if known is None:
            span = self._space.max_distance + 1
            distances = np.arange(span)
            low, high = np.maximum(distances - radius, 0), np.minimum(distances + radius + 1, span)
            share = (self._root_mass.take(high) - self._root_mass.take(low)) / self.n
            known = self._levels_cost + self._code_cost * self.n * share**self._depth > self._scan_cost
            if len(self._hopeless_at) < _MOST_RADII:
                self._hopeless_at[radius] = known
        return known

    def _compare(
        self,
        queries: Packed,
        owners: NDArray[np.int64],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
        radius: int,
    ) -> list[Found]:
        """Compare ranges of slots with their queries, a bounded number at a time."""
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        cuts = np.searchsorted(ends, np.arange(_BLOCK_CODES, total, _BLOCK_CODES))
        parts = []
        single = self._space.count(queries) == 1
        for low, high in itertools.pairwise([0, *np.unique(cuts).tolist(), len(ends)]):
            slots = kernels.expand_ranges(starts[low:high], lengths[low:high])
            mine = None if single else np.repeat(owners[low:high], lengths[low:high])
            near, distances = self._space.within(self._codes, slots, queries, mine, radius)
            hits = np.zeros(len(near), dtype=np.int64) if mine is None else mine.take(near)
            parts.append(Found(hits, slots.take(near), distances, 0, len(slots), 0))
        return parts

    def packed(self) -> Packed:
        """Give all codes in row order."""
        return self._space.take(self._codes, np.argsort(self._tree.order))

    def take(self, rows: NDArray[np.int64]) -> Packed:
        """Give the codes of some rows, ascending; one pass over the order of the slots."""
        slots = np.isin(self._tree.order, rows).nonzero()[0]
        return self._space.take(self._codes, slots[np.argsort(self._tree.order.take(slots))])

    def codes(self) -> Codes:
        """Give all codes in row order, unpacked."""
        return self._space.unpack(self.packed())

    def sections(self) -> dict[str, NDArray[Any]]:
        """Name the arrays that a file needs."""
        return {"codes": self._codes, **{name: getattr(self._tree, name) for name in Tree.__slots__}}

    def check(self) -> None:
        """Raise ValueError if a range, a distance or an order is not what the codes give."""
        check_layout(self._space, self._codes)
        tree, span = self._tree, self._space.max_distance + 1
        if not np.array_equal(np.sort(tree.order), np.arange(self.n)):
            raise ValueError("the slots do not hold every row once")
        _check_links(tree, self._space)
        starts, ends = tree.edge_start.astype(np.int64), tree.edge_end.astype(np.int64)
        slots = kernels.expand_ranges(starts, ends - starts)
        pivots = tree.node_slot.take(np.repeat(tree.edge_key // span, ends - starts))
        pivot_codes = self._space.take(self._codes, pivots)
        distances = self._space.at(self._codes, slots, pivot_codes, np.arange(len(slots)))
        if not np.array_equal(distances, np.repeat(tree.edge_key % span, ends - starts)):
            raise ValueError("a code is not at the distance its edge says")
        inner = tree.edge_node >= 0
        if not np.array_equal(tree.node_slot[1:], tree.edge_start[inner]):
            raise ValueError("a pivot is not the first of its range")
        reached = np.concatenate([tree.node_slot, kernels.expand_ranges(starts[~inner], (ends - starts)[~inner])])
        if len(tree.node_slot) and not np.array_equal(np.sort(reached), np.arange(self.n)):
            raise ValueError("a slot is not reached exactly once")


def _root_mass(tree: Tree, span: int) -> NDArray[np.float64]:
    """Count the codes under the root's edges of less than each distance, 0 to ``span``."""
    edges = ((tree.edge_key >= 0) & (tree.edge_key < span)).nonzero()[0]
    lengths = tree.edge_end.take(edges).astype(np.float64) - tree.edge_start.take(edges)
    mass = np.bincount(tree.edge_key.take(edges), weights=lengths, minlength=span)
    return np.concatenate([[0.0], np.cumsum(mass)])


def _mean_depth(tree: Tree, span: int) -> float:
    """Edges from the root to a leaf, averaged over the codes in leaves."""
    inner = tree.edge_node >= 0
    parents = tree.edge_key // span
    level = np.zeros(len(tree.node_slot), dtype=np.int64)
    first, last = 0, 1
    while first < last <= len(level):
        level[first:last] += 1
        first, last = last, int(np.searchsorted(parents[inner], last)) + 1
        level[first:last] = level[first - 1]
    lengths = (tree.edge_end - tree.edge_start)[~inner].astype(np.float64)
    return float((level[parents[~inner]] * lengths).sum() / max(lengths.sum(), 1.0))


def _check_links(tree: Tree, space: Space) -> None:
    """Raise ValueError if the nodes are not one tree: a walk down might not end. One look at each edge."""
    n, n_nodes = len(tree.order), len(tree.node_slot)
    parents, inner = tree.edge_key // (space.max_distance + 1), tree.edge_node >= 0
    if len(parents) and (parents[0] < 0 or parents[-1] >= n_nodes or bool((np.diff(tree.edge_key) <= 0).any())):
        raise ValueError("edges are not sorted")
    if not np.array_equal(tree.edge_node[inner], np.arange(1, max(n_nodes, 1))):
        raise ValueError("a node is not reached by exactly one edge")
    if bool((parents[inner] >= tree.edge_node[inner]).any()):
        raise ValueError("a node stands before its parent")
    if bool((tree.edge_start >= tree.edge_end).any()) or bool((tree.edge_end > n).any()):
        raise ValueError("an edge leads outside the tree")


class BKTree(SegmentedIndex):
    """Burkhard-Keller tree, which prunes by the triangle inequality, for any integer metric.

    Build with `build`, edit with `add` and `remove`, search with `search`, `search_batch` and `explain`, keep with
    `save` and `load`.

    Notes
    -----
    The tree serves metrics other than Hamming at a radius well below the spread of the distances, and 64-bit hashes at
    a radius up to 3. It does not serve 256 bits at radius 31: the distances of unrelated codes lie around 128 ± 8,
    nearly every edge survives, and a scan is faster. A search that detects this scans. For bit strings `MultiIndex` is
    as fast or faster; ``docs/explanation/performance.md`` has the figures.
    Cost: the nodes and leaves whose edge lies within the radius of the query's distance; see `explain`.
    Memory: the codes and about 13 bytes a code.
    Source: W. Burkhard, R. Keller, "Some approaches to best-match file searching", Communications of the ACM 16(4),
    1973. This tree has leaves of up to ``leaf_size`` codes that are compared at once, and collects added codes in a
    small scanned segment that is merged as it grows.

    Examples
    --------
    >>> import numpy as np
    >>> tree = BKTree.build(np.array([[0, 0], [3, 4], [30, 40]], dtype=np.uint8), metric=Metric.EUCLIDEAN)
    >>> positions, distances = tree.search(np.array([0, 0], dtype=np.uint8), radius=5)
    >>> positions.tolist(), distances.tolist()
    ([0, 1], [0, 5])
    """

    kind: ClassVar[str] = "bktree"

    def __init__(
        self,
        space: Space,
        *,
        leaf_size: int = DEFAULT_LEAF,
        costs: Costs = MEASURED,
        pending_limit: int = DEFAULT_PENDING,
    ) -> None:
        super().__init__(space, pending_limit=pending_limit)
        if leaf_size < 1:
            raise ValueError(f"leaf_size must be 1 or more, not {leaf_size}")
        self._leaf_size = leaf_size
        self._costs = costs

    @classmethod
    def build(
        cls,
        codes: ArrayLike,
        *,
        metric: Metric = Metric.HAMMING,
        leaf_size: int = DEFAULT_LEAF,
        costs: Costs = MEASURED,
        pending_limit: int = DEFAULT_PENDING,
    ) -> BKTree:
        """Build an index of ``codes``, whose positions are 0 to n - 1.

        Parameters
        ----------
        codes : (n, n_bytes) uint8 array
            Codes of 1 to 4096 bytes; copied.
        metric : Metric
            How they are compared.
        leaf_size : int
            Largest number of codes that are not split further, 1 or more.
        costs : Costs
            Measured costs of this machine.
        pending_limit : int
            Most codes in the segment that collects added codes, 1 or more.

        Raises
        ------
        TypeError, ValueError
            If the codes are not uint8 rows of usable length, or an option is out of range.

        Notes
        -----
        Cost: one distance a code and level, and one sort a level.
        """
        checked = check_codes(codes, None)
        space = space_of(metric, checked.shape[1])
        index = cls(space, leaf_size=leaf_size, costs=costs, pending_limit=pending_limit)
        index.add(checked)
        return index

    @property
    def depth(self) -> float:
        """Mean number of levels from the root to a code in the largest segment; 0 without a tree."""
        trees = [segment.core for segment in self._segments if isinstance(segment.core, TreeCore)]
        return max(trees, key=lambda core: core.n)._depth if trees else 0.0

    def _make_core(self, packed: Packed) -> Core:
        return TreeCore.build(self._space, packed, self._leaf_size, self._costs)

    def _restore_core(self, sections: Mapping[str, NDArray[Any]]) -> Core:
        codes = check_sections(self._space, sections)
        tree = Tree(**{name: sections[name] for name in Tree.__slots__})
        n_edges = len(tree.edge_key)
        expected = {
            "order": ("<u4", self._space.count(codes)),
            "node_slot": ("<u4", len(tree.node_slot)),
            "edge_key": ("<i8", n_edges),
            "edge_start": ("<u4", n_edges),
            "edge_end": ("<u4", n_edges),
            "edge_node": ("<i4", n_edges),
        }
        for name, (dtype, count) in expected.items():
            if sections[name].dtype.str != dtype or sections[name].shape != (count,):
                raise ValueError(f"section {name} has the wrong type or shape")
        _check_links(tree, self._space)
        return TreeCore(self._space, codes, tree, self._costs)

    def _options(self) -> tuple[int, ...]:
        return (self._pending_limit, self._leaf_size)

    @classmethod
    def _empty(cls, space: Space, options: tuple[int, ...]) -> Self:
        limit, leaf_size = options
        return cls(space, leaf_size=leaf_size, pending_limit=limit)
