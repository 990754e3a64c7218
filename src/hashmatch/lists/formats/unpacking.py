"""Deliveries that are packed by gzip, zstd or ZIP, read through as a stream, in bounded memory and time.

Floor: lists. What packs a delivery is told by its first bytes, never by a file name. A packed stream that ends early,
is damaged or grows beyond its limits is an error, so that nothing of it is imported.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zipfile
import zlib
from typing import BinaryIO, Final, cast

from hashmatch.errors import HashFormatError, HashmatchError, ReferenceListError
from hashmatch.packing import Filling, Frames, packing_maker, packing_of

__all__ = ["HEAD", "MAX_RATIO", "MAX_UNPACKED", "RATIO_FREE", "beginning", "read_fully", "read_some", "unpacked"]

HEAD: Final = 4_096
"""Bytes at the beginning that tell what a delivery is."""

MAX_RATIO: Final = 200
"""Most bytes that one packed byte may become, on the whole, once more than `RATIO_FREE` bytes came."""

RATIO_FREE: Final = 16 * 2**20
"""Unpacked bytes that come whatever their ratio."""

MAX_UNPACKED: Final = 128 * 2**30
"""Most unpacked bytes of one delivery."""

_CHUNK: Final = 65_536
_MAX_READ: Final = 2**20
"""Most bytes that one step may have of an archive: its table of contents is read at once."""
_OFFICE: Final = ({"[Content_Types].xml"}, {"mimetype", "content.xml"})
_NO_FILES: Final = ("__MACOSX/", ".DS_Store")
_OTHERS: Final = {b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "RAR"}
_OF_ZIP: Final = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError),
    *(LookupError, OverflowError, NotImplementedError, RuntimeError),
)
"""What `zipfile` raises of a damaged archive."""
_CUT: Final = "the {} delivery is cut short: nothing was imported"
_DAMAGED: Final = "the {} delivery is damaged: nothing was imported"


def unpacked(stream: BinaryIO) -> BinaryIO:
    """Read through what packs a delivery.

    Parameters
    ----------
    stream : binary file
        A delivery, read from where it stands; it is not closed. A ZIP archive must be a file that can be sought in.

    Returns
    -------
    binary file
        What the delivery holds, at its beginning. A file that is not packed and can be sought in is returned itself.
        Reading from it raises the errors below for what is only found later.

    Raises
    ------
    HashFormatError
        If the packing is damaged, cut short, encrypted, not one of gzip, zstd and ZIP, has another archive or more than
        one file in it, or unpacks to more than `MAX_RATIO` times its size or `MAX_UNPACKED`.
    ReferenceListError
        If the file cannot be read, or is packed by zstd where no module reads that.
    TypeError
        If the file was opened as text.
    """
    if isinstance(stream, _Unpacked):
        return cast("BinaryIO", stream)
    place = _place(stream)
    head = read_fully(stream, HEAD)
    kind = _packing(head)
    if kind is None:
        if place is not None:
            stream.seek(place)
            return stream
        return _as_stream(_Source(stream, head))
    if kind == "ZIP":
        if place is None:
            raise HashFormatError("a ZIP archive cannot be read from a pipe: name the file, or unpack it first")
        stream.seek(place)
        inner = _as_stream(_Member(stream))
    else:
        inner = _as_stream(_frames(_Source(stream, head), kind))
    nested = _packing(beginning(inner))
    if nested is not None:
        raise HashFormatError(f"the {kind} delivery has a {nested} archive in it: unpack it first")
    return inner


def beginning(stream: BinaryIO) -> bytes:
    """Read the first 4,096 bytes, or all, of what `unpacked` returned, and stand at its beginning again."""
    if isinstance(stream, _Unpacked):
        return stream.peek(HEAD)[:HEAD]
    place = stream.tell()
    head = read_fully(stream, HEAD)
    stream.seek(place)
    return head


def read_some(stream: BinaryIO, size: int) -> bytes:
    """Read at most ``size`` bytes; b"" at the end.

    Raises
    ------
    ReferenceListError
        If reading fails.
    TypeError
        If the file was opened as text.
    """
    try:
        data = stream.read(size)
    except OSError:
        raise ReferenceListError("reading the file to import failed; nothing of it was imported") from None
    if not isinstance(data, bytes):
        raise TypeError("a file to import must be opened in binary mode")
    return data


def read_fully(stream: BinaryIO, size: int) -> bytes:
    """Read ``size`` bytes, fewer at the end; the errors of `read_some`."""
    data = bytearray()
    while len(data) < size and (more := read_some(stream, size - len(data))):
        data += more
    return bytes(data)


def _place(stream: BinaryIO) -> int | None:
    """Where a file stands; None if it cannot go back."""
    with contextlib.suppress(OSError, AttributeError):
        if stream.seekable():
            return stream.seek(stream.tell())
    return None


def _packing(head: bytes) -> str | None:
    """Name what packs a delivery that begins so; HashFormatError for what is not read through."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "ZIP"
    packing = packing_of(head)
    if packing in ("gzip", "zstd"):
        return packing
    what = "tar" if head[257:262] == b"ustar" else None
    for magic, name in _OTHERS.items():
        if head.startswith(magic) and (magic != b"BZh" or head[3:4].isdigit()):
            what = name
    if what is not None:
        raise HashFormatError(f"this is a {what} archive: unpack it first, or pack it by gzip, zstd or ZIP")
    return None


