"""Packed deliveries are read through; what is damaged, cut short, too large or packed twice is one error."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists import ReferenceList
from hashmatch.lists.formats import Delivery, Row, format_named, import_into, read_text, reader_of, unpacking
from hashmatch.lists.formats.unpacking import HEAD, beginning, unpacked
from support.list_makers import made_up

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    zstd = pytest.importorskip("backports.zstd")

LINES = "".join(f"{made_up(i)}\n" for i in range(3_000)).encode()


def zipped(data: bytes, *others: str, method: int = zipfile.ZIP_DEFLATED, content: bytes = b"x") -> bytes:
    """Pack one file, beside others of the same content."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("hashes.txt", data)
        for name in others:
            archive.writestr(name, content)
    return file.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),
    "ZIP": zipped,
}


class Pipe:
    """A stream that gives a few bytes at a time and cannot go back."""

    def __init__(self, data: bytes) -> None:
        self._file, self._rng = io.BytesIO(data), random.Random(1)

    def read(self, size: int = -1) -> bytes:
        """Give less than is asked for."""
        return self._file.read(min(size, self._rng.randrange(1, 5_000)))


def read(data: bytes) -> bytes:
    """Unpack from a file in memory."""
    return unpacked(io.BytesIO(data)).read()


@pytest.mark.parametrize("kind", PACKERS)
def test_a_packed_delivery_is_read_through(kind: str, tmp_path: Path) -> None:
    """Told by its content: from a path of any name, a file and, but for ZIP, a pipe; by every reader."""
    data = PACKERS[kind](LINES)
    path = tmp_path / "delivery.txt"
    path.write_bytes(data)
    for source in (path, io.BytesIO(data)):
        assert [item.line for item in read_text(source) if isinstance(item, Row)] == list(range(1, 3_001))
    operations = reader_of(format_named("text"), cast("BinaryIO", io.BytesIO(data)), Delivery())
    with ReferenceList.create(tmp_path / "list", name="demo") as ref:
        assert import_into(ref, operations).accepted == 3_000
    if kind == "ZIP":
        with pytest.raises(HashFormatError, match="cannot be read from a pipe"):
            unpacked(cast("BinaryIO", Pipe(data)))
    else:
        assert unpacked(cast("BinaryIO", Pipe(data))).read() == LINES


def test_what_is_not_packed_stays_as_it_is() -> None:
    """A file that can be sought in is given back itself, where it stood; a pipe is joined again."""
    file = io.BytesIO(b"--" + LINES)
    file.seek(2)
    assert unpacked(file) is file
    assert (beginning(file), file.read()) == (LINES[:HEAD], LINES)
    joined = unpacked(cast("BinaryIO", Pipe(LINES)))
    assert unpacked(joined) is joined
    assert (beginning(joined), joined.read()) == (LINES[:HEAD], LINES)
    assert unpacked(cast("BinaryIO", Pipe(b""))).read() == b""


@pytest.mark.parametrize("kind", PACKERS)
def test_the_beginning_is_of_what_is_packed(kind: str) -> None:
    """A format is recognised by what a delivery holds."""
    stream = unpacked(io.BytesIO(PACKERS[kind](LINES)))
    assert (beginning(stream), stream.read()) == (LINES[:HEAD], LINES)


def test_several_members_are_one_delivery() -> None:
    """As written by programs that pack in parallel or append; gzip may be padded by zeros."""
    gz, zs = gzip.compress, PACKERS["zstd"]
    skippable = b"\x5a\x2a\x4d\x18\x03\0\0\0abc"
    assert read(gz(b"a") + gz(b"") + gz(LINES) + gz(b"z") + bytes(100_000)) == b"a" + LINES + b"z"
    assert read(zs(b"a") + zs(LINES) + skippable + zs(b"z")) == b"a" + LINES + b"z"
    assert read(skippable + zs(LINES)) == LINES


def test_folders_empty_files_and_what_a_mac_adds_do_not_count() -> None:
    """One file is one file."""
    assert read(zipped(LINES, "folder/", "empty", content=b"")) == LINES
    assert read(zipped(LINES, "__MACOSX/._hashes.txt", ".DS_Store")) == LINES
    assert read(zipped(LINES, method=zipfile.ZIP_STORED)) == LINES


