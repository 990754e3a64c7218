"""What an index keeps of each row of a list beside its hash: its number, its entry, and what its check value needs.

In memory, or mapped from the sections of an index file. From the columns the content of any rows can be worked out (see
`hashmatch.lists.read.content`), which proves that an index holds what the list says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import IndexFormatError
from hashmatch.index.storage import IndexFile
from hashmatch.index.verification import AnyIndex
from hashmatch.lists import Content, content_of
from hashmatch.lists.file.checksums import sum_of_marks

__all__ = ["REBUILD", "Columns", "HashColumns", "RecordColumns"]

REBUILD: Final = "; rebuild it from the list"

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Columns:
    """Columns of the rows of one algorithm.

    Parameters
    ----------
    hash_ids : (n,) integer array, ascending
        Number of each row.
    entry_keys : (n,) integer array
        `Entry.key` of each row.
    """

    sections: ClassVar[Mapping[str, tuple[str, tuple[str, ...]]]] = {
        "hash_ids": ("row.ids", ("<u4", "<i8")),
        "entry_keys": ("row.entries", ("<u4", "<i8")),
    }
    """Name and types of the section of a file that each column is."""
    may_be_one: ClassVar[frozenset[str]] = frozenset()
    """Columns that are one number where all rows have it."""

    hash_ids: NDArray[Any]
    entry_keys: NDArray[Any]

    def __len__(self) -> int:
        return len(self.hash_ids)

    @classmethod
    def of(cls, rows: Any) -> Self:
        """Take the columns of rows in memory, which has them under the same names."""
        return cls(**{column.name: getattr(rows, column.name) for column in fields(cls)})

    @classmethod
    def read(cls, file: IndexFile) -> Self:
        """Take the columns from a file; IndexFormatError where it has other ones."""
        columns: dict[str, NDArray[Any]] = {}
        for column, (name, kinds) in cls.sections.items():
            array = file.sections.get(name)
            if array is not None and column == "entry_keys" and not len(array) and array.ndim == 1:
                array = columns["hash_ids"]
            elif array is not None and column in cls.may_be_one and array.shape == (1,):
                array = np.broadcast_to(array, (file.n,))
            if array is None or array.shape != (file.n,) or array.dtype.str not in kinds:
                raise IndexFormatError(f"the index file does not say what its rows are{REBUILD}")
            columns[column] = array
        return cls(**columns)

    def named(self) -> Iterator[tuple[str, tuple[str, ...], NDArray[Any]]]:
        """Give each column with the name and the types of its section."""
        for column, (name, kinds) in self.sections.items():
            yield name, kinds, getattr(self, column)

    def places(self, ids: Ints) -> tuple[Ints, Ints]:
        """Find rows by their numbers: which of ``ids`` are here, and the place of each; a look-up each."""
        kind = self.hash_ids.dtype
        fits = (ids >= 0) & (ids <= np.iinfo(kind).max)
        # of the column's own type, or the search would convert the column
        places = np.searchsorted(self.hash_ids, np.where(fits, ids, 0).astype(kind))
        here = (fits & (places < len(self))).nonzero()[0]
        here = here[self.hash_ids[places[here]] == ids[here].astype(kind)]
        return here, places[here]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HashColumns(Columns):
    """Columns of hashes of a fixed length.

    Parameters
    ----------
    source_numbers, quality : (n,) integer arrays
        As in `HashRows`.
    """

    sections: ClassVar[Mapping[str, tuple[str, tuple[str, ...]]]] = {
        **Columns.sections,
        "source_numbers": ("row.sources", ("<u2",)),
        "quality": ("row.quality", ("|i1",)),
    }
    may_be_one: ClassVar[frozenset[str]] = frozenset({"source_numbers", "quality"})

    source_numbers: NDArray[Any]
    quality: NDArray[Any]

    def content(self, list_id: str, algorithm: str, index: AnyIndex, rows: Ints) -> Content:
        """Work out the content of some rows, ascending, from their hashes in the index."""
        return content_of(
            list_id,
            algorithm,
            hash_ids=self.hash_ids[rows].astype(np.int64),
            entry_keys=self.entry_keys[rows].astype(np.int64),
            source_numbers=self.source_numbers[rows].astype(np.int16),
            quality=self.quality[rows].astype(np.int16),
            codes=index.codes_at(rows),
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RecordColumns(Columns):
    """Columns of keypoint records, whose index does not keep the whole records.

    Parameters
    ----------
    marks : (n,) int64 array
        Check value of each row.
    """

    sections: ClassVar[Mapping[str, tuple[str, tuple[str, ...]]]] = {
        **Columns.sections,
        "marks": ("row.marks", ("<i8",)),
    }

    marks: NDArray[Any]

    def content(self, rows: Ints) -> Content:
        """Add up the check values of some rows."""
        return Content(len(rows), sum_of_marks(self.marks[rows].astype(np.int64)) % 2**64)
