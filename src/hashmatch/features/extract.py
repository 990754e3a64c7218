"""Looks: everything of a query that is searched with, raster by raster, as a policy asks for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from hashmatch.errors import ImageTooLargeError
from hashmatch.features.plan import FramePlan
from hashmatch.hashers.facade import hash_view
from hashmatch.hashes import HashValue, ViewHash
from hashmatch.keypoints.describe import mirrored
from hashmatch.keypoints.points import CODE_BITS, Keypoints
from hashmatch.keypoints.record import Record, key_check
from hashmatch.picture import Raster, open_picture
from hashmatch.view import Margins, Shrink, View
from hashmatch.views.patterned import is_patterned
from hashmatch.views.shrinks import ShrinkKind, shrunk_views
from hashmatch.views.small import Floats, small_luma
from hashmatch.views.trims import Trim, find_trims

if TYPE_CHECKING:
    from hashmatch.picture import DecodePolicy, ImageSource
    from hashmatch.policy import MatchPolicy

__all__ = ["KeypointLook", "Look", "SmallLook", "iter_looks", "record_look"]

_TRIMS_SEARCHED_FOR_CROPS: Final = 1
_SHRINKS: Final[dict[ShrinkKind, Shrink]] = {
    "squash-512": Shrink.SQUASH_512,
    "thumbnail-512": Shrink.THUMBNAIL_512,
}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SmallLook:
    """What searches for crops and small rotations start from; never kept.

    Parameters
    ----------
    view : View
        How the picture was looked at.
    small : (128, 128) float32 array
        From `hashmatch.views.small.small_luma`.
    size : (int, int)
        Height and width of what was looked at, px.
    quality : int
        Quality of the view where it is searched with, 0 to 100; see `hashmatch.hashers.pdq.PDQHasher`.
    """

    view: View
    small: Floats = dataclasses.field(repr=False)
    size: tuple[int, int]
    quality: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class KeypointLook:
    """What keypoint records are searched with; never kept.

    Parameters
    ----------
    view : View
        How the picture was looked at.
    points, mirrored : Keypoints
        Points of the picture, and of its mirror image.
    luma : (h, w) float32 array or None
        The normal frame the points lie in; None where the query is itself only a record.
    field : bytes
        What a record has in place of the luma.
    """

    view: View
    points: Keypoints
    mirrored: Keypoints
    luma: Floats | None = dataclasses.field(repr=False)
    field: bytes = dataclasses.field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Look:
    """One raster of a query in all its views; never kept.

    Parameters
    ----------
    hashes : tuple of ViewHash
        Hashes of the views, the plainest first, without those that an earlier frame has had in the same view.
    smalls : tuple of SmallLook
        What crops and small rotations are searched with.
    keypoints : KeypointLook or None
        What keypoint records are searched with.
    frame : int
        Position of the raster's frame in the file.
    is_full : bool
        Whether the raster was looked at in every view of the policy; see `hashmatch.features.plan`.
    """

    hashes: tuple[ViewHash, ...]
    smalls: tuple[SmallLook, ...] = ()
    keypoints: KeypointLook | None = None
    frame: int = 0
    is_full: bool = True


def iter_looks(
    source: ImageSource,
    algorithms: tuple[str, ...],
    policy: MatchPolicy,
    *,
    keypoints: bool = False,
    listed: bool = False,
) -> Iterator[Look]:
    """Look at one raster after the other, so that those before a broken frame are not lost.

    Parameters
    ----------
    source : bytes, path, binary file, PIL image or array
        The query.
    algorithms : tuple of str
        Names of `hashmatch.hashers.facade.PICTURE_HASHERS`. If there is none, every frame is decoded all the same and
        hashed as it is, by PDQ: reading and quality are then all that counts.
    policy : MatchPolicy
        Which views are tried.
    keypoints : bool
        Whether keypoint records are searched, if the policy has a rule for them.
    listed : bool
        Whether the hashes are those that a list would hold: of the first frame alone, undamaged and in full, with the
        quality that lists state in place of that by which queries are searched.

    Yields
    ------
    Look
        One for each raster.

    Raises
    ------
    ImageError
        If the source cannot be read or is over a limit; raised where the frame stands.
    """
    try:
        picture = open_picture(source, _as_listed(policy.decode) if listed else policy.decode)
        plan = FramePlan(policy, picture)
        for raster in picture.rasters():
            frame, is_full = raster.view.frame, plan.is_full(raster)
            if algorithms:
                hashes, smalls = _hashes(raster, algorithms, policy, is_full=is_full, listed=listed)
            else:
                hashes, smalls = tuple(_plainly(raster)), ()
            found = None
            is_seen = not raster.view.rendering.is_as_others
            if keypoints and is_full and is_seen and policy.keypoints is not None:
                found = _keypoints(raster, policy.keypoints.key)
            hashes = plan.new_hashes(hashes, frame)
            yield Look(hashes=hashes, smalls=smalls, keypoints=found, frame=frame, is_full=is_full)
    except MemoryError:
        failure = ImageTooLargeError(
            "there is not enough memory to hash the picture; a DecodePolicy with a smaller max_pixels refuses it",
            reason="out-of-memory",
        )
    else:
        return
    raise failure


@lru_cache(maxsize=64)
def _as_listed(decode: DecodePolicy) -> DecodePolicy:
    return replace(decode, frames="first", salvage=False, reduced=False, as_others=False)


def record_look(data: bytes, key: bytes | None, view: View) -> KeypointLook | None:
    """Look at a stored record in place of a picture; None if it was made with another key.

    Raises
    ------
    HashFormatError
        If the bytes are no record.
    """
    record = Record.from_bytes(data)
    if record.key_id != (None if key is None else key_check(key)):
        return None
    # what is stored does not say how sure a bit is
    points = replace(record.points, margins=np.ones((len(record.points), CODE_BITS), np.float32))
    return KeypointLook(view=view, points=points, mirrored=mirrored(points), luma=None, field=record.field)


def _hashes(
    raster: Raster, algorithms: tuple[str, ...], policy: MatchPolicy, *, is_full: bool, listed: bool
) -> tuple[tuple[ViewHash, ...], tuple[SmallLook, ...]]:
    if raster.view.rendering.is_as_others:
        # nobody sees the picture so, and nobody edits it so: lists hold it as it is
        read_so = hash_view(raster.pixels, raster.view, algorithms, turns=policy.turns, searching=True)
        return tuple(_judged(read_so)), ()
    if listed:
        return tuple(hash_view(raster.pixels, raster.view, algorithms, turns=False)), ()
    trims = find_trims(raster.pixels) if policy.trims else ()
    hashes = _judged(hash_view(raster.pixels, raster.view, algorithms, turns=policy.turns, searching=True))
    starts = [(raster.pixels, raster.view, _pdq_quality(hashes))]
    for trim in trims:
        pixels, view = trim.crop(raster.pixels), replace(raster.view, trim=_margins(trim))
        # where the content lies is a guess: the reference's rounding noise is not worth its price here
        trimmed = _judged(hash_view(pixels, view, algorithms, turns=policy.turns, exact=False))
        starts.append((pixels, view, _pdq_quality(trimmed)))
        hashes += trimmed
    if policy.shrinks and is_full and "pdq" in algorithms:
        for shrunk in shrunk_views(raster.pixels):
            view = replace(raster.view, shrink=_SHRINKS[shrunk.kind])
            hashes += _judged([ViewHash(value=shrunk.value, quality=shrunk.quality, view=view)])
    if policy.negatives:
        hashes += [_negative(item) for item in hashes if _is_plain_pdq(item)]
    smalls = tuple(
        SmallLook(view=view, small=small_luma(pixels), size=(pixels.shape[0], pixels.shape[1]), quality=quality)
        for pixels, view, quality in starts[: 1 + _TRIMS_SEARCHED_FOR_CROPS]
        if is_full and "pdq" in algorithms and _is_wanted_small(view, quality, policy)
    )
    return tuple(hashes), smalls


def _plainly(raster: Raster) -> list[ViewHash]:
    return _judged(hash_view(raster.pixels, raster.view, ("pdq",), turns=False, searching=True))


def _judged(found: list[ViewHash]) -> list[ViewHash]:
    """Take the hashes of one view; of quality 0 where its PDQ is of a few signs, whose turns are too."""
    pdq = next((item.value for item in found if item.value.algorithm == "pdq"), None)
    if pdq is not None and is_patterned(pdq.data):
        return [replace(item, quality=0) for item in found]
    return found


def _keypoints(raster: Raster, key: bytes | None) -> KeypointLook:
    # it needs SciPy, which nobody pays for whose lists hold no records
    from hashmatch.hashers.keypoint import KeypointHasher

    luma, points = KeypointHasher(key=key).query(raster.pixels)
    return KeypointLook(view=raster.view, points=points, mirrored=mirrored(points), luma=luma)


def _is_wanted_small(view: View, quality: int, policy: MatchPolicy) -> bool:
    # a picture in a border is searched for crops only
    rotated = policy.rotations and not view.trim
    return rotated or (policy.crops is not None and quality >= policy.crops.min_quality)


def _margins(trim: Trim) -> Margins:
    # rounded down, or two sides of a very long picture could add up to the whole
    return Margins.of([int(1000 * share) for share in (trim.left, trim.top, trim.right, trim.bottom)])


def _is_plain_pdq(item: ViewHash) -> bool:
    return item.value.algorithm == "pdq" and not item.view.trim and item.view.shrink is Shrink.NONE


def _negative(item: ViewHash) -> ViewHash:
    """Give PDQ of the negative: every coefficient changes its sign, and so every bit but that of the median itself."""
    code = bytes(255 - byte for byte in item.value.data)
    return replace(item, value=HashValue.of_own("pdq", code), view=replace(item.view, negative=True))


def _pdq_quality(hashes: list[ViewHash]) -> int:
    return hashes[0].quality or 0