@pytest.mark.parametrize("kind", PACKERS)
def test_a_cut_or_damaged_archive_fails(kind: str, tmp_path: Path) -> None:
    """Wherever it is cut and whichever byte is wrong: nothing is imported, or all that was packed is."""
    data = PACKERS[kind](LINES)
    rng = random.Random(7)
    with ReferenceList.create(tmp_path / "list", name="demo") as ref:
        for cut in (len(data) - 1, len(data) - 4, len(data) - 9, len(data) // 2, *rng.sample(range(30, len(data)), 30)):
            with pytest.raises(HashFormatError, match=r"cut short|damaged"):
                import_into(ref, read_text(io.BytesIO(data[:cut])))
        failed = 0
        for at in rng.sample(range(8, len(data)), 60):
            wrong = bytearray(data)
            wrong[at] ^= 1 << rng.randrange(8)
            try:
                assert read(bytes(wrong)) == LINES
            except HashFormatError:
                failed += 1
        assert failed > 50
        assert (len(ref), ref.version) == (0, 0)


def test_a_wrong_checksum_fails() -> None:
    """Of gzip and of ZIP, packed and stored."""
    gz = bytearray(gzip.compress(LINES))
    gz[-8] ^= 1
    with pytest.raises(HashFormatError, match="damaged"):
        read(bytes(gz))
    stored = bytearray(zipped(LINES, method=zipfile.ZIP_STORED))
    stored[100] ^= 1
    with pytest.raises(HashFormatError, match="damaged"):
        read(bytes(stored))
    with pytest.raises(HashFormatError, match="damaged"):
        read(gzip.compress(LINES) + b"more")


@pytest.mark.parametrize("kind", PACKERS)
def test_a_bomb_is_stopped(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far more bytes than were packed come out of no list; nor more than the greatest size."""
    stream = unpacked(io.BytesIO(PACKERS[kind](bytes(2**25))))
    assert len(stream.read(2**23)) == 2**23
    with pytest.raises(HashFormatError, match="more than 200 times"):
        stream.read(unpacking.RATIO_FREE)
    monkeypatch.setattr(unpacking, "MAX_UNPACKED", 2**17)
    with pytest.raises(HashFormatError, match="unpacks to more than"):
        read(PACKERS[kind](LINES))


@pytest.mark.parametrize("inner", [*PACKERS.values(), bz2.compress, lzma.compress])
@pytest.mark.parametrize("kind", PACKERS)
def test_an_archive_in_an_archive_is_refused(kind: str, inner: Callable[[bytes], bytes]) -> None:
    """Packed once is enough."""
    with pytest.raises(HashFormatError, match="unpack it first"):
        read(PACKERS[kind](inner(LINES)))


def test_what_is_not_read_through_is_named() -> None:
    """Other archives, several files, none, passwords, other methods, workbooks."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("hashes.txt"))
    encrypted = bytearray(zipped(LINES))
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.rindex(mark) + flags] |= 1
    cases = {
        "this is a tar archive": tar.getvalue(),
        "this is a bzip2 archive": bz2.compress(LINES),
        "this is a xz archive": lzma.compress(LINES),
        "a tar archive": gzip.compress(tar.getvalue()),
        "has 2 files in it": zipped(LINES, "more"),
        "has 0 files in it": zipped(b""),
        "is encrypted: unpack it first": bytes(encrypted),
        "another method than deflate": zipped(LINES, method=zipfile.ZIP_LZMA),
        "such as an .xlsx workbook": zipped(LINES, "[Content_Types].xml"),
        "table of contents": zipped(LINES, *(f"{i:0250}" for i in range(4_000))),
    }
    for what, data in cases.items():
        with pytest.raises(HashFormatError, match=what):
            read(data)


def test_a_member_without_a_name_is_a_damaged_archive() -> None:
    """What `zipfile` stumbles over is one of our errors; and a disk that fails is no damaged archive."""
    nameless = bytearray(zipped(LINES))
    at = nameless.rindex(b"PK\x01\x02")
    nameless[at + 28 : at + 30] = bytes(2)
    with pytest.raises(HashFormatError, match="ZIP"):
        read(bytes(nameless))

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > HEAD:
                raise OSError("made up")
            return super().read(size)

    with pytest.raises(ReferenceListError, match="reading the file"):
        unpacked(Broken(zipped(LINES)))


def test_without_a_reader_of_zstd_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install stands in the message."""
    data = PACKERS["zstd"](LINES)
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ReferenceListError, match=r"hashmatch\[zst\]"):
        read(data)


def test_a_large_window_is_refused() -> None:
    """Memory is bounded: zstd may keep 128 MiB, not 2 GiB."""
    parameter = zstd.CompressionParameter
    header = zstd.compress(b"x" * 10, options={parameter.content_size_flag: 0})
    assert read(header) == b"x" * 10
    wide = b"\x28\xb5\x2f\xfd\x00\xa8" + header[6:]
    with pytest.raises(HashFormatError, match="damaged"):
        read(wide)


def test_a_file_that_fails_while_it_is_read() -> None:
    """A broken disk or connection is no damaged archive."""

    class Broken(Pipe):
        def read(self, size: int = -1) -> bytes:
            data = super().read(size)
            if not data:
                raise OSError("made up")
            return data

    with pytest.raises(ReferenceListError, match="reading the file to import failed"):
        unpacked(cast("BinaryIO", Broken(gzip.compress(LINES)[:-20]))).read()
    with pytest.raises(TypeError, match="binary"):
        unpacked(cast("BinaryIO", io.StringIO("text")))
