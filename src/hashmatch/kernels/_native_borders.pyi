from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels.reference_borders import Cells, Floats

PATHS: Final[tuple[str, ...]]

def line_colour(line: Cells) -> tuple[Cells, int]: ...
def median_away(line: Cells, colour: Cells) -> float: ...
def border_rises(
    lines: Cells,
    colour: Cells,
    tolerances: tuple[float, ...],
    skip: int,
    least: int,
    deepest: int,
    text: int,
    path: str | None = None,
) -> tuple[Floats, Floats]: ...
def line_textures(luma: Cells) -> Floats: ...
def seam_strengths(lines: Cells, skip: int, path: str | None = None) -> Floats: ...
def ramp_rest(luma: Cells, path: str | None = None) -> float: ...
def step_profile(
    strip: npt.NDArray[Any], colour: Cells | None, tolerance: float, tail: int, path: str | None = None
) -> npt.NDArray[np.int64]: ...
def off_middle(cells: Cells, tolerance: int) -> int: ...
