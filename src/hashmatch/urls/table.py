"""The file of a list of addresses: sorted MACs that are mapped, and what holds for many of them said once.

Floor: urls. One mapped file and not an SQLite table, since an address is looked up by up to 16 MACs: in sorted numbers
they cost a few microseconds together, and 16 bytes each on disk. A change writes the file anew (some seconds for ten
million entries), whole or not at all. Layout, little-endian::

    16  magic and format version        8  length of the head
    head: JSON, padded to 8             8 n  first 8 bytes of each MAC, sorted
    4 n  next 4 bytes                   4 n  number of its group
    32  SHA-256 of all before           32  MAC of that under the list's key

The digest finds damage, the MAC finds who changed the list without its key.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import ReferenceListError
from hashmatch.index.atomic import AtomicFile
from hashmatch.urls.canonical import FORM_VERSION
from hashmatch.urls.keys import UrlKey
from hashmatch.urls.scopes import SCOPES, Scope

__all__ = ["Group", "Head", "Table", "joined", "read_head", "read_table", "write_table"]

_MAGIC: Final = b"hashmatch-urls\n\x01"
_DAMAGED: Final = "the list file is damaged or cut short: take it from a copy, or import it anew"
_SEAL: Final = b"hashmatch/urls/seal\0"
_MAX_HEAD: Final = 256 * 2**20
_ROW: Final = np.dtype([("key", "<u8"), ("rest", "<u4")])
_CHUNK: Final = 2**24


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What holds for the entries that came together; times are seconds since 1970.

    Parameters
    ----------
    scope : str
        A name of `hashmatch.urls.scopes.SCOPES`.
    source : str
        Who lists them.
    classes : tuple of str
        What they are listed for.
    added, verified : int
        When they were first and last listed.
    expires : int or None
        When they stop to count.
    by, reason : str
        Who approved or withdrew them, and why.
    kept_out : bool
        Whether a person withdrew them: they do not count, and no import brings them back.
    """

    scope: Scope
    source: str
    classes: tuple[str, ...] = ()
    added: int
    verified: int
    expires: int | None
    by: str = ""
    reason: str = ""
    kept_out: bool = False

    def counts_at(self, now: float) -> bool:
        """Whether entries of the group count at a time."""
        return not self.kept_out and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the file says of the list.

    Parameters
    ----------
    name, list_id, key_id : str
        Of the list, and of the key that it needs.
    version : int
        One more with each change.
    rows : int
        Entries, also those that expired and those that are kept out.
    suffixes : str
        Version of the Public Suffix List at the last change.
    groups : tuple of Group
        By their numbers.
    history : tuple of dict
        The last changes, oldest first.
    """

    name: str
    list_id: str
    key_id: str
    version: int
    rows: int = 0
    suffixes: str = ""
    groups: tuple[Group, ...] = field(default=(), repr=False)
    history: tuple[dict[str, Any], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Table:
    """The rows of a list, sorted by key and rest.

    Parameters
    ----------
    keys, rest, group : ndarray
        Shape (n,); uint64, uint32 and uint32.
    """

    keys: NDArray[np.uint64]
    rest: NDArray[np.uint32]
    group: NDArray[np.uint32]

    @classmethod
    def of(cls, macs: bytes | bytearray, group: NDArray[np.uint32]) -> Table:
        """Make the rows of MACs of 12 bytes, one after the other."""
        rows = np.frombuffer(macs, _ROW)
        order = np.lexsort((rows["rest"], rows["key"]))
        return cls(keys=rows["key"][order], rest=rows["rest"][order], group=group[order])

    @classmethod
    def empty(cls) -> Table:
        """No rows."""
        return cls.of(b"", np.zeros(0, np.uint32))

    def __len__(self) -> int:
        return len(self.keys)

    def taken(self, which: NDArray[Any]) -> Table:
        """Give some rows, by a mask or by their numbers in order."""
        return Table(keys=self.keys[which], rest=self.rest[which], group=self.group[which])

    def find(self, macs: Sequence[bytes]) -> list[tuple[int, int]]:
        """Find MACs.

        Returns
        -------
        list of (int, int)
            Number of the MAC, and a row that has it.
        """
        wanted = np.frombuffer(b"".join([mac[:8] for mac in macs]), "<u8")
        at = self.keys.searchsorted(wanted)
        there = self.keys.take(at, mode="clip") == wanted if len(self) else np.zeros(len(at), bool)
        if not there.any():
            return []
        found = []
        for number in np.flatnonzero(there).tolist():
            row, key, rest = int(at[number]), wanted[number], int.from_bytes(macs[number][8:12], "little")
            while row < len(self) and self.keys[row] == key:
                if self.rest[row] == rest:
                    found.append((number, row))
                row += 1
        return found

    def pairs(self, other: Table) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Give the rows of this and of another table that have the same MAC, as two arrays of numbers."""
        low = self.keys.searchsorted(other.keys)
        most = int((self.keys.searchsorted(other.keys, "right") - low).max(initial=0))
        mine, theirs = [], []
        for step in range(most):
            row = np.minimum(low + step, len(self) - 1)
            same = (low + step < len(self)) & (self.keys[row] == other.keys) & (self.rest[row] == other.rest)
            mine.append(row[same])
            theirs.append(np.flatnonzero(same))
        if not mine:
            return np.zeros(0, np.intp), np.zeros(0, np.intp)
        return np.concatenate(mine), np.concatenate(theirs)


