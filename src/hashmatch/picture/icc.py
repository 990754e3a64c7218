"""ICC profiles: the profiles of a file, made harmless, and profiles made from gamma, primaries and code points.

This module does not import Pillow. Sources: ICC.1:2022; W3C PNG third edition; ITU-T H.273; GIF's ICC application
block; BITMAPV5HEADER.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["SRGB", "made_profile", "profiles_of", "safe_profile", "space_of"]

_MOST_READ: Final = 2**24  # what the segments of a JPEG can hold
_MOST_KEPT: Final = 4 * 2**20  # the largest of printers have 3 MB
_MOST_TAGS: Final = 100
_MOST_CHUNKS: Final = 4096
_HEAD: Final = 132
_SPACES: Final = (b"RGB ", b"GRAY", b"CMYK")
_CLASSES: Final = (b"mntr", b"scnr", b"prtr", b"spac")
_LOOK_UPS: Final = (b"A2B0", b"A2B1", b"A2B2")
# what colours are worked out from; all else (text, gamut, measurements, float pipelines) is left out
_USED: Final = (*_LOOK_UPS, b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"wtpt", b"chad")
SRGB: Final = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_D65: Final = SRGB[:2]
_PRIMARIES: Final[Mapping[int, tuple[float, ...]]] = MappingProxyType(
    {
        1: SRGB,
        4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
        5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
        6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
        7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
        8: (0.310, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
        9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
        11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
        12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
        22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
    }
)
_STEPS: Final = 1024
_WHITE_NITS: Final = 203.0  # of the reference white of HDR pictures, ITU-R BT.2408
_D50: Final = (0.9642, 1.0, 0.8249)
_BRADFORD: Final = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))

Floats = npt.NDArray[np.float64]


def _srgb(v: Floats) -> Floats:
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def _pq(v: Floats) -> Floats:
    root = v ** (32 / 2523)
    light = (np.maximum(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)) ** (16384 / 2610)
    return light * (10_000 / _WHITE_NITS)


def _hlg(v: Floats) -> Floats:
    light = np.where(v <= 0.5, v * v / 3, (np.exp((v - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    return light / 0.26496256  # reference white is 75 % of the signal


# those of television are shown as sRGB, as browsers do
_TRANSFERS: Final[Mapping[int, Callable[[Floats], Floats]]] = MappingProxyType(
    {
        **dict.fromkeys((1, 6, 13, 14, 15), _srgb),
        4: lambda v: v**2.2,
        5: lambda v: v**2.8,
        8: lambda v: v,
        16: _pq,
        18: _hlg,
    }
)


def profiles_of(data: bytes | None, info: Mapping[Any, Any], container: str, *, grey: bool) -> Iterator[bytes]:
    """Yield the profiles of a file by precedence; browsers use the first usable one.

    Parameters
    ----------
    data : bytes or None
        The file; None if there is only an open picture.
    info : mapping
        Information from Pillow: ``icc_profile``, ``gamma``, ``chromaticity``, ``srgb``.
    container : str
        Its format.
    grey : bool
        Whether samples are grey; a profile made from numbers is then a grey profile.

    Yields
    ------
    bytes
        A profile as stored in the file, which may be hostile, or made from gAMA and cHRM of a PNG or from the code
        points of cICP and nclx.
    """
    chunks = _png_chunks(data) if data is not None and container == "PNG" else {}
    if b"cICP" in chunks and len(chunks[b"cICP"]) == 4:
        yield from _of_code_points(*chunks[b"cICP"][:2], grey=grey)
    found = info.get("icc_profile") or _embedded(data, container, chunks)
    if isinstance(found, bytes):
        yield found
    if data is not None and container in ("AVIF", "HEIF"):
        at = data.find(b"colrnclx", 0, 1 << 16) + 8
        if 8 <= at <= len(data) - 4:
            yield from _of_code_points(*struct.unpack_from(">HH", data, at), grey=grey)
    if b"sRGB" in chunks or "srgb" in info:
        return
    gamma, primaries = info.get("gamma"), info.get("chromaticity")
    if len(chunks.get(b"gAMA", b"")) == 4:
        gamma = int.from_bytes(chunks[b"gAMA"]) / 100_000
    if len(chunks.get(b"cHRM", b"")) == 32:
        primaries = tuple(value / 100_000 for value in struct.unpack(">8I", chunks[b"cHRM"]))
    if isinstance(gamma, float) and 1e-4 < gamma < 1e4:
        power = 1 / gamma
        made = made_profile(lambda v: v**power, primaries or SRGB, grey=grey)
        if made is not None:
            yield made


def _of_code_points(primaries: int, transfer: int, *, grey: bool) -> Iterator[bytes]:
    curve, known = _TRANSFERS.get(transfer), _PRIMARIES.get(primaries)
    if curve is None or (known is None and not grey):
        return
    made = made_profile(curve, known or SRGB, grey=grey)
    if made is not None:
        yield made


def _embedded(data: bytes | None, container: str, chunks: Mapping[bytes, bytes]) -> bytes | None:
    """Read profiles that Pillow does not look for."""
    if data is None:
        return None
    if b"iCCP" in chunks:
        _, _, rest = chunks[b"iCCP"].partition(b"\0")
        try:
            return zlib.decompressobj().decompress(rest[1:], _MOST_READ + 1)
        except zlib.error:
            return None
    if container == "GIF":
        at = data.find(b"!\xff\x0bICCRGBG1012", 0, _MOST_READ) + 14
        parts: list[bytes] = []
        while 14 <= at < len(data) and data[at] and len(parts) < _MOST_READ // 255:
            parts.append(data[at + 1 : at + 1 + data[at]])
            at += 1 + data[at]
        return b"".join(parts) or None
    if container == "BMP" and len(data) >= 138 and data[14] == 124 and data[70:74] == b"DEBM":
        start, size = struct.unpack_from("<II", data, 126)
        return data[14 + start : 14 + start + size]
    return None


def _png_chunks(data: bytes) -> dict[bytes, bytes]:
    """First sound chunk of each kind that says what colours mean; only those before the pixels count."""
    found: dict[bytes, bytes] = {}
    at = 8
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in (b"IDAT", b"IEND"):
            break
        end = at + 12 + length
        is_wanted = kind in (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM") and kind not in found and length <= _MOST_READ
        if is_wanted and zlib.crc32(data[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end]):
            found[kind] = data[at + 8 : end - 4]
        at = end
    return found


def space_of(profile: bytes) -> bytes:
    """Return the colour space of a profile in four letters: ``RGB``, ``GRAY`` or ``CMYK``."""
    return profile[16:20]


def safe_profile(profile: bytes) -> bytes | None:
    """Make a profile harmless for a colour engine, or refuse it.

    Parameters
    ----------
    profile : bytes
        Profile from a file.

    Returns
    -------
    bytes or None
        The profile with only the tags that determine colours. None if these tags exceed 4 MiB or the profile 16 MiB, if
        it has more than 100 tags, is a device link, has another colour space than RGB, grey and CMYK, or if a look-up
        table is larger than its tag.
    """
    if not _HEAD <= len(profile) <= _MOST_READ or profile[36:40] != b"acsp":
        return None
    (count,) = struct.unpack_from(">I", profile, 128)
    if count > _MOST_TAGS or _HEAD + 12 * count > len(profile):
        return None
    if profile[12:16] not in _CLASSES or space_of(profile) not in _SPACES or profile[20:24] not in (b"XYZ ", b"Lab "):
        return None
    kept: dict[bytes, tuple[int, int]] = {}
    for place in range(count):
        name, start, size = struct.unpack_from(">4sII", profile, _HEAD + 12 * place)
        if name in _USED and start + size <= len(profile):
            kept.setdefault(name, (start, size))
    if any(name in kept and not _fits(profile, *kept[name]) for name in _LOOK_UPS):
        return None
    if sum(size for _, size in kept.values()) > _MOST_KEPT:
        return None
    return _assembled(profile[:128], {name: profile[start : start + size] for name, (start, size) in kept.items()})


def _assembled(head: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """Put tags behind a header of 128 bytes, and say in it how long all is."""
    table, body, at = struct.pack(">I", len(tags)), b"", _HEAD + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    return struct.pack(">I", at + len(body)) + head[4:] + table + body


def _fits(profile: bytes, start: int, size: int) -> bool:
    """Whether a look-up table's grid lies within its tag."""
    if size < 32:
        return False
    kind, inputs, outputs = profile[start : start + 4], profile[start + 8], profile[start + 9]
    if not 1 <= inputs <= 4 or not 1 <= outputs <= 4:
        return False
    if kind in (b"mft1", b"mft2"):
        return math.prod([profile[start + 10]] * inputs) * outputs * (1 if kind == b"mft1" else 2) <= size
    if kind != b"mAB ":
        return False
    (at,) = struct.unpack_from(">I", profile, start + 24)
    if not at:
        return True
    grid = profile[start + at : start + at + inputs]
    return int(at) + 20 <= size and math.prod(grid) * outputs <= size


