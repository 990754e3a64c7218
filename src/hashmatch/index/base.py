"""The `Index` protocol, the counters of a search, and the checks of its arguments."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashmatch.algorithms import Metric
from hashmatch.errors import AlgorithmMismatchError

__all__ = ["Explanation", "Index", "SearchStats", "check_codes", "check_radius"]

Codes: TypeAlias = NDArray[np.uint8]
Positions: TypeAlias = NDArray[np.int64]
Distances: TypeAlias = NDArray[np.int32]
Path: TypeAlias = str | os.PathLike[str]

MAX_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchStats:
    """Cost of one search, in counts that do not depend on the machine.

    Parameters
    ----------
    probes : int
        Buckets looked up, or nodes and edges visited, 0 or more; 0 for a plain scan.
    compared : int
        Stored codes compared with the query, at least in part. An entry that is reached twice counts twice.
    scanned : int
        Codes of `compared` that a scan of a whole segment compared.
    """

    probes: int
    compared: int
    scanned: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A search with its counters.

    Parameters
    ----------
    positions : (h,) int64 array
        As `Index.search` gives them.
    distances : (h,) int32 array
        As `Index.search` gives them.
    stats : SearchStats
        Cost of the search.
    """

    positions: Positions
    distances: Distances
    stats: SearchStats


@runtime_checkable
class Index(Protocol):
    """Exact search of codes within a radius.

    Every code has a *position*: the first code of ``build`` has 0, and each further code has the next number. Positions
    are stable: edits, `save` and ``load`` keep them, and no position is given twice. Equal codes are separate entries.

    Searches may run in many threads at once. `add` and `remove` change the object: no search of the same object may run
    meanwhile.
    """

    @property
    def n_bits(self) -> int:
        """Length of a code, bits."""

    @property
    def metric(self) -> Metric:
        """How codes are compared."""

    @property
    def tag(self) -> Mapping[str, str]:
        """The metadata given to `save`, read only; empty for an index that was not loaded."""

    def __len__(self) -> int: ...

    def search(self, query: ArrayLike, radius: int) -> tuple[Positions, Distances]:
        """Find every entry within ``radius`` of ``query``, sorted by distance, then position."""

    def search_batch(self, queries: ArrayLike, radius: int) -> tuple[NDArray[np.int64], Positions, Distances]:
        """Search many queries; rows of the queries, positions, distances, sorted by row, distance, position."""

    def explain(self, query: ArrayLike, radius: int) -> Explanation:
        """Search, and count the cost."""

    def add(self, codes: ArrayLike) -> Positions:
        """Store more codes and return their positions."""

    def remove(self, positions: ArrayLike) -> None:
        """Remove the entries at these positions."""

    def save(self, path: Path, *, tag: Mapping[str, str] | None = None) -> None:
        """Write the live entries to a file."""


def check_codes(codes: ArrayLike, n_bytes: int | None, *, what: str = "codes") -> Codes:
    """Check a ``(n, n_bytes)`` uint8 array.

    Parameters
    ----------
    codes : (n, n_bytes) uint8 array
        Codes or queries. Other types are refused, not converted: a silent cast would change bits.
    n_bytes : int or None
        Required length of a code, bytes; None accepts 1 to 4096.
    what : str
        Name of the array in an error message.

    Raises
    ------
    TypeError
        If they are not uint8.
    ValueError
        If they are not a two-dimensional array of usable length.
    AlgorithmMismatchError
        If their length is not that of the index.
    """
    array: NDArray[Any] = np.asarray(codes)
    if array.dtype != np.uint8:
        raise TypeError(f"{what} must be uint8, not {array.dtype}")
    if array.ndim != 2:
        raise ValueError(f"{what} must be an array of two dimensions (codes, bytes), not of {array.ndim}")
    found = array.shape[1]
    if n_bytes is None:
        if not 1 <= found <= MAX_BYTES:
            raise ValueError(f"{what} must have 1 to {MAX_BYTES} bytes each, not {found}")
    elif found != n_bytes:
        raise AlgorithmMismatchError(f"this index holds codes of {n_bytes} bytes, the {what} have {found}")
    return array


def check_radius(radius: int, maximum: int) -> int:
    """Return ``radius`` as an int.

    Raises
    ------
    TypeError
        If it is not an integer.
    ValueError
        If it is not 0 to ``maximum``.
    """
    value = operator.index(radius)
    if not 0 <= value <= maximum:
        raise ValueError(f"radius must be 0 to {maximum}, not {value}")
    return value
