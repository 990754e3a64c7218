r"""The index file: one header, then named arrays, every byte under a checksum.

All numbers little-endian::

    0    8  magic 89 48 4D 49 0D 0A 1A 0A        (\x89 H M I, then bytes that a text transfer would change)
    8    4  format version
    12   4  length of the header in bytes, a multiple of 64
    16   8  length of the file in bytes
    24   8  entries
    32   8  next unused position
    40   4  bytes a code
    44   2  number of sections
    46   2  zero
    48   4  length of the tag in bytes
    52   4  zero
    56  16  kind of index, ASCII, zero-padded
    72  16  metric, ASCII, zero-padded
    88   *  section table, 96 bytes a section (below)
    *    *  tag: a JSON object of strings, UTF-8
    *    *  zeros up to the last 32 bytes of the header
    -32 32  SHA-256 of the header before it
    then, each at a multiple of 64 and without gaps: the sections, zero-padded to a multiple of 64

    a section: name (16, ASCII), type (8, ASCII, such as "<u4"), dimensions (4; 1 or 2), zero (4), rows (8),
    columns (8; 1 where there is one dimension), offset (8), length without padding (8), SHA-256 of the section with
    its padding (32)

The checksums detect damage, not malice: somebody who can write the file can write fitting checksums. A reader allocates
nothing that the real length of the file does not cover.

Over 400 lines because writing and reading share one layout.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from types import TracebackType
from typing import Any, BinaryIO, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hashmatch.algorithms import Metric
from hashmatch.errors import IndexFormatError
from hashmatch.index.atomic import AtomicFile
from hashmatch.index.base import MAX_BYTES, Path

__all__ = [
    "FORMAT_VERSION",
    "IndexFile",
    "IndexWriter",
    "Section",
    "Verify",
    "impossible_numbers",
    "read_index_bytes",
    "read_index_file",
    "read_index_stream",
    "write_index_file",
]

Verify: TypeAlias = Literal["full", "header"]

FORMAT_VERSION: Final = 5
_MAGIC: Final = b"\x89HMI\r\n\x1a\n"
_HEAD: Final = struct.Struct("<8sIIQQQIHHII16s16s")
_SECTION: Final = struct.Struct("<16s8sIIQQQQ32s")
_ALIGN: Final = 64
_DIGEST: Final = 32
_MAX_SECTIONS: Final = 64
_MAX_TAG: Final = 1 << 20
_TYPES: Final = frozenset({"|u1", "|i1", "<u2", "<u4", "<u8", "<i4", "<i8"})
_REBUILD: Final = "; rebuild it from the list"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFile:
    """Content of an index file.

    Parameters
    ----------
    kind : str
        Kind of index, at most 16 ASCII characters.
    metric : Metric
        How codes are compared.
    n_bytes : int
        Bytes a code.
    n : int
        Entries.
    next_position : int
        Next unused position.
    tag : mapping of str to str
        Metadata given by the caller.
    sections : mapping of str to array
        Named arrays of one or two dimensions; read only after reading.
    checksums : tuple of (first, length, digest)
        SHA-256 of each run of bytes of the file that was read, from the first byte to the last; else empty.
    """

    kind: str
    metric: Metric
    n_bytes: int
    n: int
    next_position: int
    tag: Mapping[str, str]
    sections: Mapping[str, NDArray[Any]] = field(repr=False)  # codes are sensitive
    checksums: tuple[tuple[int, int, bytes], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Section:
    """A further section of one dimension, written beside the sections of the index.

    Parameters
    ----------
    name : str
        At most 16 ASCII characters.
    dtype : str
        Type of its numbers, such as ``"<u4"``.
    blocks : iterable of (k,) arrays
        The numbers; taken once, when the section is written.
    """

    name: str
    dtype: str
    blocks: Iterable[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int
    digest: bytes


class IndexWriter:
    """Writes an index file beside its path, section by section, and renames it into place at the end.

    A context manager; leaving it before `finish` removes the unfinished part, and the old file stays.

    Parameters
    ----------
    path : str or path-like
        The file to be.
    kind, metric, n_bytes, tag
        As in `IndexFile`.
    n_sections : int
        Number of sections that will be written, known before the first one is written.

    Raises
    ------
    TypeError
        If the tag holds anything but strings.
    ValueError
        If the tag is longer than 1 MiB.
    OSError
        If the file cannot be written; the old file, if any, is untouched.
    """

    def __init__(
        self, path: Path, *, kind: str, metric: Metric, n_bytes: int, n_sections: int, tag: Mapping[str, str]
    ) -> None:
        if not all(isinstance(text, str) for item in tag.items() for text in item):
            raise TypeError("a tag maps str to str")
        self._tag = json.dumps(dict(tag), ensure_ascii=False, sort_keys=True).encode()
        if len(self._tag) > _MAX_TAG:
            raise ValueError(f"a tag takes at most {_MAX_TAG} bytes, not {len(self._tag)}")
        target = FilePath(path)
        self._facts = (n_bytes, kind.encode("ascii"), metric.value.encode("ascii"))
        self._header_length = _padded(_HEAD.size + _SECTION.size * n_sections + len(self._tag) + _DIGEST)
        self._n_sections = n_sections
        self._table: list[bytes] = []
        self._offset = self._header_length
        mode = 0o600
        with suppress(OSError):
            mode = _mode_in(target.parent)
        self._file = AtomicFile(target, mode=mode)
        self._undo = ExitStack()

    def __enter__(self) -> IndexWriter:
        with ExitStack() as undo:
            self._stream: BinaryIO = undo.enter_context(self._file)
            self._stream.write(bytes(self._header_length))
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def write(self, name: str, array: NDArray[Any]) -> None:
        """Write a section of one array."""
        self.stream(name, array.dtype, None if array.ndim == 1 else array.shape[1], [array])

    def stream(self, name: str, dtype: DTypeLike, columns: int | None, blocks: Iterable[NDArray[Any]]) -> int:
        """Write a section of many blocks, one after the other; returns the number of rows.

        Parameters
        ----------
        name : str
            At most 16 ASCII characters.
        dtype : dtype
            Of all blocks.
        columns : int or None
            Of all blocks; None where they have one dimension.
        blocks : iterable of arrays
            The rows.
        """
        stored = np.dtype(dtype).newbyteorder("<")
        if stored.str not in _TYPES:
            raise TypeError(f"an index file has no sections of type {stored.str}")
        digest, length, n_rows = hashlib.sha256(), 0, 0
        for block in blocks:
            if block.ndim != (1 if columns is None else 2) or (columns is not None and block.shape[1] != columns):
                raise ValueError(f"a block of section {name!r} has another shape than the section")
            n_rows += len(block)
            if not block.size:
                continue
            data = np.ascontiguousarray(block, dtype=stored).data.cast("B")
            digest.update(data)
            self._stream.write(data)
            length += len(data)
        padding = bytes(_padded(length) - length)
        digest.update(padding)
        self._stream.write(padding)
        width = 1 if columns is None else columns
        self._table.append(
            _SECTION.pack(
                name.encode("ascii"),
                stored.str.encode(),
                1 if columns is None else 2,
                0,
                n_rows,
                width,
                self._offset,
                length,
                digest.digest(),
            )
        )
        self._offset += length + len(padding)
        return n_rows

    def mapped(self, place: int) -> NDArray[Any]:
        """Map a section that was written, read only; ``place`` counts from 0."""
        _, kind, ndim, _, rows, columns, offset, _, _ = _SECTION.unpack(self._table[place])
        shape = (rows, columns)[:ndim]
        if not rows * columns:
            return np.empty(shape, _text(kind))
        self._stream.flush()
        return np.memmap(self._file.part, dtype=_text(kind), mode="r", offset=offset, shape=shape).view(np.ndarray)

    def finish(self, *, n: int, next_position: int) -> None:
        """Write the header, flush the file to disk, remove its write permission and rename it into place."""
        if len(self._table) != self._n_sections:
            raise ValueError("another number of sections was written than announced")
        n_bytes, kind, metric = self._facts
        sizes = (n_bytes, self._n_sections, 0, len(self._tag), 0)
        head = _HEAD.pack(
            _MAGIC, FORMAT_VERSION, self._header_length, self._offset, n, next_position, *sizes, kind, metric
        )
        header = (head + b"".join(self._table) + self._tag).ljust(self._header_length - _DIGEST, b"\0")
        self._stream.seek(0)
        self._stream.write(header + hashlib.sha256(header).digest())
        self._file.finish(read_only=True)  # a mapped file that is cut ends its readers: nobody writes to it by mistake


def impossible_numbers() -> IndexFormatError:
    """Make the error for tables of a file whose checksums fit, but whose numbers are impossible."""
    return IndexFormatError(
        "the index holds impossible numbers: the file it was loaded from is corrupt, or was forged" + _REBUILD
    )


def _mode_in(folder: FilePath) -> int:
    """Its owner's alone; readable to the group of a folder that has the setgid bit and no right for others."""
    mode = os.stat(folder).st_mode
    return 0o640 if os.name == "posix" and mode & stat.S_ISGID and not mode & stat.S_IRWXO else 0o600


