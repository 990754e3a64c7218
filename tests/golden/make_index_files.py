"""Makes the golden index files: ``python tests/golden/make_index_files.py`` from the project's root.

Run once for each format version, never again for an old one: the files prove that old indexes stay readable.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hashmatch.algorithms import Metric
from hashmatch.index import BKTree, ExactIndex, LinearIndex, MultiIndex


def main() -> None:
    """Write 40 seeded codes of 8 bytes, the entry at position 7 removed, as every kind of index."""
    codes = np.random.default_rng(8).integers(0, 256, (40, 8), dtype=np.uint8)
    indexes = {
        "linear": LinearIndex.build(codes),
        "bktree": BKTree.build(codes, leaf_size=3, pending_limit=4),
        "bktree-euclidean": BKTree.build(codes, metric=Metric.EUCLIDEAN, leaf_size=3, pending_limit=4),
        "multi": MultiIndex.build(codes, widths=(6, 6, 5), pending_limit=4),
        "exact": ExactIndex.build(codes, pending_limit=4),
    }
    for name, index in indexes.items():
        index.remove([7])
        index.save(Path(__file__).parent / f"index-v5-{name}.bin", tag={"list": "golden"})
    whole = MultiIndex.build(codes, widths=(6, 6, 5))
    whole.save(Path(__file__).parent / "index-v5-multi-whole.bin", tag={"list": "golden"})


if __name__ == "__main__":
    main()
