"""What the worker for containers runs: 7z archives and PDF files to members. Never imported by the host."""

from __future__ import annotations

import codecs
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

import numpy as np

from hashmatch.jail.inside import Work, serve
from hashmatch.picture.encode import png
from hashmatch.scan.items import REASONS, unread
from hashmatch.scan.sources.jailed import PART, TASK

__all__ = ["main", "prepare"]

_Part = tuple[str, bytes, bytes]
"""Reason or "", name, bytes."""

_TEXTS: Final = ("ascii", "latin-1", "utf-8", "utf-16", "utf-16-be", "utf-16-le", "charmap", "cp1252", "unicode_escape")
_NUMBERS: Final = {reason: number for number, reason in enumerate(sorted(REASONS), 1)}
_LONGEST_NAME: Final = 1_000
_STEP: Final = 2**20
_MOST_OBJECTS: Final = 2_000_000
_CHANNELS: Final = {"/DeviceGray": 1, "/CalGray": 1, "/DeviceRGB": 3, "/CalRGB": 3, "/G": 1, "/RGB": 3}
_FILES: Final = ("/DCTDecode", "/DCT", "/JPXDecode")
_UNREAD: Final = ("/JBIG2Decode", "/Crypt")


def main() -> None:
    """Serve the host that started this process."""
    serve(prepare)


def prepare(hello: bytes) -> Work:  # noqa: ARG001 - the host has nothing to tell
    """Load the parsers that are installed, and use each once, as nothing can be loaded later.

    Returns
    -------
    callable
        Takes a task (`hashmatch.scan.sources.jailed.TASK`, then the file) and yields the members, each in its byte
        form (`PART`, name, bytes).
    """
    for text in _TEXTS:
        codecs.lookup(text)
    readers: dict[bytes, Callable[[bytes, int], Iterator[_Part]]] = {b"pdf": _pdf, b"7z ": _sevenzip}
    for read, sample in ((_pdf, _sample_pdf), (_sevenzip, _sample_sevenzip)):
        try:
            for _ in read(sample(), 2**20):
                pass
        except ImportError:
            continue
    with suppress(ImportError):  # it asks the system for its memory, which a worker may not
        setattr(import_module("py7zr.py7zr"), "get_memory_limit", lambda: _STEP)  # noqa: B010

    def work(task: memoryview) -> Iterator[bytes]:
        form, most = TASK.unpack_from(task)
        for reason, name, data in readers[form](bytes(task[TASK.size :]), most):
            if len(data) > most:
                reason, data = "too-large", b""
            name = name[-_LONGEST_NAME:]
            yield b"".join((PART.pack(_NUMBERS.get(reason, 0), len(name)), name, data))

    return work


def _sevenzip(data: bytes, most: int) -> Iterator[_Part]:
    """Read a 7z archive folder by folder, a member at a time; no file is written."""
    py7zr = import_module("py7zr")
    exceptions = import_module("py7zr.exceptions")
    try:
        archive = py7zr.SevenZipFile(io.BytesIO(data))
    except exceptions.PasswordRequired:
        raise unread("encrypted") from None
    except exceptions.UnsupportedCompressionMethodError:
        raise unread("format-not-read") from None
    streams = archive.header.main_streams
    place = archive.worker.src_start
    for item in archive.files:
        if item.emptystream and not item.is_directory:
            yield "", _text(item.filename), b""
    if streams is None:
        return
    positions = streams.packinfo.packpositions
    for number, folder in enumerate(streams.unpackinfo.folders):
        start, at = place + positions[number], 0
        archive.fp.seek(start)
        members = [item for item in folder.files or () if not item.emptystream]
        for at, item in enumerate(members):
            if item.uncompressed > most:
                yield from (("too-large", _text(other.filename), b"") for other in members[at:])
                break
            out = io.BytesIO()
            try:
                crc = archive.worker.decompress(
                    archive.fp, item.folder, out, item.uncompressed, item.compressed, place + positions[-1]
                )
            except exceptions.PasswordRequired:
                yield from (("encrypted", _text(other.filename), b"") for other in members[at:])
                break
            except exceptions.UnsupportedCompressionMethodError:
                yield from (("format-not-read", _text(other.filename), b"") for other in members[at:])
                break
            except MemoryError:
                raise
            except Exception:  # a parser of others
                yield from (("damaged", _text(other.filename), b"") for other in members[at:])
                break
            if item.is_symlink:
                continue
            yield "", _text(item.filename), out.getvalue()
            if item.crc32 is not None and crc != item.crc32:
                yield "damaged", _text(item.filename), b""


