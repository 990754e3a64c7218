"""Index files that serve by themselves: codes and tables, and of each row its number, entry, source and quality.

A file carries the list's id, the version it was made at, and its content: the number of its rows and the sum of their
marks, which the list keeps of itself. So whether a file is the list's is told by comparing two numbers, and a file that
is behind is brought up to date by what changed since, with the sums as proof that nothing was missed. Opening one is a
map; its pages are shared by all processes.

The checksums of a file are compared when it is first seen and after any change to it. That they fitted is noted
beside it, with the file's identity, so that the next process need not read it all.

Over 400 lines because writing, opening, checking and reading the rows of a file share one layout.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hashmatch.algorithms import Algorithm
from hashmatch.errors import IndexFormatError
from hashmatch.index import MultiIndex, build_index, plan_index
from hashmatch.index.atomic import AtomicFile
from hashmatch.index.loading import index_from
from hashmatch.index.multi.out_of_core import DEFAULT_MEMORY
from hashmatch.index.planner import sample_of
from hashmatch.index.probing import restored_guided, write_guided
from hashmatch.index.storage import IndexFile, Section, read_index_file, read_index_stream
from hashmatch.index.verification import AnyIndex
from hashmatch.lists import Content
from hashmatch.store.columns import REBUILD, HashColumns, RecordColumns
from hashmatch.store.held import HeldFile
from hashmatch.store.locks import file_lock
from hashmatch.store.trust import open_trusted

if TYPE_CHECKING:
    from hashmatch.index import Costs
    from hashmatch.index.probing import GuidedIndex
    from hashmatch.lists import PinnedVersion

__all__ = [
    "Identity",
    "MappedFile",
    "MappedIndex",
    "build_index_file",
    "copy_of",
    "crops_of",
    "distrust",
    "identity_of",
    "lock_of",
    "note",
    "note_of",
    "open_crops",
    "open_index_file",
    "open_tagged",
    "read_noted",
    "tag_from",
    "tag_of",
    "verify_index_file",
    "write_crops",
]

Identity = tuple[int, ...]
"""What tells one file from another that took its place, and from itself after a change."""

_DAMAGED: Final[set[Identity]] = set()  # files that this process found changed, whatever a note says of them
_BLOCK: Final = 1 << 18
_CHECK_ROWS: Final = 1 << 18
_MOST_NOTE: Final = 4096


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MappedFile:
    """An open index file of one algorithm of one list: what it says of itself.

    Parameters
    ----------
    version : int
        Version of the list that it was made at.
    content : Content
        Of its rows.
    identity : Identity
        Of the file.
    held : HeldFile or None
        The file, to see whether it is still what was checked; None where it is a copy in memory.
    path : Path
        Of the file.
    copy : str
        Which copy of the list it was made from, as `copy_of`; empty where it does not say.
    """

    version: int
    content: Content
    identity: Identity
    held: HeldFile | None
    path: Path
    copy: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MappedIndex:
    """An open index file of hashes of a fixed length.

    Parameters
    ----------
    file : MappedFile
        What it says of itself.
    index : index
        Mapped; position i is row i of the columns.
    columns : HashColumns
        Mapped.
    """

    file: MappedFile
    index: AnyIndex
    columns: HashColumns


def copy_of(pinned: PinnedVersion) -> str:
    """Tell the copies of a list apart, by where they are: 8 hexadecimal digits."""
    return hashlib.sha256(os.fsencode(os.path.realpath(pinned.path))).hexdigest()[:8]


def identity_of(path: Path) -> Identity | None:
    """Identify the file at a path; None where there is none."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@contextlib.contextmanager
