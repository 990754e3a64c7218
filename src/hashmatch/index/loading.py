"""`load_index`: open an index file of any kind."""

from __future__ import annotations

from typing import Final

from hashmatch.errors import IndexFormatError
from hashmatch.index.base import Path
from hashmatch.index.bktree import BKTree
from hashmatch.index.costs import Costs
from hashmatch.index.exact import ExactIndex
from hashmatch.index.linear import LinearIndex
from hashmatch.index.multi.index import MultiIndex
from hashmatch.index.storage import IndexFile, Verify, read_index_file

__all__ = ["index_from", "load_index"]

_OTHERS: Final = {"keypoint": "an index of keypoints", "guided": "tables of a crop search"}


def load_index(
    path: Path, *, verify: Verify = "full", costs: Costs | None = None
) -> LinearIndex | BKTree | MultiIndex | ExactIndex:
    """Open an index file of any kind, memory-mapped and read only.

    Parameters
    ----------
    path : str or path-like
        File written by the ``save`` of an index.
    verify : {"full", "header"}
        As for ``load`` of the indexes.
    costs : Costs, optional
        Measured costs of this machine, by which an index decides to scan; the built-in costs if not given.

    Raises
    ------
    IndexFormatError
        If the file is not an undamaged index of a kind and format version this hashmatch knows.
    OSError
        If the file cannot be read.
    """
    return index_from(read_index_file(path, verify=verify), costs)


def index_from(file: IndexFile, costs: Costs | None = None) -> LinearIndex | BKTree | MultiIndex | ExactIndex:
    """Make the index that a file holds; raises `IndexFormatError` as `load_index` does."""
    for cls in (LinearIndex, BKTree, MultiIndex, ExactIndex):
        if cls.kind == file.kind:
            return cls._from_file(file, costs)
    if file.kind in _OTHERS:
        raise IndexFormatError(f"the file holds {_OTHERS[file.kind]}, which has another search")
    raise IndexFormatError("the file holds an index of a kind this hashmatch does not know; rebuild it from the list")