def made_profile(curve: Callable[[Floats], Floats], primaries: Any, *, grey: bool = False) -> bytes | None:
    """Make a profile of one curve and three primaries.

    Parameters
    ----------
    curve : callable
        Map from samples to light, both 0 to 1; light above 1 is clipped.
    primaries : sequence of 8 floats
        x and y of white, red, green and blue.
    grey : bool
        Whether the profile is a grey profile, which uses the curve alone.

    Returns
    -------
    bytes or None
        The profile; None if the primaries are impossible.
    """
    light = np.clip(np.nan_to_num(curve(np.linspace(0.0, 1.0, _STEPS))), 0.0, 1.0)
    samples = np.rint(light * 65535).astype(">u2").tobytes()
    tags = {b"kTRC" if grey else b"rTRC": b"curv\0\0\0\0" + struct.pack(">I", _STEPS) + samples}
    tags[b"wtpt"] = _xyz(np.array(_D50))
    if not grey:
        matrix = _to_d50(primaries)
        if matrix is None:
            return None
        tags |= {name: _xyz(matrix[:, place]) for place, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
        tags |= {b"gTRC": tags[b"rTRC"], b"bTRC": tags[b"rTRC"]}
    space = b"GRAY" if grey else b"RGB "
    head = struct.pack(">8xI4s4s4s12x4s28x12s", 0x02400000, b"mntr", space, b"XYZ ", b"acsp", _xyz(np.array(_D50))[8:])
    return _assembled(head.ljust(128, b"\0"), tags)


def _xyz(values: Floats) -> bytes:
    return b"XYZ \0\0\0\0" + np.rint(values * 65536).astype(">i4").tobytes()


def _to_d50(primaries: Any) -> Floats | None:
    """Give the matrix from linear RGB to XYZ under D50; None where there is none."""
    x, y = np.array(primaries, np.float64).reshape(4, 2).T
    if not ((y > 0) & (y <= 1) & (x >= 0) & (x <= 1)).all():
        return None
    white, *lights = (np.array((a / b, 1.0, (1 - a - b) / b)) for a, b in zip(x, y, strict=True))
    cone = np.array(_BRADFORD)
    try:
        matrix = np.stack(lights, 1)
        matrix = matrix * np.linalg.solve(matrix, white)
        matrix = np.linalg.solve(cone, (cone @ _D50 / (cone @ white))[:, None] * (cone @ matrix))
    except np.linalg.LinAlgError:
        return None
    sane: Floats | None = matrix if float(np.abs(matrix).max()) < 100.0 else None
    return sane
