"""What is special about each kind of index."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from hashmatch.algorithms import Metric
from hashmatch.errors import IndexFormatError
from hashmatch.index import BKTree, ExactIndex, LinearIndex, MultiIndex
from hashmatch.index.multi import index as multi_module
from hashmatch.index.multi import substring_tables as tables
from hashmatch.index.multi.substring_tables import ItemLayout
from support.contracts import as_entries, as_hits, slow_search
from support.index_makers import NEVER_SCAN, multi, tree
from support.strategies import flip_bits, near_queries


def random_codes(n: int, n_bytes: int = 32, seed: int = 0) -> np.ndarray:
    """Seeded codes."""
    return np.random.default_rng(seed).integers(0, 256, (n, n_bytes), dtype=np.uint8)


def test_multi_probes_and_compares_few() -> None:
    """At 100,000 codes of 256 bits and radius 31, probing alone finds all and compares a small share."""
    codes = random_codes(100_000)
    index, judge = MultiIndex.build(codes), LinearIndex.build(codes)
    for query in near_queries(codes, 31, Metric.HAMMING, 30, np.random.default_rng(1)):
        explained = index.explain(query, 31)
        assert as_hits((explained.positions, explained.distances)) == as_hits(judge.search(query, 31))
        assert explained.stats.scanned == 0
        assert 0 < explained.stats.probes < 5000
        assert explained.stats.compared < 5000


def test_multi_scans_when_the_radius_is_too_large() -> None:
    """Where probing is expected to cost more, everything is compared once."""
    index = MultiIndex.build(random_codes(5000))
    stats = index.explain(random_codes(1, seed=9)[0], 90).stats
    assert (stats.probes, stats.compared, stats.scanned) == (0, 5000, 5000)


def test_multi_scans_for_a_crowded_query() -> None:
    """A query whose buckets hold too much is scanned, alone among its batch; the others are probed."""
    codes = random_codes(100_000)
    codes[:50_000] = codes[0]
    index, judge = MultiIndex.build(codes), LinearIndex.build(codes)
    crowded, calm = index.explain(codes[0], 31).stats, index.explain(codes[-1], 31).stats
    assert crowded.scanned == 100_000
    assert calm.scanned == 0
    queries = codes[[5, -1, 7, -2]]
    for mine, other in zip(index.search_batch(queries, 31), judge.search_batch(queries, 31), strict=True):
        assert np.array_equal(mine, other)


def test_multi_adversarial_spread() -> None:
    """Differing bits spread evenly over all substrings are the hardest case of the pigeonhole rule; none is lost."""
    code = random_codes(1)[0]
    spread = [flip_bits(code, (np.arange(count) * 256 // count)) for count in range(1, 40)]
    codes = np.array([code, *spread])
    index, entries = multi(codes, widths=(16,) * 16), as_entries(codes)
    for radius in range(33):
        assert as_hits(index.search(code, radius)) == slow_search(entries, code, radius, Metric.HAMMING)
    assert index.explain(code, 20).stats.scanned == 0


@pytest.mark.parametrize("bad", [(0,), (27,), (20, 20, 25), ()])
def test_multi_refuses_widths(bad: tuple[int, ...]) -> None:
    """Widths are 1 to 26 bits and no more than a code together."""
    with pytest.raises(ValueError, match="widths"):
        MultiIndex.build(random_codes(3, 8), widths=bad)


def test_multi_with_items_of_five_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items of 5 bytes, which large indexes need, give the same answers."""
    codes = random_codes(300, 8)
    index = multi(codes, widths=(8, 8, 8))
    monkeypatch.setattr(tables, "item_layout", lambda *_: ItemLayout(9, 8, 5))
    monkeypatch.setattr(multi_module, "item_layout", lambda *_: ItemLayout(9, 8, 5))
    wide = multi(codes, widths=(8, 8, 8))
    assert len(wide._segments[0].core._tables.slots) > len(index._segments[0].core._tables.slots)
    for query in codes[:30]:
        assert len(as_hits(index.search(query, 9))) > 0
        assert as_hits(wide.search(query, 9)) == as_hits(index.search(query, 9))


