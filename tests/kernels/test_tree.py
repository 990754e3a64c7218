"""The compiled walk of a BK-tree against the walk level by level, and hostile trees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.index import BKTree
from hashmatch.kernels import pack_words
from hashmatch.kernels import tree as facade
from support.code_makers import clustered

native: Any = facade.native
PATHS = native.PATHS if native is not None else ("portable",)
needs_native = pytest.mark.skipif(native is None, reason="the compiled kernels were not built")
every_path = pytest.mark.parametrize("path", PATHS)


@needs_native
@every_path
@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(5, 300),
    n_bytes=st.sampled_from([8, 16, 32]),
    radius=st.integers(0, 40),
    scan_cost=st.sampled_from([1e15, 300.0, 30.0]),
    seed=st.integers(0, 99),
)
def test_tree(path: str, n: int, n_bytes: int, radius: int, scan_cost: float, seed: int) -> None:
    """The compiled walk of a tree finds what the walk level by level finds, scans where it scans, and counts alike."""
    codes = clustered(n, n_bytes, seed)
    core: Any = BKTree.build(codes, leaf_size=4, pending_limit=1)._segments[0].core
    assert core._walk is not None
    core._scan_cost = scan_cost
    queries = pack_words(codes[:4])
    core._walk = None
    slow = core.find(queries, queries.shape[1], radius)
    tree = core._tree
    arrays = (tree.node_slot, tree.edge_key, tree.edge_start, tree.edge_end, tree.edge_node)
    core._walk = native.TreeWalk(core._codes, tree.order, *arrays, 8 * n_bytes + 1, path)
    fast = core.find(queries, queries.shape[1], radius)
    assert slow[3:] == fast[3:]
    hits = [sorted(zip(f.owners.tolist(), f.rows.tolist(), f.distances.tolist(), strict=True)) for f in (slow, fast)]
    assert hits[0] == hits[1]


@needs_native
def test_a_damaged_tree_is_never_read_outside() -> None:
    """Slots, edges and nodes outside the tree end in an IndexError, and a ring of nodes ends too."""
    codes = clustered(200, 8, 1)
    tree: Any = BKTree.build(codes, leaf_size=4, pending_limit=1)._segments[0].core._tree
    columns = pack_words(codes).take(tree.order, axis=1)
    names = ("node_slot", "edge_key", "edge_start", "edge_end", "edge_node")
    rng = np.random.default_rng(2)
    errors = 0
    for name in names:
        for _ in range(40):
            parts = {other: getattr(tree, other).copy() for other in names}
            at = rng.integers(0, len(parts[name]), 10)
            parts[name][at] = rng.choice([0, 1, 199, 200, 2**31 - 1], 10)
            try:
                walk = native.TreeWalk(columns, tree.order, *parts.values(), 65)
                walk.find(pack_words(codes[:3]), 60, np.zeros(65, np.bool_), 1e15)
            except IndexError:
                errors += 1
    assert errors > 20


def test_the_facade_serves_what_was_built() -> None:
    """The compiled walk serves where it was built."""
    assert (facade.TreeWalk is None) is (native is None)


@needs_native
def test_trees_and_queries_that_do_not_fit_are_refused() -> None:
    """Arrays of other lengths, queries of other words and distances of another span are refused."""
    codes = clustered(200, 8, 1)
    tree: Any = BKTree.build(codes, leaf_size=4, pending_limit=1)._segments[0].core._tree
    columns = pack_words(codes).take(tree.order, axis=1)
    arrays = (tree.node_slot, tree.edge_key, tree.edge_start, tree.edge_end, tree.edge_node)
    for given_columns, order, others in [
        (columns[:, :-1].copy(), tree.order, arrays),
        (columns, tree.order[:-1].copy(), arrays),
        (columns, tree.order, (tree.node_slot[:0], *arrays[1:])),
        (columns, tree.order, (*arrays[:4], tree.edge_node[:-1].copy())),
    ]:
        with pytest.raises(ValueError, match="fit together"):
            native.TreeWalk(given_columns, order, *others, 65)
    walk = native.TreeWalk(columns, tree.order, *arrays, 65)
    for queries, hopeless in [
        (pack_words(clustered(2, 16, 1)), np.zeros(65, np.bool_)),
        (pack_words(codes[:2]), np.zeros(64, np.bool_)),
    ]:
        with pytest.raises(ValueError, match="another tree"):
            walk.find(queries, 3, hopeless, 1e15)
