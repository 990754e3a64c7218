"""`View`: one way of looking at a picture, so that a match can say what was done to the query before it was hashed.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

__all__ = ["PLAIN_VIEW", "VIEW_KINDS", "Background", "FrameCount", "Margins", "Rendering", "Shrink", "Turn", "View"]

_MAX_FRAME: Final = 2**32 - 1
_MAX_TILT: Final = 45.0
_SIDES: Final = ("left", "top", "right", "bottom")


class _Choice(Enum):
    """Hashes members by what they are, not by their name, five times as fast: every search looks views up by them."""

    __hash__ = object.__hash__


class Turn(_Choice):
    """The eight turns of a picture: what was done to the query before it was hashed.

    On an array of rows: ``ROTATE_90`` is ``numpy.rot90(x)`` (a quarter to the left), ``MIRROR`` swaps left and
    right, ``FLIP`` swaps top and bottom, ``TRANSPOSE`` swaps rows and columns, ``TRANSVERSE`` does so along the other
    diagonal. The member's position is part of the byte form of a `Fingerprint`.
    """

    NONE = "none"
    ROTATE_90 = "rotated 90"
    ROTATE_180 = "rotated 180"
    ROTATE_270 = "rotated 270"
    MIRROR = "mirrored"
    FLIP = "flipped"
    TRANSPOSE = "transposed"
    TRANSVERSE = "transversed"


class Background(_Choice):
    """The colour that transparent pixels were composited on; the position is part of the byte form."""

    WHITE = "white"
    BLACK = "black"


class Rendering(_Choice):
    """How stored samples were read as colours; the position is part of the byte form.

    ``SHOWN`` is what browsers show: colour profile and gamma applied. The others are what other clients that make
    lists make of some kinds of file; ``docs/reference/pixel-contract.md`` says of which, and names the clients.
    """

    AS_STORED = "as stored"
    SHOWN = "colours as shown"
    ALPHA_IGNORED = "transparency ignored"
    CLIPPED = "samples above 255 clipped"
    RAW = "stored numbers taken for colours"
    INKS_INVERTED = "inks inverted"

    @property
    def is_as_others(self) -> bool:
        """Whether this is how other clients read a file, and nobody sees it so."""
        return self not in (Rendering.AS_STORED, Rendering.SHOWN)


class Shrink(_Choice):
    """How other producers of lists shrink a picture before they hash it; the position is part of the byte form.

    ``SQUASH_512``: to 512 x 512, aspect lost. ``THUMBNAIL_512``: into 512 x 512, aspect kept.
    """

    NONE = "none"
    SQUASH_512 = "squashed to 512 x 512"
    THUMBNAIL_512 = "shrunk to 512"


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """Shares of a picture's four sides, in thousandths of its width (left, right) and height (top, bottom).

    Parameters
    ----------
    left, top, right, bottom : int
        -999 to 999; two opposite sides add up to less than 1000.
    """

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def __post_init__(self) -> None:
        for share in self.shares:
            if isinstance(share, bool) or not isinstance(share, int) or not -999 <= share <= 999:
                raise ValueError("margins are whole thousandths from -999 to 999")
        if self.left + self.right > 999 or self.top + self.bottom > 999:
            raise ValueError("two opposite margins take the whole side")

    @classmethod
    def of(cls, shares: Sequence[int]) -> Margins:
        """Make them from left, top, right, bottom."""
        return cls(**dict(zip(_SIDES, shares, strict=True)))

    @property
    def shares(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom, thousandths."""
        return self.left, self.top, self.right, self.bottom

    def __bool__(self) -> bool:
        return any(self.shares)

    def to_dict(self) -> dict[str, float]:
        """JSON-ready form: shares of 1 by side; empty where nothing is taken."""
        return {side: share / 1000 for side, share in zip(_SIDES, self.shares, strict=True) if share}

    def __str__(self) -> str:
        """Say it in words, such as ``"9 % left, 2.5 % top"``."""
        return ", ".join(f"{share / 10:g} % {side}" for side, share in zip(_SIDES, self.shares, strict=True) if share)


