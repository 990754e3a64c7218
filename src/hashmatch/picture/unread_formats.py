"""Names of picture formats that hashmatch does not read, found from the bytes of a file.

A file of such a format is reported by its name, not as "no picture". Every test reads fixed places or a bounded
beginning. A name says what to convert; it does not promise that the file is sound.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, Literal

__all__ = ["FOREIGN_FORMATS", "camera_format", "foreign_format"]

_HEAD: Final = 4096
_TEXT_HEAD: Final = 2**20  # of an SVG: comments and declarations before the picture
_MAX_STEPS: Final = 256

_BEGINNINGS: Final[Mapping[bytes, str]] = MappingProxyType(
    {
        b"\xff\x0a": "JXL",
        b"\0\0\0\x0cJXL \r\n\x87\n": "JXL",
        b"\0\0\0\x0cjP  \r\n\x87\n": "JP2",
        b"\xff\x4f\xff\x51": "JP2",
        b"II\xbc\x00": "JXR",
        b"II\xbc\x01": "JXR",
        b"\xff\xd8\xff\xf7": "JLS",
        b"\xff\x10\xff\x50": "JXS",
        b"\x97JB2\r\n\x1a\n": "JBIG2",
        b"8BPS\0\1": "PSD",
        b"8BPS\0\2": "PSB",
        b"gimp xcf ": "XCF",
        b"Paint Shop Pro Image File\n\x1a": "PSP",
        b"DDS \x7c\0\0\0": "DDS",
        b"\xabKTX 11\xbb\r\n\x1a\n": "KTX",
        b"\xabKTX 20\xbb\r\n\x1a\n": "KTX",
        b"\x13\xab\xa1\x5c": "ASTC",
        b"PVR\x03": "PVR",
        b"VTF\0\7\0\0\0": "VTF",
        b"BLP1\0\0\0\0": "BLP",
        b"BLP1\1\0\0\0": "BLP",
        b"BLP2\1\0\0\0": "BLP",
        b"\x76\x2f\x31\x01": "EXR",
        b"#?RADIANCE": "HDR",
        b"#?RGBE": "HDR",
        b"\x80\x2a\x5f\xd7": "CIN",
        b"\xd7\xcd\xc6\x9a": "WMF",
        b"\1\0\x09\0\0\1": "WMF",
        b"\1\0\x09\0\0\3": "WMF",
        b"\2\0\x09\0\0\3": "WMF",
        b"\xc5\xd0\xd3\xc6": "EPS",
        b"\xb1\x68\xde\x3a": "DCX",
        b"\x59\xa6\x6a\x95": "SUN",
        b"BPG\xfb": "BPG",
        b"\xf4\xff\x6f": "WP2",
        b"\x8bJNG\r\n\x1a\n": "JNG",
        b"\x8aMNG\r\n\x1a\n": "MNG",
        b"/* XPM */": "XPM",
        b"! XPM2": "XPM",
        b"id=ImageMagick": "MIFF",
        b"P7 332\n": "XV",
        b"AT&TFORM": "DJVU",
        b"FUJIFILMCCD-RAW": "RAF",
        b"IIU\0": "RW2",
        b"IIRO\x08\0\0\0": "ORF",
        b"IIRS\x08\0\0\0": "ORF",
        b"MMOR\0\0\0\x08": "ORF",
        b"II\x1a\0\0\0HEAPCCDR": "CRW",
        b"FOVb": "X3F",
        b"\0MRM": "MRW",
        b"MMMMRaw": "IIQ",
    }
)
_BRANDS: Final[Mapping[bytes, str]] = MappingProxyType(
    {
        b"crx ": "CR3",
        b"jxl ": "JXL",
        b"avci": "HEIF-AVC",
        b"avcs": "HEIF-AVC",
        b"j2ki": "HEIF-JP2",
        b"j2is": "HEIF-JP2",
        b"jpeg": "HEIF-JPEG",
        b"jpgs": "HEIF-JPEG",
        b"vvic": "HEIF-VVC",
        b"vvis": "HEIF-VVC",
        b"evbi": "HEIF-EVC",
        b"evmi": "HEIF-EVC",
        b"evbs": "HEIF-EVC",
        b"evms": "HEIF-EVC",
        b"unif": "HEIF-RAW",
        b"miaf": "HEIF-OTHER",
        b"mif1": "HEIF-OTHER",
        b"mif2": "HEIF-OTHER",
        b"mif3": "HEIF-OTHER",
        b"msf1": "HEIF-OTHER",
    }
)
_IFF: Final = frozenset({b"ILBM", b"PBM ", b"ACBM", b"RGB8", b"RGBN", b"DEEP", b"ANIM"})
_FLI: Final = (0xAF11, 0xAF12, 0xAF30, 0xAF31, 0xAF44)
_XBM: Final = re.compile(rb"#define[ \t]+\w{0,99}width[ \t]+\d{1,6}\s{1,9}#define[ \t]+\w{0,99}height[ \t]+\d{1,6}\s")
_SPACE: Final = re.compile(rb"\s*")
_SVG: Final = re.compile(rb"<(?:[\w.-]{1,64}:)?svg[\s/>]")

_DNG_VERSION: Final = 50706
_SENSOR: Final = (32803, 34892)  # photometric interpretations: colour filter array, linear raw
_MAKERS_CODECS: Final = (32767, 32769, 32770, 34713, 65000, 65535)
_MAKERS: Final[Mapping[bytes, str]] = MappingProxyType(
    {b"NIKON": "NEF", b"SONY": "ARW", b"PENTAX": "PEF", b"RICOH": "PEF", b"SAMSUNG": "SRW", b"HASSEL": "3FR"}
)


def foreign_format(data: bytes) -> str | None:
    """Name the picture format of a file that `hashmatch.picture.sniff.sniff` does not know.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    str or None
        A name of `FOREIGN_FORMATS`; None for files that are no known picture: text, sound, film, documents.

    Notes
    -----
    Cost: microseconds; up to some milliseconds for text that begins like XML. Sources: the formats' own descriptions;
    if a signature has two bytes or could be other data, the fields after it must be plausible too.
    """
    head = data[:_HEAD]
    for beginning, name in _BEGINNINGS.items():
        if head.startswith(beginning):
            return name
    for name, test in _TESTS:
        try:
            if test(head):
                return name
        except (struct.error, IndexError):
            continue
    if head[4:8] == b"ftyp":
        return _brand(head)
    return _packed(data) or ("SVG" if _is_svg(data) else None)


def _brand(head: bytes) -> str | None:
    """Name a picture in ISO boxes by its brands, the most telling first; films have none of these."""
    end = min(struct.unpack_from(">I", head)[0], 256, len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end, 4))}
    return next((name for brand, name in _BRANDS.items() if brand in brands), None)


def _packed(data: bytes) -> str | None:
    """Look into a gzip stream: SVGZ, EMZ and WMZ are pictures, any other is an archive."""
    if not data.startswith(b"\x1f\x8b\x08"):
        return None
    try:
        inside = zlib.decompressobj(31).decompress(data[:_TEXT_HEAD], _TEXT_HEAD)
    except zlib.error:
        return None
    if inside.startswith(b"\x1f\x8b"):
        return None
    found = foreign_format(inside)
    return found if found in ("SVG", "EMF", "WMF") else None


def _is_svg(data: bytes) -> bool:
    """Tell whether the first element of an XML text is ``svg``."""
    text = data[:_TEXT_HEAD]
    if text[:2] in (b"\xff\xfe", b"<\0") or text[:2] in (b"\xfe\xff", b"\0<"):
        name = "utf-16-le" if text[0] in (0xFF, 0x3C) else "utf-16-be"
        text = text[: len(text) & ~1].decode(name, "replace").encode("utf-8", "replace")
    at = 3 if text.startswith(b"\xef\xbb\xbf") else 0
    for _ in range(_MAX_STEPS):
        at = _skipped(text, at)
        if text.startswith(b"<!DOCTYPE", at):
            return text[at + 9 : at + 64].split()[:1] in ([b"svg"], [b"svg>"], [b"svg["])
        for opening, closing in ((b"<!--", b"-->"), (b"<?", b"?>")):
            if text.startswith(opening, at):
                at = text.find(closing, at + len(opening)) + len(closing)
                if at < len(closing):
                    return False
                break
        else:
            return _SVG.match(text, at) is not None
    return False


def _skipped(text: bytes, at: int) -> int:
    """Place of the next byte that is no white space."""
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def camera_format(data: bytes) -> str | None:
    """Name the camera whose raw picture a TIFF file is; its first page is then a thumbnail at best.

    Parameters
    ----------
    data : bytes
        A file that begins as TIFF does.

    Returns
    -------
    str or None
        ``"CR2"``, ``"DNG"``, ``"NEF"`` and so on, ``"RAW"`` if the maker is not known; None for other TIFF files.
    """
    if data[8:10] == b"CR" and data[:4] == b"II*\0":
        return "CR2"
    try:
        tags = dict(_first_directory(data))
    except (struct.error, IndexError, OverflowError):
        return None
    if _DNG_VERSION in tags:
        return "DNG"
    make = tags.get(271, b"")
    is_thumbnail = tags.get(254) == 1 and 330 in tags and bool(make)
    if is_thumbnail or tags.get(262) in _SENSOR or tags.get(259) in _MAKERS_CODECS:
        known = bytes(make).upper() if isinstance(make, bytes) else b""
        return next((name for maker, name in _MAKERS.items() if known.startswith(maker)), "RAW")
    return None


def _first_directory(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Give each tag of the first directory with its first value: a number, or up to 32 bytes of text."""
    order: Literal["<", ">"] = "<" if data[:2] == b"II" else ">"
    big = 43 in (data[2], data[3])
    wide = "Q" if big else "I"
    (at,) = struct.unpack_from(order + wide, data, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    at += 8 if big else 2
    for _ in range(min(count, _MAX_STEPS)):
        tag, kind, length = struct.unpack_from(order + "HH" + wide, data, at)
        place = at + (12 if big else 8)
        if kind == 2:
            start = place if length <= (8 if big else 4) else struct.unpack_from(order + wide, data, place)[0]
            yield tag, data[start : start + min(length, 32)]
        elif kind in (1, 3, 4, 13):
            yield tag, struct.unpack_from(order + {1: "B", 3: "H"}.get(kind, "I"), data, place)[0]
        else:
            yield tag, 0
        at += 20 if big else 12


def _is_cursor_film(head: bytes) -> bool:
    return head.startswith(b"RIFF") and head[8:12] == b"ACON"


def _is_qoi(head: bytes) -> bool:
    return head.startswith(b"qoif") and head[12] in (3, 4) and head[13] in (0, 1)


def _is_flif(head: bytes) -> bool:
    return head.startswith(b"FLIF") and 0x31 <= head[4] <= 0x64 and head[5] in b"012"


def _is_fits(head: bytes) -> bool:
    return head.startswith(b"SIMPLE  =") and head[9:30].strip()[:1] in (b"T", b"F")


def _is_emf(head: bytes) -> bool:
    return head.startswith(b"\1\0\0\0") and head[40:44] == b" EMF"


def _is_pcx(head: bytes) -> bool:
    left, top, right, bottom = struct.unpack_from("<4H", head, 4)
    return (
        head[0] == 10
        and head[1] in (0, 2, 3, 4, 5)
        and head[2] == 1
        and head[3] in (1, 2, 4, 8)
        and left <= right
        and top <= bottom
        and 1 <= head[65] <= 4
        and bool(head[66] | head[67])
    )


def _is_fli(head: bytes) -> bool:
    kind, frames, width, height, depth = struct.unpack_from("<5H", head, 4)
    return kind in _FLI and frames > 0 and width > 0 and height > 0 and depth in (0, 8, 15, 16, 24, 32)


def _is_sgi(head: bytes) -> bool:
    (dimensions,) = struct.unpack_from(">H", head, 4)
    return head[:2] == b"\x01\xda" and head[2] in (0, 1) and head[3] in (1, 2) and dimensions in (1, 2, 3)


def _is_icns(head: bytes) -> bool:
    return head.startswith(b"icns") and struct.unpack_from(">I", head, 4)[0] >= 16


def _is_os2_array(head: bytes) -> bool:
    return head.startswith(b"BA") and head[14:16] in (b"BM", b"CI", b"CP", b"IC", b"PT")


def _is_eps(head: bytes) -> bool:
    return head.startswith(b"%!PS-Adobe-") and b" EPSF-" in head[:40]


def _is_xbm(head: bytes) -> bool:
    return head.lstrip().startswith((b"#define", b"/*")) and b"bits" in head and _XBM.search(head) is not None


def _is_layers(head: bytes, kind: bytes) -> bool:
    return head.startswith(b"PK\3\4") and head[30 : 38 + len(kind)] == b"mimetype" + kind


_TESTS: Final[tuple[tuple[str, Callable[[bytes], bool]], ...]] = (
    ("QOI", _is_qoi),
    ("FLIF", _is_flif),
    ("FITS", _is_fits),
    ("DICOM", lambda head: head[128:132] == b"DICM"),
    ("EMF", _is_emf),
    ("PCX", _is_pcx),
    ("FLI", _is_fli),
    ("SGI", _is_sgi),
    ("ICNS", _is_icns),
    ("ANI", _is_cursor_film),
    ("BMP-ARRAY", _is_os2_array),
    ("EPS", _is_eps),
    ("XBM", _is_xbm),
    ("IFF", lambda head: head.startswith(b"FORM") and head[8:12] in _IFF),
    ("IIQ", lambda head: head.startswith(b"IIII") and head[5:8] == b"waR"),
    ("DPX", lambda head: head[:4] in (b"SDPX", b"XPDS") and head[8:9] == b"V"),
    ("FARBFELD", lambda head: head.startswith(b"farbfeld") and head[8] < 16 and head[12] < 16),
    ("PCD", lambda head: head[2048:2055] == b"PCD_IPI"),
    ("PICT", lambda head: head[522:528] == b"\0\x11\2\xff\x0c\0"),
    ("ORA", lambda head: _is_layers(head, b"image/openraster")),
    ("KRA", lambda head: _is_layers(head, b"application/x-krita")),
)

FOREIGN_FORMATS: Final = tuple(
    sorted(
        {*_BEGINNINGS.values(), *_BRANDS.values(), *_MAKERS.values(), *(name for name, _ in _TESTS)}
        | {"CR2", "DNG", "RAW", "SVG"}
    )
)
"""Every format that is named and not read."""
