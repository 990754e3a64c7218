"""Laws of the byte form of looks: nothing is lost on the way, and nothing impossible is let in."""

from __future__ import annotations

import dataclasses
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch import profiles
from hashmatch.features.extract import KeypointLook, Look, SmallLook, iter_looks
from hashmatch.features.policy_json import policy_from_json, policy_to_json
from hashmatch.features.wire import LookBounds, pack_look, unpack_look
from hashmatch.hashes import HashValue, ViewHash
from hashmatch.picture.encode import png
from hashmatch.policy import KeypointRule, MatchPolicy
from hashmatch.synthetic import picture
from hashmatch.view import Rendering, Shrink, Turn, View

BOUNDS = LookBounds(algorithms=("pdq",), smalls=True, keypoints=True, max_frames=3, max_side=65_535)


def make_look() -> Look:
    """Look at a small picture in every way there is."""
    pixels = np.pad(picture("photo", 5, size=(150, 200)), ((20, 20), (0, 0), (0, 0)))
    (look,) = iter_looks(png(pixels), ("pdq",), profiles.THOROUGH, keypoints=True)
    view = View(tilt=-1.25, shrink=Shrink.SQUASH_512, rendering=Rendering.RAW)
    shrunk = dataclasses.replace(look.hashes[0], view=view)
    return dataclasses.replace(look, hashes=(*look.hashes, shrunk))


LOOK = make_look()
PACKED = b"".join(pack_look(LOOK))
SMALL = b"".join(pack_look(dataclasses.replace(LOOK, smalls=(), keypoints=None)))


def same(one: object, two: object) -> bool:
    """Compare all the way down, arrays to the bit."""
    if dataclasses.is_dataclass(one) and type(one) is type(two):
        names = [item.name for item in dataclasses.fields(one)]
        return all(same(getattr(one, name), getattr(two, name)) for name in names)
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (two.dtype, two.shape, two.tobytes())
    if isinstance(one, tuple) and isinstance(two, tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and one == two


def test_nothing_is_lost() -> None:
    """A look comes back with every field as it was; trims, tilts, shrinks, sizes and points are among them."""
    assert LOOK.keypoints is not None
    assert len(LOOK.keypoints.points) > 20
    assert LOOK.smalls
    assert any(item.view.negative for item in LOOK.hashes)
    assert any(item.view.trim for item in LOOK.hashes)
    assert any(item.view.tilt and item.view.shrink is not Shrink.NONE for item in LOOK.hashes)
    assert [item.size for item in LOOK.smalls] == [(190, 200), (150, 200)]
    assert same(unpack_look(PACKED, BOUNDS), LOOK)
    assert len(PACKED) <= BOUNDS.most_bytes


def test_the_longest_answer_is_allowed() -> None:
    """The bound on what is received is set before it is known which algorithms are asked for."""
    hashed = ViewHash(value=HashValue("pdq", bytes(32)), quality=9)
    for algorithms in ((), ("pdq",)):
        plain = LookBounds(algorithms=algorithms, smalls=False, keypoints=False, max_frames=3, max_side=65_535)
        assert sum(map(len, pack_look(Look(hashes=(hashed,) * 64)))) <= plain.most_bytes
    assert len(unpack_look(b"".join(pack_look(Look(hashes=(hashed,) * 64))), BOUNDS).hashes) == 64
    with pytest.raises(ValueError, match="too many hashes"):
        unpack_look(b"".join(pack_look(Look(hashes=(hashed,) * 65))), BOUNDS)


def test_every_field_is_carried() -> None:
    """A field that the classes gain has to be thought of here."""
    names = {kind: {item.name for item in dataclasses.fields(kind)} for kind in (Look, SmallLook, KeypointLook)}
    assert names[Look] == {"hashes", "smalls", "keypoints", "frame", "is_full"}
    assert names[SmallLook] == {"view", "small", "size", "quality"}
    assert names[KeypointLook] == {"view", "points", "mirrored", "luma", "field"}


@pytest.mark.parametrize("length", [*range(0, 64), *range(64, len(SMALL), 7), *range(len(SMALL), len(PACKED), 9973)])
def test_every_cut_is_refused(length: int) -> None:
    """No beginning of a look is a look."""
    data = PACKED if length >= len(SMALL) else SMALL
    with pytest.raises(ValueError):
        unpack_look(data[:length], BOUNDS)


@given(at=st.integers(0, len(SMALL) - 1), value=st.integers(0, 255), more=st.binary(max_size=3))
def test_changed_bytes_give_a_look_within_bounds_or_an_error(at: int, value: int, more: bytes) -> None:
    """Whatever a byte is changed to, nothing but what was asked for comes out, or a ValueError."""
    changed = SMALL[:at] + bytes([value]) + SMALL[at + 1 :] + more
    try:
        look = unpack_look(changed, BOUNDS)
    except ValueError:
        return
    assert not more
    assert all(item.value.algorithm == "pdq" and item.view.frame < 3 for item in look.hashes)


@given(st.binary(max_size=200))
def test_made_up_bytes_are_an_error_or_an_empty_look(data: bytes) -> None:
    """Bytes from nowhere are refused by ValueError and nothing else."""
    try:
        unpack_look(data, BOUNDS)
    except ValueError:
        return
    raise AssertionError("bytes of no meaning were taken")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -2.0, 257.0, -float("inf")])
