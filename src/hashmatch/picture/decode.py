"""Decoding of untrusted bytes: Pillow, one plug-in at a time, every failure a typed error; JPEG loads by `jpeg_load`.

For isolation, `decode_bytes` is a function of (bytes, policy) that returns plain data, so that a worker process can run
it unchanged.

Pillow's plug-in classes are called directly. Therefore only the plug-in of the sniffed format is imported and run,
nothing is registered, `Image.open` never warns about sizes, and no process-wide setting of Pillow is read or changed.

Over 400 lines because a file takes one way through it: opened, cleaned, walked frame by frame, mended, salvaged.
"""

from __future__ import annotations

import io
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from hashmatch.errors import ImageError, ImageTooLargeError, UnreadableImageError
from hashmatch.foreign_errors import forgiven, is_foreign
from hashmatch.picture.bmp import masked_picture
from hashmatch.picture.clean import clean, mend
from hashmatch.picture.colour import needs_colour
from hashmatch.picture.frames import count_frames, held_frames, spread_frames
from hashmatch.picture.header import check_header, not_read, read_header, unreadable
from hashmatch.picture.jpeg import Segments, closed_jpeg
from hashmatch.picture.jpeg_load import load_jpeg
from hashmatch.picture.modes import planes_of_image
from hashmatch.picture.pixels import Planes, Raster, rasters_of
from hashmatch.picture.policy import DecodePolicy, check_size
from hashmatch.picture.sniff import branded, is_cut_short
from hashmatch.picture.unread_formats import camera_format

if TYPE_CHECKING:
    from hashmatch.picture.sniff import Header
    from hashmatch.picture.tiff import Stored

__all__ = ["decode_bytes", "decode_image", "frames_of_image"]

Bytes = npt.NDArray[np.uint8]

_ONE_FRAME: Final = ("JPEG", "MPO")
_DAMAGED: Final = ("truncated", "corrupt")
_REDUCED_SIDE: Final = 512  # px; eight for each of the 64 that PDQ averages
_INTO_ARRAY: Final = ("JPEG", "PNG", "WEBP", "BMP", "AVIF")  # TIFF turns and GIF replaces the memory while loading
_MEMORY_MODE: Final = {"L": "L", "RGB": "RGBX", "RGBA": "RGBA"}
_PLUGINS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "JPEG": ("JpegImagePlugin", "JpegImageFile"),  # the class, not Pillow's factory: later pictures are not parsed
        "PNG": ("PngImagePlugin", "PngImageFile"),
        "GIF": ("GifImagePlugin", "GifImageFile"),
        "WEBP": ("WebPImagePlugin", "WebPImageFile"),
        "BMP": ("BmpImagePlugin", "BmpImageFile"),
        "TIFF": ("hashmatch.picture.tiff", "TiffReader"),
        "AVIF": ("AvifImagePlugin", "AvifImageFile"),
        "ICO": ("hashmatch.picture.plugins", "IconFile"),
        "PPM": ("hashmatch.picture.plugins", "NetpbmFile"),
        "TGA": ("hashmatch.picture.plugins", "TgaFile"),
    }
)
_PILLOW_MODULES: Final = re.compile(r"_?(PIL|pillow_heif)\b")


def decode_bytes(data: bytes, policy: DecodePolicy, header: Header | None = None) -> Iterator[Raster]:
    """Decode a file frame by frame.

    Parameters
    ----------
    data : bytes
        The file.
    policy : DecodePolicy
        Formats, limits and frames.
    header : Header, optional
        Result of `hashmatch.picture.header.read_header` for the file, if it was read before.

    Yields
    ------
    Raster
        One or two for each frame.

    Raises
    ------
    ImageError
        As `hashmatch.picture.open_picture` and `hashmatch.picture.Picture.rasters`; no other exception leaves the
        function.
    """
    header = read_header(data, policy) if header is None else header
    container = header.container
    if container == "AVIF":
        data = branded(data)
    camera = camera_format(data) if container == "TIFF" else None
    if camera is None:
        yield from _decoded(data, container, policy, header.segments)
        return
    # a camera's raw picture begins with a thumbnail of it, which is a part: a match in it counts, its absence does not
    with suppress(UnreadableImageError):
        yield from _decoded(data, container, replace(policy, frames="first", salvage=False))
    raise not_read(camera)


