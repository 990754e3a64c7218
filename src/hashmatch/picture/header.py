"""Refusals by the first bytes of a file alone, before a codec runs or Pillow is loaded."""

from __future__ import annotations

from typing import Final

from hashmatch.errors import ImageTooLargeError, UnreadableImageError
from hashmatch.picture.boxes import most_decoded
from hashmatch.picture.jpeg import count_scans
from hashmatch.picture.policy import DecodePolicy, check_size
from hashmatch.picture.sniff import Header, container_of, gif_extent, is_cut_short, sniff
from hashmatch.picture.tiff_scans import jpeg_strips
from hashmatch.picture.unread_formats import camera_format, foreign_format

__all__ = ["MAX_SCANNED_PIXELS", "check_header", "format_of", "not_read", "read_header", "unreadable"]

MAX_SCANNED_PIXELS: Final = 2_000_000_000
"""Scans of a JPEG, also inside a TIFF, times its pixels, at least a million of them, that are decoded: some two seconds
of computing. Pixels of the parts of an AVIF or HEIF picture, each as often as it is used."""

_SCANS_ALLOWED: Final = 20  # whatever the size; encoders of progressive files make about ten
_LEAST_OF_A_SCAN: Final = 2**20  # px; a scan of a small picture has its costs too


def format_of(data: bytes) -> str | None:
    """Name the format of a file, whether it can be read or not.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    str or None
        A name of `hashmatch.picture.KNOWN_FORMATS` or of `hashmatch.picture.unread_formats.FOREIGN_FORMATS`; None for
        bytes that are not a picture.
    """
    container = container_of(data)
    if container is None:
        return foreign_format(data)
    return (camera_format(data) if container == "TIFF" else None) or container


def check_header(data: bytes, policy: DecodePolicy) -> str:
    """Refuse a file whose first bytes show that it is empty, foreign, not allowed or too large.

    Parameters
    ----------
    data : bytes
        The file.
    policy : DecodePolicy
        Formats and limits.

    Returns
    -------
    str
        Name of the format.

    Raises
    ------
    ImageError
        As `read_header`.
    """
    return read_header(data, policy).container


def read_header(data: bytes, policy: DecodePolicy) -> Header:
    """Read the first bytes and refuse as `check_header` does.

    Parameters
    ----------
    data : bytes
        The file.
    policy : DecodePolicy
        Formats and limits.

    Raises
    ------
    UnreadableImageError
        With reason ``empty``, ``not-an-image``, ``format-not-read``, ``format-not-allowed``, ``truncated`` or
        ``corrupt``. A camera's raw picture is ``format-not-read``; with ``salvage`` the thumbnail that it begins with
        is decoded first.
    ImageTooLargeError
        With reason ``too-many-pixels``, ``too-long-side`` or ``too-many-scans``.
    """
    if not data:
        raise UnreadableImageError(
            "there are no bytes; if they come from an open file, rewind it first", reason="empty"
        )
    header = sniff(data)
    if header is None:
        foreign = foreign_format(data)
        if foreign is not None:
            raise not_read(foreign)
        raise UnreadableImageError(
            "the bytes are not a picture in any format hashmatch knows, whatever the name says", reason="not-an-image"
        )
    if header.container == "TIFF":
        camera = camera_format(data)
        if camera is not None and not (policy.salvage and "TIFF" in policy.allowed):
            raise not_read(camera)
    if header.container not in policy.allowed:
        raise UnreadableImageError(
            f"{header.container} is not allowed; a DecodePolicy with {header.container!r} among its formats allows it",
            reason="format-not-allowed",
        )
    size = header.size
    if size is None:  # plug-ins walk, and codecs allocate, while opening
        raise unreadable(is_cut_short(header.container, data))
    if header.container == "GIF" and policy.frames != "first":
        size = gif_extent(data, policy.max_frames + 1) or size
    check_size(*size, policy)
    if header.container == "JPEG":
        _check_scans(data, header, *size)
    elif header.container == "TIFF":
        _check_strips(data, 1 if policy.frames == "first" else policy.max_frames)
    elif header.container in ("AVIF", "HEIF"):
        _check_parts(data)
    return header


def _check_scans(data: bytes, header: Header, width: int, height: int) -> None:
    """Refuse a JPEG with scans that take the codec minutes: each costs the whole picture, in ten bytes."""
    scans = count_scans(data, header.segments)
    if scans > _SCANS_ALLOWED and scans * max(width * height, _LEAST_OF_A_SCAN) > MAX_SCANNED_PIXELS:
        raise ImageTooLargeError(
            f"the picture has {scans:,} scans of {width:,} x {height:,} px, which no program for photographs makes",
            reason="too-many-scans",
        )


def _check_strips(data: bytes, most_frames: int) -> None:
    """Refuse a TIFF whose JPEG strips have as many scans, together over all frames."""
    work = 0
    for strip in jpeg_strips(data, most_frames, _SCANS_ALLOWED):
        work += strip.scans * max(strip.pixels, _LEAST_OF_A_SCAN)
        if work > MAX_SCANNED_PIXELS:
            raise ImageTooLargeError(
                f"strips of the picture have up to {strip.scans:,} scans of {strip.pixels:,} px, which no program for"
                " photographs makes",
                reason="too-many-scans",
            )


def _check_parts(data: bytes) -> None:
    """Refuse a picture that is put together from parts with many times its pixels."""
    work = most_decoded(data)
    if work > MAX_SCANNED_PIXELS:
        raise ImageTooLargeError(
            f"the parts that the picture is put together from have {work:,} px, of which most cannot be seen",
            reason="too-many-pixels",
        )


def not_read(name: str) -> UnreadableImageError:
    """Make the error for a picture in a format that cannot be decoded here."""
    advice = "run: pip install 'hashmatch[heif]'" if name == "HEIF" else "convert it to PNG and look again"
    return UnreadableImageError(
        f"the file is a picture in the format {name}, which is not read here; {advice}", reason="format-not-read"
    )


def unreadable(truncated: bool) -> UnreadableImageError:
    """Make the error for a file that is damaged, or whose end is missing."""
    if truncated:
        return UnreadableImageError("the file ends before the picture does; fetch it again", reason="truncated")
    return UnreadableImageError("the file is damaged: its format's own decoder refuses it", reason="corrupt")