def test_impossible_levels_are_refused(value: float) -> None:
    """A luma beyond grey levels, or not a number, would poison every sum."""
    assert LOOK.smalls
    small = LOOK.smalls[0].small.copy()
    small[5, 7] = value
    data = b"".join(pack_look(dataclasses.replace(LOOK, smalls=(dataclasses.replace(LOOK.smalls[0], small=small),))))
    with pytest.raises(ValueError, match="out of range"):
        unpack_look(data, BOUNDS)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (65_536, 5), (5, 2**32 - 1)])
def test_impossible_sizes_are_refused(size: tuple[int, int]) -> None:
    """A picture has sides of 1 px to what the policy allows."""
    data = b"".join(pack_look(dataclasses.replace(LOOK, smalls=(dataclasses.replace(LOOK.smalls[0], size=size),))))
    with pytest.raises(ValueError, match="impossible size"):
        unpack_look(data, BOUNDS)


@pytest.mark.parametrize(
    "bounds",
    [
        dataclasses.replace(BOUNDS, smalls=False),
        dataclasses.replace(BOUNDS, keypoints=False),
        dataclasses.replace(BOUNDS, algorithms=("phash",)),
    ],
)
def test_what_was_not_asked_for_is_refused(bounds: LookBounds) -> None:
    """Crops, keypoints and algorithms come only where they were asked for."""
    with pytest.raises(ValueError):
        unpack_look(PACKED, bounds)


def test_a_digest_is_never_taken_from_a_worker() -> None:
    """A worker in an attacker's hands cannot claim a file on a list."""
    claimed = Look(hashes=(ViewHash(value=HashValue("md5", bytes(16))),))
    with pytest.raises(ValueError, match="not asked for"):
        unpack_look(b"".join(pack_look(claimed)), BOUNDS)


def test_frames_beyond_the_policy_are_refused() -> None:
    """The number of frames is the host's to bound."""
    late = Look(hashes=(ViewHash(value=HashValue("pdq", bytes(32)), quality=9, view=View(frame=3)),))
    wide = dataclasses.replace(BOUNDS, max_frames=4)
    assert unpack_look(b"".join(pack_look(late)), wide).hashes == late.hashes  # kept views are held to bounds too
    with pytest.raises(ValueError, match="not asked for"):
        unpack_look(b"".join(pack_look(late)), BOUNDS)


@pytest.mark.parametrize("frame", [1, 2**32 - 1])
def test_a_frame_that_was_not_asked_for_is_refused(frame: int) -> None:
    """A worker cannot claim to have seen more frames than the policy walks."""
    look = dataclasses.replace(LOOK, frame=frame, is_full=False)
    with pytest.raises(ValueError, match="frame"):
        unpack_look(b"".join(pack_look(look)), dataclasses.replace(BOUNDS, max_frames=1))
    if frame == 1:
        assert same(unpack_look(b"".join(pack_look(look)), dataclasses.replace(BOUNDS, max_frames=2)), look)


def test_more_points_than_there_can_be_are_refused() -> None:
    """The number of points is bounded before any array is made."""
    data = bytearray(PACKED)
    assert LOOK.keypoints is not None
    place = PACKED.index(
        struct.pack("<ddH", LOOK.keypoints.points.width, LOOK.keypoints.points.height, len(LOOK.keypoints.points))
    )
    struct.pack_into("<H", data, place + 16, 1001)
    with pytest.raises(ValueError, match="too many points"):
        unpack_look(data, BOUNDS)


@pytest.mark.parametrize("name", ["FAST", "STANDARD", "THOROUGH"])
def test_policies_arrive_whole(name: str) -> None:
    """The worker looks by the very policy of the host, its key included."""
    policy = getattr(profiles, name)
    assert policy_from_json(policy_to_json(policy)) == policy
    keyed = dataclasses.replace(policy, keypoints=KeypointRule(max_chance=-8, key=bytes(range(16))))
    assert policy_from_json(policy_to_json(keyed)) == keyed


@pytest.mark.parametrize(
    "data", [b"1", b"[]", b"{", b'{"kind": "Turn", "value": "none"}', b'{"kind": "bytes", "value": ""}']
)
def test_what_is_no_policy_is_an_error(data: bytes) -> None:
    """Anything else at the start of a worker is a ValueError."""
    with pytest.raises(ValueError):
        policy_from_json(data)


def test_turns_of_the_crop_rule_arrive() -> None:
    """Enumerations come back as members, not as words."""
    crops = profiles.THOROUGH.crops
    assert crops is not None
    policy: MatchPolicy = dataclasses.replace(profiles.THOROUGH, crops=dataclasses.replace(crops, turns=(Turn.FLIP,)))
    assert policy_from_json(policy_to_json(policy)) == policy
