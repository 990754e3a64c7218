"""Cores: frozen structures over rows, their hits, and the plain scan that every index can use instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hashmatch.index.base import Codes, Distances, Positions
from hashmatch.index.segmented import Segment
from hashmatch.index.space import Packed, Space

__all__ = [
    "Core",
    "CoreSegment",
    "Counted",
    "Found",
    "ScanCore",
    "check_layout",
    "check_sections",
    "join_found",
    "scan_all",
]


class Found(NamedTuple):
    """Raw hits of a core (query number, row and distance, in any order, each pair once), and the counters."""

    owners: NDArray[np.int64]
    rows: NDArray[np.int64]
    distances: Distances
    probes: int
    compared: int
    scanned: int


class Core(Protocol):
    """A frozen structure over the rows 0 to n - 1; every method may run in many threads."""

    @property
    def n(self) -> int:
        """Number of rows."""

    def find(self, queries: Packed, k: int, radius: int) -> Found:
        """Search ``k`` packed queries."""

    def packed(self) -> Packed:
        """Give all codes in row order."""

    def take(self, rows: NDArray[np.int64]) -> Packed:
        """Give the codes of some rows, ascending."""

    def codes(self) -> Codes:
        """Give all codes in row order, as they came."""

    def sections(self) -> dict[str, NDArray[Any]]:
        """Name the arrays that a file needs to restore the core."""

    def check(self) -> None:
        """Raise ValueError if an invariant does not hold."""


class ScanCore:
    """Codes without structure: every search compares all of them."""

    def __init__(self, space: Space, packed: Packed) -> None:
        self._space = space
        self._packed = packed

    @property
    def n(self) -> int:
        """Number of rows."""
        return self._space.count(self._packed)

    def find(self, queries: Packed, k: int, radius: int) -> Found:
        """Search ``k`` packed queries."""
        return scan_all(self._space, self._packed, queries, np.arange(k), radius)

    def packed(self) -> Packed:
        """Give all codes in row order."""
        return self._packed

    def take(self, rows: NDArray[np.int64]) -> Packed:
        """Give the codes of some rows, ascending."""
        return self._space.take(self._packed, rows)

    def codes(self) -> Codes:
        """Give all codes in row order, as they came."""
        return self._space.unpack(self._packed)

    def sections(self) -> dict[str, NDArray[Any]]:
        """Name the arrays that a file needs."""
        return {"codes": self._packed}

    def check(self) -> None:
        """Raise ValueError if the codes are not laid out as the space says."""
        check_layout(self._space, self._packed)


def scan_all(space: Space, packed: Packed, queries: Packed, owners: NDArray[np.int64], radius: int) -> Found:
    """Compare the queries numbered ``owners`` with every code."""
    found = [space.scan(packed, queries, int(owner), radius) for owner in owners]
    counts = [len(rows) for rows, _ in found]
    n = space.count(packed) * len(owners)
    if len(found) == 1:
        rows, distances = found[0]
    elif found:
        rows = np.concatenate([part for part, _ in found])
        distances = np.concatenate([part for _, part in found])
    else:
        rows, distances = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32)
    return Found(np.repeat(owners, counts), rows, distances, 0, n, n)


def join_found(parts: list[Found]) -> Found:
    """Put the hits of several searches together and add up their counters."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Found(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int32), 0, 0, 0)
    return Found(
        np.concatenate([part.owners for part in parts]),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.distances for part in parts]),
        sum(part.probes for part in parts),
        sum(part.compared for part in parts),
        sum(part.scanned for part in parts),
    )


def check_sections(space: Space, sections: Mapping[str, NDArray[Any]]) -> Packed:
    """Return the codes of a file; KeyError or ValueError if they are missing or laid out wrongly."""
    packed = sections["codes"]
    dtype, shape = space.layout(space.count(packed) if packed.ndim == 2 else 0)
    if packed.dtype != dtype or packed.shape != shape:
        raise ValueError("the codes have the wrong type or shape")
    return packed


def check_layout(space: Space, packed: Packed) -> None:
    """Raise ValueError if ``packed`` has another type, shape or padding than ``space`` gives its codes."""
    check_sections(space, {"codes": packed})
    if not np.array_equal(space.pack(space.unpack(packed)), packed):
        raise ValueError("the padding of the codes is not zero")


class Counted:
    """The positions 0 to n - 1 without an array, for a file of codes that were never edited."""

    __slots__ = ("_n",)

    def __init__(self, n: int) -> None:
        self._n = n

    def __len__(self) -> int:
        return self._n

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.arange(self._n, dtype=np.int64 if dtype is None else dtype)

    def take(self, rows: NDArray[np.int64]) -> Positions:
        """Give the positions of rows: the rows."""
        return rows


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CoreSegment(Segment):
    """A core and the ascending positions of its rows."""

    core: Core
    positions: Positions | Counted

    def __len__(self) -> int:
        return self.core.n

    def places(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Find ascending positions in this segment: which of them it has, and their rows, deleted ones included."""
        if isinstance(self.positions, Counted):
            here = ((ids >= 0) & (ids < len(self.positions))).nonzero()[0]
            return here, ids[here]
        rows = np.searchsorted(self.positions, ids)
        here = (rows < len(self.positions)).nonzero()[0]
        here = here[self.positions[rows[here]] == ids[here]]
        return here, rows[here]
