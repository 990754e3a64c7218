import numpy as np
from numpy.typing import NDArray

PATHS: tuple[str, ...]

class TreeWalk:
    def __init__(
        self,
        columns: NDArray[np.uint64],
        order: NDArray[np.uint32],
        node_slot: NDArray[np.uint32],
        edge_key: NDArray[np.int64],
        edge_start: NDArray[np.uint32],
        edge_end: NDArray[np.uint32],
        edge_node: NDArray[np.int32],
        span: int,
        path: str | None = None,
    ) -> None: ...
    def find(
        self, queries: NDArray[np.uint64], radius: int, hopeless: NDArray[np.bool_], most: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], int, int, NDArray[np.int64]]: ...