def _pdf(data: bytes, _: int) -> Iterator[_Part]:
    """Read every picture and every attached file among the objects of a PDF, whether a page shows it or not."""
    pypdf = import_module("pypdf")
    filters = import_module("pypdf.filters")
    try:
        reader = pypdf.PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise unread("encrypted")
        numbers = sorted(
            {(number, generation) for generation, table in reader.xref.items() for number in table}
            | {(number, 0) for number in reader.xref_objStm}
        )
    except MemoryError:
        raise
    except Exception as error:  # a parser of others
        raise unread("encrypted" if getattr(error, "reason", "") == "encrypted" else "damaged") from None
    if len(numbers) > _MOST_OBJECTS:
        raise unread("too-many-members")
    unread_objects = 0
    for number, generation in numbers:
        name = b"object-%d" % number
        try:
            found = reader.get_object(pypdf.generic.IndirectObject(number, generation, reader))
            if found is None or isinstance(found, pypdf.generic.NullObject):
                unread_objects += 1
            if not isinstance(found, pypdf.generic.StreamObject):
                continue
            if found.get("/Subtype") == "/Image":
                yield _picture(found, filters, name)
            elif found.get("/Type") == "/EmbeddedFile":
                yield "", name, bytes(found.get_data())
        except MemoryError:
            yield "out-of-memory", name, b""
        except Exception:  # a parser of others
            yield "damaged", name, b""
    if unread_objects:  # the parser passes over what it cannot read
        yield "damaged", b"", b""


def _picture(found: Any, filters: Any, name: bytes) -> _Part:
    """Give a picture as the file that it is, or as a PNG of its pixels."""
    stated = found.get("/Filter", [])
    chain = [str(item) for item in (stated if isinstance(stated, list) else [stated])]
    if any(item in _UNREAD for item in chain):
        return "format-not-read", name, b""
    raw = bytes(found._data)
    if chain and chain[-1] in _FILES:
        if len(chain) > 1:
            raw = bytes(filters.decode_stream_data(_with_filters(raw, chain[:-1])))
        return "", name, raw
    if chain and chain[-1] in ("/CCITTFaxDecode", "/CCF"):
        return ("", name, _fax(found, raw)) if len(chain) == 1 else ("format-not-read", name, b"")
    pixels = _pixels(found, bytes(found.get_data()))
    return ("format-not-read", name, b"") if pixels is None else ("", name, png(pixels))


def _with_filters(raw: bytes, chain: list[str]) -> Any:
    generic = import_module("pypdf.generic")
    outer = generic.StreamObject()
    outer._data = raw
    outer[generic.NameObject("/Filter")] = generic.ArrayObject(generic.NameObject(item) for item in chain)
    return outer


