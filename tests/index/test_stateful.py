"""Every index against a dictionary, under random edits, searches and files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hashmatch.algorithms import Metric
from support.contracts import as_hits, slow_search
from support.index_makers import exact, linear, multi, never_scan, tree
from support.strategies import clustered_codes, near_code

SETTINGS = settings(max_examples=15, stateful_step_count=25, deadline=None)


class IndexMachine(RuleBasedStateMachine):
    """The index holds exactly the entries of a dictionary, whatever happened to it."""

    n_bytes: ClassVar[int] = 4
    metric: ClassVar[Metric] = Metric.HAMMING
    radii: ClassVar[tuple[int, ...]] = (0, 1, 2, 5, 32)

    def make(self, codes: np.ndarray) -> Any:
        """Build the index under test."""
        raise NotImplementedError

    @initialize(data=st.data())
    def start(self, data: st.DataObject) -> None:
        """Build of a few codes."""
        codes = data.draw(clustered_codes(self.n_bytes))
        self.index = self.make(codes)
        self.entries = {position: code.tobytes() for position, code in enumerate(codes)}
        self.next_position = len(codes)

    @rule(data=st.data())
    def add(self, data: st.DataObject) -> None:
        """Give added codes the next positions."""
        codes = data.draw(clustered_codes(self.n_bytes))
        positions = self.index.add(codes)
        assert positions.tolist() == list(range(self.next_position, self.next_position + len(codes)))
        self.entries.update(zip(positions.tolist(), (code.tobytes() for code in codes), strict=True))
        self.next_position += len(codes)

    @precondition(lambda self: self.entries)
    @rule(data=st.data())
    def add_copy(self, data: st.DataObject) -> None:
        """Keep a copy of a stored code as another entry."""
        code = self.entries[data.draw(st.sampled_from(sorted(self.entries)))]
        (position,) = self.index.add(np.frombuffer(code, np.uint8)[None, :]).tolist()
        self.entries[position] = code
        self.next_position += 1

    @precondition(lambda self: self.entries)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """Forget removed entries at once."""
        gone = data.draw(st.lists(st.sampled_from(sorted(self.entries)), unique=True, max_size=12))
        self.index.remove(np.array(gone, dtype=np.int64))
        for position in gone:
            del self.entries[position]

    @rule()
    def save_and_load(self) -> None:
        """Get the same index back from a file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "index"
            self.index.save(path)
            self.index = never_scan(type(self.index).load(path))

    @precondition(lambda self: self.entries)
    @rule(data=st.data(), seed=st.integers(0, 2**32 - 1))
    def search(self, data: st.DataObject, seed: int) -> None:
        """Search and batch agree with the dictionary on queries near stored codes."""
        radius = data.draw(st.sampled_from(self.radii))
        position = data.draw(st.sampled_from(sorted(self.entries)))
        rng = np.random.default_rng(seed)
        code = np.frombuffer(self.entries[position], np.uint8)
        queries = np.array([near_code(code, radius, self.metric, rng) for _ in range(2)])
        expected = [slow_search(self.entries, query, radius, self.metric) for query in queries]
        assert as_hits(self.index.search(queries[0], radius)) == expected[0]
        rows, positions, distances = self.index.search_batch(queries, radius)
        for k in range(2):
            assert as_hits((positions[rows == k], distances[rows == k])) == expected[k]

    @invariant()
    def invariants_hold(self) -> None:
        """Keep the structure sound and of the right size after every step."""
        if hasattr(self, "index"):
            self.index._check()
            assert len(self.index) == len(self.entries)


class LinearMachine(IndexMachine):
    def make(self, codes: np.ndarray) -> Any:
        """Linear index."""
        return linear(codes)


class TreeMachine(IndexMachine):
    def make(self, codes: np.ndarray) -> Any:
        """Tree of bits."""
        return tree(codes, leaf_size=1)


class EuclideanTreeMachine(IndexMachine):
    metric = Metric.EUCLIDEAN
    radii = (0, 1, 3, 510)

    def make(self, codes: np.ndarray) -> Any:
        """Tree of bytes."""
        return tree(codes, Metric.EUCLIDEAN)


class MultiMachine(IndexMachine):
    def make(self, codes: np.ndarray) -> Any:
        """Substring tables, loaded ones included, that are always probed."""
        return multi(codes, widths=(5, 5, 4, 4))


class ExactMachine(IndexMachine):
    metric = Metric.EXACT
    radii = (0, 1)

    def make(self, codes: np.ndarray) -> Any:
        """Sorted digests."""
        return exact(codes)


TestLinearMachine = LinearMachine.TestCase
TestTreeMachine = TreeMachine.TestCase
TestEuclideanTreeMachine = EuclideanTreeMachine.TestCase
TestMultiMachine = MultiMachine.TestCase
TestExactMachine = ExactMachine.TestCase
for case in (
    TestLinearMachine,
    TestTreeMachine,
    TestEuclideanTreeMachine,
    TestMultiMachine,
    TestExactMachine,
):
    case.settings = SETTINGS
del case
