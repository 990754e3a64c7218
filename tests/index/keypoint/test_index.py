"""The index of local descriptors: what it finds, what it must not do, and that its cost is bounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hashmatch.errors import AlgorithmMismatchError
from hashmatch.index import KeypointIndex, KeypointSearch, pack_geometry
from support.keypoint_makers import Pictures, some_pictures


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """200 unrelated pictures of 60 points."""
    return some_pictures(200, 60)


@pytest.fixture(scope="module")
def index(pictures: Pictures) -> KeypointIndex:
    """Index them."""
    return pictures.index()


def search(index: KeypointIndex, query: tuple[Any, ...], **options: Any) -> list[Any]:
    """Search the query and its mirror image."""
    codes, margins, geometry, mirrored = query
    return index.search(codes, margins, geometry, mirrored_codes=mirrored, options=KeypointSearch(**options))


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_a_part_finds_its_picture(pictures: Pictures, index: KeypointIndex, scale: float, mirror: bool) -> None:
    """A scaled, turned, shifted and maybe mirrored part, among strangers' points, gives its entry first."""
    for entry in (0, 57, 199):
        query = pictures.seen(entry, n_shared=12, n_strange=200, scale=scale, turn=0.7, mirror=mirror)
        best = search(index, query)[0]
        assert (best.entry, best.mirrored) == (entry, mirror)
        assert best.weight > 6
        assert len(np.unique(best.query_points)) == len(best.query_points)
        assert len(np.unique(best.reference_points)) == len(best.reference_points)


def test_pairs_are_what_the_codes_say(pictures: Pictures, index: KeypointIndex) -> None:
    """Each pair that a search gives lies within the distance it says, counted bit by bit."""
    query = pictures.seen(3, n_shared=30, n_strange=100)
    for found in search(index, query, max_candidates=200, min_votes=1):
        codes = query[3] if found.mirrored else query[0]
        for point, place, distance in zip(
            found.query_points, found.reference_points, found.distances.tolist(), strict=True
        ):
            stored = pictures.codes[pictures.starts[found.entry] + place]
            apart = int.from_bytes(codes[point].tobytes()) ^ int.from_bytes(stored.tobytes())
            assert apart.bit_count() == distance <= 26


def test_exhaustive_pairs_are_the_definition(pictures: Pictures, index: KeypointIndex) -> None:
    """`pairs` gives each query point its nearest stored point and leaves each stored point the nearest of those."""
    codes = pictures.seen(9, n_shared=30, n_strange=20)[0]
    stored = pictures.codes[pictures.starts[9] : pictures.starts[10]]
    nearest: dict[int, tuple[int, int]] = {}
    for point, code in enumerate(codes):
        apart = [(int.from_bytes(code.tobytes()) ^ int.from_bytes(row.tobytes())).bit_count() for row in stored]
        distance, row = min((distance, row) for row, distance in enumerate(apart))
        if distance <= 26:
            nearest[row] = min(nearest.get(row, (129, 0)), (distance, point))
    expected = sorted((point, row, distance) for row, (distance, point) in nearest.items())
    points, rows, distances = index.pairs(9, codes)
    assert list(zip(points.tolist(), rows.tolist(), distances.tolist(), strict=True)) == expected
    assert len(expected) > 20


def test_recall_against_every_pair(pictures: Pictures, index: KeypointIndex) -> None:
    """Of 300 queries whose exhaustive comparison gives three pairs or more, at least 99.5 % give their entry."""
    found = of = 0
    for number in range(300):
        entry = number % 200
        query = pictures.seen(entry, n_shared=4 + number % 9, n_strange=60, seed=number)
        if len(index.pairs(entry, query[0])[0]) >= 3:
            of += 1
            found += any(one.entry == entry for one in search(index, query))
    assert of > 250
    assert found >= 0.995 * of


def test_withdrawn_entries_are_not_given(pictures: Pictures, index: KeypointIndex) -> None:
    """A mask takes its entries away and changes nothing else."""
    codes, margins, geometry, _ = pictures.seen(5, n_shared=20, n_strange=100)
    both = [np.concatenate(parts) for parts in zip((codes, margins, geometry), pictures.seen(6)[:3], strict=True)]
    assert {one.entry for one in index.search(*both)[:2]} == {5, 6}
    live = np.ones(200, np.bool_)
    live[5] = False
    kept = index.search(*both, live=live)
    assert kept[0].entry == 6
    assert all(one.entry != 5 for one in kept)
    assert index.search(*both, live=np.zeros(200, np.bool_)) == []


def test_a_burst_is_one_vote(pictures: Pictures, index: KeypointIndex) -> None:
    """Repeating a point of the query ten times does not make its entry heavier."""
    codes, margins, geometry, _ = pictures.seen(5, n_shared=8, n_strange=0)
    once = index.search(codes, margins, geometry)[0]
    many = index.search(*(np.concatenate([part] * 10) for part in (codes, margins, geometry)))[0]
    assert (many.entry, len(many.distances)) == (5, len(once.distances))
    assert many.weight == pytest.approx(once.weight)


