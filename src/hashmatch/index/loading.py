"""`load_index`: open an index file of any kind."""

from __future__ import annotations

from hashmatch.errors import IndexFormatError
from hashmatch.index.base import Path
from hashmatch.index.bktree import BKTree
from hashmatch.index.exact import ExactIndex
from hashmatch.index.linear import LinearIndex
from hashmatch.index.multi import MultiIndex
from hashmatch.index.storage import Verify, read_index_file

__all__ = ["load_index"]


def load_index(path: Path, *, verify: Verify = "full") -> LinearIndex | BKTree | MultiIndex | ExactIndex:
    """Open an index file of any kind, memory-mapped and read only.

    Parameters
    ----------
    path : str or path-like
        File written by the ``save`` of an index.
    verify : {"full", "header"}
        As for ``load`` of the indexes.

    Raises
    ------
    IndexFormatError
        If the file is not an undamaged index of a kind and format version this hashmatch knows.
    OSError
        If the file cannot be read.
    """
    file = read_index_file(path, verify=verify)
    for cls in (LinearIndex, BKTree, MultiIndex, ExactIndex):
        if cls.kind == file.kind:
            return cls._from_file(file)
    raise IndexFormatError("the file holds an index of a kind this hashmatch does not know; rebuild it from the list")
