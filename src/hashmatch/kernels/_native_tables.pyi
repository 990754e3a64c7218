from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PATHS: tuple[str, ...]

class Probes:
    def __len__(self) -> int: ...

class TableSearch:
    def __init__(
        self,
        codes: NDArray[np.uint64],
        ranks: NDArray[np.uint64],
        slots: NDArray[np.uint8],
        runs: NDArray[np.uint8],
        widths: Sequence[int],
        tag_bits: int,
        item_bytes: int,
        path: str | None = None,
    ) -> None: ...
    def probes(self, masks: NDArray[np.uint32], groups: NDArray[np.int64]) -> Probes: ...
    def find(
        self, queries: NDArray[np.uint64], probes: Probes, radius: int, most: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], int, NDArray[np.int64]]: ...

def table_fill(keys: NDArray[np.uint32], width: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]: ...
def table_pack(
    ends: NDArray[np.uint32], items: NDArray[np.uint64], base: int, item_bytes: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]: ...