NO_MARGINS: Final = Margins()


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One way of looking at a picture; ``str`` says it in words.

    What is done to the picture is done in the order of the parameters.

    Parameters
    ----------
    frame : int
        Position of the frame in a multi-frame file, from 0.
    rendering : Rendering
        How the stored samples were read as colours.
    background : Background
        What transparency was composited on.
    trim : Margins
        What was taken off as border, band or bar: shares of the picture as it came.
    turn : Turn
        How the picture was turned.
    tilt : float
        Degrees it was then turned back, anticlockwise as seen, -45 to 45, in hundredths.
    cut : Margins
        As if this had been cut off: shares of the whole picture, which the hash stands for. Below 0 the view leaves
        a little more away.
    shrink : Shrink
        How it was shrunk before hashing, as other producers of lists do.
    negative : bool
        Whether the hash is that of the negative, every sample v of which is 255 - v.
    """

    frame: int = 0
    rendering: Rendering = Rendering.AS_STORED
    background: Background = Background.WHITE
    trim: Margins = NO_MARGINS
    turn: Turn = Turn.NONE
    tilt: float = 0.0
    cut: Margins = NO_MARGINS
    shrink: Shrink = Shrink.NONE
    negative: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.frame <= _MAX_FRAME:
            raise ValueError(f"frame must be 0 to {_MAX_FRAME}, not {self.frame}")
        if not -_MAX_TILT <= self.tilt <= _MAX_TILT:
            raise ValueError(f"tilt must be -45 to 45 degrees, not {self.tilt:g}")
        object.__setattr__(self, "tilt", round(float(self.tilt), 2) + 0.0)  # never -0.0

    @property
    def plain(self) -> View:
        """The view without what only byte form 2 of a fingerprint can say: frame, background and turn."""
        return View(frame=self.frame, background=self.background, turn=self.turn)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; shares are of 1."""
        return {
            "text": str(self),
            "frame": self.frame,
            "rendering": self.rendering.value,
            "background": self.background.value,
            "trim": self.trim.to_dict(),
            "turn": self.turn.value,
            "tilt": self.tilt,
            "cut": self.cut.to_dict(),
            "shrink": self.shrink.value,
            "negative": self.negative,
        }

    def __str__(self) -> str:
        return ", ".join(self._parts()) or "original"

    def _parts(self) -> Iterator[str]:
        if self.frame:
            yield f"frame {self.frame}"
        if self.rendering is not Rendering.AS_STORED:
            yield self.rendering.value
        if self.background is not Background.WHITE:
            yield f"on {self.background.value}"
        if self.trim:
            yield f"without a border of {self.trim}"
        if self.turn is not Turn.NONE:
            yield self.turn.value
        if self.tilt:
            yield f"turned back by {self.tilt:g} degrees"
        if self.cut:
            yield f"as if cut off by {self.cut}"
        if self.shrink is not Shrink.NONE:
            yield self.shrink.value
        if self.negative:
            yield "negative"


PLAIN_VIEW: Final = View()
"""The picture as it is."""

VIEW_KINDS: Final = (
    "digests",
    "original",
    "turns",
    "trims",
    "shrinks",
    "rotations",
    "crops",
    "keypoints",
    "frames",
    "negatives",
)
"""What a policy can ask for, as reports name it; the position is part of the byte form of a `Fingerprint`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCount:
    """How many frames of a file were looked at.

    Parameters
    ----------
    seen : int
        Frames that were looked at, 0 or more.
    in_full : int
        Frames of those that were looked at in every view of the policy; the others were not shrunk, and not searched
        for crops, small rotations and keypoints.
    unseen : int
        Further frames that the file's structure holds.
    at_least : bool
        Whether there may be more of them than ``unseen``, because the count ended at a bound.
    """

    seen: int
    in_full: int
    unseen: int
    at_least: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether every frame was looked at."""
        return not self.unseen and not self.at_least

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {"seen": self.seen, "in_full": self.in_full, "unseen": self.unseen, "at_least": self.at_least}