def _decoded(data: bytes, container: str, policy: DecodePolicy, segments: Segments | None = None) -> Iterator[Raster]:
    """Give the frames of a file whose pixels are whole, whatever else is broken; with salvage what there is."""
    file, data = data, clean(container, data, segments)
    last = -1
    try:
        for raster in _as_coded(data, container, policy, file, segments if data is file else None):
            yield raster
            last = raster.view.frame
    except UnreadableImageError as failure:
        if failure.reason not in _DAMAGED:
            raise
        given, more = last >= 0, False
        for raster in _mended(data, container, policy, file):
            if raster.view.frame > last:
                yield raster
                more = True
        if more:
            return
        if policy.salvage and not given:
            yield from _salvaged(data, container, policy, file)
        raise


def _as_coded(
    data: bytes, container: str, policy: DecodePolicy, file: bytes, segments: Segments | None = None
) -> Iterator[Raster]:
    """Give the frames of a file as its codec takes it; what its colours mean is read in the file as it came."""

    def cut() -> bool:
        return is_cut_short(container, data)

    with _hushed(), _typed(cut):
        image = _opened(container, data)
        if container == "JPEG":
            setattr(image, "decodermaxblock", len(data))  # noqa: B010  (else libjpeg stops and goes on every 64 KB)
            setattr(image, "load", partial(load_jpeg, image, data, segments))  # noqa: B010  (Pillow's own hears no warning)
            if policy.reduced:
                _reduce(image, file)
    single = policy.frames == "first" or _is_still(container, data)
    direct = container in _INTO_ARRAY and single
    yield from _frames(image, container, policy, cut, data, single=single, direct=direct, file=file)


def _mended(data: bytes, container: str, policy: DecodePolicy, file: bytes) -> Iterator[Raster]:
    """Give the frames of a refused file whose pixels are whole; nothing where they are not."""
    mended = mend(container, data)
    if mended is None:
        return
    given = False
    try:
        check_header(mended, policy)
        for raster in _as_coded(mended, container, policy, file):
            yield raster
            given = True
    except UnreadableImageError:
        if given:
            raise


def _salvaged(data: bytes, container: str, policy: DecodePolicy, file: bytes) -> Iterator[Raster]:
    """Give the first frame of a damaged file as far as it can be decoded; nothing where none of it can."""
    planes = None
    with _hushed(), forgiven():
        # an end of picture after what there is of a JPEG lets libjpeg fill the rest with one colour, as browsers do
        image = _opened(container, closed_jpeg(data) if container == "JPEG" else data)
        _check_frame(*image.size, 0, 0, policy, every=False)
        stored_as = _stored_as(image)
        with forgiven():
            image.load()
        if getattr(image, "_im", None) is not None:
            setattr(image, "tile", [])  # noqa: B010  (loading again would fail again)
            planes = planes_of_image(image, None, stored_as, _stored(image), file)
    if planes is not None:
        yield from rasters_of(planes, 0, as_others=policy.as_others)


def decode_image(image: Image.Image, policy: DecodePolicy) -> Iterator[Raster]:
    """Decode a PIL image as its file is decoded.

    Parameters
    ----------
    image : PIL.Image.Image
        Its pixels and information are left as they are; if it was not loaded yet it is loaded, and after
        ``frames="all"`` it stands at the same frame again.
    policy : DecodePolicy
        Limits and frames.

    Yields
    ------
    Raster
        One or two for the frame the image stands at, or for each frame.

    Raises
    ------
    ImageError
        As for `decode_bytes`.
    """
    before = _position(image)
    try:
        container = image.format or ""
        single = policy.frames == "first" or container in _ONE_FRAME
        yield from _frames(image, container, policy, lambda: False, None, single=single, direct=False)
    finally:
        if _position(image) != before:
            with _hushed(), forgiven():
                image.seek(before)


