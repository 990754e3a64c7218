"""The compiled substring tables against their NumPy twins, on every path of this processor, and hostile tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.index.costs import MEASURED
from hashmatch.index.multi.substring_tables import PADDING, build_tables, item_layout
from hashmatch.index.multi.substrings import plan_probes
from hashmatch.kernels import pack_words, substring_keys
from hashmatch.kernels import tables as facade
from hashmatch.kernels.numpy import codes as reference
from hashmatch.kernels.numpy import tables as reference_tables
from support.code_makers import clustered, same

native: Any = facade.native
PATHS = native.PATHS if native is not None else ("portable",)
needs_native = pytest.mark.skipif(native is None, reason="the compiled kernels were not built")
every_path = pytest.mark.parametrize("path", PATHS)
both = pytest.mark.parametrize("kernels", [reference_tables, pytest.param(native, marks=needs_native)])
WIDTHS = (9, 9, 7)


@needs_native
@settings(max_examples=60)
@given(n=st.integers(0, 300), width=st.integers(1, 12), item_bytes=st.sampled_from([4, 5]), seed=st.integers(0, 99))
def test_fill_and_pack(n: int, width: int, item_bytes: int, seed: int) -> None:
    """Tables are filled and packed alike, whatever is crowded into one bucket."""
    rng = np.random.default_rng(seed)
    keys = rng.integers(0, 1 << width, n).astype(np.uint32)
    keys[: n // 3] = 0
    ends, rows = reference_tables.table_fill(keys, width)
    same(native.table_fill(keys, width), (ends, rows))
    items = rows | rng.integers(0, 1 << (8 * item_bytes - 9), n).astype(np.uint64) << np.uint64(9)
    same(native.table_pack(ends, items, 7, item_bytes), reference_tables.table_pack(ends, items, 7, item_bytes))
    assert sorted(rows.tolist()) == list(range(n))


@both
def test_tables_are_checked(kernels: Any) -> None:
    """Keys, widths, ends and items that are no table are refused."""
    with pytest.raises(ValueError, match="more bits"):
        kernels.table_fill(np.array([4], np.uint32), 2)
    with pytest.raises(ValueError, match="1 to 32"):
        kernels.table_fill(np.array([4], np.uint32), 0)
    rows = np.arange(3, dtype=np.uint64)
    for ends in ([3, 2, 3, 3], [0, 1, 2, 2], []):
        with pytest.raises(ValueError, match=r"fill|overlap"):
            kernels.table_pack(np.array(ends, np.uint32), rows, 0, 4)
    for item_bytes in (3, 6):
        with pytest.raises(ValueError, match="fill"):
            kernels.table_pack(np.array([3], np.uint32), rows, 0, item_bytes)


def searched(kernels: Any, stored: np.ndarray, path: str | None = None, **changed: Any) -> Any:
    """Build the tables of some codes and make them ready."""
    columns = pack_words(stored)
    tables = build_tables(columns, WIDTHS)
    parts: dict[str, Any] = {
        "codes": np.ascontiguousarray(columns.T),
        "ranks": tables.ranks,
        "slots": tables.slots,
        "runs": tables.runs,
        "widths": WIDTHS,
        "tag_bits": item_layout(len(stored), WIDTHS).tag_bits,
        "item_bytes": item_layout(len(stored), WIDTHS).item_bytes,
    }
    parts |= changed
    return kernels.TableSearch(**parts) if path is None else kernels.TableSearch(**parts, path=path)


def looked_up(search: Any, n: int, queries: np.ndarray, radius: int, most: int) -> Any:
    """Look queries up in tables of ``n`` codes."""
    plan = plan_probes(WIDTHS, n, radius, 1e15, MEASURED)
    assert plan is not None
    return search.find(pack_words(queries), search.probes(plan.masks, plan.groups), radius, most)


def widened(items: np.ndarray) -> np.ndarray:
    """Give items of four bytes a fifth."""
    wide = np.zeros((len(items[:-8]) // 4, 5), dtype=np.uint8)
    wide[:, :4] = items[:-8].reshape(-1, 4)
    return np.concatenate([wide.ravel(), PADDING])


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
    """Look-ups give the same hits, counts and crowded queries, with items of four and of five bytes."""
    codes = clustered(n, 8, seed)
    queries = np.concatenate([codes[:3], clustered(3, 8, seed + 1)])[:k]
    expected = looked_up(searched(reference_tables, codes), n, queries, radius, most)
    same(looked_up(searched(native, codes, path), n, queries, radius, most), expected)
    tables = build_tables(pack_words(codes), WIDTHS)
    five = {"slots": widened(tables.slots), "runs": widened(tables.runs), "item_bytes": 5}
    same(looked_up(searched(reference_tables, codes, **five), n, queries, radius, most), expected)
    same(looked_up(searched(native, codes, path, **five), n, queries, radius, most), expected)
    judge = [reference.hamming_scan(pack_words(codes), query, radius)[0].tolist() for query in pack_words(queries).T]
    for owner in range(len(queries)):
        if owner not in expected[4]:
            assert expected[1][expected[0] == owner].tolist() == judge[owner]


@both
@pytest.mark.parametrize("part", ["ranks", "slots", "runs"])
def test_damaged_tables_are_never_read_outside(kernels: Any, part: str) -> None:
    """Ranks, slots, runs and counts that lead outside end in an error or in an answer, whatever they hold."""
    codes = clustered(120, 8, 5)
    tables = build_tables(pack_words(codes), WIDTHS)
    rng = np.random.default_rng(3)
    errors = 0
    for _ in range(60):
        array = getattr(tables, part).copy()
        flat = array.reshape(-1) if part == "ranks" else array[: len(array) - 8].view("<u4")
        top = int(np.iinfo(flat.dtype).max)
        strange = np.array([0, 1, 119, 120, 121, 500, top // 2, top - 119, top], dtype=flat.dtype)
        flat[rng.integers(0, len(flat), 20)] = rng.choice(strange, 20)
        try:
            looked_up(searched(kernels, codes, **{part: array}), len(codes), codes[:5], 6, 10**6)
        except IndexError:
            errors += 1
    assert errors > 5


@both
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"codes": np.empty((0, 1), np.uint64)}, "no codes"),
        ({"codes": np.empty((5, 0), np.uint64)}, "no codes"),
        ({"widths": ()}, "fit"),
        ({"widths": (9, 9, 0)}, "1 to 32"),
        ({"widths": (33, 9, 7)}, "1 to 32"),
        ({"widths": (7, 9, 9)}, "widest"),
        ({"widths": (32, 26, 7)}, "fit"),
        ({"tag_bits": 8}, "tag"),
        ({"tag_bits": -1}, "tag"),
        ({"item_bytes": 3}, "4 or 5"),
        ({"item_bytes": 8}, "4 or 5"),
        ({"ranks": np.zeros((4, 3), np.uint64)}, "buckets"),
        ({"ranks": np.zeros((18, 2), np.uint64)}, "buckets"),
        ({"slots": np.zeros(4, np.uint8)}, "eight bytes more"),
        ({"runs": np.zeros(14, np.uint8)}, "eight bytes more"),
    ],
)
def test_tables_that_do_not_fit_are_refused(kernels: Any, changed: dict[str, Any], says: str) -> None:
    """Each argument that does not go with the others is refused before anything is read."""
    with pytest.raises(ValueError, match=says):
        searched(kernels, clustered(40, 8, 1), **changed)


@both
def test_probes_that_lead_elsewhere_are_refused(kernels: Any) -> None:
    """A group names a table, and a mask a bucket of it; all probes are in a group; and they go with their tables."""
    codes = clustered(40, 8, 1)
    search = searched(kernels, codes)
    assert (
        len(search.probes(np.array([0, 512 + 5, 1024 + 127], np.uint32), np.array([[0, 1, 0], [1, 2, 0], [2, 3, 0]])))
        == 3
    )
    for masks, groups in [
        ([512], [[0, 1, 0]]),
        ([511], [[1, 1, 0]]),
        ([1024 + 128], [[2, 1, 0]]),
        ([0], [[3, 1, 0]]),
        ([0], [[-1, 1, 0]]),
        ([0], [[0, 1, -1]]),
        ([0, 1], [[0, 1, 0]]),
        ([0], [[0, 2, 0]]),
        ([0, 1], [[0, 2, 0], [0, 1, 0]]),
        ([0], np.empty((0, 3), np.int64)),
        ([], np.empty((0, 3), np.int64)),
    ]:
        with pytest.raises(ValueError, match="probe"):
            search.probes(np.array(masks, np.uint32), np.array(groups, np.int64))
    foreign = searched(kernels, codes).probes(np.array([0], np.uint32), np.array([[0, 1, 0]]))
    with pytest.raises(ValueError, match="other tables"):
        search.find(pack_words(codes[:1]), foreign, 3, 100)
    mine = search.probes(np.array([0], np.uint32), np.array([[0, 1, 0]]))
    with pytest.raises(ValueError, match="other tables"):
        search.find(pack_words(clustered(1, 16, 2)), mine, 3, 100)


def test_substrings_stand_where_keys_say() -> None:
    """Every code is found under its own substring in every table."""
    codes = clustered(150, 9, 4)
    codes[:4] = codes[9]  # some buckets hold several
    columns = pack_words(codes)
    widths = (20, 20, 20, 10)
    tables = build_tables(columns, widths)
    bit = first = 0
    layout = item_layout(len(codes), widths)
    assert layout == (8, 10, 4)
    slots, runs = (array[:-8].view("<u4").tolist() for array in (tables.slots, tables.runs))
    seen = set()
    for i, width in enumerate(widths):
        after = substring_keys(columns, 0 if i == 3 else bit + width, widths[(i + 1) % 4]).tolist()
        for row, key in enumerate(substring_keys(columns, bit, width).tolist()):
            before, one, two = (int(value) for value in tables.ranks[(first + key) // 64])
            at = (first + key) % 64
            place = before + sum((plane & ((1 << at) - 1)).bit_count() for plane in (one, two))
            kind = (one >> at & 1, two >> at & 1)
            members = {
                (1, 0): slots[place : place + 1],
                (1, 1): slots[place : place + 2],
                (0, 1): runs[slots[place] + 1 : slots[place] + 1 + runs[slots[place]]] if kind == (0, 1) else [],
            }[kind]
            assert row | (after[row] & 1023) << layout.row_bits in members
            seen.add(kind)
        bit += width
        first += 1 << width
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("n", "widths", "expected"),
    [
        (1, (12,), (1, 0, 4)),
        (1 << 21, (22, 21), (21, 11, 4)),
        ((1 << 21) + 1, (22, 21), (22, 18, 5)),
        ((1 << 21) + 1, (22, 9), (22, 9, 4)),
        (10_000_000, (23,) * 11, (24, 16, 5)),
        (1 << 32, (26, 26), (32, 8, 5)),
        (1 << 32, (26,), (32, 0, 5)),
        (1 << 30, (26,), (30, 0, 4)),
    ],
)
def test_item_layout(n: int, widths: tuple[int, ...], expected: tuple[int, int, int]) -> None:
    """Rows always fit, tags are at least 11 bits where there are as many, and places of runs fit."""
    assert item_layout(n, widths) == expected
    assert 4 * n * len(widths) // 3 < 1 << 8 * expected[2]


def test_the_facade_serves_what_was_built() -> None:
    """The compiled kernels serve where they were built."""
    assert (facade.TableSearch is reference_tables.TableSearch) is (native is None)
