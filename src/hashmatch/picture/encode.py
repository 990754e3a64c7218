"""From pixels to files, and the codec round trips of the ladder of edits; Pillow is imported inside the functions.

This module decodes only bytes that it has just made; untrusted bytes go through `hashmatch.picture.decode`.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "check_pixels",
    "encode",
    "jpeg",
    "map_perspective",
    "png",
    "recode",
    "resize",
    "rotate",
    "thumbnail",
    "to_pil",
    "webp",
]

Pixels = npt.NDArray[np.uint8]
Filter = Literal["nearest", "box", "bilinear", "bicubic", "lanczos"]
_FILTERS: Final = ("nearest", "box", "bilinear", "bicubic", "lanczos")


def check_pixels(pixels: Pixels) -> Pixels:
    """Return the picture if it is an (H, W, 3) uint8 array with at least one pixel.

    Raises
    ------
    ValueError
        If the value is anything else; the message names the shape and the type.
    """
    if not isinstance(pixels, np.ndarray):
        raise ValueError(f"a picture is an (H, W, 3) uint8 array, not {type(pixels).__name__}")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise ValueError(f"a picture is an (H, W, 3) uint8 array, not {pixels.shape} {pixels.dtype}")
    return pixels


def to_pil(pixels: Pixels) -> Image.Image:
    """Make a Pillow picture from pixels; the pixels are copied.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
        RGB.
    """
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(check_pixels(pixels)))


def encode(pixels: Pixels, format: str, **options: Any) -> bytes:
    """Write pixels as the bytes of an image file.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
        RGB.
    format : str
        Pillow's name of the format, such as ``"JPEG"``.
    **options
        Passed to Pillow's encoder.
    """
    stream = io.BytesIO()
    to_pil(pixels).save(stream, format=format, **options)
    return stream.getvalue()


def jpeg(pixels: Pixels, quality: int = 85, *, full_colour: bool = False) -> bytes:
    """Write a JPEG file; the bytes depend on the JPEG library that Pillow was built with.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
        RGB.
    quality : int
        1 to 100, in the scale of libjpeg.
    full_colour : bool
        Keep the colour at full size (4:4:4) instead of half (4:2:0).

    Raises
    ------
    ValueError
        If ``quality`` is out of range.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1 to 100, not {quality}")
    return encode(pixels, "JPEG", quality=int(quality), subsampling=0 if full_colour else 2)


def webp(pixels: Pixels, quality: int = 80, *, lossless: bool = False) -> bytes:
    """Write a WebP file.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
        RGB.
    quality : int
        0 to 100.
    lossless : bool
        Keep every pixel; ``quality`` is then the effort.

    Raises
    ------
    ValueError
        If ``quality`` is out of range.
    """
    if not 0 <= quality <= 100:
        raise ValueError(f"quality must be 0 to 100, not {quality}")
    return encode(pixels, "WEBP", quality=int(quality), lossless=lossless, method=2)


def png(pixels: Pixels) -> bytes:
    """Write a PNG file, which keeps every pixel.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
        RGB.
    """
    return encode(pixels, "PNG")


def recode(data: bytes) -> Pixels:
    """Decode bytes that an encoder of this module wrote.

    Parameters
    ----------
    data : bytes
        File bytes from `jpeg`, `webp` or `png`. Never pass other bytes: no limit is applied.

    Returns
    -------
    (H, W, 3) uint8 array
        RGB, owned by the caller.
    """
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=("JPEG", "WEBP", "PNG")) as image:
        return np.array(image.convert("RGB"))


def resize(pixels: Pixels, size: tuple[int, int], *, filter: Filter = "lanczos") -> Pixels:
    """Resample to a size.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
        RGB.
    size : (int, int)
        New height and width, px, at least 1.
    filter : str
        Pillow's filter, widened when the picture shrinks: ``"nearest"``, ``"box"``, ``"bilinear"``, ``"bicubic"`` or
        ``"lanczos"``.

    Raises
    ------
    ValueError
        If the size or the filter is not possible.
    """
    height, width = size
    if height < 1 or width < 1:
        raise ValueError(f"size must be at least 1 x 1 px, not {height} x {width}")
    return np.array(to_pil(pixels).resize((int(width), int(height)), _filter(filter)))


def thumbnail(pixels: Pixels, side: int) -> Pixels:
    """Shrink to fit a square, keeping the aspect, exactly as `PIL.Image.Image.thumbnail` does.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
        RGB; returned unchanged if it fits already.
    side : int
        Side of the square, px, at least 1.
    """
    shrunk = to_pil(pixels)
    shrunk.thumbnail((side, side))
    return np.array(shrunk)


def rotate(pixels: Pixels, degrees: float, *, fill: tuple[int, int, int] = (0, 0, 0)) -> Pixels:
    """Rotate to the left about the middle, on a canvas grown to hold the corners.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
        RGB.
    degrees : float
        Angle to the left.
    fill : (int, int, int)
        RGB of the area that the picture does not cover, 0 to 255.
    """
    turned = to_pil(pixels).rotate(degrees, resample=_filter("bicubic"), expand=True, fillcolor=fill)
    return np.array(turned)


def map_perspective(pixels: Pixels, coefficients: tuple[float, ...], *, fill: tuple[int, int, int]) -> Pixels:
    """Move every pixel by a perspective map.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
        RGB.
    coefficients : tuple of 8 float
        a to h: the new pixel (x, y) shows the old one at ((ax + by + c) / n, (dx + ey + f) / n), n = gx + hy + 1.
    fill : (int, int, int)
        RGB of the area outside the picture, 0 to 255.

    Raises
    ------
    ValueError
        If there are not eight coefficients.
    """
    from PIL import Image

    if len(coefficients) != 8:
        raise ValueError(f"a perspective map has 8 coefficients, not {len(coefficients)}")
    image = to_pil(pixels)
    moved = image.transform(
        image.size, Image.Transform.PERSPECTIVE, coefficients, resample=_filter("bicubic"), fillcolor=fill
    )
    return np.array(moved)


def _filter(name: str) -> Any:
    from PIL import Image

    if name not in _FILTERS:
        raise ValueError(f"filter must be one of {', '.join(_FILTERS)}, not {name!r}")
    return Image.Resampling[name.upper()]
