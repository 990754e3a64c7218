"""Pictures in formats that are not read are named; what is no picture is not."""

from __future__ import annotations

import gzip
import io
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hashmatch.errors import UnreadableImageError
from hashmatch.picture import KNOWN_FORMATS, DecodePolicy, format_of, iter_rasters, open_picture
from hashmatch.picture.unread_formats import FOREIGN_FORMATS, camera_format, foreign_format
from support.picture_makers import save, smooth

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>'
PIXELS = smooth(24, 32)


def written(kind: str, **options: object) -> Callable[[], bytes]:
    """Make a file that Pillow writes."""
    return lambda: save(PIXELS, kind, **options)


def boxes(brand: bytes, *more: bytes, inside: bytes = b"") -> bytes:
    """Make an ISO file of a brand."""
    head = b"ftyp" + brand + bytes(4) + b"".join(more)
    return struct.pack(">I", len(head) + 4) + head + struct.pack(">I4s", 8 + len(inside), b"meta") + inside


def tiff(order: str, *tags: tuple[int, int, int, int], text: bytes = b"") -> bytes:
    """Make a TIFF of a directory and a text behind it; a value of -1 is where the text lies."""
    end = 8 + 2 + 12 * len(tags) + 4
    body = b"".join(
        struct.pack(f"{order}HHI", tag, kind, count)
        + (struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", end if value < 0 else value))
        for tag, kind, count, value in tags
    )
    name = b"II*\0" if order == "<" else b"MM\0*"
    return name + struct.pack(f"{order}IH", 8, len(tags)) + body + bytes(4) + text


def camera(maker: bytes, order: str = "<") -> bytes:
    """Make the beginning of a raw picture: a thumbnail, its maker, and where the rest lies."""
    tags = ((254, 4, 1, 1), (256, 4, 1, 160), (257, 4, 1, 120), (271, 2, len(maker), -1), (330, 4, 1, 5000))
    return tiff(order, *tags, text=maker + bytes(50))


FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "jpeg 2000": ("JP2", written("JPEG2000")),
    "jpeg 2000 codestream": ("JP2", written("JPEG2000", no_jp2=True)),
    "dds": ("DDS", written("DDS")),
    "pcx": ("PCX", written("PCX")),
    "sgi": ("SGI", written("SGI")),
    "icns": ("ICNS", lambda: save(smooth(32, 32), "ICNS")),
    "eps": ("EPS", written("EPS")),
    "xbm": ("XBM", lambda: save(Image.fromarray(PIXELS).convert("1"), "XBM")),
    "qoi": ("QOI", written("QOI")),
    "jxl": ("JXL", lambda: b"\xff\x0a\xfa\x1f\x41" + bytes(50)),
    "jxl boxes": ("JXL", lambda: b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl " + bytes(50)),
    "jpeg xr": ("JXR", lambda: b"II\xbc\x01\x20\0\0\0" + bytes(50)),
    "jpeg ls": ("JLS", lambda: b"\xff\xd8\xff\xf7\0\x0b\x08" + bytes(50)),
    "psd": ("PSD", lambda: b"8BPS\0\1" + bytes(6) + b"\0\3" + bytes(90)),
    "psb": ("PSB", lambda: b"8BPS\0\2" + bytes(6) + b"\0\3" + bytes(90)),
    "xcf": ("XCF", lambda: b"gimp xcf v011\0" + bytes(50)),
    "exr": ("EXR", lambda: b"\x76\x2f\x31\x01\2\0\0\0channels\0"),
    "hdr": ("HDR", lambda: b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 9 +X 9\n"),
    "fits": ("FITS", lambda: b"SIMPLE  =                    T / standard".ljust(2880)),
    "dicom": ("DICOM", lambda: bytes(128) + b"DICM\2\0\0\0UL"),
    "wmf": ("WMF", lambda: b"\xd7\xcd\xc6\x9a" + bytes(60)),
    "wmf without a place": ("WMF", lambda: b"\1\0\x09\0\0\3" + bytes(60)),
    "emf": ("EMF", lambda: struct.pack("<II", 1, 108) + bytes(32) + b" EMF" + bytes(70)),
    "emz": ("EMF", lambda: gzip.compress(struct.pack("<II", 1, 108) + bytes(32) + b" EMF" + bytes(70))),
    "bpg": ("BPG", lambda: b"BPG\xfb\x20\0" + bytes(50)),
    "flif": ("FLIF", lambda: b"FLIF31" + bytes(50)),
    "jng": ("JNG", lambda: b"\x8bJNG\r\n\x1a\n" + bytes(50)),
    "mng": ("MNG", lambda: b"\x8aMNG\r\n\x1a\n" + bytes(50)),
    "xpm": ("XPM", lambda: b'/* XPM */\nstatic char *x[] = {"2 2 1 1"'),
    "fli": ("FLI", lambda: struct.pack("<IHHHHH", 500, 0xAF12, 3, 320, 200, 8) + bytes(114)),
    "ilbm": ("IFF", lambda: b"FORM\0\0\1\0ILBMBMHD" + bytes(50)),
    "animated cursor": ("ANI", lambda: b"RIFF\0\1\0\0ACONanih" + bytes(50)),
    "os/2 array": ("BMP-ARRAY", lambda: b"BA" + bytes(12) + b"BM" + bytes(40)),
    "open raster": ("ORA", lambda: b"PK\3\4" + bytes(26) + b"mimetypeimage/openraster"),
    "djvu": ("DJVU", lambda: b"AT&TFORM\0\0\0\x50DJVU" + bytes(50)),
    "cr3": ("CR3", lambda: boxes(b"crx ", b"isom")),
    "raf": ("RAF", lambda: b"FUJIFILMCCD-RAW 0201FF" + bytes(90)),
    "rw2": ("RW2", lambda: b"IIU\0\x18\0\0\0" + bytes(50)),
    "orf": ("ORF", lambda: b"IIRO\x08\0\0\0" + bytes(50)),
    "x3f": ("X3F", lambda: b"FOVb\0\0\3\0" + bytes(50)),
    "cr2": ("CR2", lambda: b"II*\0\x10\0\0\0CR\2\0" + bytes(50)),
    "dng": ("DNG", lambda: tiff("<", (256, 4, 1, 160), (257, 4, 1, 120), (50706, 1, 4, 1025))),
    "nef": ("NEF", lambda: camera(b"NIKON CORPORATION\0", ">")),
    "arw": ("ARW", lambda: camera(b"SONY\0")),
    "pef": ("PEF", lambda: tiff(">", (256, 4, 1, 9), (259, 3, 1, 65535), (271, 2, 7, -1), text=b"PENTAX\0")),
    "raw of another": ("RAW", lambda: camera(b"Somebody\0")),
    "heif with avc": ("HEIF-AVC", lambda: boxes(b"avci", b"mif1", inside=bytes(4) + b"avc1")),
    "heif of a new kind": ("HEIF-OTHER", lambda: boxes(b"mif1", b"miaf", inside=bytes(4) + b"j2k1")),
    "svg": ("SVG", lambda: SVG),
    "svgz": ("SVG", lambda: gzip.compress(SVG)),
    "svg, a mark and all that may come first": (
        "SVG",
        lambda: b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- a > b -->\n<?xml-stylesheet href="x"?>\n' + SVG,
    ),
    "svg behind a long comment": ("SVG", lambda: b"<!--" + b"x" * 200_000 + b"-->" + SVG),
    "svg with a document type": ("SVG", lambda: b'<!DOCTYPE svg PUBLIC "-//W3C" [<!ENTITY a "]">]>' + SVG),
    "svg with a prefix": ("SVG", lambda: b'<s:svg xmlns:s="http://www.w3.org/2000/svg"/>'),
    "svg in utf-16": ("SVG", lambda: SVG.decode().encode("utf-16")),
    "svg in utf-16-be": ("SVG", lambda: b"\xfe\xff" + SVG.decode().encode("utf-16-be")),
    "svg in utf-16 without a mark": ("SVG", lambda: SVG.decode().encode("utf-16-le")),
}  # fmt: skip

NO_PICTURES = {
    "text": b"This is a text. " * 90,
    "p1": b"P1 is the first of the plans, P2 the second.\n",
    "p5": b"P5 12 pages 40 pictures 255 words",
    "p3 with words": b"P3 10 20 30 is what the table says",
    "p5 with samples that cannot be": b"P5 12 13 14 and so on and on and on",
    "p7": b"P7 is the seventh\nENDHDR\n",
    "bm": b"BM is not always a bitmap, and mostly is not",
    "svg in words": b"an <svg> element is no file",
    "html": b"<!DOCTYPE html><html><body>" + SVG + b"</body></html>",
    "xml": b'<?xml version="1.0"?><note>svg</note>',
    "an open comment": b"<!-- never closed <svg ",
    "many comments": b"<!---->" * 5000 + b"<note/>",
    "gzip": gzip.compress(b"a text" * 50),
    "gzip in gzip": gzip.compress(gzip.compress(SVG)),
    "gzip of a jpeg": gzip.compress(save(PIXELS, "JPEG")),
    "gzip, cut": b"\x1f\x8b\x08",
    "gzip, broken": b"\x1f\x8b\x08" + bytes(range(200)),
    "pdf": b"%PDF-1.7\n" + SVG,
    "postscript": b"%!PS-Adobe-3.0\n",
    "film": boxes(b"isom", b"mp42", inside=b"avc1"),
    "quicktime": boxes(b"qt  "),
    "wave": b"RIFF\x24\0\0\0WAVEfmt ",
    "zip": b"PK\3\4" + bytes(26) + b"word/document.xml",
    "zeros": bytes(5000),
    "ones": b"\xff" * 5000,
    "font": b"\0\1\0\0\0\x0c\0\x80\0\3\0\x40" + bytes(90),
    "mpeg": b"\0\0\1\xba\x44\0\4\0\4\1" + bytes(90),
    "spreadsheet": b"\0\0\2\0\6\4\6\0\x08\0" + bytes(90),
    "c source": b"#define WINDOW_width 640\n#define DEPTH 3\nint main(void);\n",
    "elf": b"\x7fELF\2\1\1" + bytes(90),
    "program": b"MZ\x90\0\3" + bytes(90),
    "iiii": b"IIII is the old four",
    "sdpx": b"SDPX and XPDS are words here",
    "qoif": b"qoif is a magic word",
    "form": b"FORM\0\0\1\0AIFFCOMM",
    "sqlite": b"SQLite format 3\0" + bytes(90),
}


@pytest.mark.parametrize("name", FILES)
def test_formats_that_are_not_read_are_named(name: str) -> None:
    """Each is told by its bytes, whatever the policy allows."""
    expected, make = FILES[name]
    data = make()
    assert format_of(data) == expected
    assert expected in FOREIGN_FORMATS
    for policy in (DecodePolicy(), DecodePolicy(formats=KNOWN_FORMATS)):
        with pytest.raises(UnreadableImageError, match=f"format {expected}") as caught:
            open_picture(data, policy)
        assert caught.value.reason == "format-not-read"


@pytest.mark.parametrize("name", NO_PICTURES)
def test_what_is_no_picture_is_not_named(name: str) -> None:
    """Text, sound, film, documents and programs stay "not an image"."""
    assert format_of(NO_PICTURES[name]) is None
    with pytest.raises(UnreadableImageError) as caught:
        open_picture(NO_PICTURES[name])
    assert caught.value.reason == "not-an-image"


@pytest.mark.parametrize("name", FILES)
def test_every_beginning_is_answered(name: str) -> None:
    """Wherever a file is cut, there is a name or none, and no error."""
    data = FILES[name][1]()
    for length in range(min(len(data), 300)):
        assert format_of(data[:length]) in (None, *KNOWN_FORMATS, *FOREIGN_FORMATS)


def test_random_bytes_are_rarely_pictures() -> None:
    """Of 20,000 seeded random files at most two are taken for a picture: two-byte beginnings are met by chance."""
    rng = np.random.default_rng(7)
    taken = sum(format_of(rng.bytes(200)) is not None for _ in range(20_000))
    assert taken <= 2


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([make()[:40] for _, make in FILES.values()]), st.binary(max_size=300))
def test_any_bytes_behind_a_true_beginning(beginning: bytes, rest: bytes) -> None:
    """Nothing behind a beginning makes naming fail."""
    data = beginning + rest
    assert foreign_format(data) is None or foreign_format(data) in FOREIGN_FORMATS
    assert camera_format(data) is None or camera_format(data) in FOREIGN_FORMATS


def test_naming_is_bounded() -> None:
    """Megabytes that might become an SVG, an XBM or a Netpbm file are given up."""
    for data in (b"<!--" * 2**20, b"<?xml?>" * 2**19, b" " * 2**23, b"#define bits " * 2**19, b"<\0" * 2**21,
                 gzip.compress(bytes(2**26)), b"/*" * 2**21, b"P2 9 9 " + b"#" * 2**22, b"P3" + b" #\n" * 2**20,
                 b"P7\n" + b"WIDTH 1\n" * 2**19):  # fmt: skip
        assert format_of(data) is None


def dng() -> bytes:
    """Make a DNG whose first page is a whole small picture, as cameras put a thumbnail there."""
    options = {"tiffinfo": {50706: b"\1\4\0\0"}}
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, "TIFF", **options)
    return stream.getvalue()


def test_the_thumbnail_of_a_raw_picture_is_a_part() -> None:
    """With salvage the first page is given, and the error comes all the same: a match counts, its absence does not."""
    policy = DecodePolicy(formats=("TIFF",), salvage=True)
    seen = iter_rasters(dng(), policy)
    assert np.array_equal(next(seen).pixels, PIXELS)
    with pytest.raises(UnreadableImageError, match="DNG") as caught:
        next(seen)
    assert caught.value.reason == "format-not-read"
    with pytest.raises(UnreadableImageError, match="NEF"):
        open_picture(FILES["nef"][1](), policy)


def test_the_page_lists_every_name() -> None:
    """The pixel contract names what is named."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "pixel-contract.md").read_text(encoding="utf-8")
    said = page[page.index("These are named and not read:") : page.index("Films and\ndocuments")]
    assert set(FOREIGN_FORMATS) <= set(re.findall(r"[A-Z0-9]+(?:-[A-Z0-9]+)?", said))