def test_frequent_descriptors_weigh_less() -> None:
    """A point that agrees with every entry counts less than one that agrees with one."""
    pictures = some_pictures(100, 20)
    for entry in range(100):
        pictures.codes[pictures.starts[entry] : pictures.starts[entry] + 6] = pictures.codes[:6]
        pictures.geometry[pictures.starts[entry] : pictures.starts[entry] + 6] = pictures.geometry[:6]
    index = pictures.index()
    codes, geometry = pictures.codes[20 * 40 : 20 * 40 + 10], pictures.geometry[20 * 40 : 20 * 40 + 10]
    found = index.search(codes, np.ones((10, 128)), geometry)
    assert found[0].entry == 40
    # four points of its own count 1 each; six that a hundred entries share count 1 - ln 100 / ln 1001 = 0.33 each
    assert found[0].weight == pytest.approx(4 + 6 * 0.3334, abs=0.01)
    assert found[1].weight == pytest.approx(6 * 0.3334, abs=0.01)


def test_pairs_without_a_common_transform_are_no_candidate(pictures: Pictures, index: KeypointIndex) -> None:
    """Agreeing descriptors at unrelated places, scales and angles do not add up."""
    codes, margins, _, _ = pictures.seen(5, n_shared=20, n_strange=0)
    strange = np.random.default_rng(0).integers(0, 256, (20, 4), dtype=np.uint8)
    found = index.search(codes, margins, strange)
    assert not found or found[0].weight <= 4
    assert index.search(codes, margins, strange, options=KeypointSearch(min_votes=6)) == []


def test_unsure_bits_are_probed(pictures: Pictures, index: KeypointIndex) -> None:
    """Wrong bits are forgiven where the margins call them unsure; where all are called sure, fewer pairs are found."""
    codes, margins, geometry, _ = pictures.seen(5, n_shared=40, n_strange=0)
    guided = index.search(codes, margins, geometry, options=KeypointSearch(max_probes=1500))[0]
    blind = index.search(codes, np.ones_like(margins), geometry, options=KeypointSearch(max_probes=1500))[0]
    assert len(blind.distances) < len(guided.distances)


def test_more_probes_find_no_less(pictures: Pictures, index: KeypointIndex) -> None:
    """Raising the budget adds pairs and costs probes, and no search takes more than its budget."""
    codes, margins, geometry, mirrored = pictures.seen(5, n_shared=40, n_strange=100)
    before = 0
    for budget in (10, 100, 1000, 10_000):
        found, stats = index.explain(
            codes, margins, geometry, mirrored_codes=mirrored, options=KeypointSearch(max_probes=budget)
        )
        assert stats.probes <= 2 * budget
        pairs = sum(len(one.distances) for one in found if one.entry == 5)
        assert pairs >= before
        before = pairs
    assert before > 20


