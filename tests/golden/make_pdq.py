"""Make ``pdq.json``: PDQ hashes and qualities of small integer pictures, with pdqhash as the oracle.

Run ``python tests/golden/make_pdq.py`` from the root of the repository. The pictures are integer formulas, so they
are the same on every machine and with every version of NumPy.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

TARGET: Final = Path(__file__).with_name("pdq.json")
CASES: Final = (
    *(("grid", seed, *size) for seed, size in enumerate(((64, 64), (5, 5), (37, 91), (128, 128), (200, 129)))),
    *(("grid", seed, *size) for seed, size in enumerate(((512, 512), (257, 640), (6, 3000), (1500, 7)), start=5)),
    *(("rings", seed, *size) for seed, size in enumerate(((64, 64), (96, 160), (333, 222), (768, 1024)))),
    ("flat", 77, 50, 40),
    ("flat", 255, 300, 200),
    ("grid", 3, 4, 100),
    ("grid", 4, 100, 1),
)


def picture(kind: str, seed: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Make an (H, W, 3) uint8 picture from integers alone.

    ``grid``: a 12x12 grid of pseudo-random levels (multiplicative hash of the cell), bilinear between cells.
    ``rings``: squared distance from a corner, folded. ``flat``: the seed as the level of every sample.
    """
    y, x = np.indices((height, width), dtype=np.int64)
    if kind == "flat":
        return np.full((height, width, 3), seed, np.uint8)
    if kind == "rings":
        folded = ((y * 512 // height) ** 2 + (x * 512 // width) ** 2 + 997 * seed) // (150 + 40 * seed) % 510
        grey = np.minimum(folded, 509 - folded)
        return np.stack([grey, 255 - grey, grey // 2], axis=2).astype(np.uint8)
    planes = []
    for channel in range(3):
        fine = 256
        down, along = y * 11 * fine // height, x * 11 * fine // width
        corner = [[_level(down // fine + i, along // fine + j, seed, channel) for j in (0, 1)] for i in (0, 1)]
        v, u = down % fine, along % fine
        top = corner[0][0] * (fine - u) + corner[0][1] * u
        bottom = corner[1][0] * (fine - u) + corner[1][1] * u
        planes.append((top * (fine - v) + bottom * v) // (fine * fine))
    return np.stack(planes, axis=2).astype(np.uint8)


def _level(row: npt.NDArray[np.int64], column: npt.NDArray[np.int64], seed: int, channel: int) -> npt.NDArray[np.int64]:
    mixed = (row * 73856093 + column * 19349663 + seed * 83492791 + channel * 49979687) % 2147483647
    mixed = mixed * 48271 % 2147483647
    return (mixed * 48271 % 2147483647) >> 23


def main() -> None:
    """Hash every case with pdqhash and write the file."""
    import pdqhash

    vectors = []
    for kind, seed, height, width in CASES:
        bits, quality = pdqhash.compute(picture(kind, seed, height, width))
        vectors.append(
            {
                "kind": kind,
                "seed": seed,
                "height": height,
                "width": width,
                "hash": np.packbits(bits).tobytes().hex(),
                "quality": int(quality),
            }
        )
    note = "made by tests/golden/make_pdq.py with pdqhash " + pdqhash.__version__
    TARGET.write_text(json.dumps({"note": note, "vectors": vectors}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
