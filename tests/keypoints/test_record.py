"""The stored form comes back, stays within its bytes and refuses whatever else it is given."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.errors import HashFormatError
from hashmatch.keypoints.points import Keypoints
from hashmatch.keypoints.record import MAX_BYTES, Record, checked_key, key_check

KEY = bytes(range(16))
FIELD = b"\x03\x03\xa5\x70"


def points(count: int, width: float = 700.0, seed: int = 0) -> Keypoints:
    """Draw points anywhere in a frame."""
    rng = np.random.default_rng(seed)
    height = 512 * 512 / width
    x, y, u, v = rng.random((4, count)).astype(np.float32)
    codes = rng.integers(0, 256, (count, 16), dtype=np.uint8)
    sigma, angle = np.exp2(5 * u).astype(np.float32), (2 * math.pi * v).astype(np.float32)
    return Keypoints(width, height, x * np.float32(width), y * np.float32(height), sigma, angle, codes)


@pytest.mark.parametrize("count", [0, 1, 180])
@pytest.mark.parametrize("key_id", [None, key_check(KEY)])
def test_a_record_comes_back(count: int, key_id: bytes | None) -> None:
    """Codes, field and key's check come back exactly, the rest within half a step; twice is as once."""
    record = Record(points(count), FIELD, key_id)
    data = record.to_bytes()
    back = Record.from_bytes(data)
    assert len(data) == 14 + 20 * count + len(FIELD)
    assert back.to_bytes() == data
    assert (back.field, back.key_id) == (FIELD, key_id)
    assert np.array_equal(back.points.codes, record.points.codes)
    assert np.abs(back.points.x - record.points.x).max(initial=0) <= 0.501 * 700 / 1024
    assert np.abs(back.points.y - record.points.y).max(initial=0) <= 0.501 * back.points.height / 1024
    assert np.abs(np.log2(back.points.sigma / record.points.sigma)).max(initial=0) <= 0.501 / 12
    turn = np.angle(np.exp(1j * (back.points.angle - record.points.angle).astype(np.float64)))
    assert np.abs(turn).max(initial=0) <= 0.501 * 2 * math.pi / 64


@pytest.mark.parametrize("width", [1.0, 9.3, 512.0, 28043.0, 262144.0])
def test_every_frame_survives(width: float) -> None:
    """The narrowest and the widest frames come back too, byte for byte."""
    data = Record(points(30, width), b"", None).to_bytes()
    assert Record.from_bytes(data).to_bytes() == data


def test_too_much_is_refused() -> None:
    """Over 200 points, over 4096 bytes and a check of another length are refused."""
    with pytest.raises(ValueError, match="200 points"):
        Record(points(201), b"", None)
    assert len(Record(points(180), bytes(MAX_BYTES - 14 - 3600), None).to_bytes()) == MAX_BYTES
    with pytest.raises(ValueError, match="4096 bytes"):
        Record(points(180), bytes(MAX_BYTES - 14 - 3599), None)
    with pytest.raises(ValueError, match="check of a key"):
        Record(points(1), b"", b"abc")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_hostile_bytes_are_refused_or_come_back(data: st.DataObject) -> None:
    """Whatever is done to the bytes, reading raises HashFormatError or gives a record of exactly those bytes."""
    good = bytearray(Record(points(3), FIELD, key_check(KEY)).to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    bad = bytes(good[: data.draw(st.integers(0, len(good)))] + data.draw(st.binary(max_size=40)))
    try:
        record = Record.from_bytes(bad)
    except HashFormatError:
        return
    assert record.to_bytes() == bad


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b[:13], "has 14 to 4096 bytes"),
        (lambda b: b * 50, "has 14 to 4096 bytes"),
        (lambda b: b"\x02" + b[1:], "version 2"),
        (lambda b: b[:1] + b"\x03" + b[2:], "flags"),
        (lambda b: b[:2] + b"\xff\xff" + b[4:], "at most 200 points"),
        (lambda b: b[:6] + np.float32(np.nan).tobytes() + b[10:], "impossible width"),
        (lambda b: b[:10] + b"abcd" + b[14:], "says that it has none"),
        (lambda b: b + b"x", "announces"),
        (lambda b: b[:4] + b"\x04\x00" + b[6:] + b"\xff\xd8\xff\xe0", "impossible grid"),
    ],
)
def test_each_fault_has_its_message(change, message: str) -> None:  # type: ignore[no-untyped-def]
    """Every kind of fault is named."""
    with pytest.raises(HashFormatError, match=message):
        Record.from_bytes(change(Record(points(4), b"", None).to_bytes()))


def test_nothing_is_shown() -> None:
    """The text form shows counts and never a code, a field or a key; keys are checked without being repeated."""
    record = Record(points(2), FIELD, key_check(KEY))
    assert repr(record) == "<Record, 2 points, 4 bytes to verify, keyed>"
    with pytest.raises(ValueError, match="16 bytes"):
        checked_key(b"short")
    assert key_check(KEY) != key_check(KEY[::-1])
    with pytest.raises(HashFormatError, match="read from bytes"):
        Record.from_bytes("00")  # type: ignore[arg-type]


def test_reading_a_record_needs_no_picture_code() -> None:
    """Importing the record loads neither SciPy nor Pillow."""
    code = "import sys, hashmatch.keypoints.record; print([m for m in ('scipy', 'PIL') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