def lock_of(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the right to make the file at a path, as `file_lock`; takes away what a killed maker left behind."""
    with file_lock(path.with_name(f".{path.name}.lock"), wait=wait) as held:
        if held:
            for left in path.parent.glob(f".{path.name}.*.part"):
                with contextlib.suppress(OSError):
                    left.unlink()
        yield held


def open_index_file(
    path: Path, list_id: str, algorithm: Algorithm, radius: int, costs: Costs, *, maps: bool = True
) -> MappedIndex:
    """Map an index file.

    Parameters
    ----------
    path : Path
        Of the file.
    list_id : str
        The list that it must be of.
    algorithm : Algorithm
        The hashes that it must hold.
    radius : int
        The radius it must be built for.
    costs : Costs
        By which it decides to scan.
    maps : bool
        False to copy it into memory instead; it is then read and checked each time.

    Raises
    ------
    FileNotFoundError
        If there is none.
    IndexFormatError
        If it is damaged, of an older format, or of another list, algorithm or radius; says which.
    OSError
        If it cannot be read.

    Notes
    -----
    Cost: a millisecond where the file was checked before; else it is read once.
    """
    kept, file = open_tagged(path, tag_of(list_id, algorithm, radius), maps=maps)
    index = index_from(file, costs)
    if index.metric is not algorithm.metric or index.n_bits != algorithm.n_bits:
        raise IndexFormatError(f"the index file holds other hashes than it says{REBUILD}")
    return MappedIndex(kept, index, HashColumns.read(file))


def tag_of(list_id: str, algorithm: Algorithm, radius: int) -> dict[str, str]:
    """Give what an index file of hashes of a fixed length is made for."""
    return {"list": list_id, "algorithm": algorithm.name, "radius": str(radius)}


def tag_from(pinned: PinnedVersion, algorithm: str) -> dict[str, str]:
    """Give what an index file says of the version of a list that it is made from."""
    content = pinned.contents.get(algorithm, Content(0, 0))
    return {"version": str(pinned.version), "content": str(content), "copy": copy_of(pinned)}


def open_tagged(path: Path, wanted: Mapping[str, str], *, maps: bool = True) -> tuple[MappedFile, IndexFile]:
    """Map an index file of any kind that was made for something; errors and cost as `open_index_file`.

    Parameters
    ----------
    path : Path
        Of the file.
    wanted : mapping of str to str
        What must stand in its tag.
    maps : bool
        As for `open_index_file`.
    """
    identity, known, file, held = read_noted(path, maps=maps)
    for name, value in wanted.items():
        if file.tag.get(name) != value:
            raise IndexFormatError(f"the index file is of another {name.replace('_', ' ')}{REBUILD}")
    version, content = _made_from(file)
    if not known:
        note(path, identity)
    return MappedFile(version, content, identity, held, path, file.tag.get("copy", "")), file


def _made_from(file: IndexFile) -> tuple[int, Content]:
    """Take the version and the content of its rows from a file."""
    try:
        version, content = int(file.tag["version"]), Content.parse(file.tag["content"])
        if content.n_rows != file.n or file.next_position != file.n or not 0 <= version < 2**63:
            raise ValueError("the counts do not agree")
    except (KeyError, ValueError) as error:
        raise IndexFormatError(f"the index file does not say what its rows are{REBUILD}") from error
    return version, content


def read_noted(path: Path, *, maps: bool = True) -> tuple[Identity, bool, IndexFile, HeldFile | None]:
    """Map a file, checking all of it unless that was noted; its identity, whether it was, and the open file.

    A file that is copied into memory instead is always checked, and not held open.
    """
    while True:
        identity = identity_of(path)
        if identity is None:
            raise FileNotFoundError("there is no index file")
        if identity in _DAMAGED:
            raise IndexFormatError(f"the index file was changed in place{REBUILD}")
        known = _noted(path) == list(identity)
        with open_trusted(path) as stream:
            held = HeldFile(stream, path) if maps else None  # before it is checked: what changes later is seen
            file = read_index_stream(stream, verify="header" if known and maps else "full", maps=maps)
            if held is not None:
                held.checksums = file.checksums
        if identity_of(path) == identity:  # else another took its place meanwhile
            return identity, known, file, held


def distrust(path: Path) -> None:
    """Open the file at a path no more, and let other processes check it: while it was in use it was changed."""
    identity = identity_of(path)
    if identity is not None:
        _DAMAGED.add(identity)
    with contextlib.suppress(OSError):
        note_of(path).unlink()


def build_index_file(
    path: Path,
    pinned: PinnedVersion,
    algorithm: Algorithm,
    radius: int,
    costs: Costs,
    *,
    memory: int = DEFAULT_MEMORY,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Make the index file of one algorithm of a list; the caller holds `lock_of` the path.

    Parameters
    ----------
    path : Path
        The file to be; written beside and renamed, so that others go on reading the old one.
    pinned : PinnedVersion
        The list.
    algorithm, radius, costs
        As for `open_index_file`.
    memory : int
        Bytes for working arrays, as for `MultiIndex.build_file`; small lists, and algorithms that another kind of index
        serves, are built in memory.
    stopped : callable
        Asked now and then; where it says True nothing is made, and InterruptedError is raised.

    Raises
    ------
    ReferenceListError
        If the list is damaged.
    OSError
        If the file, or a temporary one in its folder, cannot be written.

    Notes
    -----
    Cost: the list's rows are read once, 2 microseconds each, into temporary files beside the index (55 bytes a row of
    32); then as `MultiIndex.build_file`.
    """
    tag = tag_of(pinned.list_id, algorithm, radius) | tag_from(pinned, algorithm.name)
    with contextlib.ExitStack() as files:
        spools = {
            name: _ColumnSpool(files.enter_context(tempfile.TemporaryFile(dir=path.parent)), kind, columns)
            for name, kind, columns in (
                ("codes", "|u1", algorithm.n_bytes),
                ("hash_ids", "<i8", 1),
                ("entry_keys", "<i8", 1),
                ("source_numbers", "<u2", 1),
                ("quality", "|i1", 1),
            )
        }
        is_same = True
        for block in pinned.blocks(algorithm.name):
            for name, spool in spools.items():
                spool.add(getattr(block, name))
            is_same = is_same and np.array_equal(block.hash_ids, block.entry_keys)
            if stopped():
                raise InterruptedError("the making of an index file was stopped")
        codes = spools.pop("codes").array()
        more = [_section(name, spool, is_left_out=is_same and name == "entry_keys") for name, spool in spools.items()]
        plan = plan_index(
            len(codes),
            algorithm.n_bits,
            metric=algorithm.metric,
            radius=radius,
            sample=sample_of(codes),
            costs=costs,
        )
        if plan.kind == "multi":
            MultiIndex.build_file(
                path,
                _blocks(codes, stopped),
                n_bytes=algorithm.n_bytes,
                radius=radius,
                costs=costs,
                memory=memory,
                tag=tag,
                more=more,
            )
        else:
            index = build_index(codes, metric=algorithm.metric, radius=radius, costs=costs, plan=plan)
            index._write(path, tag, more)
    identity = identity_of(path)
    if identity is not None:
        note(path, identity)


class _ColumnSpool:
    """A column that goes to a temporary file."""

    def __init__(self, stream: IO[bytes], kind: str, columns: int) -> None:
        self.low, self.top = 2**63, -(2**63)
        self._stream, self._kind, self._columns, self._n = stream, kind, columns, 0

    def add(self, block: NDArray[Any]) -> None:
        self._stream.write(np.ascontiguousarray(block, dtype=self._kind).data.cast("B") if len(block) else b"")
        self._n += len(block)
        if self._columns == 1 and len(block):
            self.low, self.top = min(self.low, int(block.min())), max(self.top, int(block.max()))

    def array(self) -> NDArray[Any]:
        shape = (self._n,) if self._columns == 1 else (self._n, self._columns)
        if not self._n:
            return np.empty(shape, self._kind)
        self._stream.flush()
        return np.memmap(self._stream, dtype=self._kind, mode="r", shape=shape).view(np.ndarray)


def _section(column: str, spool: _ColumnSpool, *, is_left_out: bool) -> Section:
    """Choose the narrowest form of a column: none where it is that of the row numbers, one number where all are it."""
    name, kinds = HashColumns.sections[column]
    kind = kinds[0] if spool.top < 2**32 else kinds[-1]
    if is_left_out:
        return Section(name, kind, [])
    array = spool.array()
    if column in HashColumns.may_be_one and len(array) and spool.low == spool.top:
        array = array[:1]
    return Section(name, kind, _blocks(array))


def _blocks(array: NDArray[Any], stopped: Callable[[], bool] = lambda: False) -> Iterator[NDArray[Any]]:
    for first in range(0, len(array), _BLOCK):
        if stopped():
            raise InterruptedError("the making of an index file was stopped")
        yield array[first : first + _BLOCK]


def open_crops(path: Path, kept: MappedIndex, *, maps: bool = True) -> tuple[GuidedIndex, HeldFile | None]:
    """Map the file by which the hashes of an index file are searched for crops, or copy it into memory.

    Raises
    ------
    FileNotFoundError, IndexFormatError, OSError
        As `open_index_file`; also where it is of other rows.
    """
    identity, known, file, held = read_noted(path, maps=maps)
    if file.tag.get("content") != str(kept.file.content):
        raise IndexFormatError(f"the file for crops is of other rows{REBUILD}")
    found = restored_guided(file, kept.index.all_codes())
    if not known:
        note(path, identity)
    return found, held


def write_crops(path: Path, kept: MappedIndex) -> None:
    """Write the file by which the hashes of an index file are searched for crops; the caller holds that file's lock.

    Raises
    ------
    OSError
        If it cannot be written.

    Notes
    -----
    Cost: about 2 microseconds a row; memory, 16 bytes a row. The file has 24 bytes a row.
    """
    write_guided(path, kept.index.all_codes(), {"content": str(kept.file.content)})
    identity = identity_of(path)
    if identity is not None:
        note(path, identity)


def verify_index_file(path: Path) -> Content | None:
    """Work out anew what the rows of an index file are, and compare with what it says; its file for crops, too.

    Returns
    -------
    Content or None
        Of its rows; None for an index file that says nothing of rows.

    Raises
    ------
    IndexFormatError
        If it is damaged: its rows do not ascend, or are not those it was made from.

    Notes
    -----
    Cost: about 0.15 microseconds a row.
    """
    file = read_index_file(path)
    kind: type[RecordColumns | HashColumns] = RecordColumns if file.kind == "keypoint" else HashColumns
    if not any(name in file.sections for name, _ in kind.sections.values()):
        return None
    columns, (_, content) = kind.read(file), _made_from(file)
    index = None if file.kind == "keypoint" else index_from(file)
    found, last = Content(0, 0), -1
    try:
        list_id, algorithm = str(bytes.fromhex(file.tag["list"]).hex()), file.tag["algorithm"]
        for first in range(0, len(columns), _CHECK_ROWS):
            places = np.arange(first, min(first + _CHECK_ROWS, len(columns)))
            ids = columns.hash_ids[places].astype(np.int64)
            if ids[0] <= last or bool((np.diff(ids) <= 0).any()):
                raise IndexFormatError(f"the rows of the index file do not ascend{REBUILD}")
            last = int(ids[-1])
            if isinstance(columns, HashColumns) and index is not None:
                found += columns.content(list_id, algorithm, index, places)
            elif isinstance(columns, RecordColumns):
                found += columns.content(places)
    except (KeyError, ValueError) as error:
        raise IndexFormatError(f"the index file does not say what its rows are{REBUILD}") from error
    if found != content:
        raise IndexFormatError(f"the rows of the index file are not those it was made from{REBUILD}")
    crops = crops_of(path, content)
    if index is not None and crops.exists():
        try:
            restored_guided(read_index_file(crops), index.all_codes())._check()
        except ValueError as error:
            raise IndexFormatError(f"{error}{REBUILD}") from error
    return content


def crops_of(path: Path, content: Content) -> Path:
    """Path of the file for crops that belongs to an index file: of its content, so that old and new stand together."""
    return path.with_name(f"{path.stem}.{content}.crops")


def note_of(path: Path) -> Path:
    """Path of the note that the checksums of a file fitted."""
    return path.with_name(f".{path.name}.checked")


def _noted(path: Path) -> object:
    """Read the identity of the file whose checksums fitted last; None where there is no such note."""
    try:
        with open_trusted(note_of(path)) as stream:
            data = stream.read(_MOST_NOTE)
        found = json.loads(data)
    except (OSError, ValueError, RecursionError, IndexFormatError):
        return None
    return found.get("checked") if isinstance(found, dict) else None


def note(path: Path, identity: Identity) -> None:
    """Note that the checksums of a file fitted; where that cannot be written it is checked again next time."""
    file = AtomicFile(note_of(path))
    with contextlib.suppress(OSError), file as stream:
        stream.write(json.dumps({"checked": list(identity)}).encode())
        file.finish(durable=False)
