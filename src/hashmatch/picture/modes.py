"""The meaning of each of Pillow's modes as grey or RGB with alpha; see ``docs/reference/pixel-contract.md``.

The functions take loaded images (`hashmatch.picture.decode` loads them) and never change them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from hashmatch.errors import UnreadableImageError
from hashmatch.foreign_errors import is_foreign
from hashmatch.picture.colour import with_colours_shown
from hashmatch.picture.pixels import Planes, Reading, high_byte, look_up, stretch, upright
from hashmatch.view import Rendering

if TYPE_CHECKING:
    from PIL import Image

    from hashmatch.picture.tiff import Stored

__all__ = ["planes_of_image"]

Bytes = npt.NDArray[np.uint8]

_ORIENTATION: Final = 0x0112
_CONVERTED: Final = ("CMYK", "YCbCr", "HSV", "LAB")
_NUMBERS: Final = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "I", "F")
_GREY_SCALE: Final = {"L;2": 85, "L;4": 17}  # how Pillow spreads the 2 and 4 bits of a PNG, but not of its key


def planes_of_image(
    image: Image.Image,
    memory: Bytes | None = None,
    stored_as: str = "",
    stored: Stored | None = None,
    data: bytes | None = None,
) -> Planes:
    """Convert a loaded image to upright grey or RGB, with alpha if it has any.

    Parameters
    ----------
    image : PIL.Image.Image
        Loaded image of any mode.
    memory : (H, W) or (H, W, 4) uint8 array, optional
        Samples of the image, if they are available without a copy; four bytes a pixel for RGB.
    stored_as : str
        Pillow's raw mode of the file, which gives the depth of a PNG; empty if it is not known.
    stored : Stored, optional
        True meaning of the samples of a TIFF.
    data : bytes, optional
        The file, for its colour information.

    Raises
    ------
    UnreadableImageError
        With reason ``no-rule`` if the mode is unknown.
    """
    orientation = _orientation(image)
    planes = _as_stored(image, memory, stored_as, stored, orientation)
    planes = replace(planes, others=tuple(_as_others(image, orientation)))
    return with_colours_shown(planes, image, data, orientation)


def _as_others(image: Image.Image, orientation: int) -> Iterator[Reading]:
    """Say how other clients read the image, where that is not as it is meant; alpha is left to `rasters_of`."""
    mode = image.mode

    def samples() -> npt.NDArray[Any]:
        return upright(np.asarray(image), orientation)

    if mode.startswith("I;16") or mode in ("I", "F"):
        # Pillow's convert("RGB") and convert("L")
        yield Rendering.CLIPPED, lambda: np.nan_to_num(samples().clip(0, 255)).astype(np.uint8)
    elif mode == "P":
        # numpy.asarray of the open file, as threatexchange and users of pdqhash do
        yield Rendering.RAW, samples
    elif mode in _CONVERTED:
        yield Rendering.RAW, lambda: samples()[:, :, :3]
    if mode == "CMYK":
        # readers that take Adobe's inverted inks for plain ones, or plain ones for inverted
        yield Rendering.INKS_INVERTED, lambda: _inverted_inks(samples())


def _inverted_inks(inks: Bytes) -> Bytes:
    return (inks[:, :, :3].astype(np.uint16) * inks[:, :, 3:] // 255).astype(np.uint8)


def _as_stored(
    image: Image.Image, memory: Bytes | None, stored_as: str, stored: Stored | None, orientation: int
) -> Planes:
    mode = image.mode
    deep = mode.startswith("I;16")
    if not deep and mode not in _CONVERTED and mode not in _NUMBERS:
        raise UnreadableImageError(f"pictures of Pillow's mode {mode!r} have no rule; convert to RGB", reason="no-rule")
    if mode == "1":
        shown = np.frombuffer(image.tobytes("raw", "L"), np.uint8).reshape(image.height, image.width)
    elif mode in _CONVERTED:
        shown = np.asarray(image.convert("RGB"))
    else:
        shown = np.asarray(image) if memory is None else memory
    if stored is not None:
        shown = stored.samples(shown)
    samples = upright(shown, orientation)
    if stored is not None and stored.inverted:
        return Planes(255 - (high_byte(samples) if deep else stretch(samples)))
    if samples.dtype == np.int8:
        return Planes(stretch(samples))
    if mode in ("1", "L"):
        return Planes(samples, _alpha_of_grey_key(image, samples, stored_as))
    if mode == "RGB":
        return Planes(samples[:, :, :3], _alpha_of_colour_key(image, samples, stored_as))
    if mode == "RGBX" or mode in _CONVERTED:
        return Planes(samples[:, :, :3])
    if mode in ("RGBA", "RGBa"):
        return Planes(samples[:, :, :3], samples[:, :, 3], premultiplied=mode == "RGBa")
    if mode in ("LA", "La"):
        return Planes(samples[:, :, 0], samples[:, :, 1], premultiplied=mode == "La")
    if mode == "PA":
        return Planes(look_up(samples[:, :, 0], _palette(image))[:, :, :3], samples[:, :, 1])
    if mode == "P":
        palette = _palette(image)
        colour = look_up(samples, palette)
        return Planes(colour[:, :, :3], None if int(palette[:, 3].min()) == 255 else colour[:, :, 3])
    if deep:
        return Planes(high_byte(samples), _alpha_of_grey_key(image, samples, stored_as))
    return Planes(stretch(samples))


def _palette(image: Image.Image) -> Bytes:
    """Give the (256, 4) RGBA palette; entries a file leaves out are opaque black, as Pillow shows them."""
    palette = np.zeros((256, 4), np.uint8)
    palette[:, 3] = 255
    colours = np.array(image.getpalette("RGBA") or [], np.uint8).reshape(-1, 4)[:256]
    palette[: len(colours)] = colours
    transparent = image.info.get("transparency")
    if isinstance(transparent, int) and 0 <= transparent < 256:
        palette[transparent, 3] = 0
    elif isinstance(transparent, bytes):
        palette[: len(transparent[:256]), 3] = np.frombuffer(transparent[:256], np.uint8)
    return palette


def _alpha_of_grey_key(image: Image.Image, grey: npt.NDArray[Any], stored_as: str) -> Bytes | None:
    """Alpha where a PNG names one grey value as transparent, at the depth of the file."""
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return None
    return np.where(grey == key * _GREY_SCALE.get(stored_as, 1), np.uint8(0), np.uint8(255))


def _alpha_of_colour_key(image: Image.Image, colour: Bytes, stored_as: str) -> Bytes | None:
    """Alpha where a PNG names one colour as transparent; of 16-bit samples only the high bytes are left to compare."""
    key = image.info.get("transparency")
    if not (isinstance(key, tuple) and len(key) == 3 and all(isinstance(part, int) for part in key)):
        return None
    if stored_as.startswith("RGB;16") or max(key) > 255:
        key = tuple(part >> 8 for part in key)
    same = (colour[:, :, 0] == key[0]) & (colour[:, :, 1] == key[1]) & (colour[:, :, 2] == key[2])
    return np.where(same, np.uint8(0), np.uint8(255))


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none or the EXIF block is broken, which must not lose the picture."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception as error:
        if is_foreign(error):
            raise
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
