"""Laws of the forms that other people's parsers read: in a worker, with reasons, whatever becomes of it."""

from __future__ import annotations

import random
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashmatch.picture import open_picture
from hashmatch.scan import REASONS, Flaw, Item
from hashmatch.scan.sources import Limits, SourceCounts, items, jailed
from support.containers import a_picture, pdf_of, sevenzip_of, summary, tar_of, zip_of

WORD = "secret"
IMAGE = b"/Type/XObject/Subtype/Image/Width 4/Height 2"


def pictures_of(path: Path) -> list[np.ndarray[Any, Any]]:
    """Decode the pictures of a PDF."""
    return [
        next(open_picture(item.open().read()).rasters()).pixels
        for item in items([path])
        if isinstance(item, Item) and item.inside == "pdf"
    ]


def test_seven_zip(tmp_path: Path) -> None:
    """Members of solid and of several folders come with their bytes and names; containers inside are followed."""
    pytest.importorskip("py7zr")
    files = {"../climbs.png": a_picture(1), "dir/b": zip_of({"c.png": a_picture(2)}), "empty": b""}
    inside = [("!../climbs.png", "picture"), ("!dir/b!c.png", "picture"), ("!dir/b", "container"), ("!empty", "empty")]
    (tmp_path / "x").write_bytes(sevenzip_of({"in.png": a_picture(3)}))
    assert summary(tmp_path / "x") == [("!in.png", "picture"), ("", "container")]
    (tmp_path / "x").write_bytes(_climbing(files))
    found = summary(tmp_path / "x")
    assert sorted(found) == sorted([*inside, ("", "container")])
    (tmp_path / "x").write_bytes(tar_of({"y": _climbing(files)}))
    assert len(summary(tmp_path / "x")) == 6


def _climbing(files: dict[str, bytes]) -> bytes:
    """Write a 7z archive, whose writer allows no names that climb, with one that does: the header is packed plain."""
    import io

    import py7zr

    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w") as archive:
        archive.set_encoded_header_mode(False)
        for name, data in files.items():
            archive.writestr(data, name.replace("../", "xx/"))
    data = bytearray(out.getvalue())
    for name in files:
        if name.startswith("../"):
            wide = name.replace("../", "xx/").encode("utf-16-le")
            at = data.index(wide)
            data[at : at + len(wide)] = name.encode("utf-16-le")
    # the checksum of the header, then that of the start
    place, length = int.from_bytes(data[12:20], "little"), int.from_bytes(data[20:28], "little")
    data[28:32] = zlib.crc32(data[32 + place : 32 + place + length]).to_bytes(4, "little")
    data[8:12] = zlib.crc32(data[12:32]).to_bytes(4, "little")
    return bytes(data)


def test_seven_zip_that_cannot_be_read(tmp_path: Path) -> None:
    """Encrypted, damaged and cut archives, and members that are too large: a reason for each."""
    pytest.importorskip("py7zr")
    sound = sevenzip_of({str(k): a_picture(k) for k in range(3)})
    (tmp_path / "x").write_bytes(sevenzip_of({"a": b"x"}, password=WORD))
    assert ("", "ENCRYPTED") in summary(tmp_path / "x") or ("!a", "ENCRYPTED") in summary(tmp_path / "x")
    (tmp_path / "x").write_bytes(sevenzip_of({"a": b"x"}, password=WORD, header_encryption=True))
    assert ("", "ENCRYPTED") in summary(tmp_path / "x")
    rng = random.Random(1)
    for _ in range(30):
        data = bytearray(sound)
        for _ in range(rng.choice((1, 5))):
            data[rng.randrange(6, len(data))] = rng.randrange(256)
        (tmp_path / f"d{rng.random()}").write_bytes(data[: rng.choice((len(data), rng.randrange(40, len(data))))])
    reasons = {item.reason for item in items([tmp_path]) if isinstance(item, Flaw)}
    assert "damaged" in reasons
    assert reasons <= REASONS
    (tmp_path / "x").write_bytes(sevenzip_of({"big": bytes(2**21), "after": b"x"}))
    found = summary(tmp_path / "x", limits=Limits(held=2**20))
    assert ("!big", "TOO-LARGE") in found
    (tmp_path / "x").write_bytes(sevenzip_of({"a": random.Random(1).randbytes(2**20)}))
    assert summary(tmp_path / "x", limits=Limits(held=2**19)) == [("", "TOO-LARGE"), ("", "container")]