def _frames(
    image: Image.Image,
    container: str,
    policy: DecodePolicy,
    cut: Callable[[], bool],
    data: bytes | None,
    *,
    single: bool,
    direct: bool,
    file: bytes | None = None,
) -> Iterator[Raster]:
    """Walk the frames by seek until the end; the number a file claims to have is never asked for."""
    chosen = _chosen(container, policy, data, _position(image), single=single)
    wanted = next(chosen)
    total = 0
    for frame in count(wanted if single else 0):
        planes = None
        with _hushed(), _typed(cut, type(image).__module__.partition(".")[0]):
            if not single and not _seek(image, frame):
                return
            width, height = image.size
            total += width * height
            _check_frame(width, height, total, frame, policy, every=not single)
            if frame == wanted:
                planes = _planes(image, file, direct=direct)
        if planes is not None:
            yield from rasters_of(planes, frame, as_others=policy.as_others and frame == 0)
            after = next(chosen, None)
            if after is None:
                return
            wanted = after


def _chosen(container: str, policy: DecodePolicy, data: bytes | None, first: int, *, single: bool) -> Iterator[int]:
    """Positions of the frames to look at, ascending."""
    if single:
        return iter((first,))
    if policy.frames == "all":
        return count(0)
    found = None if data is None else count_frames(container, data, policy.max_frames)
    return (frame for frame in spread_frames(found, policy.n_spread) if frame < policy.max_frames)


def _is_still(container: str, data: bytes) -> bool:
    """Whether a file holds one frame for certain, so that its codec may write where we want it; not asked of HEIF."""
    return container in _ONE_FRAME or (container in _INTO_ARRAY and held_frames(container, data, 1) == (1, True))


def frames_of_image(image: Image.Image, policy: DecodePolicy) -> tuple[int, bool]:
    """Count the frames of the file behind a PIL image, as `hashmatch.picture.frames.held_frames` does.

    Parameters
    ----------
    image : PIL.Image.Image
        Stays at its frame, and keeps its pixels: what Pillow itself can count without moving is asked for, and of GIF
        and TIFF the file is read.
    policy : DecodePolicy
        Bounds the count to one more than ``max_frames``, and what is read to ``max_bytes``.
    """
    container = image.format or ""
    stream = getattr(image, "fp", None) or getattr(image, "_fp", None)  # Pillow moves it once the first frame is loaded
    claimed = vars(image).get("n_frames", 1)
    if container in ("GIF", "TIFF") and stream is not None:
        with forgiven():  # a closed file belongs to an image of one frame
            at = stream.tell()
            try:
                stream.seek(0)
                data = stream.read(policy.max_bytes)
            finally:
                stream.seek(at)
            return held_frames(container, data, policy.max_frames + 1)
    if container in _ONE_FRAME or not isinstance(claimed, int):
        return 1, True
    return max(1, claimed), True


def _position(image: Image.Image) -> int:
    return int(image.tell())


def _seek(image: Image.Image, frame: int) -> bool:
    """Go to a frame; False when the file has no more."""
    if _position(image) == frame:
        return True
    try:
        image.seek(frame)
    except EOFError:
        return frame == 0
    return True


def _check_frame(width: int, height: int, total: int, frame: int, policy: DecodePolicy, *, every: bool) -> None:
    if min(width, height) < 1:
        raise UnreadableImageError("the picture has no pixels", reason="empty")
    check_size(width, height, policy)
    if every and frame >= policy.max_frames:
        raise ImageTooLargeError(
            f"there are more than {policy.max_frames:,} frames and those up to there have been given;"
            " a DecodePolicy with a larger max_frames gives more",
            reason="too-many-frames",
        )
    if total > policy.max_total_pixels:
        raise ImageTooLargeError(
            f"the frames together have more than {policy.max_total_pixels:,} px and those up to there have been given;"
            " a DecodePolicy with a larger max_total_pixels gives more",
            reason="too-many-total-pixels",
        )


def _opened(container: str, data: bytes) -> Image.Image:
    if container == "BMP":
        image = masked_picture(data)
        if image is not None:
            return image
    return _plugin(container)(io.BytesIO(data))


