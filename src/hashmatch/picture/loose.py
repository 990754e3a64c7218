"""Formats without an unambiguous signature: icons (ICO, CUR), Netpbm and TGA, detected by all their fields.

This module is pure Python, bounded, and runs no codec. A file is detected only if every field is plausible, because
data of other programs and text can begin with the same bytes.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

__all__ = ["Icon", "Netpbm", "icon_entries", "is_icon", "is_tga", "netpbm_header", "tga_size"]

Size = tuple[int, int]

_MAX_ICONS: Final = 4096
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ICON_BITS: Final = (0, 1, 2, 4, 8, 15, 16, 24, 32)

_SPACE: Final = rb"(?:\s|#[^\r\n]*[\r\n])"
_NETPBM: Final = re.compile(
    rb"P(?:([14])" + _SPACE + rb"+(\d{1,9})" + _SPACE + rb"+(\d{1,9})\s"
    rb"|([2356])" + _SPACE + rb"+(\d{1,9})" + _SPACE + rb"+(\d{1,9})" + _SPACE + rb"+(\d{1,5})\s"
    rb"|([fF])\s+(\d{1,9})\s+(\d{1,9})\s+([-+]?[0-9.]{1,20}(?:[eE][-+]?\d{1,3})?)\s)"
)
_PAM: Final = re.compile(rb"P7\s*\n((?:(?:#[^\n]*|[A-Z]{4,9}[ \t][^\n]{0,99}|[ \t\r]*)\n){2,64}?)ENDHDR[ \t\r]*\n")
_PLAIN: Final = re.compile(rb"(?:[\d\s]|#[^\r\n]*(?:[\r\n]|\Z))*\Z")
_NETPBM_HEAD: Final = 2**16
_PLAIN_HEAD: Final = 256

_TGA_FOOTER: Final = b"TRUEVISION-XFILE."
_TGA_MAPS: Final = (15, 16, 24, 32)
_TGA_DEPTHS: Final = {1: (8, 16), 2: (15, 16, 24, 32), 3: (8, 16)}
_TGA_ALPHA: Final = {8: (0, 8), 15: (0, 1), 16: (0, 1, 8), 24: (0,), 32: (0, 8)}


@dataclass(frozen=True, slots=True)
class Icon:
    """One picture of an icon or cursor file.

    Parameters
    ----------
    width, height : int
        Size that the picture itself states, px; the size in the directory is not trusted.
    bits : int
        Bits of a pixel.
    start, end : int
        First byte of the picture in the file, and the byte after its last.
    """

    width: int
    height: int
    bits: int
    start: int
    end: int


def is_icon(data: bytes) -> bool:
    """Tell whether a file is an icon or a cursor, by its directory and the first picture in it."""
    if data[:4] not in (b"\0\0\1\0", b"\0\0\2\0") or len(data) < 22:
        return False
    (count,) = struct.unpack_from("<H", data, 4)
    reserved, planes, bits, length, start = struct.unpack_from("<xBHHII", data, 8)
    if not count or reserved not in (0, 255) or not length or start < 6 + 16 * count:
        return False
    if data[2] == 1 and (planes > 1 or bits not in _ICON_BITS):
        return False
    beginning = data[start : start + 8]
    # cut before its first picture, which stands behind the directory as a rule, it is still an icon
    return (
        (len(beginning) < 8 and start == 6 + 16 * count)
        or beginning == _PNG
        or beginning[:4] in (b"\x28\0\0\0", b"\x0c\0\0\0")
    )


def icon_entries(data: bytes) -> list[Icon]:
    """Return the pictures of an icon or cursor file, by size, then by bits a pixel, the largest first.

    Parameters
    ----------
    data : bytes
        A file for which `is_icon` holds.
    """
    found = []
    (count,) = struct.unpack_from("<H", data, 4)
    for number in range(min(count, _MAX_ICONS)):
        try:
            length, start = struct.unpack_from("<II", data, 14 + 16 * number)
            found.append(_icon(data, start, start + length))
        except (struct.error, IndexError, KeyError):
            continue
    return sorted(found, key=lambda icon: (-icon.width * icon.height, -icon.bits))


def _icon(data: bytes, start: int, end: int) -> Icon:
    if data.startswith(_PNG, start):
        width, height, depth, colour = struct.unpack_from(">IIBB", data, start + 16)
        return Icon(width, height, depth * _PNG_SAMPLES[colour], start, end)
    (head,) = struct.unpack_from("<I", data, start)
    if head == 12:
        width, height, bits = struct.unpack_from("<HH2xH", data, start + 4)
    else:
        width, height, bits = struct.unpack_from("<Ii2xH", data, start + 4)
    return Icon(width, abs(height) // 2, bits, start, end)


@dataclass(frozen=True, slots=True)
class Netpbm:
    """Header of a Netpbm file.

    Parameters
    ----------
    kind : str
        Character after the P: ``"1"`` to ``"7"``, ``"f"`` or ``"F"``.
    size : (int, int)
        Width and height, px.
    depth : int
        Samples of a pixel.
    largest : int
        Value of white; 0 if samples are floats.
    start : int
        First byte of the samples.
    is_little : bool
        Whether floats are little-endian.
    is_cmyk : bool
        Whether the four samples are inks.
    """

    kind: str
    size: Size
    depth: int
    largest: int
    start: int
    is_little: bool = False
    is_cmyk: bool = False


def netpbm_header(data: bytes) -> Netpbm | None:
    """Read the header of a PBM, PGM, PPM (P1 to P6), PAM (P7) or PFM (Pf, PF) file; None for anything else."""
    if not data.startswith(b"P") or data[1:2] not in b"1234567fF":
        return None
    head = data[:_NETPBM_HEAD]
    if head.startswith(b"P7"):
        return _pam_header(head)
    found = _NETPBM.match(head)
    if found is None:
        return None
    bits, wide, high, kind, width, height, largest, real, across, down, scale = found.groups()
    start = found.end()
    if real is not None:
        depth = 3 if real == b"F" else 1
        return Netpbm(real.decode(), (int(across), int(down)), depth, 0, start, is_little=scale.startswith(b"-"))
    if bits is not None:
        header = Netpbm(bits.decode(), (int(wide), int(high)), 1, 1, start)
    else:
        header = Netpbm(kind.decode(), (int(width), int(height)), 3 if kind in b"36" else 1, int(largest), start)
    behind = data[start : start + _PLAIN_HEAD]
    if header.kind in "123":
        return header if _PLAIN.match(behind) else None  # words behind the numbers: a text
    if header.largest < 255 and header.kind in "56" and max(behind, default=0) > header.largest:
        return None
    return header


def _pam_header(head: bytes) -> Netpbm | None:
    found = _PAM.match(head)
    if found is None:
        return None
    lines = (line.split(None, 1) for line in found[1].split(b"\n") if not line.startswith(b"#"))
    fields = {line[0]: line[1].strip() for line in lines if len(line) == 2}
    try:
        width, height, depth, largest = (int(fields[name]) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"))
    except (KeyError, ValueError):
        return None
    if min(width, height, depth, largest) < 0 or max(width, height) > 10**9:
        return None
    is_cmyk = fields.get(b"TUPLTYPE", b"").startswith(b"CMYK")
    return Netpbm("7", (width, height), depth, largest, found.end(), is_cmyk=is_cmyk)


def is_tga(data: bytes) -> bool:
    """Tell whether a file is a TGA, by its footer (version 2), or by every field of its header."""
    if len(data) < 18:
        return False
    _, has_map, kind = data[:3]
    first, count, map_bits, _, _, width, height, depth, flags = struct.unpack_from("<HHBHHHHBB", data, 3)
    if data[-18:-1] == _TGA_FOOTER:
        return True
    if has_map > 1 or kind not in (1, 2, 3, 9, 10, 11) or not width or not height or flags & 0xC0:
        return False
    if depth not in _TGA_DEPTHS[kind & 7] or flags & 15 not in _TGA_ALPHA[depth]:
        return False
    if has_map:
        return map_bits in _TGA_MAPS and count > 0 and first + count <= 65_536
    return kind & 7 != 1 and not (first or count or map_bits)


def tga_size(data: bytes) -> Size:
    """Width and height of a TGA, px."""
    width, height = struct.unpack_from("<HH", data, 12)
    return width, height
