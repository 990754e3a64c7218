"""`IndexContract`: the laws every index obeys, fresh, saved and loaded, and after edits.

A test class inherits it and says how to make the index. The judge is `slow_search`: Python integers, a pair at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from hashmatch.algorithms import Metric
from hashmatch.errors import AlgorithmMismatchError
from hashmatch.index import Index
from support.index_makers import NEVER_SCAN, never_scan
from support.strategies import flip_bits, near_queries

STATES = ("fresh", "loaded", "mapped", "edited", "edited and loaded")


def slow_distance(a: bytes, b: bytes, metric: Metric) -> int:
    """Define each metric in plain Python."""
    if metric is Metric.HAMMING:
        return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()
    if metric is Metric.EXACT:
        return int(a != b)
    squared = sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
    return next(r for r in range(5000) if r * r >= squared)


def slow_search(entries: Mapping[int, bytes], query: np.ndarray, radius: int, metric: Metric) -> list[tuple[int, int]]:
    """All (distance, position) within the radius, sorted."""
    found = [(slow_distance(code, query.tobytes(), metric), position) for position, code in entries.items()]
    return sorted(hit for hit in found if hit[0] <= radius)


def as_hits(result: tuple[np.ndarray, np.ndarray]) -> list[tuple[int, int]]:
    """Put what an index gave in the form of `slow_search`."""
    positions, distances = result
    return list(zip(distances.tolist(), positions.tolist(), strict=True))


def as_entries(codes: np.ndarray) -> dict[int, bytes]:
    """Positions and codes of an index built of ``codes``."""
    return {position: code.tobytes() for position, code in enumerate(codes)}


class IndexContract:
    """Subclasses set `n_bytes`, `metric`, `radii` and `build`; `build` turns every knob to its smallest."""

    n_bytes: ClassVar[int] = 8
    metric: ClassVar[Metric] = Metric.HAMMING
    radii: ClassVar[tuple[int, ...]] = (0, 1, 3, 9)

    def build(self, codes: np.ndarray) -> Any:
        """Make the index under test."""
        raise NotImplementedError

    def load(self, index: Any, path: Path, verify: str = "full") -> Any:
        """Save an index and load it."""
        index.save(path, tag={"list": "test", "version": "7"})
        loaded = type(index).load(path, verify=verify)
        return never_scan(loaded) if getattr(index, "_costs", None) is NEVER_SCAN else loaded

    def largest(self) -> int:
        """Largest radius."""
        return int(self.build(np.zeros((1, self.n_bytes), np.uint8)).max_distance)

    def codes(self, n: int, seed: int = 5) -> np.ndarray:
        """Codes in clusters, with duplicates, some unrelated."""
        rng = np.random.default_rng(seed)
        centres = rng.integers(0, 256, (max(1, n // 6), self.n_bytes), dtype=np.uint8)
        rows = [
            flip_bits(
                centres[rng.integers(len(centres))], rng.permutation(8 * self.n_bytes)[: rng.choice([0, 1, 3, 12])]
            )
            for _ in range(n)
        ]
        return np.array(rows, dtype=np.uint8).reshape(n, self.n_bytes)

    def in_state(self, state: str, codes: np.ndarray, tmp_path: Path) -> tuple[Any, dict[int, bytes]]:
        """Make an index over ``codes`` in one of the ways of `STATES`, and say what it must hold."""
        if state in ("fresh", "loaded", "mapped"):
            index, entries = self.build(codes), as_entries(codes)
        else:
            rng = np.random.default_rng(1)
            index, entries = self.build(codes[: len(codes) // 2]), as_entries(codes)
            for part in np.array_split(np.arange(len(codes) // 2, len(codes)), 4):
                assert index.add(codes[part]).tolist() == part.tolist()
                index._check()
            gone = rng.permutation(len(codes))[: len(codes) // 3]
            for part in np.array_split(gone, 3):
                index.remove(part)
                index._check()
            for position in gone.tolist():
                del entries[position]
        if state in ("loaded", "mapped", "edited and loaded"):
            index = self.load(index, tmp_path / "index", "header" if state == "mapped" else "full")
        index._check()
        return index, entries

    @pytest.mark.parametrize("state", STATES)
    @pytest.mark.parametrize("n", [0, 1, 2, 3, 70])
    def test_search_is_exact(self, state: str, n: int, tmp_path: Path) -> None:
        """Search finds what the definition finds, in the promised order, at every radius and in every state."""
        codes = self.codes(n)
        index, entries = self.in_state(state, codes, tmp_path)
        assert len(index) == len(entries)
        rng = np.random.default_rng(2)
        for radius in (*self.radii, self.largest()):
            for query in near_queries(codes, radius, self.metric, 5, rng):
                assert as_hits(index.search(query, radius)) == slow_search(entries, query, radius, self.metric)

    @pytest.mark.parametrize("state", STATES)
    def test_batch_is_search_of_each(self, state: str, tmp_path: Path) -> None:
        """A batch gives the hits of its queries one after the other."""
        codes = self.codes(60)
        index, _ = self.in_state(state, codes, tmp_path)
        rng = np.random.default_rng(3)
        for radius in (*self.radii, self.largest()):
            queries = near_queries(codes, radius, self.metric, 40, rng)
            rows, positions, distances = index.search_batch(queries, radius)
            assert (rows.dtype, positions.dtype, distances.dtype) == (np.int64, np.int64, np.int32)
            for k, query in enumerate(queries):
                mine = rows == k
                assert as_hits((positions[mine], distances[mine])) == as_hits(index.search(query, radius))
            assert np.array_equal(rows, np.sort(rows))

    def test_edits_in_all_states(self, tmp_path: Path) -> None:
        """A loaded index takes additions and removals; the file keeps what it held."""
        codes = self.codes(30)
        index = self.load(self.build(codes), tmp_path / "index")
        before = (tmp_path / "index").read_bytes()
        assert index.add(codes[:9]).tolist() == list(range(30, 39))
        index.remove(np.array([0, 31]))
        entries = {**as_entries(codes), **{30 + i: code.tobytes() for i, code in enumerate(codes[:9])}}
        del entries[0], entries[31]
        index._check()
        for query in codes[:9]:
            assert as_hits(index.search(query, 1)) == slow_search(entries, query, 1, self.metric)
        assert (tmp_path / "index").read_bytes() == before

    def test_equal_codes_are_separate_entries(self) -> None:
        """Every copy of a code is found, also when all codes are equal."""
        codes = np.full((50, self.n_bytes), 0xA5, dtype=np.uint8)
        index = self.build(codes)
        index._check()
        for radius in (0, self.largest()):
            positions, distances = index.search(codes[0], radius)
            assert positions.tolist() == list(range(50))
            assert not distances.any()
        index.remove(np.arange(0, 50, 2))
        assert index.search(codes[0], 0)[0].tolist() == list(range(1, 50, 2))

    def test_clusters_at_the_radius(self) -> None:
        """Codes at exactly the radius are found and those one further are not, wherever the differing bits stand."""
        rng = np.random.default_rng(4)
        centre = rng.integers(64, 128, self.n_bytes, dtype=np.uint8)
        radius = self.radii[-1]
        spots = [rng.permutation(8 * self.n_bytes) for _ in range(40)]
        codes = np.array([flip_bits(centre, spot[: radius + i % 2]) for i, spot in enumerate(spots)])
        index, entries = self.build(codes), as_entries(codes)
        expected = slow_search(entries, centre, radius, self.metric)
        if self.metric is Metric.HAMMING:
            assert len(expected) == 20
        assert as_hits(index.search(centre, radius)) == expected

    def test_positions_are_never_reused(self, tmp_path: Path) -> None:
        """After removing everything, and after save and load, new codes get new positions."""
        codes = self.codes(8)
        index = self.build(codes)
        index.remove(np.arange(8))
        assert len(index) == 0
        assert index.search(codes[0], self.largest())[0].tolist() == []
        index = self.load(index, tmp_path / "index")
        index._check()
        assert index.add(codes[:2]).tolist() == [8, 9]
        assert index.search(codes[0], 0)[0].tolist()[0] == 8

    def test_removal_is_all_or_nothing(self) -> None:
        """Positions that are gone, unknown, negative or repeated are refused and nothing is removed."""
        index = self.build(self.codes(20))
        index.remove(np.array([3]))
        for bad in ([1, 3], [1, 20], [1, -1], [1, 1], [[1, 2]]):
            with pytest.raises(ValueError):
                index.remove(np.array(bad))
        with pytest.raises(TypeError):
            index.remove(np.array([0.5]))
        index.remove([])
        assert len(index) == 19

    def test_tag_and_facts_survive_the_file(self, tmp_path: Path) -> None:
        """The tag, the length of a code and the metric come back; a fresh index has no tag."""
        index = self.build(self.codes(5))
        assert dict(index.tag) == {}
        loaded = self.load(index, tmp_path / "index")
        assert dict(loaded.tag) == {"list": "test", "version": "7"}
        assert (loaded.n_bits, loaded.metric) == (8 * self.n_bytes, self.metric)
        assert isinstance(loaded, Index)

    def test_explain_is_search_with_counters(self) -> None:
        """Explaining gives the same hits, and every hit was compared."""
        codes = self.codes(70)
        index = self.build(codes)
        for radius in self.radii:
            explained = index.explain(codes[7], radius)
            assert as_hits((explained.positions, explained.distances)) == as_hits(index.search(codes[7], radius))
            assert explained.stats.compared >= len(explained.positions)
            assert 0 <= explained.stats.scanned <= explained.stats.compared

    @pytest.mark.parametrize(
        ("call", "error"),
        [
            (lambda index, code: index.search(code, -1), ValueError),
            (lambda index, code: index.search(code, index.max_distance + 1), ValueError),
            (lambda index, code: index.search(code, 1.0), TypeError),
            (lambda index, code: index.search(code.astype(np.int64), 1), TypeError),
            (lambda index, code: index.search(code[None, :], 1), ValueError),
            (lambda index, code: index.search(code[1:], 1), AlgorithmMismatchError),
            (lambda index, code: index.search_batch(code, 1), ValueError),
            (lambda index, code: index.search_batch(code[None, 1:], 1), AlgorithmMismatchError),
            (lambda index, code: index.add(code[None, 1:]), AlgorithmMismatchError),
            (lambda index, code: index.add(code), ValueError),
            (lambda index, code: type(index).build(code), ValueError),
            (lambda index, code: type(index).build(code[None, :0]), ValueError),
            (lambda index, code: type(index).build(code[None, :], pending_limit=0), ValueError),
        ],
    )
    def test_bad_arguments(self, call: Callable[[Any, np.ndarray], object], error: type[Exception]) -> None:
        """A wrong type, shape, length or radius is refused with a typed error."""
        index = self.build(self.codes(5))
        with pytest.raises(error):
            call(index, self.codes(1)[0])

    def test_repr_has_no_bits(self) -> None:
        """The representation names the size and nothing of the codes."""
        assert repr(self.build(self.codes(5))).startswith(f"<{type(self.build(self.codes(1))).__name__} of 5 codes")
