from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels.reference_points import Float32s, Floats, Sampling, Tents

PATHS: Final[tuple[str, ...]]

def tent_luma(
    pixels: npt.NDArray[np.uint8], down_tents: Tents, across_tents: Tents, path: str | None = None
) -> Float32s: ...
def blur(image: Float32s, taps: Float32s, step: int, out: Float32s, path: str | None = None) -> None: ...
def peaks(levels: Float32s, least: float, margin: int, path: str | None = None) -> npt.NDArray[np.bool_]: ...
def patches(images: list[Float32s], steps: Float32s, at: Sampling, path: str | None = None) -> Float32s: ...
def bilinear(image: Float32s, x: Float32s, y: Float32s, path: str | None = None) -> Float32s: ...
def directions(sampled: Float32s, weight: Float32s, path: str | None = None) -> Float32s: ...
def coefficients(
    sampled: Float32s,
    cosines: npt.NDArray[np.int32],
    order: npt.NDArray[np.int32],
    turn: Floats,
    path: str | None = None,
) -> Floats: ...