def test_equal_codes_are_bounded() -> None:
    """When all codes are equal, as much is compared, kept and given as the options allow, and no more."""
    n = 30_000
    geometry = np.full((n, 4), 9, np.uint8)
    index = KeypointIndex.build(np.full((n, 16), 0xA5, np.uint8), np.arange(n) // 10, geometry)
    index._check()
    options = KeypointSearch(max_compared=5000, max_hits=2000, max_candidates=7, min_votes=1)
    codes = np.full((50, 16), 0xA5, np.uint8)
    found, stats = index.explain(codes, np.ones((50, 128)), geometry[:50], mirrored_codes=codes, options=options)
    assert stats.compared <= 5000
    assert 0 < len(found) <= 7


def test_copies_in_a_crowded_list_are_found() -> None:
    """Where hundreds of entries are copies of one picture, some are given although the full keys are cut."""
    pictures = some_pictures(1, 40)
    codes, geometry = np.tile(pictures.codes, (300, 1)), np.tile(pictures.geometry, (300, 1))
    index = KeypointIndex.build(codes, np.repeat(np.arange(300), 40), geometry)
    query = pictures.seen(0, n_shared=30, n_strange=50)
    options = KeypointSearch(max_compared=3000, max_candidates=5)
    assert len(index.search(*query[:3], options=options)) == 5


def test_empty_lists_and_queries(pictures: Pictures, index: KeypointIndex) -> None:
    """No entries, entries without points, and a query without points give no candidate and no error."""
    query = pictures.seen(1)
    for count in (0, 4):
        empty = KeypointIndex.build(
            np.empty((0, 16), np.uint8), np.empty(0, np.int64), np.empty((0, 4), np.uint8), n_entries=count
        )
        empty._check()
        assert (len(empty), empty.n_points) == (count, 0)
        assert search(empty, query) == []
    assert search(index, tuple(part[:0] for part in query)) == []
    some = KeypointIndex.build(pictures.codes[:60], np.full(60, 3), pictures.geometry[:60], n_entries=9)
    some._check()
    assert len(some) == 9
    assert search(some, pictures.seen(0))[0].entry == 3
    assert [len(part) for part in some.pairs(8, query[0])] == [0, 0, 0]


@pytest.mark.parametrize("tables", [1, 4, 16])
def test_any_number_of_tables(pictures: Pictures, tables: int) -> None:
    """One table and sixteen, and any width of key that fits, give the entry."""
    index = pictures.index(n_tables=tables, key_bits=8)
    index._check()
    assert search(index, pictures.seen(7))[0].entry == 7


def test_search_is_deterministic(pictures: Pictures, index: KeypointIndex) -> None:
    """The same search gives the same candidates in the same order, from another index of the same codes too."""
    query = pictures.seen(7)
    expected = [repr(one) for one in search(index, query, max_candidates=100, min_votes=1)]
    assert [repr(one) for one in search(pictures.index(), query, max_candidates=100, min_votes=1)] == expected


def test_geometry_is_packed() -> None:
    """Places in steps of 4 px, scales in eighths of an octave, angles in 256ths of a turn; out of range is clipped."""
    packed = pack_geometry([0, 9, 5000], [3.9, 4.0, -1], [1.0, 2.0, 0.0], [0, np.pi, -0.01])
    assert packed.tolist() == [[0, 0, 16, 0], [2, 1, 24, 128], [255, 0, 0, 0]]
    with pytest.raises(ValueError, match="finite"):
        pack_geometry([np.nan], [0], [1], [0])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"codes": np.zeros((2, 16))}, TypeError),
        ({"codes": np.zeros((2, 15), np.uint8)}, AlgorithmMismatchError),
        ({"entries": np.array([1, 0])}, ValueError),
        ({"entries": np.array([-1, 0])}, ValueError),
        ({"entries": np.array([0.0, 1.0])}, TypeError),
        ({"entries": np.array([0])}, ValueError),
        ({"geometry": np.zeros((2, 4))}, TypeError),
        ({"geometry": np.zeros((2, 3), np.uint8)}, ValueError),
        ({"n_entries": 1}, ValueError),
        ({"n_tables": 0}, ValueError),
        ({"n_tables": 17}, ValueError),
        ({"key_bits": 7}, ValueError),
        ({"key_bits": 26}, ValueError),
        ({"n_tables": 6, "key_bits": 25}, ValueError),
    ],
)
def test_build_refuses(change: dict[str, Any], error: type[Exception]) -> None:
    """Wrong types, shapes, orders and numbers are refused when an index is built."""
    sound = {"codes": np.zeros((2, 16), np.uint8), "entries": np.array([0, 1]), "geometry": np.zeros((2, 4), np.uint8)}
    assert len(KeypointIndex.build(**sound)) == 2
    with pytest.raises(error):
        KeypointIndex.build(**{**sound, **change})


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"codes": np.zeros((2, 16))}, TypeError),
        ({"codes": np.zeros((2, 17), np.uint8)}, AlgorithmMismatchError),
        ({"margins": np.zeros((2, 127))}, ValueError),
        ({"margins": np.full((2, 128), np.nan)}, ValueError),
        ({"margins": np.full((2, 128), -1)}, ValueError),
        ({"geometry": np.zeros((2, 4))}, TypeError),
        ({"geometry": np.zeros((1, 4), np.uint8)}, ValueError),
        ({"mirrored_codes": np.zeros((1, 16), np.uint8)}, ValueError),
        ({"live": np.ones(3, np.bool_)}, ValueError),
        ({"live": np.ones(200)}, ValueError),
    ],
)
def test_search_refuses(index: KeypointIndex, change: dict[str, Any], error: type[Exception]) -> None:
    """Wrong types, shapes and numbers are refused when an index is searched."""
    sound = {"codes": np.zeros((2, 16), np.uint8), "margins": np.ones((2, 128)), "geometry": np.zeros((2, 4), np.uint8)}
    assert index.search(**sound) == []
    with pytest.raises(error):
        index.search(**{**sound, **change})


def test_infinite_margins_are_sure(pictures: Pictures, index: KeypointIndex) -> None:
    """A margin without bound is a sure bit."""
    first = slice(pictures.starts[4], pictures.starts[5])
    found = index.search(pictures.codes[first], np.full((60, 128), np.inf), pictures.geometry[first])
    assert (found[0].entry, len(found[0].distances)) == (4, 60)


@pytest.mark.parametrize("bad", [{"max_distance": 65}, {"max_distance": -1}, {"max_probes": 0}, {"min_votes": 0}])
def test_options_are_checked(bad: dict[str, int]) -> None:
    """Options out of range are refused when they are made."""
    with pytest.raises(ValueError):
        KeypointSearch(**bad)


def test_unknown_entry(index: KeypointIndex, pictures: Pictures) -> None:
    """Pairs of an entry that is not there are an error, not those of another."""
    for entry in (-1, 200):
        with pytest.raises(IndexError):
            index.pairs(entry, pictures.codes[:2])


def test_repr_has_no_bits(index: KeypointIndex, pictures: Pictures) -> None:
    """Representations give sizes and nothing of the codes."""
    assert repr(index) == "<KeypointIndex of 200 entries, 12000 points>"
    assert repr(search(index, pictures.seen(7))[0]).startswith("<Candidate entry 7, ")
