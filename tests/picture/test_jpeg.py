"""The header of a JPEG is walked once a picture, and what is remembered of it says what a walk would."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch import HashValue, Matcher, ReferenceList, profiles
from hashmatch.picture import jpeg
from hashmatch.picture.jpeg import (
    Segments,
    clean_jpeg,
    count_scans,
    few_segments,
    is_checkable,
    iter_segments,
    scan_boundaries,
)
from hashmatch.picture.sniff import sniff
from hashmatch.synthetic import picture
from support.picture_faults import jpeg_faults, jpeg_plain, segment
from support.picture_makers import save


def told(data: bytes, segments: Segments | None) -> tuple[object, ...]:
    """All that is read in a header."""
    boundaries = list(scan_boundaries(data, segments)) if is_checkable(data, segments) else None
    return clean_jpeg(data, segments), count_scans(data, segments), boundaries


FILES = tuple(
    save(picture("photo", 5, (40, 56)), "JPEG", **kind)
    for kind in ({}, {"progressive": True}, {"restart_marker_blocks": 2}, {"optimize": True})
)


def test_what_is_remembered_says_what_a_walk_says() -> None:
    """Of plain and odd files; those of which nothing is remembered are walked."""
    remembered = 0
    odd = [data for _, _, data in jpeg_faults()]
    for data in (*FILES, *odd):
        segments = few_segments(data)
        if segments is not None:
            assert segments == tuple(iter_segments(data))
            assert told(data, segments) == told(data, None)
        remembered += segments is not None
    assert len(FILES) < remembered < len(FILES) + len(odd)


@settings(max_examples=150, deadline=None)
@given(number=st.integers(0, 3), at=st.integers(2, 700), byte=st.integers(0, 255), cut=st.booleans())
def test_damage_is_read_as_by_a_walk(number: int, at: int, byte: int, cut: bool) -> None:
    """A false byte or a lost end changes what is said alike, with and without a memory."""
    data = FILES[number]
    data = data[:at] + (b"" if cut else bytes((byte,)) + data[at + 1 :])
    assert told(data, few_segments(data)) == told(data, None)


def test_what_is_remembered_is_bounded() -> None:
    """Headers of very many segments, or without a scan, leave nothing in memory."""
    data = jpeg_plain()
    comment = segment(0xFE, b"x")
    room = 256 - len(tuple(iter_segments(data)))
    assert len(few_segments(data[:2] + comment * room + data[2:]) or ()) == 256
    many = data[:2] + comment * (room + 1) + data[2:]
    assert few_segments(many) is None
    assert sniff(many) == sniff(data)
    start = next(at for marker, at, _, _ in iter_segments(data) if marker == 0xDA)
    assert few_segments(data[:start]) is None
    assert few_segments(data[:start] + b"\xff\xd9") is None


def test_markers_in_a_scan_are_found_with_their_fill_bytes() -> None:
    """Stuffed bytes are none; fill bytes belong to the marker behind them."""
    scan = b"\1\xff\0\2\xff\xff\xff\xd3\xff\0\xff\xd4\xff\xff\0\xff\xd9\xff"
    assert list(jpeg._markers(scan, 0)) == [(4, 0xD3), (10, 0xD4), (15, 0xD9)]
    assert next(jpeg._markers(scan, 5)) == (5, 0xD3)
    pattern = re.compile(rb"\xff+[^\x00\xff]")
    for data in FILES:
        slowly = [(found.start(), found.group()[-1]) for found in pattern.finditer(data, 20)]
        assert list(jpeg._markers(data, 20)) == slowly


def test_a_plain_header_is_walked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A match walks a plain JPEG's header once, and once what follows its only scan."""
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="list") as ref:
        ref.add("entry", hashes=[HashValue("pdq", bytes(range(32)))])
    walks: list[int] = []

    def counted(data: bytes, at: int = 2) -> Iterator[tuple[int, int, int, int]]:
        walks.append(at)
        return iter_segments(data, at)

    monkeypatch.setattr(jpeg, "iter_segments", counted)
    data = save(picture("photo", 5, (120, 160)), "JPEG", quality=85)
    with Matcher.open(path, policy=profiles.STANDARD) as matcher:
        matcher.match(data)
    assert walks == [2, len(data) - 2]