def joined(one: Table, other: Table) -> Table:
    """Give the rows of both, in order."""
    keys, rest = np.concatenate((one.keys, other.keys)), np.concatenate((one.rest, other.rest))
    order = np.lexsort((rest, keys))
    return Table(keys=keys[order], rest=rest[order], group=np.concatenate((one.group, other.group))[order])


def write_table(path: Path, key: UrlKey, head: Head, table: Table) -> None:
    """Write a list, whole or not at all.

    Raises
    ------
    ReferenceListError
        If the file cannot be written.
    """
    text = json.dumps(asdict(head) | {"rows": len(table), "form": FORM_VERSION}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    file = AtomicFile(path)
    try:
        with file as stream:
            for part in (
                _MAGIC + len(text).to_bytes(8, "little") + text,
                np.ascontiguousarray(table.keys, "<u8").data.cast("B") if len(table) else b"",
                np.ascontiguousarray(table.rest, "<u4").data.cast("B") if len(table) else b"",
                np.ascontiguousarray(table.group, "<u4").data.cast("B") if len(table) else b"",
            ):
                digest.update(part)
                stream.write(part)
            stream.write(digest.digest() + key.mac(_SEAL + digest.digest()))
            file.finish()
    except OSError as error:
        raise ReferenceListError(f"the list file cannot be written: {error.strerror or 'check its folder'}") from None


def read_head(path: Path) -> tuple[Head, str, int, NDArray[np.uint32]]:
    """Read what a list says of itself, for which no key is needed.

    Returns
    -------
    tuple of (Head, str, int, ndarray)
        The head, the digest of the file, its length in bytes, and the number of each entry's group.

    Raises
    ------
    ReferenceListError
        If it is no such list, or is damaged.
    """
    head, data, _ = _opened(path)
    return head, data[-64:-32].hex(), len(data), _table(head, data).group


def read_table(path: Path, keys: Iterable[UrlKey]) -> tuple[Head, Table, UrlKey, os.stat_result]:
    """Read a list whose key is among those at hand: head, mapped rows, its key, and which file it was.

    Raises
    ------
    ReferenceListError
        If it is no such list, is damaged, of another key, or was changed by somebody who has no key.
    """
    head, data, found = _opened(path)
    key = next((key for key in keys if key.key_id == head.key_id), None)
    if key is None:
        raise ReferenceListError(f"the list needs the key {head.key_id}, which is not given")
    if key.mac(_SEAL + data[-64:-32]) != data[-32:]:
        raise ReferenceListError("the list was changed by somebody who has not its key")
    return head, _table(head, data), key, found


def _table(head: Head, data: mmap.mmap) -> Table:
    n = head.rows
    start = len(data) - 64 - 16 * n
    table = Table(
        keys=np.frombuffer(data, "<u8", n, start),
        rest=np.frombuffer(data, "<u4", n, start + 8 * n),
        group=np.frombuffer(data, "<u4", n, start + 12 * n),
    )
    if n and int(table.group.max()) >= len(head.groups):
        raise ReferenceListError(_DAMAGED)
    return table


def _opened(path: Path) -> tuple[Head, mmap.mmap, os.stat_result]:
    """Map a file, check all of it, and read its head."""
    damaged = ReferenceListError(_DAMAGED)
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            start = file.read(24)
            if not start.startswith(_MAGIC[:15]):
                raise ReferenceListError(
                    "this is no list of addresses: 'hashmatch urls create LIST' makes one, and 'hashmatch urls import' "
                    "reads deliveries"
                )
            if start[:16] != _MAGIC:
                raise ReferenceListError("the list was written by a later version: update hashmatch")
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ReferenceListError:
        raise
    except FileNotFoundError:
        raise ReferenceListError("no such list of addresses: 'hashmatch urls create LIST' makes one") from None
    except IsADirectoryError:
        raise ReferenceListError("this is a folder: name the list file in it") from None
    except (OSError, ValueError):
        raise ReferenceListError("the list file cannot be read: check its path and permissions") from None
    length = int.from_bytes(start[16:24], "little")
    if length > min(_MAX_HEAD, len(data) - 88) or length % 8:
        raise damaged
    digest = hashlib.sha256()
    with memoryview(data) as view:
        for place in range(0, len(data) - 64, _CHUNK):
            digest.update(view[place : min(place + _CHUNK, len(data) - 64)])
    if digest.digest() != data[-64:-32]:
        raise damaged
    try:
        said = json.loads(data[24 : 24 + length])
        form = said.pop("form")
        said["groups"] = tuple(Group(**{**item, "classes": tuple(item["classes"])}) for item in said["groups"])
        said["history"] = tuple(said["history"])
        head = Head(**said)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise damaged from None
    if form != FORM_VERSION:
        raise ReferenceListError("the list compares other forms of addresses: import it anew with this version")
    if not isinstance(head.rows, int) or len(data) != 24 + length + 16 * head.rows + 64 or head.rows < 0:
        raise damaged
    if any(group.scope not in SCOPES for group in head.groups):
        raise damaged
    return head, data, found