def _plugin(container: str) -> Callable[[io.BytesIO], Image.Image]:
    """Import the plug-in of one format and give its class."""
    if container == "HEIF":
        try:
            from pillow_heif import HeifImageFile
        except ImportError as error:
            if error.name != "pillow_heif":
                raise  # installed but broken: say so
            raise not_read(container) from None
        plugin: Callable[[io.BytesIO], Image.Image] = HeifImageFile
        return plugin
    home, name = _PLUGINS[container]
    module = import_module(home if "." in home else f"PIL.{home}")
    if not getattr(module, "SUPPORTED", True):
        raise UnreadableImageError(
            f"this build of Pillow has no {container} codec; install Pillow's own wheel", reason="no-codec"
        )
    plugin = getattr(module, name)
    return plugin


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep Pillow's warnings about hostile files from the caller, without touching other threads' warnings.

    Before Python 3.14 the list of filters is shared by all threads, and ``catch_warnings`` swaps it as a whole, so that
    two threads can undo each other. Instead one entry that matches Pillow's modules only is put into the list and
    taken out of that same list; entries are equal, so it does not matter whose is taken.
    """
    if getattr(sys.flags, "context_aware_warnings", False):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
        return
    filters: list[Any] = warnings.filters  # type: ignore[assignment]
    entry = ("ignore", None, Warning, _PILLOW_MODULES, 0)
    filters.insert(0, entry)
    try:
        yield
    finally:
        with suppress(ValueError):
            filters.remove(entry)


@contextmanager
def _typed(cut: Callable[[], bool], home: str = "PIL") -> Iterator[None]:
    """Turn whatever a codec throws into one of our errors; the cause is dropped, it can carry a file's name.

    ``home`` is the package of the plug-in, which may be the caller's.
    """
    try:
        yield
    except (ImageError, ImportError):
        raise
    except MemoryError:
        failure: ImageError = ImageTooLargeError(
            "there is not enough memory to decode the picture; a DecodePolicy with a smaller max_pixels refuses it",
            reason="out-of-memory",
        )
    except Image.DecompressionBombError:
        failure = ImageTooLargeError(
            "the picture is over Pillow's own limit, which hashmatch never changes;"
            " to decode it, raise PIL.Image.MAX_IMAGE_PIXELS in your program",
            reason="too-many-pixels",
        )
    except Exception as error:
        if is_foreign(error, home):
            raise  # a time limit, say, that the caller set
        failure = unreadable("truncated" in str(error).lower() or cut())
    else:
        return
    raise failure from None


def _planes(image: Image.Image, data: bytes | None, *, direct: bool) -> Planes:
    """Load a frame and bring it to upright grey or RGB, with alpha if it has any."""
    stored_as = _stored_as(image)
    stored = _stored(image)
    memory = _load_into_array(image) if direct else None
    image.load()
    return planes_of_image(image, memory, stored_as, stored, data)


def _stored(image: Image.Image) -> Stored | None:
    """Ask what the samples of a TIFF frame are; other formats need no question."""
    if image.format != "TIFF":
        return None
    from hashmatch.picture.tiff import stored_in  # Pillow's plugin for TIFF is loaded for a TIFF alone

    return stored_in(image)


def _stored_as(image: Image.Image) -> str:
    """Pillow's name for the depth in the file, before loading forgets it; empty where it has none."""
    tile = getattr(image, "tile", None)
    found = tile[0][3] if tile else ""
    if isinstance(found, tuple):
        found = found[0]
    return found if isinstance(found, str) else ""


def _reduce(image: Image.Image, data: bytes) -> None:
    """Have the codec give fewer pixels, the smallest size whose shorter side is 512 px or more, and no colours.

    Colours are kept where a profile moves brightness by them.
    """
    width, height = image.size
    scale = min(width, height) / _REDUCED_SIDE
    if scale >= 2:
        # brightness is all that hashes see, and two thirds of what is left of the work; CMYK stays as it is
        mode = "RGB" if needs_colour(image, data) else "L"
        image.draft(mode, (int(width / scale), int(height / scale)))


def _load_into_array(image: Image.Image) -> Bytes | None:
    """Have the codec write into memory of ours, which saves the copy out of Pillow's (a third of a JPEG's decode).

    Returns
    -------
    (H, W, 4) or (H, W) uint8 array, or None
        None where Pillow brought its own memory after all; the image is loaded either way.
    """
    mode = _MEMORY_MODE.get(image.mode)
    if mode is None or getattr(image, "_im", image) is not None:
        return None
    width, height = image.size
    memory = np.zeros((height, width) if mode == "L" else (height, width, 4), np.uint8)
    core = Image.frombuffer(mode, (width, height), memory, "raw", mode, 0, 1).im
    image.im = core
    image.load()
    return memory if image.im is core else None
