import numpy as np
from numpy.typing import NDArray

PATHS: tuple[str, ...]

def hamming_scan(
    columns: NDArray[np.uint64], query: NDArray[np.uint64], radius: int, path: str | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int32]]: ...
def rows_scan(
    codes: NDArray[np.uint64], query: NDArray[np.uint64], radius: int, path: str | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int32]]: ...
