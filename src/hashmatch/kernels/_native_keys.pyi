from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels.reference_keys import Starts

PATHS: Final[tuple[str, ...]]

def bucket_ranges(
    starts: Starts, buckets: npt.NDArray[np.int64], path: str | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]: ...
def near_rows(
    codes: npt.NDArray[np.uint64],
    rows: npt.NDArray[np.uint32],
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    owners: npt.NDArray[np.int64],
    queries: npt.NDArray[np.uint64],
    most: int,
    path: str | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]: ...
