"""Colours as they are shown: ICC profiles applied by littlecms, as a further reading of a frame.

Browsers apply profiles before they show a picture. The reading is given only if it leads to another hash; for most
files a profile costs one look-up in a table of known profiles. Profiles are hostile bytes: `hashmatch.picture.icc`
bounds them, and a profile that littlecms refuses is ignored, as in browsers.
"""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from hashmatch.picture.icc import profiles_of, safe_profile, space_of
from hashmatch.picture.pixels import Planes, differ, few_points, upright
from hashmatch.view import Rendering

if TYPE_CHECKING:
    from PIL import ImageCms

__all__ = ["needs_colour", "with_colours_shown"]

Bytes = npt.NDArray[np.uint8]

_MODES: Final = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_LEVELS: Final = 4.0  # grey levels that no colour moves by: then no hash moves by more than rounding does
_LUMA: Final = np.array((0.299, 0.587, 0.114))
_KEPT: Final = 8  # profiles; each may have 4 MiB


@dataclass(frozen=True, slots=True, eq=False)
class _Managed:
    """A profile that matters, ready to be applied."""

    space: bytes
    transform: ImageCms.ImageCmsTransform

    def apply(self, samples: Bytes) -> Bytes:
        """Give (H, W, 3) sRGB of contiguous (H, W), (H, W, 3) or (H, W, 4) samples."""
        mode = _MODES[self.space]
        shape = samples.shape[1], samples.shape[0]
        shown: Bytes = np.asarray(self.transform.apply(Image.frombytes(mode, shape, samples.tobytes())))
        return shown


def with_colours_shown(planes: Planes, image: Image.Image, data: bytes | None, orientation: int) -> Planes:
    """Add the reading of a frame as it is shown, if its file states the meaning of its colours.

    Parameters
    ----------
    planes : Planes
        The frame.
    image : PIL.Image.Image
        The loaded image of the frame; the reading uses it when it is computed.
    data : bytes or None
        The file.
    orientation : int
        EXIF orientation of the image, which is applied to the frame but not to the image.

    Returns
    -------
    Planes
        Planes with a reading `Rendering.SHOWN` before all others; the reading is None if it does not differ.
    """
    if planes.colour.dtype != np.uint8:
        return planes
    found = _managed_of(image, data, grey=planes.colour.ndim == 2)
    if found is None:
        return planes

    def shown() -> Bytes | None:
        samples: Bytes = planes.colour
        if found.space == b"CMYK":
            samples = upright(np.asarray(image), orientation)
        with suppress(OSError, ValueError):
            if samples.ndim == 2:
                return _of_grey(found)[samples]
            if differ(few_points(planes.colour), found.apply(few_points(samples))):
                return found.apply(np.ascontiguousarray(samples))
        return None

    return replace(planes, others=((Rendering.SHOWN, shown), *planes.others))


def needs_colour(image: Image.Image, data: bytes | None) -> bool:
    """Whether a colour image cannot be decoded in grey alone, because its profile changes its brightness."""
    return image.mode == "RGB" and _managed_of(image, data, grey=False) is not None


def _managed_of(image: Image.Image, data: bytes | None, *, grey: bool) -> _Managed | None:
    """Give the first profile of a file that can be used, if it matters and is of the colours that the image has."""
    has: bytes = b"CMYK" if image.mode == "CMYK" else b"GRAY" if grey else b"RGB "
    if image.mode in ("LAB", "HSV"):
        return None
    for profile in profiles_of(data, image.info, image.format or "", grey=grey):
        safe = safe_profile(profile) if space_of(profile) == has else None
        if safe is None:
            continue
        with suppress(ValueError):
            return _managed(safe)
    return None


@lru_cache(maxsize=_KEPT)
def _managed(profile: bytes) -> _Managed | None:
    """Make a profile of `safe_profile` ready; None where it matters for no picture.

    Raises
    ------
    ValueError
        If it cannot be used; that is not remembered.
    """
    from PIL import ImageCms

    space = space_of(profile)
    try:
        transform = ImageCms.buildTransform(_opened(profile), ImageCms.createProfile("sRGB"), _MODES[space], "RGB")
        if not isinstance(transform, ImageCms.ImageCmsTransform):
            raise ValueError("a profile that cannot be used")
        managed = _Managed(space, transform)
        grid = _grid(len(_MODES[space]))
        plain, shown = _as_stored(grid), managed.apply(grid)
    except (ImageCms.PyCMSError, OSError, TypeError):
        raise ValueError("a profile that cannot be used") from None
    apart = np.abs(_luma(plain) - _luma(shown))
    return managed if float(apart.max()) > _LEVELS else None


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def _grid(channels: int) -> Bytes:
    """Colours over the whole of a space, as a picture of one row."""
    steps = {1: 256, 3: 9, 4: 5}[channels]
    levels = np.rint(np.linspace(0, 255, steps)).astype(np.uint8)
    grid = np.stack(np.meshgrid(*[levels] * channels, indexing="ij"), -1).reshape(1, -1, channels)
    return grid[:, :, 0] if channels == 1 else grid


def _as_stored(grid: Bytes) -> Bytes:
    """Give (H, W) or (H, W, 3) of a grid as it is without its profile."""
    if grid.ndim == 3 and grid.shape[2] == 4:
        return np.asarray(Image.frombytes("CMYK", (grid.shape[1], 1), grid.tobytes()).convert("RGB"))
    return grid


def _luma(samples: Bytes) -> npt.NDArray[np.float64]:
    luma: npt.NDArray[np.float64] = (samples if samples.ndim == 3 else samples[:, :, None].repeat(3, 2)) @ _LUMA
    return luma


def _of_grey(found: _Managed) -> Bytes:
    """Grey, as it is shown, of each of the 256 samples."""
    table: Bytes = np.rint(_luma(found.apply(_grid(1)))).astype(np.uint8)
    return table.reshape(256)
