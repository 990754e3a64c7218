"""Keys and probes of local descriptors: the right bits, the likeliest probes, whole buckets, fair cuts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.index.keypoint.key_tables import KeyProbes, KeyTables, choose_groups, even_limit, plan_probes
from hashmatch.kernels.keys import bucket_ranges


def random_codes(n: int, seed: int = 4) -> np.ndarray:
    """Seeded codes."""
    return np.random.default_rng(seed).integers(0, 256, (n, 16), dtype=np.uint8)


def slow_key(code: np.ndarray, group: np.ndarray) -> int:
    """Read a key bit by bit."""
    bits = np.unpackbits(code)
    return sum(int(bits[bit]) << place for place, bit in enumerate(group.tolist()))


def test_no_bit_serves_twice() -> None:
    """Groups are disjoint and stay in the first 72 bits where these are enough."""
    for tables, width in ((3, 24), (3, 8), (5, 25), (16, 8), (1, 25)):
        bits = choose_groups(random_codes(500), tables, width).ravel().tolist()
        assert len(set(bits)) == tables * width
        assert max(bits) < max(72, tables * width)


def test_constant_and_twin_bits_come_last() -> None:
    """A bit that is always the same, and the twin of a bit of the same key, are left out while others are free."""
    codes = random_codes(2000)
    bits = np.unpackbits(codes, axis=1)
    bits[:, 5] = 1
    bits[:, 40] = bits[:, 7]
    groups = choose_groups(np.packbits(bits, axis=1), 2, 20)
    assert 5 not in groups
    assert not any({7, 40} <= set(group.tolist()) for group in groups)


@pytest.mark.parametrize("n", [0, 1, 700])
def test_buckets_hold_their_rows(n: int) -> None:
    """Every row stands once in each table, under its key, rows of a key ascending."""
    codes = random_codes(n)
    codes[n // 2 :] = codes[: n - n // 2]
    groups = choose_groups(codes, 3, 8)
    tables = KeyTables.build(codes, groups)
    for table, group in enumerate(groups):
        keys = [slow_key(code, group) for code in codes]
        for key in range(256):
            begin, length = bucket_ranges(tables.starts, np.array([table * 256 + key]))
            held = tables.rows[begin[0] : begin[0] + length[0]].tolist()
            assert held == [row for row in range(n) if keys[row] == key]


def test_probes_look_up_the_turned_key() -> None:
    """A probe finds the bucket of the query's key with its bits turned over."""
    codes, query = random_codes(700), random_codes(1, seed=9)
    tables = KeyTables.build(codes, choose_groups(codes, 2, 8))
    for table, flip in itertools.product((0, 1), (0, 1, 0b10000010)):
        probes = KeyProbes(np.array([0]), np.array([table]), np.array([flip], np.uint32))
        (start,), (length,) = tables.buckets(query, probes)
        wanted = slow_key(query[0], tables.groups[table]) ^ flip
        expected = [row for row in range(700) if slow_key(codes[row], tables.groups[table]) == wanted]
        assert tables.rows[start : start + length].tolist() == expected


def test_the_likeliest_probes_are_taken() -> None:
    """No probe left out is likelier than one taken, by the plain formula over every point, table and pair of bits."""
    rng = np.random.default_rng(2)
    margins = rng.exponential(0.3, (6, 128)).astype(np.float32)
    groups = choose_groups(random_codes(500), 2, 12)
    chances: dict[tuple[int, int, int], float] = {}
    for point, (table, group) in itertools.product(range(6), enumerate(groups.tolist())):
        wrong = [0.5 / (1 + float(margins[point, bit]) / 0.017) for bit in group]
        unsure = sorted(range(12), key=lambda place: -wrong[place])[:10]
        for flipped in itertools.chain([()], *(itertools.combinations(unsure, count) for count in (1, 2))):
            chance = math.prod(p if place in flipped else 1 - p for place, p in enumerate(wrong))
            chances[point, table, sum(1 << place for place in flipped)] = chance / (1 + (point / 60) ** 2)
    for budget in (144, 300, 600):
        probes = plan_probes(margins, groups, budget)
        taken = set(zip(probes.points.tolist(), probes.tables.tolist(), probes.flips.tolist(), strict=True))
        assert len(taken) == len(probes.points) == budget
        least = min(chances[probe] for probe in taken)
        assert least >= max(chance for probe, chance in chances.items() if probe not in taken) * 0.999
    assert len(plan_probes(margins, groups, 10**6).points) == len(chances) == 6 * 2 * 56


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(0, 200))
def test_even_limit(lengths: list[int], most: int) -> None:
    """The limit is the largest that keeps the sum in bounds."""
    limit = even_limit(np.array(lengths, np.int64), most)
    assert sum(min(length, limit) for length in lengths) <= most
    if limit < max(lengths, default=0):
        assert sum(min(length, limit + 1) for length in lengths) > most
