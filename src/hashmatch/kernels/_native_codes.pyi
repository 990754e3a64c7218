from typing import Any

import numpy as np
from numpy.typing import NDArray

PATHS: tuple[str, ...]

def hamming_scan(
    columns: NDArray[np.uint64], query: NDArray[np.uint64], radius: int, path: str | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int32]]: ...
def rows_scan(
    codes: NDArray[np.uint64], query: NDArray[np.uint64], radius: int, path: str | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int32]]: ...
def table_find(
    codes: NDArray[np.uint64],
    marks: NDArray[np.uint64],
    heads: NDArray[Any],
    runs: NDArray[np.uint32],
    queries: NDArray[np.uint64],
    starts: NDArray[np.int64],
    widths: NDArray[np.int64],
    tables: NDArray[np.int64],
    masks: NDArray[np.int64],
    bounds: NDArray[np.int64],
    tag_bits: int,
    radius: int,
    most: int,
    path: str | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], int, NDArray[np.int64]]: ...
def table_fill(keys: NDArray[np.uint32], width: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]: ...
def table_pack(
    ends: NDArray[np.uint32], items: NDArray[np.uint32], base: int
) -> tuple[NDArray[np.bool_], NDArray[np.uint64], NDArray[np.uint32]]: ...
def tree_find(
    columns: NDArray[np.uint64],
    node_slot: NDArray[np.uint32],
    edge_key: NDArray[np.int64],
    edge_start: NDArray[np.uint32],
    edge_end: NDArray[np.uint32],
    edge_node: NDArray[np.int32],
    span: int,
    queries: NDArray[np.uint64],
    asked: NDArray[np.int64],
    radius: int,
    most: float,
    path: str | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], int, int, NDArray[np.bool_]]: ...
