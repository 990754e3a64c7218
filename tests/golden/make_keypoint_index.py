"""Makes the golden file of a keypoint index: ``python tests/golden/make_keypoint_index.py`` from the project's root.

Run once for each format version, never again for an old one: the file proves that old indexes stay readable.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Write 6 seeded pictures of 12 points."""
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from support.keypoint_makers import some_pictures

    index = some_pictures(6, 12).index(n_tables=2, key_bits=8)
    index.save(Path(__file__).parent / "index-v5-keypoint.bin", tag={"list": "golden"})


if __name__ == "__main__":
    main()
