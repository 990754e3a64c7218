"""What a rotation cut off, and the search for rotated pictures; judged by dense algebra and by every entry."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from hashmatch.hashers.pdq import PDQHasher
from hashmatch.index.probing import GuidedIndex
from hashmatch.synthetic import edits, picture
from hashmatch.views.crops import guided_index
from hashmatch.views.evidence.bit_odds import flat_bits
from hashmatch.views.evidence.candidates import Proposer
from hashmatch.views.evidence.cohort import RivalRule
from hashmatch.views.evidence.corners import unseen_corner_share, unseen_corners
from hashmatch.views.evidence.tilt_views import ANGLES, Tilt, coefficients, sampled, tilts, upright_size
from hashmatch.views.small import small_luma
from hashmatch.views.small_rotations import TiltedSearch

HASHER = PDQHasher()


def code_of(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Hash as bytes."""
    return np.frombuffer(HASHER.hash_pixels(pixels)[0].data, np.uint8)


@pytest.fixture(scope="module")
def photos() -> list[npt.NDArray[np.uint8]]:
    """Make a few photographs of two shapes."""
    return [picture("photo", seed, [(256, 320), (320, 240)][seed % 2]) for seed in range(9200, 9210)]


@pytest.fixture(scope="module")
def index(photos: list[npt.NDArray[np.uint8]]) -> GuidedIndex:
    """List the photographs' hashes among random ones."""
    random = np.random.default_rng(1).integers(0, 256, (20_000, 32), dtype=np.uint8)
    return guided_index(np.concatenate([np.stack([code_of(p) for p in photos]), random]))


@pytest.mark.parametrize("frame", ["cut", "kept"])
def test_unseen_corners_are_a_field_given_what_was_seen(frame: str) -> None:
    """The covariance is that of conditioning the whole field on the seen cells, by dense algebra."""
    side, size, view = 32, (1.0, 1.0), Tilt(angle=4.5, frame=frame)  # type: ignore[arg-type]
    middles = (np.arange(side) + 0.5) / side
    height, width = upright_size(size, view.angle, view.frame)
    y, x = height * (middles[:, None] - 0.5), width * (middles[None] - 0.5)
    sine, cosine = math.sin(math.radians(4.5)), math.cos(math.radians(4.5))
    unseen = (np.maximum(np.abs(x * cosine - y * sine), np.abs(x * sine + y * cosine)) > 0.5).ravel()
    axis = np.exp(-np.abs(np.subtract.outer(middles, middles)) / 0.1)
    whole = np.kron(axis, axis)
    across = whole[np.ix_(unseen, ~unseen)]
    left = whole[np.ix_(unseen, unseen)] - across @ np.linalg.solve(whole[np.ix_(~unseen, ~unseen)], across.T)
    wave = np.cos(np.pi * np.outer(np.arange(1, 17), middles)) / side
    waves = np.kron(wave, wave)
    spread = np.sqrt(np.einsum("ij,jk,ik->i", waves, whole, waves))
    expected = waves[:, unseen] @ left @ waves[:, unseen].T / np.outer(spread, spread)
    found = unseen_corners(size, view)
    assert np.allclose(found.basis @ found.basis.T + np.diag(found.left_out), expected, atol=2e-3)
    assert np.allclose(np.diag(found.basis @ found.basis.T) + found.left_out, np.diag(expected), atol=1e-6)
    assert np.allclose(unseen_corner_share(size, view).ravel(), np.diag(expected), atol=1e-4)
    assert 0.005 < np.diag(expected).mean() < 0.2


def test_grown_canvases_lose_nothing() -> None:
    """Where the canvas grew with the picture all was seen; where it was cut, more the more it was rotated."""
    found = unseen_corners((300, 400), Tilt(angle=3.0, frame="grown"))
    assert found.basis.shape == (256, 0)
    assert not found.left_out.any()
    shares = [unseen_corner_share((300, 400), Tilt(angle=angle, frame="cut")).mean() for angle in (1.5, 3.0, 4.5)]
    assert shares == sorted(shares)
    mirrored = unseen_corner_share((300, 400), Tilt(angle=-3.0, frame="cut"))
    assert np.allclose(mirrored, unseen_corner_share((300, 400), Tilt(angle=3.0, frame="cut")), atol=1e-5)


