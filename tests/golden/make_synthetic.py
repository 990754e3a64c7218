"""Write synthetic.json: digests of synthetic pictures and of edits that use no codec.

Run ``python tests/golden/make_synthetic.py`` from the project's root, and only when the pictures are meant to change:
benchmark figures made before are then no longer comparable.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from hashmatch.synthetic import KINDS, TEMPLATE_KINDS, burst, edit_named, picture, same_template

SIZE = (96, 129)
EDITS = (
    "crop centre 25%",
    "crop random 50%",
    "crop one side 5%",
    "crop free 25%",
    "crop to square",
    "turn 90",
    "transpose",
    "border gradient 10%",
    "letterbox 25%",
    "pixelate 0.3",
    "salt and pepper 5%",
    "gamma 0.5",
    "contrast 1.4",
    "saturation 2",
    "vignette",
    "text 12%",
    "watermark tiled 40%",
    "emoji 30%",
    "black bar 10%",
    "caption band",
)


def digest(pixels: np.ndarray) -> str:
    """SHA-256 of the shape and the pixels."""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def digests() -> dict[str, str]:
    """Digest of each picture and edit, by a name that says how to make it."""
    found = {f"picture {kind} {seed}": digest(picture(kind, seed, SIZE)) for kind in KINDS for seed in (0, 1)}
    found |= {f"same_template {kind}": digest(same_template(kind, 3, 4, SIZE)) for kind in TEMPLATE_KINDS}
    found |= {f"burst {frame}": digest(burst("portrait", 5, frame, SIZE)) for frame in (0, 1)}
    source = picture("photo", 2, SIZE)
    return found | {f"edit {name}": digest(edit_named(name)(source, seed=6)) for name in EDITS}


if __name__ == "__main__":
    Path(__file__).with_name("synthetic.json").write_text(json.dumps(digests(), indent=1) + "\n", encoding="utf-8")
