"""BMP pixels whose channels are defined by masks: Pillow supports few masks, and drops the alpha of 16 bits."""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["masked_picture"]

_MASKS: Final = (3, 6)  # what a header calls its compression: three masks, or four
_MASKS_AT: Final = 54
_FOURTH_FROM: Final = 56  # bytes of a header that has room for the mask of alpha


def masked_picture(data: bytes) -> Image.Image | None:
    """Read a BMP file with masks.

    Parameters
    ----------
    data : bytes
        The file; its size was checked.

    Returns
    -------
    PIL.Image.Image or None
        RGB, or RGBA with a mask of alpha; each channel is ``floor(255 v / greatest)``, 0 without a mask. None if the
        file has no masks, or rows are missing.

    Raises
    ------
    ValueError, struct.error
        If masks overlap or have gaps.
    """
    length, width, height, _, bits, kind = struct.unpack_from("<IiiHHI", data, 14)
    if length < 40 or length == 64 or kind not in _MASKS or bits not in (16, 32):
        return None
    n = 4 if kind == 6 or length >= _FOURTH_FROM else 3
    masks = struct.unpack_from(f"<{n}I", data, _MASKS_AT)
    if sum(masks) != masks[0] | masks[1] | masks[2] | (masks[3] if n == 4 else 0):
        raise ValueError("masks overlap")
    (start,) = struct.unpack_from("<I", data, 10)
    across = (width * bits + 31) // 32 * 4
    rows = abs(height)
    if width < 1 or rows < 1 or start + rows * across > len(data):
        return None
    lines = np.frombuffer(data, np.uint8, rows * across, start).reshape(rows, across)
    pixels = lines[:, : width * bits // 8].copy().view(f"<u{bits // 8}")
    if height > 0:
        pixels = pixels[::-1]
    alpha = n == 4 and masks[3] != 0
    return Image.fromarray(np.stack([_channel(pixels, mask) for mask in masks[: 4 if alpha else 3]], axis=-1))


def _channel(pixels: npt.NDArray[Any], mask: int) -> npt.NDArray[np.uint8]:
    if not mask:
        return np.zeros(pixels.shape, np.uint8)
    low = (mask & -mask).bit_length() - 1
    greatest = mask >> low
    if greatest & (greatest + 1):
        raise ValueError("a mask has gaps")
    values = (pixels & pixels.dtype.type(mask & (1 << 8 * pixels.itemsize) - 1)) >> pixels.dtype.type(low)
    if greatest > 255:
        values, greatest = values >> (greatest.bit_length() - 8), 255
    shown: npt.NDArray[np.uint8] = (values.astype(np.uint16) * np.uint16(255) // np.uint16(greatest)).astype(np.uint8)
    return shown
