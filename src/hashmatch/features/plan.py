"""Which frames of an animation are looked at in every view, and which only as they are, turned and trimmed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from hashmatch.picture.frames import count_frames, spread_frames

if TYPE_CHECKING:
    from hashmatch.hashes import HashValue, ViewHash
    from hashmatch.picture import Picture, Raster
    from hashmatch.policy import MatchPolicy
    from hashmatch.view import View

    Repeat = tuple[HashValue, int | None, View]

__all__ = ["FramePlan"]

_GRID: Final = 24  # samples a side
_OTHER_SCENE: Final = 16.0  # grey levels on the mean: more than what moves within a scene, less than a cut


class FramePlan:
    """Decides for each raster, in the order of the file.

    Hashes of the picture, its turns and its trims cost less than a frame's decode, and every frame has them. Shrinks,
    crops, small rotations and keypoints cost many times that: of a policy that looks at all frames, ``n_spread`` frames
    over the file's length have them, and as many more that differ from all of those before.

    Parameters
    ----------
    policy : MatchPolicy
        Which views are tried, and which frames are walked.
    picture : Picture
        The file.
    """

    def __init__(self, policy: MatchPolicy, picture: Picture) -> None:
        costly = policy.rotations or policy.shrinks or policy.crops is not None or policy.keypoints is not None
        self._is_chosen = policy.decode.frames == "all" and costly
        self._last = -1, True
        self._scenes: list[npt.NDArray[np.int16]] = []
        self._left = policy.decode.n_spread
        self._spread: set[int] = set()
        if self._is_chosen:
            data, container = picture.data, picture.format
            found = None
            if data is not None and container is not None:
                found = count_frames(container, data, policy.decode.max_frames)
            self._spread = set(spread_frames(found, policy.decode.n_spread))
        self._first: tuple[ViewHash, ...] = ()
        self._known: set[Repeat] = set()

    def is_full(self, raster: Raster) -> bool:
        """Whether this raster is looked at in every view."""
        frame = raster.view.frame
        if not self._is_chosen:
            return True
        if self._last[0] != frame:
            self._last = frame, self._choose(frame, raster.pixels)
        return self._last[1]

    def _choose(self, frame: int, pixels: npt.NDArray[np.uint8]) -> bool:
        rows, columns = (np.linspace(0, side - 1, _GRID).astype(np.int64) for side in pixels.shape[:2])
        sample = pixels[rows][:, columns].mean(axis=2).astype(np.int16)
        is_new = all(float(np.abs(sample - known).mean()) > _OTHER_SCENE for known in self._scenes)
        is_extra = is_new and self._left > 0 and frame not in self._spread
        if not is_extra and frame not in self._spread:
            return False
        self._left -= is_extra
        self._scenes.append(sample)
        return True

    def new_hashes(self, hashes: tuple[ViewHash, ...], frame: int) -> tuple[ViewHash, ...]:
        """Leave out hashes that an earlier frame has had in the same view: searching with them again tells nothing."""
        if not frame:
            self._first += hashes
            return hashes
        if self._first:
            self._known.update(_repeat(item) for item in self._first)
            self._first = ()
        new = tuple(item for item in hashes if _repeat(item) not in self._known)
        self._known.update(_repeat(item) for item in new)
        return new


def _repeat(item: ViewHash) -> Repeat:
    return item.value, item.quality, replace(item.view, frame=0)
