"""Rows of a decoded picture, handed over block by block without a copy of the whole.

Pillow keeps 4 bytes for a pixel and copies twice on the way to an array (``numpy.asarray``: about 4 ns a pixel, as
long as many a decode). Its writer of raw pixels passes blocks of 64 kB that are still in the processor's cache, at
about 0.5 ns a pixel, and a hasher needs each row only once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ImageRows"]

_Bytes = npt.NDArray[np.uint8]


class ImageRows:
    """The rows of a Pillow picture of mode RGB or L.

    Parameters
    ----------
    image : PIL.Image.Image
        Loaded picture of mode ``"RGB"`` or ``"L"``; kept, never changed.

    Raises
    ------
    ValueError
        If the picture has another mode.
    """

    __slots__ = ("_image",)

    def __init__(self, image: Image.Image) -> None:
        if image.mode not in ("RGB", "L"):
            raise ValueError(f"rows are read from a picture of mode RGB or L, not {image.mode}")
        self._image = image

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, 3) for RGB or (H, W) for L, px."""
        size = (self._image.height, self._image.width)
        return (*size, 3) if self._image.mode == "RGB" else size

    def feed(self, sink: Callable[[_Bytes], None]) -> None:
        """Call ``sink`` with (k, W, 3) or (k, W) uint8 arrays, from the top row to the last.

        Parameters
        ----------
        sink : callable
            Takes an array that is read-only and valid during the call.

        Notes
        -----
        Cost: about 0.5 ns a pixel beside the sink. Memory: one block of 64 kB, or 4 rows where those are longer.
        """
        self._image.save(_RowWriter(self.shape, sink), format="PPM")  # type: ignore[arg-type]

    def pixels(self) -> _Bytes:
        """Copy all rows to one (H, W, 3) or (H, W) array.

        Notes
        -----
        Cost: about 1 ns a pixel, a quarter of ``numpy.asarray``.
        """
        pixels = np.empty(self.shape, np.uint8)
        at = 0

        def keep(block: _Bytes) -> None:
            nonlocal at
            pixels[at : at + len(block)] = block
            at += len(block)

        self.feed(keep)
        return pixels


class _RowWriter:
    """A file to Pillow's PPM writer: drops the header, cuts the pixels to whole rows and passes them on."""

    __slots__ = ("_header", "_rest", "_row_bytes", "_row_shape", "_sink")

    def __init__(self, shape: tuple[int, ...], sink: Callable[[_Bytes], None]) -> None:
        self._row_shape = shape[1:]
        self._row_bytes = int(np.prod(shape[1:]))
        self._sink = sink
        self._header = len(f"P6\n{shape[1]} {shape[0]}\n255\n")
        self._rest = b""

    def write(self, data: bytes) -> int:
        size = len(data)
        dropped = min(self._header, size)
        self._header -= dropped
        data = self._rest + data[dropped:] if self._rest else data[dropped:]
        rows = len(data) // self._row_bytes
        if rows:
            flat = np.frombuffer(data, np.uint8, rows * self._row_bytes)
            self._sink(flat.reshape(rows, *self._row_shape))
        self._rest = data[rows * self._row_bytes :]
        return size