def write_index_file(path: Path, file: IndexFile, more: Sequence[Section] = ()) -> None:
    """Write an index file beside ``path``, flush it to disk and rename it into place.

    Parameters
    ----------
    path : str or path-like
        File to write.
    file : IndexFile
        What it holds.
    more : sequence of Section
        Further sections, after those of ``file``.

    Raises
    ------
    TypeError
        If the tag holds anything but strings.
    ValueError
        If the tag is longer than 1 MiB.
    OSError
        If the file cannot be written; the old file, if any, is untouched.
    """
    with IndexWriter(
        path,
        kind=file.kind,
        metric=file.metric,
        n_bytes=file.n_bytes,
        n_sections=len(file.sections) + len(more),
        tag=file.tag,
    ) as writer:
        for name, array in file.sections.items():
            writer.write(name, array)
        for section in more:
            writer.stream(section.name, section.dtype, None, section.blocks)
        writer.finish(n=file.n, next_position=file.next_position)


def read_index_file(path: Path, *, verify: Verify = "full") -> IndexFile:
    """Map an index file into memory, read only.

    Parameters
    ----------
    path : str or path-like
        File written by `write_index_file`.
    verify : {"full", "header"}
        Whether the sections are compared with their checksums; the header always is.

    Raises
    ------
    IndexFormatError
        If a byte differs from the byte that was written, or the file is no index file of this format version.
    ValueError
        If ``verify`` is another word.
    OSError
        If the file cannot be opened or read.
    """
    if verify not in ("full", "header"):
        raise ValueError('verify must be "full" or "header"')
    with open(path, "rb") as stream:
        return read_index_stream(stream, verify=verify)


