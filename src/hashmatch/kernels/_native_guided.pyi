from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels.reference_guided import Floats, Keys

PATHS: Final[tuple[str, ...]]

def likely_keys(
    odds: Floats,
    size: Floats,
    sure: Floats,
    subsets: npt.NDArray[np.uint32],
    flips: int,
    path: str | None = None,
) -> tuple[Keys, Floats]: ...
def near_by_keys(
    words: npt.NDArray[np.uint64],
    offsets: npt.NDArray[np.int32],
    positions: npt.NDArray[np.int32],
    keys: Keys,
    chances: Floats,
    least: float,
    queries: npt.NDArray[np.uint64],
    limit: int,
    radius: int,
    path: str | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]: ...
