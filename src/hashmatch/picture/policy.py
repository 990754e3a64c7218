"""`DecodePolicy`: which formats are decoded, how much of them, and which frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, cast

from hashmatch.errors import ImageTooLargeError, PolicyError
from hashmatch.forms import from_plain, to_plain

__all__ = ["CONTRACT_VERSION", "KNOWN_FORMATS", "USUAL_FORMATS", "DecodePolicy", "check_size"]

CONTRACT_VERSION: Final = 2
"""Version of the pixel contract, ``docs/reference/pixel-contract.md``: grows when the same file gives other pixels."""

USUAL_FORMATS: Final = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "ICO", "PPM", "TGA")
"""What ``formats="default"`` allows in this process: the web's formats, and those that take no codec of their own."""

KNOWN_FORMATS: Final = (*USUAL_FORMATS, "TIFF", "AVIF", "HEIF")
"""Every format a policy can allow; ``formats="default"`` allows them all in restricted worker processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodePolicy:
    """Formats, limits and frames of decoding; change a policy with ``dataclasses.replace``.

    Parameters
    ----------
    formats : tuple of str or "default"
        Allowed formats, names of `KNOWN_FORMATS` (lower case is accepted). The format of a file is found from its
        bytes, never from its name. ``"default"`` is `USUAL_FORMATS` in this process, and all of `KNOWN_FORMATS` where a
        worker process decodes, since TIFF, AVIF and HEIF bring large codecs of their own. ``"HEIF"`` needs the extra
        ``hashmatch[heif]``; without it such files are ``format-not-read``.
    max_bytes : int
        Largest file that is decoded, bytes. At most one byte more is read, except for digests, which have no limit.
    max_pixels : int
        Largest frame, px. The default stays below 89,478,485, where Pillow itself begins to warn.
    max_side : int
        Longest width or height, px. The default is the longest a JPEG can have.
    max_frames : int
        Most frames of one file that are walked. With ``frames="all"`` the frames up to the limit are yielded, then an
        error is raised, so that a frame behind a thousand blank frames does not stay unnoticed. A `Matcher` counts the
        frames beyond the limit instead (`MatchReport.frames`).
    max_total_pixels : int
        Most pixels of all frames together, px; a file over it is treated as a file over ``max_frames``.
    frames : {"first", "spread", "all"}
        Whether only the first frame is decoded, or every frame of GIF, APNG, animated WebP, multi-page TIFF, AVIF
        and HEIF sequences, or ``n_spread`` of them. A JPEG has one frame.
    n_spread : int
        How many frames are decoded with ``frames="spread"``: the first, the last of the first ``max_frames``, and
        frames evenly between them, as counted in the file's structure. If only the codec could count (AVIF, HEIF, PIL
        images), frames 0, 1, 2, 4, 8 and so on. With ``"all"``, how many frames are searched in the views that cost
        the most; see `hashmatch.features.plan`.
    salvage : bool
        Whether a file that ends early or is damaged inside its first frame is decoded as far as possible before the
        error, because browsers show such pictures. One colour fills what is missing. A match can then be found in part
        of a picture (`MatchReport.partial`); without a match the outcome stays unreadable. Hashes for lists
        (`fingerprint`, `hash_image`) are never made of part of a picture.
    reduced : bool
        Whether a large JPEG is decoded in grey at 1/2, 1/4 or 1/8 of its size, as long as the shorter side keeps
        512 px. This is much faster, and the hash lies a few bits away from that of the whole picture. For searching,
        not for making lists: sizes and places are those of the reduced picture, and a border that differs by its colour
        alone is not seen.
    as_others : bool
        Whether files with alpha, a palette, inks or more than 8 bits a sample are also read as other clients read them,
        if that differs. For searching lists that such clients made, not for making lists;
        ``docs/reference/pixel-contract.md`` has the rules. Policies of `hashmatch.profiles` set it.

    Raises
    ------
    PolicyError
        If a limit is not a positive integer, a format is unknown, or no format is left.

    Examples
    --------
    >>> DecodePolicy(formats=("jpeg", "png")).formats
    ('JPEG', 'PNG')
    """

    formats: tuple[str, ...] | Literal["default"] = "default"
    max_bytes: int = 128 * 2**20
    max_pixels: int = 89_000_000
    max_side: int = 65_535
    max_frames: int = 1_000
    max_total_pixels: int = 1_000_000_000
    frames: Literal["first", "spread", "all"] = "first"
    n_spread: int = 5
    salvage: bool = False
    reduced: bool = False
    as_others: bool = False

    def __post_init__(self) -> None:
        if self.formats != "default":
            object.__setattr__(self, "formats", _checked_formats(self.formats))
        for name in ("max_bytes", "max_pixels", "max_side", "max_frames", "max_total_pixels", "n_spread"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise PolicyError(f"{name} must be an integer of 1 or more")
        if self.frames not in ("first", "spread", "all"):
            raise PolicyError('frames must be "first", "spread" or "all"')
        if not all(isinstance(value, bool) for value in (self.salvage, self.reduced, self.as_others)):
            raise PolicyError("salvage, reduced and as_others must be True or False")

    @property
    def allowed(self) -> tuple[str, ...]:
        """Formats that are decoded in this process."""
        return USUAL_FORMATS if self.formats == "default" else self.formats

    def in_worker(self) -> DecodePolicy:
        """Return the policy for a restricted worker process, where the default formats are all formats."""
        return replace(self, formats=KNOWN_FORMATS) if self.formats == "default" else self

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form of every field."""
        return cast("dict[str, Any]", to_plain(self))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], base: DecodePolicy | None = None) -> DecodePolicy:
        """Read the result of `to_dict`; a missing key takes its value from ``base``, else the default.

        Raises
        ------
        PolicyError
            If a key is unknown, or a value is of a wrong type or out of range.
        """
        return from_plain(cls, data, "decode", base)

    @property
    def contract(self) -> str:
        """Version of the pixel contract, and the changes of this policy to it."""
        return f"{CONTRACT_VERSION}+reduced" if self.reduced else str(CONTRACT_VERSION)


def _checked_formats(formats: tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(formats, str) or not all(isinstance(name, str) for name in formats):
        raise PolicyError('formats is a tuple of names or "default": write ("JPEG",), not "JPEG"')
    names = tuple(dict.fromkeys(name.upper() for name in formats))
    if not names or not set(names) <= set(KNOWN_FORMATS):
        raise PolicyError(f"formats must be one or more of {', '.join(KNOWN_FORMATS)}")
    return names


def check_size(width: int, height: int, policy: DecodePolicy) -> None:
    """Refuse a frame that is over the policy's limits.

    Parameters
    ----------
    width, height : int
        Size of the frame, px.
    policy : DecodePolicy
        The limits.

    Raises
    ------
    ImageTooLargeError
        With reason ``too-many-pixels`` or ``too-long-side``.
    """
    if width * height > policy.max_pixels:
        raise ImageTooLargeError(
            f"the picture is {width:,} x {height:,} px, over the limit of {policy.max_pixels:,} px;"
            " a DecodePolicy with a larger max_pixels allows it",
            reason="too-many-pixels",
        )
    if max(width, height) > policy.max_side:
        raise ImageTooLargeError(
            f"the picture is {width:,} x {height:,} px, a side is over {policy.max_side:,} px;"
            " a DecodePolicy with a larger max_side allows it",
            reason="too-long-side",
        )
