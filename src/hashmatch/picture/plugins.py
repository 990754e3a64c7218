"""Image classes beside Pillow's plug-ins: icons, Netpbm, and TGA with a meaningful alpha.

They behave as Pillow's classes do: the size is known after opening, `load` decodes, and the decoded part of a damaged
file stays in the image.
"""

from __future__ import annotations

import io
import struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import DibImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TgaImagePlugin import TgaImageFile

from hashmatch.picture.loose import Icon, icon_entries, netpbm_header
from hashmatch.picture.netpbm import netpbm_samples

__all__ = ["IconFile", "NetpbmFile", "TgaFile"]

_MODES: Final = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_PNG: Final = b"\x89PNG"


class IconFile(ImageFile.ImageFile):
    """Icon or cursor; its pictures are frames, the largest first."""

    format = "ICO"

    def _open(self) -> None:
        self._data: bytes = self.fp.read()  # type: ignore[union-attr]
        self._icons = icon_entries(self._data)
        self._at = -1
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Go to a picture, not yet decoded."""
        if not 0 <= frame < len(self._icons):
            raise EOFError
        if frame != self._at:
            icon = self._icons[frame]
            self._inner = _opened(self._data, icon)
            self._at, self._size, self._mode = frame, (icon.width, icon.height), self._inner.mode
            self.tile = self._inner.tile
            self._im = None

    def tell(self) -> int:
        """Position of the picture."""
        return self._at

    def load(self) -> Any:
        """Decode the picture, and its mask as transparency."""
        is_cut = False
        if self._im is None:
            icon, inner = self._icons[self._at], self._inner
            try:
                inner.load()
            finally:
                if getattr(inner, "_im", None) is not None:
                    shown = inner if inner.format == "PNG" else _masked(self._data, icon, inner)
                    self._mode, self.im, self.palette = shown.mode, shown.im, shown.palette
                    is_cut = bool(inner.info.get("cut"))
                    self.info = {k: v for k, v in inner.info.items() if k == "transparency"}
        if is_cut:
            raise OSError("truncated")
        return Image.Image.load(self)


def _opened(data: bytes, icon: Icon) -> ImageFile.ImageFile:
    part = data[icon.start : icon.end]
    if part.startswith(_PNG):
        return PngImageFile(io.BytesIO(part))
    # the height covers picture and mask
    if part.startswith(b"\x0c"):
        part = part[:6] + struct.pack("<H", icon.height) + part[8:]
    else:
        (stated,) = struct.unpack_from("<i", part, 8)
        part = part[:8] + struct.pack("<i", -icon.height if stated < 0 else icon.height) + part[12:]
    image = DibImageFile(io.BytesIO(part))
    setattr(image, "pixels_at", image.tile[0].offset)  # noqa: B010  (loading forgets it)
    setattr(image, "is_upright", len(part) > 12 and part[0] != 12 and struct.unpack_from("<i", part, 8)[0] < 0)  # noqa: B010
    return image


def _masked(data: bytes, icon: Icon, image: Any) -> Image.Image:
    """Put alpha beside the colours: of 32 bits a pixel the fourth byte unless it is 0 everywhere, else the mask."""
    part = data[icon.start : icon.end]
    width, height = image.size
    at = image.pixels_at
    alpha: npt.NDArray[np.uint8] | None = None
    if icon.bits == 32:
        pixels = np.frombuffer(part, np.uint8, min(len(part) - at, 4 * width * height), at)
        if len(pixels) == 4 * width * height and pixels[3::4].any():
            alpha = pixels.reshape(height, width, 4)[:, :, 3]
    if alpha is None:
        stride = (width + 31) // 32 * 4
        start = at + (icon.bits * width + 31) // 32 * 4 * height
        if start + stride * height > len(part):
            image.info["cut"] = icon.end > len(data)
            return image.convert("RGB")  # type: ignore[no-any-return]
        rows = np.frombuffer(part, np.uint8, stride * height, start).reshape(height, stride)
        alpha = (1 - np.unpackbits(rows, axis=1)[:, :width]) * np.uint8(255)
    shown: Image.Image = image.convert("RGB").convert("RGBA")
    shown.putalpha(Image.fromarray(np.ascontiguousarray(alpha if image.is_upright else alpha[::-1])))
    return shown


class NetpbmFile(ImageFile.ImageFile):
    """PBM, PGM, PPM, PAM or PFM."""

    format = "PPM"

    def _open(self) -> None:
        self._data: bytes = self.fp.read()  # type: ignore[union-attr]
        header = netpbm_header(self._data)
        if header is None or header.depth not in _MODES or (header.kind not in "fF" and not header.largest):
            raise SyntaxError("no Netpbm file that can be read")
        self._header, self._size = header, header.size
        self._mode = "CMYK" if header.is_cmyk and header.depth == 4 else _MODES[header.depth]

    def load(self) -> Any:
        """Decode the picture."""
        if self._im is None:
            samples, is_whole = netpbm_samples(self._data, self._header)
            image = Image.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples)
            if self._mode == "CMYK":
                image = Image.frombytes("CMYK", self.size, samples.tobytes())
            self._mode, self.im = image.mode, image.im
            if not is_whole:
                raise OSError("truncated")
        return Image.Image.load(self)


class TgaFile(TgaImageFile):
    """TGA without alpha if the header states that there is none, or if alpha hides the whole picture."""

    def _open(self) -> None:
        self._flags: int = self.fp.read(18)[17]  # type: ignore[union-attr]
        self.fp.seek(0)  # type: ignore[union-attr]
        super()._open()

    def load_end(self) -> None:
        """Correct alpha."""
        super().load_end()
        if self.mode in ("LA", "RGBA"):
            band = len(self.getbands()) - 1
            if not self._flags & 15 or self.im.getband(band).getextrema()[1] == 0:
                self.im.fillband(band, 255)
