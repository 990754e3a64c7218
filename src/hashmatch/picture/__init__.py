"""From untrusted pictures to pixels: the only decode path; ``docs/reference/pixel-contract.md`` has the rules.

The import loads no codec: the first picture loads Pillow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from hashmatch.picture.header import check_header, format_of, read_header
from hashmatch.picture.pixels import Raster, planes_of_array, rasters_of
from hashmatch.picture.policy import KNOWN_FORMATS, USUAL_FORMATS, DecodePolicy, check_size
from hashmatch.picture.sniff import container_of
from hashmatch.picture.source import ImageSource, read_source, read_whole, refusal_of

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "KNOWN_FORMATS",
    "USUAL_FORMATS",
    "DecodePolicy",
    "ImageSource",
    "Picture",
    "Raster",
    "check_header",
    "count_source",
    "format_of",
    "iter_rasters",
    "open_picture",
    "read_source",
    "read_whole",
    "refusal_of",
]


class Picture:
    """A picture whose first raster is decoded; `open_picture` makes it.

    Use it from one thread at a time.

    Attributes
    ----------
    format : str or None
        Name of the file format, found from the bytes; None for arrays and for PIL images made in memory.
    width, height : int
        Size of the first raster, px, after EXIF orientation.
    data : bytes or None
        The file's bytes, for digests; None for PIL images and arrays.
    """

    __slots__ = ("_held", "_start", "data", "format", "height", "width")

    def __init__(self, start: Callable[[], Iterator[Raster]], format: str | None, data: bytes | None) -> None:
        self.format = format
        self.data = data
        self._start = start
        rest = start()
        first = next(rest)
        self.height, self.width = first.pixels.shape[:2]
        self._held: list[tuple[Raster, Iterator[Raster]]] = [(first, rest)]

    def rasters(self) -> Iterator[Raster]:
        """Yield the rasters in order: each frame on white, on black if that differs, then its other readings.

        Yields
        ------
        Raster
            One at a time, so that only one frame is in memory. Every call starts at the first raster; calls after
            the first decode the picture again.

        Raises
        ------
        ImageTooLargeError
            After the last raster allowed, if there are more frames (reason ``too-many-frames``) or pixels
            (``too-many-total-pixels``) than the policy allows.
        UnreadableImageError
            If a later frame is broken, after the frames before it.
        """
        if not self._held:
            yield from self._start()
            return
        first, rest = self._held.pop()
        yield first
        del first
        yield from rest

    def __repr__(self) -> str:
        return f"<Picture {self.format or 'in memory'}, {self.width} x {self.height}>"


def open_picture(source: ImageSource, policy: DecodePolicy | None = None) -> Picture:
    """Open a picture from any source, and decode its first frame.

    Parameters
    ----------
    source : bytes, path, binary file, PIL image or array
        The picture. A PIL image is treated as its file (orientation, palette, transparency, 16 bits), from its current
        frame on. The caller opened it, so allowed formats do not apply to it; limits do.
    policy : DecodePolicy, optional
        Formats and limits.

    Raises
    ------
    UnreadableImageError
        With reason ``empty``, ``not-an-image``, ``format-not-read``, ``format-not-allowed``, ``truncated``, ``corrupt``
        or one of those of `read_source`.
    ImageTooLargeError
        With reason ``too-many-bytes``, ``too-many-pixels``, ``too-long-side``, ``too-many-scans`` or ``out-of-memory``.
    TypeError, ValueError
        If the source has another type, or an array has samples outside 0 to 255.

    Notes
    -----
    Cost: Pillow's decode alone for opaque JPEG, PNG, WebP, BMP and AVIF of one frame: the codec writes into the array
    that is returned.

    Examples
    --------
    >>> open_picture(np.zeros((2, 3), np.uint8))
    <Picture in memory, 3 x 2>
    """
    policy = DecodePolicy() if policy is None else policy
    data = read_source(source, policy)
    if isinstance(source, np.ndarray):
        return Picture(partial(_array_rasters, source, policy), None, None)
    from hashmatch.picture.decode import decode_bytes, decode_image  # Pillow comes with the first picture

    if data is not None:
        header = read_header(data, policy)
        return Picture(partial(decode_bytes, data, policy, header), header.container, data)
    return Picture(partial(decode_image, cast("Image.Image", source), policy), getattr(source, "format", None), None)


def iter_rasters(source: ImageSource, policy: DecodePolicy | None = None) -> Iterator[Raster]:
    """Open a picture and return its rasters: `open_picture` and `Picture.rasters` in one call.

    Parameters
    ----------
    source : bytes, path, binary file, PIL image or array
        The picture.
    policy : DecodePolicy, optional
        Formats, limits and frames.

    Returns
    -------
    iterator of Raster
        Rasters. The first raster is decoded when the function returns; the errors of `open_picture` are raised here.
    """
    return open_picture(source, policy).rasters()


def count_source(source: ImageSource, policy: DecodePolicy) -> tuple[int, bool] | None:
    """Count the frames of a picture by the structure of its file.

    Parameters
    ----------
    source : bytes, PIL image or array
        The picture.
    policy : DecodePolicy
        Bounds the count to one more than ``max_frames``.

    Returns
    -------
    (int, bool) or None
        Number of frames, and whether that is all, as `hashmatch.picture.frames.held_frames`; None for bytes that are
        not a picture.
    """
    from hashmatch.picture.frames import held_frames

    if isinstance(source, bytes):
        container = container_of(source)
        return None if container is None else held_frames(container, source, policy.max_frames + 1)
    if isinstance(source, np.ndarray):
        return 1, True
    from hashmatch.picture.decode import frames_of_image

    return frames_of_image(cast("Image.Image", source), policy)


def _array_rasters(array: npt.NDArray[Any], policy: DecodePolicy) -> Iterator[Raster]:
    if array.ndim in (2, 3):
        check_size(array.shape[1], array.shape[0], policy)
    yield from rasters_of(planes_of_array(array), 0, as_others=policy.as_others)
