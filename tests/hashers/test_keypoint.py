"""The keypoint hasher: golden records, sizes, keys and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from golden.make_keypoint import KEY
from golden.make_pdq import picture as integer_picture
from hashmatch.hashers.keypoint import QUERY_POINTS, REFERENCE_POINTS, KeypointHasher
from hashmatch.keypoints.record import Record, key_check
from hashmatch.synthetic import picture

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "keypoint.json").read_text(encoding="utf-8"))["vectors"]


@pytest.mark.parametrize("vector", GOLDEN, ids=lambda v: f"{v['kind']}-{v['seed']}")
def test_golden_records(vector: dict[str, object]) -> None:
    """The records are the stored ones: on any processor at least 95 % of points, in order, with at most 2 bits off."""
    size = (int(str(vector["height"])), int(str(vector["width"])))
    hasher = KeypointHasher(48, key=KEY if vector["keyed"] else None)
    value, quality = hasher.hash_pixels(integer_picture(str(vector["kind"]), int(str(vector["seed"])), *size))
    stored = Record.from_bytes(bytes.fromhex(str(vector["record"])))
    made = Record.from_bytes(value.data)
    assert quality is None
    assert len(made.points) == len(stored.points)
    bits = np.bitwise_count(made.points.codes ^ stored.points.codes).sum(axis=1)
    near = np.hypot(made.points.x - stored.points.x, made.points.y - stored.points.y) < 2
    assert (bits[near] <= 2).sum() >= 0.95 * len(stored.points)


def test_the_fullest_record_fits() -> None:
    """A picture with more points than are kept gives all of them in at most 4096 bytes, and a query up to 1000."""
    rng = np.random.default_rng(8)
    coarse, fine = (
        rng.integers(0, 128, (640 // k, 640 // k), dtype=np.uint8).repeat(k, 0).repeat(k, 1) for k in (16, 8)
    )
    noise = coarse + fine
    hasher = KeypointHasher()
    value, _ = hasher.hash_pixels(noise)
    record = Record.from_bytes(value.data)
    assert len(record.points) == REFERENCE_POINTS
    assert len(value.data) <= 4096
    luma, points = hasher.query(noise)
    assert luma.size == 512 * 512
    assert len(points) == QUERY_POINTS
    assert points.margins is not None
    assert hasher.hash_pixels(noise)[0] == value


def test_a_key_shows_in_the_record_and_nowhere_else() -> None:
    """A keyed record carries the key's check, has other codes at the same places, and repr shows no key."""
    photo = picture("photo", 7_150_020, (300, 400))
    hasher = KeypointHasher(60, key=KEY)
    keyed, plain = (Record.from_bytes(each.hash_pixels(photo)[0].data) for each in (hasher, KeypointHasher(60)))
    assert keyed.key_id == hasher.key_id == key_check(KEY)
    assert plain.key_id is None
    assert np.array_equal(keyed.points.x, plain.points.x)
    assert not np.array_equal(keyed.points.codes, plain.points.codes)
    assert repr(hasher) == "<KeypointHasher, 60 points, keyed>"


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (2, 3), (40, 30), (30, 4000)])
def test_tiny_and_narrow_pictures_have_a_record(size: tuple[int, int]) -> None:
    """Every picture gives a record that can be read, if maybe without points."""
    value, _ = KeypointHasher().hash_pixels(np.random.default_rng(9).integers(0, 256, (*size, 3), dtype=np.uint8))
    assert len(Record.from_bytes(value.data).points) <= REFERENCE_POINTS


def test_bad_arguments_are_refused() -> None:
    """Too few or too many points, a short key and pixels of another type are refused."""
    for points in (15, 186):
        with pytest.raises(ValueError, match="points must be 16 to 185"):
            KeypointHasher(points)
    with pytest.raises(ValueError, match="at least 16 bytes"):
        KeypointHasher(key=b"short")
    with pytest.raises(TypeError, match="uint8 or float"):
        KeypointHasher().hash_pixels(np.zeros((9, 9), np.int32))