def test_pictures_of_a_pdf(tmp_path: Path) -> None:
    """Files are given as they are; bitmaps in the usual spaces and depths become a picture of the same pixels."""
    pytest.importorskip("pypdf")
    rgb = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    grey = np.arange(8, dtype=np.uint8).reshape(2, 4) * 30
    grey_rgb = np.repeat(grey[..., None], 3, axis=2)
    flate = b"/Filter/FlateDecode"
    deep = b"/BitsPerComponent 8"
    hexed = grey.tobytes().hex().encode() + b">"
    palette = bytes(range(200, 212))
    cases = [
        (IMAGE + deep + flate + b"/ColorSpace/DeviceRGB", zlib.compress(rgb.tobytes()), rgb),
        (IMAGE + deep + b"/ColorSpace/DeviceGray", grey.tobytes(), grey_rgb),
        (
            IMAGE + deep + b"/Filter/ASCIIHexDecode/ColorSpace/DeviceGray",
            hexed,
            grey_rgb,
        ),
        (
            IMAGE + b"/BitsPerComponent 2/ColorSpace[/Indexed/DeviceRGB 3<%s>]" % palette.hex().encode(),
            bytes([0b00011011, 0b11100100]),
            np.frombuffer(palette, np.uint8).reshape(4, 3)[[[0, 1, 2, 3], [3, 2, 1, 0]]],
        ),
        (
            IMAGE + b"/BitsPerComponent 1/ColorSpace/DeviceGray",
            bytes([0b10100000, 0b01010000]),
            np.repeat(np.array([[[255], [0], [255], [0]], [[0], [255], [0], [255]]], np.uint8), 3, axis=2),
        ),
    ]
    (tmp_path / "x").write_bytes(pdf_of(*((words, data) for words, data, _ in cases)))
    found = pictures_of(tmp_path / "x")
    assert len(found) == len(cases)
    for pixels, (words, _, expected) in zip(found, cases, strict=True):
        np.testing.assert_array_equal(pixels, expected, err_msg=str(words))


def test_files_within_a_pdf(tmp_path: Path) -> None:
    """A JPEG and JPEG 2000 are given byte for byte, also within other filters; attached files are followed."""
    pytest.importorskip("pypdf")
    data = b"\xff\xd8\xff\xe0 as it is"
    made = pdf_of(
        (IMAGE + b"/Filter/DCTDecode", data),
        (IMAGE + b"/Filter[/FlateDecode/DCTDecode]", zlib.compress(data)),
        (IMAGE + b"/Filter[/JPXDecode]", b"\0\0\0\x0cjP  \r\n\x87\n"),
        (b"/Type/EmbeddedFile", zip_of({"p.png": a_picture()})),
        (IMAGE + b"/Filter/JBIG2Decode", b"x"),
        (IMAGE + b"/BitsPerComponent 8/ColorSpace/DeviceCMYK", bytes(32)),
        (IMAGE + b"/BitsPerComponent 8/Filter/FlateDecode", b"damaged"),
        (b"/Type/Other", b"text"),
    )
    (tmp_path / "x").write_bytes(b"junk before\n" + made)
    found = [(item.name.rpartition("object-")[2], getattr(item, "reason", "")) for item in items([tmp_path])][:-1]
    assert found[:6] == [("3", ""), ("4", ""), ("5", ""), ("6!p.png", ""), ("6", ""), ("7", "format-not-read")]
    assert found[6] == ("8", "format-not-read")
    assert found[7][0] == "9"
    assert found[7][1] in ("damaged", "format-not-read")
    streams = [item.open().read() for item in items([tmp_path]) if isinstance(item, Item)]
    assert streams[:2] == [data, data]


def test_a_pdf_that_cannot_be_read(tmp_path: Path) -> None:
    """A cut, a changed and an encrypted PDF end with reasons, and the worker serves the next."""
    pypdf = pytest.importorskip("pypdf")
    sound = pdf_of((IMAGE + b"/Filter/DCTDecode", b"\xff\xd8\xff\xe0"))
    rng = random.Random(2)
    for k in range(30):
        data = bytearray(sound)
        for _ in range(rng.choice((1, 5, 20))):
            data[rng.randrange(8, len(data))] = rng.randrange(256)
        (tmp_path / f"{k}").write_bytes(data[: rng.choice((len(data), rng.randrange(20, len(data))))])
    (tmp_path / "a").write_bytes(b"%PDF-1.7\n" + b"[" * 100_000)
    counts = SourceCounts()
    found = list(items([tmp_path], counts=counts))
    assert {item.reason for item in found if isinstance(item, Flaw)} <= REASONS
    assert counts.flaws["damaged"]
    writer = pypdf.PdfWriter()
    writer.add_blank_page(9, 9)
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(tmp_path / "x")
    assert ("", "ENCRYPTED") in summary(tmp_path / "x")


def test_without_the_module_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an extra is not installed, its files are flaws, and no process is started."""
    monkeypatch.setattr(jailed, "find_spec", lambda _: None)
    monkeypatch.setattr(jailed, "Pool", None)
    for head in (b"%PDF-1.4\n", b"7z\xbc\xaf\x27\x1c" + bytes(40)):
        (tmp_path / "x").write_bytes(head)
        assert summary(tmp_path / "x") == [("", "NO-MODULE"), ("", "container")]


def test_a_worker_that_is_lost_costs_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parser that never ends is stopped after its time; one that answers nonsense is not believed."""
    pytest.importorskip("pypdf")
    (tmp_path / "x").write_bytes(pdf_of((IMAGE + b"/Filter/DCTDecode", b"\xff\xd8\xff\xe0")))
    assert summary(tmp_path / "x", limits=Limits(seconds=1e-6))[0] == ("", "TIMEOUT")
    monkeypatch.setattr(jailed, "_unpacked", lambda _: None)
    assert summary(tmp_path / "x") == [("", "WORKER-CRASHED"), ("", "container")]


@pytest.mark.parametrize("part", [b"", b"\0", b"\0\xff\xff", b"\xff\0\0", b"\0\1\0"])
def test_impossible_parts_are_not_believed(part: bytes) -> None:
    """A worker that was taken over can give no other reason, and no name beyond its end."""
    assert jailed._unpacked(bytearray(part)) is None
