"""The compiled kernels over codes against their NumPy twins, on every path of this processor, and on hostile tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.index import BKTree
from hashmatch.index.costs import MEASURED
from hashmatch.index.multi import build_tables, item_bits
from hashmatch.index.substrings import plan_probes
from hashmatch.kernels import codes as facade
from hashmatch.kernels import pack_words, reference, reference_codes, substring_keys

native: Any = facade.native
PATHS = native.PATHS if native is not None else ("portable",)
needs_native = pytest.mark.skipif(native is None, reason="the compiled kernels were not built")
every_path = pytest.mark.parametrize("path", PATHS)
SHAPES = st.tuples(st.integers(0, 70), st.sampled_from([1, 8, 9, 16, 24, 32, 72]))


def clustered(n: int, n_bytes: int, seed: int) -> np.ndarray:
    """Codes near each other and far apart, some of them equal."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (n, n_bytes), dtype=np.uint8)
    codes[: n // 2] = codes[:1]
    for row in range(n // 2):
        bits = rng.choice(8 * n_bytes, row % 8, replace=False)
        for bit in bits:
            codes[row, bit >> 3] ^= 1 << (bit & 7)
    return codes


def same(left: Any, right: Any) -> None:
    """Hold two answers against each other, types and all."""
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            assert a.tolist() == b.tolist()
        else:
            assert a == b


@needs_native
@every_path
@settings(max_examples=60)
@given(shape=SHAPES, radius=st.integers(0, 80), seed=st.integers(0, 99))
def test_scan(path: str, shape: tuple[int, int], radius: int, seed: int) -> None:
    """A scan finds the same rows in both layouts, at every length of list and code."""
    codes = clustered(*shape, seed)
    columns = pack_words(codes)
    query = pack_words(clustered(1, shape[1], seed))[:, 0]
    expected = reference.hamming_scan(columns, query, radius)
    same(native.hamming_scan(columns, query, radius, path), expected)
    rows = np.ascontiguousarray(columns.T)
    same(native.rows_scan(rows, query, radius, path), expected)
    same(reference_codes.rows_scan(rows, query, radius), expected)


@needs_native
@settings(max_examples=60)
@given(n=st.integers(0, 300), width=st.integers(1, 12), seed=st.integers(0, 99))
def test_fill_and_pack(n: int, width: int, seed: int) -> None:
    """Tables are filled and packed alike, whatever is crowded into one bucket."""
    keys = np.random.default_rng(seed).integers(0, 1 << width, n).astype(np.uint32)
    keys[: n // 3] = 0
    ends, rows = reference_codes.table_fill(keys, width)
    same(native.table_fill(keys, width), (ends, rows))
    same(native.table_pack(ends, rows, 7), reference_codes.table_pack(ends, rows, 7))
    assert sorted(rows.tolist()) == list(range(n))


@pytest.mark.parametrize("kernels", [reference_codes, pytest.param(native, marks=needs_native)])
def test_tables_are_checked(kernels: Any) -> None:
    """Keys, widths and ends that are no table are refused."""
    with pytest.raises(ValueError, match="more bits"):
        kernels.table_fill(np.array([4], np.uint32), 2)
    with pytest.raises(ValueError, match="1 to 32"):
        kernels.table_fill(np.array([4], np.uint32), 0)
    rows = np.arange(3, dtype=np.uint32)
    for ends in ([3, 2, 3, 3], [0, 1, 2, 2], []):
        with pytest.raises(ValueError, match=r"fill|overlap"):
            kernels.table_pack(np.array(ends, np.uint32), rows, 0)


def looked_up(kernels: Any, codes: np.ndarray, queries: np.ndarray, radius: int, most: int, **given: Any) -> Any:
    """Build the tables of some codes and look queries up in them."""
    columns = pack_words(codes)
    tables = build_tables(columns, (9, 9, 7))
    parts = {
        "codes": np.ascontiguousarray(columns.T),
        "marks": tables.marks,
        "heads": tables.heads,
        "runs": tables.runs,
    }
    path = given.pop("path", None)
    parts |= given
    plan = plan_probes(tables.widths, len(codes), radius, 1e15, MEASURED)
    assert plan is not None
    starts, widths = np.array([0, 9, 18]), np.array([9, 9, 7])
    tag_bits = item_bits(len(codes), tables.widths)[1]
    probes = (plan.tables, plan.masks, plan.bounds, tag_bits)
    asked = (*parts.values(), pack_words(queries), starts, widths, *probes, radius, most)
    return kernels.table_find(*asked) if path is None else kernels.table_find(*asked, path)


@needs_native
@every_path
@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 200),
    k=st.integers(0, 5),
    radius=st.integers(0, 9),
    most=st.integers(0, 300),
    seed=st.integers(0, 99),
)
def test_find(path: str, n: int, k: int, radius: int, most: int, seed: int) -> None:
    """Look-ups give the same hits, counts and crowded queries, with heads of four and of eight bytes."""
    codes = clustered(n, 8, seed)
    queries = np.concatenate([codes[:3], clustered(3, 8, seed + 1)])[:k]
    expected = looked_up(reference_codes, codes, queries, radius, most)
    same(looked_up(native, codes, queries, radius, most, path=path), expected)
    heads = build_tables(pack_words(codes), (9, 9, 7)).heads.astype(np.uint64)
    heads ^= heads >> np.uint64(31) << np.uint64(31) ^ heads >> np.uint64(31) << np.uint64(63)
    same(looked_up(native, codes, queries, radius, most, path=path, heads=heads), expected)
    judge = [reference.hamming_scan(pack_words(codes), query, radius)[0].tolist() for query in pack_words(queries).T]
    for owner in range(len(queries)):
        if owner not in expected[4]:
            assert expected[1][expected[0] == owner].tolist() == judge[owner]


@pytest.mark.parametrize("kernels", [reference_codes, pytest.param(native, marks=needs_native)])
@pytest.mark.parametrize("part", ["marks", "heads", "runs"])
def test_damaged_tables_are_never_read_outside(kernels: Any, part: str) -> None:
    """Heads, runs and counts that lead outside end in an error or in an answer, whatever they hold."""
    codes = clustered(120, 8, 5)
    tables = build_tables(pack_words(codes), (9, 9, 7))
    rng = np.random.default_rng(3)
    errors = 0
    for _ in range(60):
        array = getattr(tables, part).copy()
        flat = array.reshape(-1)
        top = int(np.iinfo(array.dtype).max)
        strange = np.array([0, 1, 119, 120, 121, 500, top // 2, top - 119, top], dtype=array.dtype)
        flat[rng.integers(0, len(flat), 20)] = rng.choice(strange, 20)
        try:
            looked_up(kernels, codes, codes[:5], 6, 10**6, **{part: array})
        except IndexError:
            errors += 1
    assert errors > 5
    for empty in (tables.heads[:0],):
        with pytest.raises((ValueError, IndexError)):
            looked_up(kernels, codes, codes[:5], 6, 10**6, heads=empty)


@needs_native
@every_path
@settings(max_examples=40, deadline=None)
@given(n=st.integers(5, 300), n_bytes=st.sampled_from([8, 16, 32]), radius=st.integers(0, 40), seed=st.integers(0, 99))
def test_tree(path: str, n: int, n_bytes: int, radius: int, seed: int) -> None:
    """The compiled walk of a tree finds what the walk level by level finds, and counts alike."""
    codes = clustered(n, n_bytes, seed)
    core: Any = BKTree.build(codes, leaf_size=4, pending_limit=1)._segments[0].core
    walk = core._walk
    assert walk is not None
    core._scan_cost = 1e15
    queries = pack_words(codes[:4])
    core._walk = None
    slow = core.find(queries, queries.shape[1], radius)
    core._walk = lambda *asked: walk(*asked, path)
    fast = core.find(queries, queries.shape[1], radius)
    assert (slow.probes, slow.compared) == (fast.probes, fast.compared)
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
                native.tree_find(columns, *parts.values(), 65, pack_words(codes[:3]), np.arange(3), 60, 1e15)
            except IndexError:
                errors += 1
    assert errors > 20


def test_substrings_stand_where_keys_say() -> None:
    """Every code is found under its own substring in every table."""
    codes = clustered(150, 9, 4)
    columns = pack_words(codes)
    tables = build_tables(columns, (20, 20, 20, 10))
    bit = first = 0
    row_bits, tag_bits = item_bits(len(codes), tables.widths)
    assert (row_bits, tag_bits) == (8, 10)
    for i, width in enumerate(tables.widths):
        after = substring_keys(columns, 0 if i == 3 else bit + width, tables.widths[(i + 1) % 4]).tolist()
        for row, key in enumerate(substring_keys(columns, bit, width).tolist()):
            bucket = first + key
            word, before = (int(value) for value in tables.marks[bucket // 64])
            assert word >> bucket % 64 & 1
            head = int(tables.heads[before + (word & ((1 << bucket % 64) - 1)).bit_count()])
            place = head - (1 << 31)
            members = [head] if place < 0 else tables.runs[place + 1 : place + 1 + int(tables.runs[place])].tolist()
            assert row | (after[row] & 1023) << row_bits in members
        bit += width
        first += 1 << width


def test_the_facade_serves_what_was_built() -> None:
    """The compiled kernels serve where they were built."""
    assert (facade.table_find is reference_codes.table_find) is (native is None)
