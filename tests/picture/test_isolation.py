"""Laws of getting codecs ready: afterwards no picture makes the process load anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hashmatch.picture import KNOWN_FORMATS, DecodePolicy, iter_rasters
from hashmatch.picture.isolation import tiny_files

CODE = """
import dataclasses, json, struct, sys
sys.path.insert(0, {tests!r})
from hashmatch import profiles
from hashmatch.picture import KNOWN_FORMATS, DecodePolicy
from hashmatch.policy import Rule
from hashmatch.features.in_worker import prepare
from hashmatch.features.policy_json import policy_to_json
names = [name + suffix for name in ("ahash", "dhash", "phash", "whash") for suffix in ("", "-256")]
rules = tuple(Rule(algorithm=name, threshold=3) for name in ["pdq", *names])
decode = DecodePolicy(formats=KNOWN_FORMATS, frames="all")
policy = dataclasses.replace(profiles.THOROUGH, rules=rules, decode=decode)
work = prepare((2**29).to_bytes(8, "little") + policy_to_json(policy))
before = set(sys.modules)
from support import picture_makers
import numpy as np
from PIL import Image
mine = set(sys.modules) - before
files = list(picture_makers.small_files().values())
pixels = picture_makers.smooth(90, 120)
for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "F", "I;16"):
    image = Image.fromarray(pixels)
    image = (image if mode == "LAB" else image.convert("L")).convert(mode)
    for name in ("TIFF", "PNG", "JPEG"):
        try:
            files.append(picture_makers.save(image, name))
        except OSError:
            pass
before = set(sys.modules)
rng = np.random.default_rng(1)
n = 0
for place_in_files, data in enumerate(files):
    for turn in range(3):
        slow = place_in_files % 8 == 0 and turn == 0
        said = {{"algorithms": ["pdq", *(names if slow else ())], "keypoints": slow, "listed": False, "policy": 0}}
        question = json.dumps(said).encode()
        spoilt = bytearray(data)
        for place in rng.integers(8, len(data), 3 * turn):
            spoilt[place] ^= 1 << int(rng.integers(8))
        try:
            n += len(list(work(memoryview(struct.pack("<H", len(question)) + question + bytes(spoilt)))))
        except Exception as error:
            if getattr(error, "reason", None) is None:
                raise
print(n > 100, sorted(set(sys.modules) - before - mine))
"""


def test_nothing_is_loaded_later() -> None:
    """After `prepare`, pictures of every format and mode, whole and spoilt, hashed in every way, import no module."""
    code = CODE.format(tests=str(Path(__file__).parent.parent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.split(" ", 1) == ["True", "[]\n"], done.stderr[-2000:]


@pytest.mark.parametrize("name", [name for name in KNOWN_FORMATS if name != "HEIF"])
def test_tiny_files_are_what_they_say(name: str) -> None:
    """There are tiny files of each format, they can be decoded, one with more than a raster where that can be."""
    policy = DecodePolicy(formats=(name,), frames="all")
    counts = [
        len({(raster.view.frame, raster.view.background) for raster in iter_rasters(data, policy)})
        for data in tiny_files((name,))
    ]
    assert counts
    assert min(counts) >= 1
    assert (max(counts) > 1) == (name not in ("JPEG", "BMP", "PPM"))