def read_index_stream(stream: BinaryIO, *, verify: Verify, maps: bool = True) -> IndexFile:
    """Map an open index file as `read_index_file` does, or copy it into memory; the caller closes it."""
    length = os.fstat(stream.fileno()).st_size

    def content() -> NDArray[np.uint8]:
        return np.memmap(stream, dtype=np.uint8, mode="r").view(np.ndarray) if maps else _copied(stream, length)

    return _read(stream, length, content, verify)


def read_index_bytes(data: bytes) -> IndexFile:
    """Read the bytes of an index file in full, as `read_index_file` does; its arrays lie in them."""
    return _read(io.BytesIO(data), len(data), lambda: np.frombuffer(data, np.uint8), "full")


def _read(stream: BinaryIO, length: int, content: Callable[[], NDArray[np.uint8]], verify: Verify) -> IndexFile:
    header = _read_header(stream, length)
    *_, n, next_position, n_bytes, count, _, tag_length, _, kind, metric = _HEAD.unpack_from(header)
    sections = list(_read_table(header, count, length))
    tag = _read_tag(header, _HEAD.size + _SECTION.size * count, tag_length)
    if not 1 <= n_bytes <= MAX_BYTES or n > next_position or next_position >= 2**63:
        raise IndexFormatError("the index file has an impossible header" + _REBUILD)
    data, arrays = content(), {}
    for section in sections:
        end = section.offset + section.length
        padded = data[section.offset : section.offset + _padded(section.length)]
        if verify == "full" and hashlib.sha256(padded.data).digest() != section.digest:
            raise IndexFormatError(f"section {section.name!r} of the index file is damaged" + _REBUILD)
        arrays[section.name] = data[section.offset : end].view(section.dtype).reshape(section.shape)
    return IndexFile(
        kind=_text(kind),
        metric=_metric(_text(metric)),
        n_bytes=n_bytes,
        n=n,
        next_position=next_position,
        tag=tag,
        sections=arrays,
        checksums=(
            (0, len(header), hashlib.sha256(header).digest()),
            *((section.offset, _padded(section.length), section.digest) for section in sections),
        ),
    )