def test_tree_visits_little_at_a_small_radius() -> None:
    """At radius 1 a tree of 64-bit codes compares a small share of them."""
    codes = random_codes(20_000, 8)
    index, judge = BKTree.build(codes, costs=NEVER_SCAN), LinearIndex.build(codes)
    for query in near_queries(codes, 1, Metric.HAMMING, 20, np.random.default_rng(1)):
        explained = index.explain(query, 1)
        assert as_hits((explained.positions, explained.distances)) == as_hits(judge.search(query, 1))
        assert explained.stats.compared < 2000
        assert explained.stats.scanned == 0


def test_tree_gives_up_where_it_cannot_prune() -> None:
    """At 256 bits and radius 31 the tree notices at its root and scans."""
    codes = random_codes(20_000)
    stats = BKTree.build(codes).explain(codes[7], 31).stats
    assert stats.scanned == 20_000
    assert stats.compared <= 20_001


def test_tree_of_equally_distant_codes_is_not_deep() -> None:
    """Codes that are all equally far apart, the worst case, build without recursion and are all found."""
    codes = np.zeros((300, 300), dtype=np.uint8)
    codes[np.arange(300), np.arange(300)] = 1
    index = tree(codes, leaf_size=1)
    index._check()
    assert as_hits(index.search(codes[299], 0)) == [(0, 299)]
    assert len(index.search(codes[299], 2)[0]) == 300


def test_tree_inserts_one_by_one() -> None:
    """Many single insertions leave few segments and lose nothing."""
    codes = random_codes(200, 8)
    index = tree(codes[:0])
    for code in codes:
        index.add(code[None])
    index._check()
    assert len(index._segments) <= 8
    entries = as_entries(codes)
    for query in codes[::20]:
        assert as_hits(index.search(query, 20)) == slow_search(entries, query, 20, Metric.HAMMING)
    with pytest.raises(ValueError, match="leaf_size"):
        BKTree.build(codes, leaf_size=0)


def test_exact_tells_equal_beginnings_apart() -> None:
    """Digests that share their first 8 bytes are compared in full."""
    codes = np.zeros((500, 16), dtype=np.uint8)
    codes[:, 9] = np.arange(500) % 250
    index = ExactIndex.build(codes, pending_limit=1)
    assert index.search(codes[3], 0)[0].tolist() == [3, 253]


def test_removal_frees_memory() -> None:
    """An index whose entries are mostly removed is rebuilt without them."""
    codes = random_codes(5000, 8)
    index = LinearIndex.build(codes)
    index.remove(np.arange(1, 5000))
    assert sum(segment.core.n for segment in index._segments) == 1
    assert index.search(codes[0], 0)[0].tolist() == [0]


def test_searches_run_side_by_side() -> None:
    """Threads that search one index get the answers of a single one."""
    codes = random_codes(20_000)
    index = MultiIndex.build(codes, widths=(16,) * 16)
    queries = near_queries(codes, 31, Metric.HAMMING, 40, np.random.default_rng(3))
    expected = [as_hits(index.search(query, 31)) for query in queries]
    wrong: list[int] = []

    def work() -> None:
        wrong.extend(k for k, query in enumerate(queries) if as_hits(index.search(query, 31)) != expected[k])

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


def test_errors_of_ours_are_not_blamed_on_files() -> None:
    """A sound index never reports a corrupt file."""
    index = multi(random_codes(50, 8))
    index._segments[0].core._tables.slots[:] = 255
    with pytest.raises(IndexError):
        index.search_batch(random_codes(50, 8), 3)
    index._is_from_file = True
    with pytest.raises(IndexFormatError, match="rebuild"):
        index.search_batch(random_codes(50, 8), 3)


@pytest.mark.parametrize("metric", [Metric.EXACT, Metric.EUCLIDEAN])
def test_multi_is_for_bits(metric: Metric) -> None:
    """Substring tables refuse other metrics."""
    from hashmatch.index.space import space_of

    with pytest.raises(ValueError, match="compares bits"):
        MultiIndex(space_of(metric, 16))