def _pixels(found: Any, data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
    """Lay out the pixels of a bitmap: grey, RGB or a palette, 1 to 8 bits; None for other spaces."""
    width, height = int(found["/Width"]), int(found["/Height"])
    bits = 1 if found.get("/ImageMask") else int(found.get("/BitsPerComponent", 8))
    space, palette = found.get("/ColorSpace", "/DeviceGray"), None
    space = space.get_object() if hasattr(space, "get_object") else space
    if isinstance(space, list) and str(space[0]) in ("/Indexed", "/I"):
        table = space[3].get_object()
        table = table.get_data() if hasattr(table, "get_data") else table
        table = table.original_bytes if hasattr(table, "original_bytes") else bytes(table)
        base = _channels(space[1].get_object())
        if base is None:
            return None
        palette = np.frombuffer(table[: len(table) // base * base], np.uint8).reshape(-1, base)
        channels: int | None = 1
    else:
        channels = _channels(space)
    if channels is None or bits not in (1, 2, 4, 8) or min(width, height) < 1:
        return None
    row = (width * channels * bits + 7) // 8
    if len(data) < row * height:
        height = len(data) // row
        if not height:
            return None
    rows = np.frombuffer(data[: row * height], np.uint8).reshape(height, row)
    if bits < 8:
        flat = np.unpackbits(rows, axis=1).reshape(height, -1, bits)
        values = (np.packbits(flat, axis=2)[..., 0] >> (8 - bits)).astype(np.uint8)
        rows = values[:, : width * channels]
        if palette is None:
            rows = (rows.astype(np.uint16) * 255 // (2**bits - 1)).astype(np.uint8)
    pixels: np.ndarray[Any, np.dtype[np.uint8]] = rows[:, : width * channels].reshape(height, width, channels)
    if palette is not None:
        pixels = palette[np.minimum(pixels[..., 0], len(palette) - 1)]
    return np.ascontiguousarray(pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2))


def _channels(space: Any) -> int | None:
    if isinstance(space, list):
        kind = str(space[0])
        if kind == "/ICCBased":
            number = int(space[1].get_object().get("/N", 0))
            return number if number in (1, 3) else None
        return _CHANNELS.get(kind)
    return _CHANNELS.get(str(space))


def _fax(found: Any, raw: bytes) -> bytes:
    """Put the header of a TIFF file before a fax, which is then one."""
    given = found.get("/DecodeParms", {})
    given = (given[0] if isinstance(given, list) and given else given) or {}
    given = given.get_object() if hasattr(given, "get_object") else given
    k = int(given.get("/K", 0))
    is_black_one = bool(getattr(given.get("/BlackIs1", False), "value", given.get("/BlackIs1", False)))
    width = int(given.get("/Columns", found["/Width"]))
    tags = [
        (256, 4, width),
        (257, 4, int(found["/Height"])),
        (258, 3, 1),
        (259, 3, 4 if k < 0 else 3),
        (262, 3, 1 if is_black_one else 0),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, int(found["/Height"])),
        (279, 4, len(raw)),
        *(((292, 4, 1 if k > 0 else 0),) if k >= 0 else ()),
    ]
    at = 8 + len(raw) + len(raw) % 2
    table = b"".join(struct.pack("<HHLL", tag, kind, 1, value) for tag, kind, value in tags)
    return b"".join(
        (
            struct.pack("<2sHL", b"II", 42, at),
            raw,
            b"\0" * (len(raw) % 2),
            struct.pack("<H", len(tags)),
            table,
            bytes(4),
        )
    )


def _sample_pdf() -> bytes:
    """Write a small PDF with a picture and a stream of objects, so that reading it loads all that the parser needs."""
    pixels, row = zlib.compress(bytes(12)), zlib.compress(bytes(2))
    grey = b"<</Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/Filter/%s/Length 1>>stream\n\x80\nendstream"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[]/Count 0>>",
        b"<</Type/XObject/Subtype/Image/Width 2/Height 2/BitsPerComponent 8/ColorSpace/DeviceRGB/Filter/FlateDecode"
        b"/Length %d>>stream\n%s\nendstream" % (len(pixels), pixels),
        b"<</Subtype/Image/Filter[/ASCII85Decode/DCTDecode]/Length 6>>stream\n87cUR~>\nendstream",
        grey % b"LZWDecode",
        grey % b"ASCIIHexDecode",
        b"<</Subtype/Image/Width 1/Height 1/BitsPerComponent 8/ColorSpace[/Indexed/DeviceRGB 0<FEFF00>]"
        b"/Filter/FlateDecode/DecodeParms<</Predictor 15/Colors 1/Columns 1>>/Length %d>>stream\n%s\nendstream"
        % (len(row), row),
        grey % b"RunLengthDecode",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, item in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, item)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(places) + 1, table)
    return out + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(places) + 1, start)


def _sample_sevenzip() -> bytes:
    """Write a small 7z archive."""
    py7zr = import_module("py7zr")
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w") as archive:
        archive.writestr(b"sample", "sample")
    return out.getvalue()


def _text(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")
