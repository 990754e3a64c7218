"""Layouts of TIFF that Pillow opens and reads wrong: corrected before loading, or refused.

`TiffReader` is Pillow's class with one step changed: while Pillow chooses how to read a frame, it sees a layout that it
reads right, and its samples are then interpreted by the true layout. ``tests/picture/test_tiff_layouts.py`` compares
every layout with an independent decoder.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from hashmatch.errors import UnreadableImageError

__all__ = ["Stored", "TiffReader", "stored_in"]

_BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _SAMPLES, _PLANAR, _FORMAT = 258, 259, 262, 266, 277, 284, 339
_RAW, _BY_LIBTIFF = 1, 5  # LZW stands for any compression: libtiff looks itself
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _YCBCR = 0, 1, 6
_UNSIGNED, _SIGNED, _UNDEFINED = 1, 2, 4
_WRONG_IN_PLANES: Final = ("LA", "La", "PA", "LAB")
_NATIVE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "I;16S": "I;16NS",
        "I;16BS": "I;16NS",
        "I;32S": "I;32NS",
        "I;32BS": "I;32NS",
        "F;32F": "F;32NF",
        "F;32BF": "F;32NF",
    }
)
"""Pillow's names for samples in the file's byte order, and in this machine's, in which libtiff gives them."""


@dataclass(frozen=True, slots=True)
class Stored:
    """True meaning of the samples that Pillow returns for a frame.

    Parameters
    ----------
    kind : str
        NumPy's name of their type; empty if Pillow's type is right.
    shift : int
        Bits by which 16-bit samples are shifted too low, 0 or more.
    inverted : bool
        Whether 0 is white in the samples that Pillow returns.
    """

    kind: str = ""
    shift: int = 0
    inverted: bool = False

    def samples(self, found: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the samples as the numbers in the file."""
        if self.kind:
            return np.ascontiguousarray(found).view(self.kind)
        return found << self.shift if self.shift else found


class TiffReader(TiffImageFile):
    """Pillow's reader of TIFF, with corrections for layouts that it reads wrong."""

    stored = Stored()

    def _setup(self) -> None:
        self.stored = _set_up(self, super()._setup)


def stored_in(image: Image.Image) -> Stored:
    """Return the meaning of the samples of a frame, and correct the layout of an image that is not loaded yet.

    Parameters
    ----------
    image : PIL.Image.Image
        Of any format.

    Raises
    ------
    UnreadableImageError
        With reason ``no-rule`` if Pillow reads the layout wrong, or did so when the caller loaded the image.
    """
    if isinstance(image, TiffReader) or not isinstance(image, TiffImageFile):
        return getattr(image, "stored", Stored())
    if image.tile:
        return _set_up(image, image._setup)
    tags = image.tag_v2
    raw = _first(tags, _COMPRESSION, _RAW) == _RAW
    deep, here = _first(tags, _BITS, 1) > 8, "II" if sys.byteorder == "little" else "MM"
    swapped = not raw and tags.prefix.decode() != here and image.mode in ("I", "F")
    if (raw and deep and _first(tags, _PLANAR, 1) == 2) or swapped:
        raise _no_rule("samples that Pillow reads wrong, once they are loaded")
    return _stored(image)


def _set_up(image: TiffImageFile, set_up: Callable[[], None]) -> Stored:
    """Let Pillow work out how to read a frame, by tags that stand for others, and put those right that it mistakes."""
    tags = image.tag_v2
    separate = _first(tags, _PLANAR, 1) == 2
    reverse = _first(tags, _FILL_ORDER, 1) == 2
    photometric, form = _first(tags, _PHOTOMETRIC, _WHITE_IS_ZERO), _first(tags, _FORMAT, _UNSIGNED)
    bits = _first(tags, _BITS, 1)
    grey = photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) and _first(tags, _SAMPLES, 1) == 1
    instead: dict[int, Any] = {}
    if _first(tags, _COMPRESSION, _RAW) == _RAW and (separate or reverse or photometric == _YCBCR):
        instead[_COMPRESSION] = _BY_LIBTIFF
    if reverse:
        instead[_FILL_ORDER] = 1
    if grey and bits > 8 and photometric == _WHITE_IS_ZERO:
        instead[_PHOTOMETRIC] = _BLACK_IS_ZERO
    if form == _UNDEFINED:
        instead[_FORMAT] = (_UNSIGNED,)
    if grey and bits == 32 and form in (_UNSIGNED, _UNDEFINED):
        instead[_FORMAT] = (_SIGNED,)
    before = {tag: tags.get(tag) for tag in instead}
    try:
        for tag, value in instead.items():
            tags[tag] = value
        set_up()
    except SyntaxError as error:
        if str(error) == "unknown pixel mode":
            raise _no_rule("samples of this kind") from None
        raise
    finally:
        for tag, value in before.items():
            if value is None:
                del tags[tag]
            else:
                tags[tag] = value
    if separate and image.mode in _WRONG_IN_PLANES:
        raise _no_rule("grey, palette or L*a*b* in planes")
    image.tile = [_native(tile) for tile in image.tile]
    return _stored(image)


def _native(tile: Any) -> Any:
    if tile[0] != "libtiff":
        return tile
    rawmode, *others = tile[3]
    return tile._replace(args=(_NATIVE.get(rawmode, rawmode), *others))


def _stored(image: TiffImageFile) -> Stored:
    tags, mode = image.tag_v2, image.mode
    bits, form = _first(tags, _BITS, 1), _first(tags, _FORMAT, _UNSIGNED)
    if mode == "L" and form == _SIGNED:
        return Stored(kind="int8")
    inverted = mode[0] in "IF" and _first(tags, _PHOTOMETRIC, _WHITE_IS_ZERO) == _WHITE_IS_ZERO
    if mode == "I" and bits == 32 and form in (_UNSIGNED, _UNDEFINED):
        return Stored(kind="uint32", inverted=inverted)
    return Stored(shift=16 - bits if mode.startswith("I;16") else 0, inverted=inverted)


def _no_rule(what: str) -> UnreadableImageError:
    return UnreadableImageError(f"TIFF files with {what} have no rule; convert to RGB", reason="no-rule")


def _first(tags: Any, tag: int, otherwise: int) -> int:
    found = tags.get(tag, otherwise)
    if isinstance(found, tuple):
        found = found[0] if found else otherwise
    return found if isinstance(found, int) else otherwise
