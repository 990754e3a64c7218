"""Make ``keypoint.json``: keypoint records of small integer pictures, with and without a key.

Run ``python tests/golden/make_keypoint.py`` from the root of the repository, after a change of the algorithm's version
and at no other time. The pictures are those of ``make_pdq.py``: integer formulas, the same on every machine.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

TARGET: Final = Path(__file__).with_name("keypoint.json")
KEY: Final = bytes(range(32))
CASES: Final = (
    ("grid", 5, 512, 512, False),
    ("grid", 6, 257, 640, False),
    ("grid", 7, 900, 700, True),
    ("rings", 2, 333, 222, False),
    ("rings", 3, 300, 400, True),
    ("flat", 77, 50, 40, False),
)


def main() -> None:
    """Hash every case and write the file."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from golden.make_pdq import picture
    from hashmatch.hashers.keypoint import KeypointHasher

    vectors = []
    for kind, seed, height, width, keyed in CASES:
        hasher = KeypointHasher(48, key=KEY if keyed else None)
        value, _ = hasher.hash_pixels(picture(kind, seed, height, width))
        vectors.append(
            {"kind": kind, "seed": seed, "height": height, "width": width, "keyed": keyed, "record": value.data.hex()}
        )
    note = "made by tests/golden/make_keypoint.py, version 1, at most 48 points"
    TARGET.write_text(json.dumps({"note": note, "vectors": vectors}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
