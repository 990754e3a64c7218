"""What belongs to an entry of a ``threatexchange`` index, kept as JSON: `Metadata`; bytes one after the other: `Blobs`.

Floor: integrations. Collaborations hand over records that their exchange defines as data classes. A stored record names
its class; only classes that are already loaded are made of it again, and nothing is imported for a file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Final, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from threatexchange.exchanges.fetch_state import FetchedSignalMetadata
from threatexchange.utils.dataclass_json import dataclass_load_dict

from hashmatch.errors import IndexFormatError
from hashmatch.index.storage import IndexFile, Section

__all__ = ["Blobs", "Metadata"]

T = TypeVar("T")

_MOST_DEEP: Final = 64


class Blobs:
    """Bytes of many entries, one after the other: some of a file, then those that were added."""

    def __init__(self, data: NDArray[np.uint8] | None = None, ends: NDArray[np.uint64] | None = None) -> None:
        self._data = np.empty(0, np.uint8) if data is None else data
        self._ends = np.zeros(1, np.uint64) if ends is None else ends
        self._added: list[bytes] = []

    @classmethod
    def read(cls, file: IndexFile, name: str) -> Self:
        """Take them from the sections of a file.

        Raises
        ------
        IndexFormatError
            If they are not there, or cannot be right.
        """
        data, ends = file.sections.get(name), file.sections.get(f"{name}.ends")
        if data is None or ends is None or (data.dtype.str, ends.dtype.str) != ("|u1", "<u8"):
            raise IndexFormatError("the index file lacks what belongs to its entries; fetch anew")
        whole = data.ndim == ends.ndim == 1 and len(ends) and ends[0] == 0 and ends[-1] == len(data)
        if not whole or bool((ends[1:] < ends[:-1]).any()):
            raise IndexFormatError("the index file has entries of impossible lengths; fetch anew")
        return cls(data, ends)

    def __len__(self) -> int:
        return len(self._ends) - 1 + len(self._added)

    def __getitem__(self, entry: int) -> bytes:
        stored = len(self._ends) - 1
        if entry >= stored:
            return self._added[entry - stored]
        return self._data[int(self._ends[entry]) : int(self._ends[entry + 1])].tobytes()

    def extend(self, more: Iterable[bytes]) -> None:
        """Add entries."""
        self._added.extend(more)

    def since(self, first: int) -> Iterator[bytes]:
        """Give the entries from one on."""
        return (self[entry] for entry in range(first, len(self)))

    def sections(self, name: str) -> list[Section]:
        """Give the sections of a file."""
        lengths = np.array([len(data) for data in self._added], np.uint64)
        ends = np.concatenate([self._ends, self._ends[-1] + np.cumsum(lengths, dtype=np.uint64)])
        added = np.frombuffer(b"".join(self._added), np.uint8)
        return [Section(name, "|u1", [self._data, added]), Section(f"{name}.ends", "<u8", [ends])]


class Metadata(Generic[T]):
    """What belongs to each entry: of a file, made when it is asked for; then what was added, as it was given.

    Parameters
    ----------
    stored : Blobs, optional
        JSON of each entry.
    """

    def __init__(self, stored: Blobs | None = None) -> None:
        self._stored = Blobs() if stored is None else stored
        self._added: list[T] = []

    def __len__(self) -> int:
        return len(self._stored) + len(self._added)

    def __getitem__(self, entry: int) -> T:
        stored = len(self._stored)
        found: T = self._added[entry - stored] if entry >= stored else loaded(self._stored[entry])
        return found

    def extend(self, more: Iterable[T]) -> None:
        """Add entries."""
        self._added.extend(more)

    def blobs(self) -> Blobs:
        """Write all down; raises as `dumped`."""
        checked: set[type] = set()
        made = Blobs()
        made.extend(self._stored.since(0))
        made.extend(dumped(item, checked) for item in self._added)
        return made


def dumped(value: Any, checked: set[type]) -> bytes:
    """Write metadata as JSON.

    Parameters
    ----------
    value : object
        Plain data, and records of exchanges.
    checked : set of type
        Classes of records of which one was found to come back equal; the first of each other class is tried.

    Raises
    ------
    TypeError
        If it cannot be written so that an equal one is read.
    """
    return json.dumps(_plain(value, checked), ensure_ascii=False, separators=(",", ":")).encode()


def loaded(data: bytes) -> Any:
    """Make metadata of what `dumped` has written.

    Raises
    ------
    IndexFormatError
        If it is not that, or of a class that no loaded module defines.
    """
    try:
        return _made(json.loads(data))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        if isinstance(error, IndexFormatError):
            raise
        raise IndexFormatError("the index file has metadata that cannot be read; fetch anew") from error


def _plain(value: Any, checked: set[type], depth: int = 0, *, within: bool = False) -> Any:
    """Give the JSON form: an object of one key is a kind of its own, and there are no others.

    Within a record, its class says of which kinds enumerated values and further data classes are.
    """
    kind = type(value)
    if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
        return value
    if depth > _MOST_DEEP:
        raise TypeError("metadata that is nested so deeply cannot be stored in an index")

    def plain(part: Any) -> Any:
        return _plain(part, checked, depth + 1, within=within)

    if kind in (list, tuple):
        return [plain(item) for item in value] if kind is list else {"tuple": [plain(item) for item in value]}
    if kind in (set, frozenset):
        return {kind.__name__: sorted(map(plain, value), key=repr)}
    if kind is dict:
        return {"dict": [[plain(part) for part in pair] for pair in value.items()]}
    if within and isinstance(value, Enum):
        return plain(value.value)
    if within and is_dataclass(value):
        return {"dict": [[item.name, plain(getattr(value, item.name))] for item in fields(value)]}
    if isinstance(value, FetchedSignalMetadata) and is_dataclass(value):
        found = {"record": [_name_of(kind), _plain(value, checked, depth + 1, within=True)]}
        if kind not in checked:
            _check(value, found)
            checked.add(kind)
        return found
    raise TypeError(
        f"metadata of the type {kind.__name__} cannot be stored in an index: give plain data, or a record that an"
        " exchange of threatexchange fetches"
    )


def _check(record: FetchedSignalMetadata, form: Any) -> None:
    try:
        same = _made(form) == record
    except ValueError:
        same = False
    if not same:
        raise TypeError(
            f"a record of the type {type(record).__name__} cannot be stored in an index: it comes back changed"
        )


def _made(value: Any) -> Any:
    if isinstance(value, list):
        return [_made(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, items),) = value.items()
    if kind == "record":
        name, given = items[0], _made(items[1])
        found = _records().get(name)
        if not isinstance(given, dict):
            raise ValueError("no fields")
        if found is None:
            raise IndexFormatError(f"the index file has records of {name[:200]!r}, which no extension in use defines")
        try:
            return dataclass_load_dict(given, found)
        except Exception as error:  # likewise
            raise ValueError("fields of another class") from error
    makers = {"tuple": tuple, "set": set, "frozenset": frozenset, "dict": dict}
    return makers[kind](_made(items))


def _records() -> dict[str, type]:
    """Every class of records that is loaded, by its name."""
    found: dict[str, type] = {}
    waiting: list[type] = [FetchedSignalMetadata]
    while waiting:
        kind = waiting.pop()
        found[_name_of(kind)] = kind
        waiting += kind.__subclasses__()
    return found


def _name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
