"""Loading of a JPEG with detection of missing data in its scans, which the codec fills silently.

The decoder gets the file up to each marker, then filler bytes that encode no picture. A decoder that has all its data
skips the filler in search of the marker; a decoder that lacks data keeps bytes of it back. Nothing is decoded twice.
"""

from __future__ import annotations

from typing import Any, Final

from PIL import Image

from hashmatch.picture.header import unreadable
from hashmatch.picture.jpeg import Segments, is_checkable, scan_boundaries

__all__ = ["load_jpeg"]

_FILLER: Final = b"\xff\0" * 8  # as many bits as the decoder reads ahead; all ones, which are no Huffman code
_PROBES: Final = 3
_BEYOND: Final = 64  # bytes; so much behind the last block that is not padding is a scan gone astray
_END: Final = b"\xff\xd9"


class _Feed:
    """A decoder and the bytes that it has left over."""

    def __init__(self, decoder: Any) -> None:
        self.decoder = decoder
        self.rest = b""
        self.done = False

    def give(self, part: bytes | memoryview) -> None:
        """Feed a part; ``done`` is set when the picture is finished."""
        if self.done:
            return
        whole = self.rest + part if self.rest else part
        taken, code = self.decoder.decode(whole)
        if taken >= 0:
            self.rest = bytes(whole[taken:])
            return
        if code < 0:
            raise OSError("the codec refuses the file")
        self.done = True

    def passes_over(self, probes: bytes | memoryview) -> bool:
        """Tell whether the decoder consumes single bytes, which it does only in search of a marker."""
        for i in range(len(probes)):
            self.give(probes[i : i + 1])
            if not self.done and self.rest:
                self.give(probes[i + 1 :])
                return False
        return True


def load_jpeg(image: Any, data: bytes, segments: Segments | None = None) -> Any:
    """Load a JPEG into the memory of the image; it replaces ``image.load``.

    Parameters
    ----------
    image : PIL.JpegImagePlugin.JpegImageFile
        Opened from ``data``.
    data : bytes
        The file.
    segments : Segments, optional
        From `hashmatch.picture.jpeg.few_segments`.

    Returns
    -------
    pixel access object
        As ``image.load`` returns it.

    Raises
    ------
    UnreadableImageError
        With reason ``truncated`` if the data of the last scan, or a whole scan, is missing before the end of the
        picture; ``corrupt`` if data is missing before any other marker (also a marker that is not allowed inside a
        scan),
        restart markers are out of order, or more than 64 bytes follow the last block that are not padding.

    Notes
    -----
    Cost: one search for markers, and microseconds a scan, beside Pillow's own decode. The function does not detect:
    wrong bits that leave the number of blocks right; up to two missing blocks at the end of a scan; damage inside one
    of very many restart intervals, if the 128 examined ones are whole; damage in arithmetic-coded and lossless files.
    """
    image.__dict__.pop("load", None)  # a circle of references would keep the pixels until the garbage is collected
    if image.tile and is_checkable(data, segments):
        image.load_prepare()
        name, extents, _, args = image.tile[0]
        decoder = Image._getdecoder(image.mode, name, args, image.decoderconfig)
        try:
            decoder.setimage(image.im, extents)
            _feed_scans(_Feed(decoder), data, segments)
        finally:
            decoder.cleanup()
        image.tile = []
    return type(image).load(image)


def _feed_scans(feed: _Feed, data: bytes, segments: Segments | None) -> None:
    view = memoryview(data)
    fed = 0
    for boundary in scan_boundaries(data, segments):
        if boundary.broken:
            raise unreadable(boundary.end)
        if boundary.at - fed > 2 * _BEYOND:
            beyond = boundary.at - _BEYOND
            feed.give(view[fed:beyond])
            fed = beyond + _PROBES
            if feed.passes_over(view[beyond:fed]) and len(set(view[beyond + len(_FILLER) : boundary.at])) > 1:
                raise unreadable(truncated=False)
        feed.give(view[fed : boundary.at])
        fed = boundary.at
        feed.give(_FILLER)
        if not feed.passes_over(bytes(_PROBES)):
            raise unreadable(boundary.end)
        if feed.done:
            return
    feed.give(view[fed:])
    feed.give(_END)
    if not feed.done:
        raise unreadable(truncated=True)
