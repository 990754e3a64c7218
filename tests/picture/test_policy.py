"""`DecodePolicy` and its limits."""

from __future__ import annotations

import dataclasses

import pytest

from hashmatch.errors import ImageTooLargeError, PolicyError
from hashmatch.picture import KNOWN_FORMATS, DecodePolicy
from hashmatch.picture.policy import check_size


def test_defaults() -> None:
    """The formats that take no codec of their own, in a worker all of them; the first frame; below Pillow's warning."""
    policy = DecodePolicy()
    assert policy.allowed == ("JPEG", "PNG", "GIF", "WEBP", "BMP", "ICO", "PPM", "TGA")
    assert policy.in_worker().allowed == KNOWN_FORMATS
    assert DecodePolicy(formats=("PNG",)).in_worker().allowed == ("PNG",)
    assert policy.frames == "first"
    assert policy.max_pixels < 89_478_485


def test_formats_are_names_in_any_case_each_once() -> None:
    """Names are upper-cased, repeated names count once, order is kept."""
    assert DecodePolicy(formats=("tiff", "PNG", "Tiff")).formats == ("TIFF", "PNG")
    assert DecodePolicy(formats=KNOWN_FORMATS).formats == KNOWN_FORMATS


@pytest.mark.parametrize("formats", ["JPEG", (), ("EPS",), ("JPEG", 3)])
def test_bad_formats_are_refused(formats: object) -> None:
    """A lone string, nothing, an unknown name and a non-string are policy errors."""
    with pytest.raises(PolicyError):
        DecodePolicy(formats=formats)


@pytest.mark.parametrize("name", ["max_bytes", "max_pixels", "max_side", "max_frames", "max_total_pixels"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, None])
def test_limits_are_positive_integers(name: str, value: object) -> None:
    """Anything but an integer of 1 or more is a policy error that names the limit."""
    with pytest.raises(PolicyError, match=name):
        DecodePolicy(**{name: value})


def test_frames_is_one_of_two_words() -> None:
    """Another word is a policy error."""
    with pytest.raises(PolicyError, match="first"):
        DecodePolicy(frames="some")


def test_policy_is_a_frozen_value() -> None:
    """Equal policies are equal and hash alike; none can be changed."""
    assert hash(DecodePolicy()) == hash(DecodePolicy())
    with pytest.raises(dataclasses.FrozenInstanceError):
        DecodePolicy().max_side = 3  # type: ignore[misc]


def test_limits_are_inclusive() -> None:
    """A picture exactly at the limit passes, one pixel more does not."""
    policy = DecodePolicy(max_pixels=12, max_side=6)
    check_size(4, 3, policy)
    check_size(6, 2, policy)
    with pytest.raises(ImageTooLargeError) as caught:
        check_size(13, 1, policy)
    assert caught.value.reason == "too-many-pixels"
    with pytest.raises(ImageTooLargeError) as caught:
        check_size(1, 7, policy)
    assert caught.value.reason == "too-long-side"