def _copied(stream: BinaryIO, length: int) -> NDArray[np.uint8]:
    stream.seek(0)
    data = np.fromfile(stream, np.uint8, length)
    if len(data) != length:
        raise IndexFormatError("the index file was cut while it was read" + _REBUILD)
    data.flags.writeable = False
    return data


def _read_header(stream: BinaryIO, length: int) -> bytes:
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size or head[:8] != _MAGIC:
        raise IndexFormatError("the file is not a hashmatch index; choose another file or rebuild it from the list")
    version, header_length, file_length = struct.unpack_from("<IIQ", head, 8)
    if version != FORMAT_VERSION:
        raise IndexFormatError(
            f"the index file has format version {version}, this hashmatch reads {FORMAT_VERSION}" + _REBUILD
        )
    if file_length != length:
        raise IndexFormatError(f"the index file should have {file_length} bytes and has {length}" + _REBUILD)
    limit = _padded(_HEAD.size + _SECTION.size * _MAX_SECTIONS + _MAX_TAG + _DIGEST)
    if header_length % _ALIGN or not _HEAD.size + _DIGEST <= header_length <= min(length, limit):
        raise IndexFormatError("the index file has an impossible header" + _REBUILD)
    header = head + stream.read(header_length - _HEAD.size)
    if hashlib.sha256(header[:-_DIGEST]).digest() != header[-_DIGEST:]:
        raise IndexFormatError("the header of the index file is damaged" + _REBUILD)
    return header


def _read_table(header: bytes, count: int, length: int) -> Iterator[_Section]:
    """Read the section table; sections follow each other without gaps up to the end of the file."""
    if count > _MAX_SECTIONS or _HEAD.size + _SECTION.size * count + _DIGEST > len(header):
        raise IndexFormatError("the index file has an impossible section table" + _REBUILD)
    at = len(header)
    for i in range(count):
        name, dtype, ndim, _, rows, columns, offset, n_bytes, digest = _SECTION.unpack_from(
            header, _HEAD.size + _SECTION.size * i
        )
        kind = _text(dtype)
        sound = kind in _TYPES and (ndim == 2 or (ndim == 1 and columns == 1)) and max(rows, columns) < 2**48
        if not sound or offset != at or rows * columns * np.dtype(kind).itemsize != n_bytes:
            raise IndexFormatError("the index file has an impossible section table" + _REBUILD)
        at += _padded(n_bytes)
        if at > length:
            raise IndexFormatError("the index file is shorter than its sections" + _REBUILD)
        yield _Section(_text(name), kind, (rows, columns)[:ndim], offset, n_bytes, digest)
    if at != length:
        raise IndexFormatError("the index file has bytes left over after its last section" + _REBUILD)


def _read_tag(header: bytes, start: int, length: int) -> dict[str, str]:
    try:
        if start + length + _DIGEST > len(header):
            raise ValueError("too long")
        tag = json.loads(header[start : start + length].decode())
        if not isinstance(tag, dict) or not all(isinstance(value, str) for value in tag.values()):
            raise ValueError("not an object of strings")
    except (ValueError, RecursionError) as error:
        raise IndexFormatError("the index file has an unreadable tag" + _REBUILD) from error
    return tag


def _metric(name: str) -> Metric:
    try:
        return Metric(name)
    except ValueError as error:
        raise IndexFormatError("the index file has an unknown metric" + _REBUILD) from error


def _text(field: bytes) -> str:
    """Zero-padded ASCII."""
    try:
        return field.rstrip(b"\0").decode("ascii")
    except UnicodeDecodeError as error:
        raise IndexFormatError("the index file has an unreadable name" + _REBUILD) from error


def _padded(length: int) -> int:
    return -(-length // _ALIGN) * _ALIGN