class _Unpacked(io.BufferedReader):
    """What `unpacked` made; as a type of its own it is not unpacked again."""


def _as_stream(raw: io.RawIOBase) -> BinaryIO:
    return cast("BinaryIO", _Unpacked(raw, _CHUNK))


class _Source(Filling):
    """A file of which the head was read already; counts what it gives."""

    def __init__(self, stream: BinaryIO, head: bytes) -> None:
        self._stream, self._head, self.given = stream, head, 0

    def some(self, size: int) -> bytes:
        data = self._head or read_some(self._stream, size)
        data, self._head = data[:size], data[size:]
        self.given += len(data)
        return data


class _Limits:
    """Counts what comes out of a packed delivery against what went in."""

    def __init__(self, kind: str) -> None:
        self._kind, self._made = kind, 0

    def check(self, made: int, taken: int) -> None:
        self._made += made
        if self._made > RATIO_FREE and self._made > MAX_RATIO * taken:
            raise HashFormatError(
                f"the {self._kind} delivery unpacks to more than {MAX_RATIO} times its size, as no list does: unpack "
                "it yourself if it is one"
            )
        if self._made > MAX_UNPACKED:
            raise HashFormatError(
                f"the {self._kind} delivery unpacks to more than {MAX_UNPACKED // 2**30} GiB: unpack it first"
            )


def _frames(source: _Source, kind: str) -> Frames:
    """Unpack a stream, within the limits of a delivery."""
    make = packing_maker(kind)
    if make is None:
        raise ReferenceListError("this is packed by zstd: run pip install 'hashmatch[zst]', or unpack it first")
    limits = _Limits(kind)
    return Frames(
        source.some,
        kind,
        make,
        fail=lambda reason: HashFormatError((_CUT if reason == "cut-short" else _DAMAGED).format(kind)),
        made=lambda size: limits.check(size, source.given),
    )


class _Counted(io.RawIOBase):
    """A file for `zipfile`, which counts what is read of it and gives nothing large at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.given = stream, 0

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int = -1) -> bytes:
        data = read_fully(self._stream, _MAX_READ + 1 if size < 0 else min(size, _MAX_READ + 1))
        if len(data) > _MAX_READ:
            raise HashFormatError(f"the ZIP archive's table of contents has more than {_MAX_READ:,} bytes")
        self.given += len(data)
        return data


class _Member(Filling):
    """The only file in a ZIP archive."""

    def __init__(self, stream: BinaryIO) -> None:
        self._limits = _Limits("ZIP")
        self._counted = _Counted(stream)
        try:
            archive = zipfile.ZipFile(cast("BinaryIO", self._counted))
            self._file = archive.open(_only_member(archive))
        except HashmatchError:
            raise
        except _OF_ZIP:
            raise HashFormatError("the ZIP delivery is damaged or cut short: nothing was imported") from None

    def some(self, size: int) -> bytes:
        try:
            data = self._file.read(min(size, _CHUNK))
        except EOFError:
            raise HashFormatError(_CUT.format("ZIP")) from None
        except HashmatchError:
            raise
        except _OF_ZIP:
            raise HashFormatError(_DAMAGED.format("ZIP")) from None
        self._limits.check(len(data), self._counted.given)
        return data


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Find the file of an archive that has one, beside folders and empty files."""
    members = archive.infolist()
    names = {member.filename for member in members}
    if any(names >= office for office in _OFFICE):
        raise HashFormatError("this is an Office document, such as an .xlsx workbook: export it as CSV")
    found = [
        member
        for member in members
        if member.file_size and not member.is_dir() and not member.filename.startswith(_NO_FILES)
    ]
    if len(found) != 1:
        raise HashFormatError(
            f"the ZIP archive has {len(found):,} files in it, not one: unpack it first and import each file that is a "
            "list"
        )
    if found[0].flag_bits & 0x2041:
        raise HashFormatError("the ZIP archive is encrypted: unpack it first, with its password")
    if found[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise HashFormatError("the ZIP archive is compressed by another method than deflate: unpack it first")
    return found[0]