@pytest.mark.parametrize("degrees", [1.0, -2.0, 4.0, 3.4])
@pytest.mark.parametrize("corners", ["black", "cut"])
def test_rotated_photographs_are_found(
    photos: list[npt.NDArray[np.uint8]], index: GuidedIndex, corners: str, degrees: float
) -> None:
    """Every one is found, alone, by much evidence, turned back as it was rotated."""
    for number, pixels in enumerate(photos[:5]):
        query = edits.rotate(pixels, degrees, corners=corners)  # type: ignore[arg-type]
        (found,) = TiltedSearch().search(small_luma(query), query.shape[:2], index)
        assert found.position == number
        assert found.evidence >= 50
        assert found.distance <= 60
        assert abs(found.tilt.angle + degrees) <= 0.6


def test_the_guided_search_finds_what_comparing_every_entry_finds(
    photos: list[npt.NDArray[np.uint8]], index: GuidedIndex
) -> None:
    """No entry that is near a view is overlooked, and the distance reported is at most that of the nearest view."""
    bits = flat_bits(np.stack([code_of(p) for p in photos]))
    for number, pixels in enumerate(photos):
        query = edits.jpeg(edits.rotate(pixels, 3.7 * (-1) ** number, corners="cut"), 60)
        small, size = small_luma(query), query.shape[:2]
        flat = coefficients(sampled(small, size, tilts(small, size))).reshape(-1, 1, 256)
        views = flat > np.partition(flat, 127, axis=-1)[..., 127:128]
        nearest = np.count_nonzero(views != bits, axis=-1).min(axis=0)
        every = TiltedSearch(min_evidence=0.0, rivals=RivalRule(cost=0.0))
        found = {item.position: item.distance for item in every.search(small, size, index)}
        assert set(found) == set((nearest <= 60).nonzero()[0].tolist())
        assert found[number] <= nearest[number] + 8


def test_what_is_not_rotated_or_not_listed_is_not_found(
    photos: list[npt.NDArray[np.uint8]], index: GuidedIndex
) -> None:
    """Strangers have no evidence; withdrawn entries are not found; empty lists, tiny and flat pictures give nothing."""
    search = TiltedSearch(min_evidence=0.0)
    stranger = picture("photo", 9300, (256, 320))
    assert search.search(small_luma(stranger), (256, 320), index) == []
    query = edits.rotate(photos[2], 2.0, corners="cut")
    small, size = small_luma(query), query.shape[:2]
    assert [item.position for item in search.search(small, size, index)] == [2]
    gone = np.zeros(len(index), np.bool_)
    gone[2] = True
    assert search.search(small, size, index, gone) == []
    assert search.search(small, size, guided_index(np.empty((0, 32), np.uint8))) == []
    assert search.search(small, (10, 12), index) == []
    assert search.search(np.full_like(small, 80), size, index) == []


def test_near_copies_are_found_together_and_others_take_from_the_evidence(
    photos: list[npt.NDArray[np.uint8]],
) -> None:
    """Copies of an entry are all reported; entries that fit a little, and are none, make the best less sure."""
    rng = np.random.default_rng(8)
    own = code_of(photos[4])

    def flipped(count: int) -> npt.NDArray[np.uint8]:
        bits = np.unpackbits(own)
        bits[rng.choice(256, count, replace=False)] ^= 1
        return np.packbits(bits)

    query = edits.rotate(photos[4], 2.0)
    small, size = small_luma(query), query.shape[:2]
    copies = np.stack([own, own, flipped(4), flipped(6)])
    found = TiltedSearch(proposer=Proposer(max_tried=1)).search(small, size, guided_index(copies))
    assert sorted(item.position for item in found) == [0, 1, 2, 3]
    plain = TiltedSearch(rivals=RivalRule(cost=26.0))
    alone = plain.search(small, size, guided_index(copies[:1]))[0].evidence
    rivals = np.stack([own, *(flipped(66) for _ in range(3))])
    search = replace(plain, min_evidence=0.0, proposer=Proposer(min_rival=-400.0))
    (judged,) = search.search(small, size, guided_index(rivals))
    taken = [plain.rivals.taken(*counts) for counts in ((0, 1), (3, 4))]
    assert judged.evidence == pytest.approx(alone + taken[0] - taken[1], abs=0.5)


def test_all_angles_lie_on_the_steps_of_the_corners() -> None:
    """The corners are worked out for quarters of a degree, which every view's angle is."""
    assert all((4 * angle) % 1 == 0 for angle in ANGLES)
