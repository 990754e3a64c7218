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

The checksums find damage, not malice: whoever can write the file can write fitting checksums. Reading allocates
nothing that the file's real length does not cover.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, BinaryIO, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hashmatch.algorithms import Metric
from hashmatch.errors import IndexFormatError
from hashmatch.index.base import MAX_BYTES, Path

__all__ = ["FORMAT_VERSION", "IndexFile", "Verify", "read_index_file", "write_index_file"]

Verify: TypeAlias = Literal["full", "header"]

FORMAT_VERSION: Final = 3
_READABLE: Final = (1, 2, 3)  # 2 and 3 brought other tables of the kind "multi"
_MAGIC: Final = b"\x89HMI\r\n\x1a\n"
_HEAD: Final = struct.Struct("<8sIIQQQIHHII16s16s")
_SECTION: Final = struct.Struct("<16s8sIIQQQQ32s")
_ALIGN: Final = 64
_DIGEST: Final = 32
_MAX_SECTIONS: Final = 64
_MAX_TAG: Final = 1 << 20
_TYPES: Final = frozenset({"|u1", "<u4", "<u8", "<i4", "<i8"})
_REBUILD: Final = "; rebuild it from the list"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFile:
    """What an index file holds.

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
        Metadata of the caller.
    sections : mapping of str to array
        Named arrays of one or two dimensions; read only after reading.
    """

    kind: str
    metric: Metric
    n_bytes: int
    n: int
    next_position: int
    tag: Mapping[str, str]
    sections: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int
    digest: bytes


def write_index_file(path: Path, file: IndexFile) -> None:
    """Write an index file beside ``path``, flush it to disk and rename it into place.

    Raises
    ------
    TypeError
        If the tag holds anything but strings.
    ValueError
        If the tag is longer than 1 MiB.
    OSError
        If the file cannot be written; the old file, if any, is untouched.
    """
    if not all(isinstance(text, str) for item in file.tag.items() for text in item):
        raise TypeError("a tag maps str to str")
    tag = json.dumps(dict(file.tag), ensure_ascii=False, sort_keys=True).encode()
    if len(tag) > _MAX_TAG:
        raise ValueError(f"a tag takes at most {_MAX_TAG} bytes, not {len(tag)}")
    arrays = {name: _stored_form(array) for name, array in file.sections.items()}
    header_length = _padded(_HEAD.size + _SECTION.size * len(arrays) + len(tag) + _DIGEST)
    table, offset = [], header_length
    for name, array in arrays.items():
        rows, columns = array.shape if array.ndim == 2 else (array.shape[0], 1)
        digest = hashlib.sha256(array.data.cast("B") if array.size else b"")
        digest.update(bytes(_padded(array.nbytes) - array.nbytes))
        table.append(
            _SECTION.pack(
                name.encode("ascii"),
                array.dtype.str.encode(),
                array.ndim,
                0,
                rows,
                columns,
                offset,
                array.nbytes,
                digest.digest(),
            )
        )
        offset += _padded(array.nbytes)
    head = _HEAD.pack(
        _MAGIC,
        FORMAT_VERSION,
        header_length,
        offset,
        file.n,
        file.next_position,
        file.n_bytes,
        len(arrays),
        0,
        len(tag),
        0,
        file.kind.encode("ascii"),
        file.metric.value.encode("ascii"),
    )
    header = (head + b"".join(table) + tag).ljust(header_length - _DIGEST, b"\0")
    header += hashlib.sha256(header).digest()
    _replace(FilePath(path), header, arrays)


def _stored_form(array: NDArray[Any]) -> NDArray[Any]:
    """C order and little-endian."""
    stored = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    if stored.dtype.str not in _TYPES:
        raise TypeError(f"an index file has no sections of type {stored.dtype.str}")
    return stored


def _replace(path: FilePath, header: bytes, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write all bytes under another name, then rename; a reader sees the old file or the new one."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        # hashes are sensitive: the file is its owner's alone, whatever the umask
        descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(header)
            for array in arrays.values():
                if array.size:
                    stream.write(array.data.cast("B"))
                stream.write(bytes(_padded(array.nbytes) - array.nbytes))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise
    if os.name == "posix":
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


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
        If a byte is not what it was written as, or the file is no index file of this format version.
    ValueError
        If ``verify`` is another word.
    OSError
        If the file cannot be opened or read.
    """
    if verify not in ("full", "header"):
        raise ValueError('verify must be "full" or "header"')
    with open(path, "rb") as stream:
        length = os.fstat(stream.fileno()).st_size
        header = _read_header(stream, length)
        *_, n, next_position, n_bytes, count, _, tag_length, _, kind, metric = _HEAD.unpack_from(header)
        sections = list(_read_table(header, count, length))
        tag = _read_tag(header, _HEAD.size + _SECTION.size * count, tag_length)
        if not 1 <= n_bytes <= MAX_BYTES or n > next_position or next_position >= 2**63:
            raise IndexFormatError("the index file has an impossible header" + _REBUILD)
        mapped = np.memmap(stream, dtype=np.uint8, mode="r").view(np.ndarray)
    arrays = {}
    for section in sections:
        end = section.offset + section.length
        padded = mapped[section.offset : section.offset + _padded(section.length)]
        if verify == "full" and hashlib.sha256(padded.data).digest() != section.digest:
            raise IndexFormatError(f"section {section.name!r} of the index file is damaged" + _REBUILD)
        arrays[section.name] = mapped[section.offset : end].view(section.dtype).reshape(section.shape)
    return IndexFile(
        kind=_text(kind),
        metric=_metric(_text(metric)),
        n_bytes=n_bytes,
        n=n,
        next_position=next_position,
        tag=tag,
        sections=arrays,
    )


def _read_header(stream: BinaryIO, length: int) -> bytes:
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size or head[:8] != _MAGIC:
        raise IndexFormatError("the file is not a hashmatch index; choose another file or rebuild it from the list")
    version, header_length, file_length = struct.unpack_from("<IIQ", head, 8)
    if version not in _READABLE:
        raise IndexFormatError(
            f"the index file has format version {version}, this hashmatch reads 1 to {FORMAT_VERSION}" + _REBUILD
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
