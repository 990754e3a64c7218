"""`Keypoints`: the points of one picture as arrays, which all modules of keypoint records exchange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["CODE_BITS", "CODE_BYTES", "FRAME_SIDE", "Keypoints"]

CODE_BITS: Final = 128
CODE_BYTES: Final = CODE_BITS // 8
FRAME_SIDE: Final = 512.0

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Keypoints:
    """Points of one picture in its normal frame: the picture resampled to the area of 512 x 512, aspect kept.

    Parameters
    ----------
    width, height : float
        Sides of the normal frame, px; their product is 512 x 512.
    x, y : (n,) float32 array
        Place, px from the left and from the top; the middle of the first pixel is 0.5.
    sigma : (n,) float32 array
        Scale, px.
    angle : (n,) float32 array
        Direction of the gradients round the point, radians, 0 to 2 pi, from the x axis towards the y axis.
    codes : (n, 16) uint8 array
        Descriptors, 128 bits; bit 0 is the highest bit of byte 0. The descriptors of one place in two pictures differ
        in few bits, those of unrelated places in about 64.
    margins : (n, 128) float32 array or None
        Distance of the coefficient of each bit from 0, in units of the spread of the descriptor, 0 or more; a bit of
        small margin is unsure. Only queries have margins; they are never stored.
    """

    width: float
    height: float
    x: Floats
    y: Floats
    sigma: Floats
    angle: Floats
    codes: npt.NDArray[np.uint8]
    margins: Floats | None = None

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"<Keypoints, {len(self)} points>"
