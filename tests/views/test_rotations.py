"""Small rotations turned back, judged by turning pixels and by PDQ of the upright picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import scipy.ndimage

from hashmatch.hashers.pdq import PDQHasher
from hashmatch.synthetic import edits, picture
from hashmatch.views.evidence.bit_odds import flat_bits
from hashmatch.views.evidence.tilt_views import (
    ANGLES,
    MAX_ANGLE,
    Tilt,
    coefficients,
    qualities,
    sampled,
    tilts,
    upright_size,
)
from hashmatch.views.small import small_luma

HASHER = PDQHasher()
SIZES = ((256, 320), (300, 240), (560, 700))


def bits_of(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Hash as bits by flat index."""
    return flat_bits(np.frombuffer(HASHER.hash_pixels(pixels)[0].data, np.uint8))


def seen_by(pixels: npt.NDArray[np.uint8], views: Sequence[Tilt]) -> npt.NDArray[np.bool_]:
    """Bits of each view, (k, 256)."""
    flat = coefficients(sampled(small_luma(pixels), pixels.shape[:2], views)).reshape(len(views), 256)
    return flat > np.partition(flat, 127, axis=1)[:, 127:128]


def views_of(pixels: npt.NDArray[np.uint8], angles: Sequence[float] = ANGLES) -> tuple[Tilt, ...]:
    """All ways in which a picture may have been rotated."""
    return tilts(small_luma(pixels), pixels.shape[:2], angles)


@pytest.mark.parametrize("degrees", [1.0, -2.0, 4.0, 3.4])
@pytest.mark.parametrize("frame", ["grown", "kept", "cut", "even"])
def test_a_rotated_photograph_is_turned_back(frame: str, degrees: float) -> None:
    """The nearest view is near the upright picture's hash, less so without corners; it turns back, in that frame."""
    limit = 31 + {"cut": 4, "even": 6}.get(frame, 0) * abs(degrees)
    for number, size in enumerate(SIZES):
        pixels = picture("photo", 7_510_000 + number, size)
        query = edits.rotate(pixels, degrees, corners="black" if frame == "grown" else frame)  # type: ignore[arg-type]
        views = views_of(query)
        apart = np.count_nonzero(seen_by(query, views) != bits_of(pixels), axis=1)
        best = int(apart.argmin())
        assert apart[best] <= limit
        if frame in ("grown", "kept"):
            assert abs(views[best].angle + degrees) <= 0.8
            assert views[best].frame == frame or abs(degrees) < 2
        elif abs(degrees) >= 2:  # below, what was cut off evenly is nearly what was cut off
            own = [place for place, view in enumerate(views) if view.frame == frame]
            at = min(own, key=lambda place: abs(views[place].angle + degrees))
            assert abs(views[at].angle + degrees) <= 0.375
            assert apart[at] <= limit


def test_a_view_is_pdq_of_the_picture_turned_back() -> None:
    """Turning the pixels themselves by splines and hashing what comes out gives nearly the same hash."""
    pixels = picture("photo", 7_510_010, (300, 420))
    query = edits.rotate(pixels, 3.0)
    (height, width), angle = query.shape[:2], math.radians(3.0)
    tall, wide = (round(side) for side in upright_size((height, width), 3.0, "grown"))
    y, x = np.mgrid[:tall, :wide] + 0.5
    y, x = y - tall / 2, x - wide / 2
    at = (
        y * math.cos(angle) - x * math.sin(angle) + height / 2 - 0.5,
        x * math.cos(angle) + y * math.sin(angle) + width / 2 - 0.5,
    )
    grey = query @ np.array([0.299, 0.587, 0.114])
    judge = bits_of(np.clip(scipy.ndimage.map_coordinates(grey, at, order=3, mode="nearest"), 0, 255))
    (seen,) = seen_by(query, [Tilt(angle=-3.0, frame="grown")])
    assert np.count_nonzero(seen != judge) <= 16
    assert np.count_nonzero(judge != bits_of(pixels)) <= 12


@pytest.mark.parametrize("size", [(300, 400), (411, 133)])
@pytest.mark.parametrize("degrees", [0.75, 2.0, -5.0])
def test_upright_size_undoes_the_rotation(size: tuple[int, int], degrees: float) -> None:
    """The frames give back the size that was rotated, to what rounding the canvas takes."""
    pixels = np.full((*size, 3), 90, np.uint8)
    grown, cut = edits.rotate(pixels, degrees), edits.rotate(pixels, degrees, corners="cut")
    assert np.allclose(upright_size(grown.shape[:2], degrees, "grown"), size, atol=4)
    assert np.allclose(upright_size(cut.shape[:2], degrees, "cut"), size, atol=4)
    even = edits.rotate(pixels, degrees, corners="even")
    assert even.min() == 90, "no corner is left"
    assert np.allclose(upright_size(even.shape[:2], degrees, "even"), size, atol=4)
    assert upright_size(size, degrees, "kept") == size


def test_filled_corners_do_not_matter() -> None:
    """Whatever one colour the corners have, the view of that frame is the same."""
    pixels = picture("photo", 7_510_011, (300, 420))
    black = edits.rotate(pixels, 3.0)
    covered = edits.rotate(np.full_like(pixels, 255), 3.0)[..., :1] / 255.0
    white = (black + 255.0 * (1.0 - covered)).astype(np.uint8)
    view = Tilt(angle=-3.0, frame="grown")
    for query in (black, white):
        assert view in views_of(query, [-3.0])
    one, other = (seen_by(query, [view]) for query in (black, white))
    assert np.count_nonzero(one != other) <= 6


def test_corners_of_content_leave_what_was_cut() -> None:
    """A picture with content in its corners was not rotated with filled ones, so only the cut frames are tried."""
    noise = np.kron(np.random.default_rng(5).integers(0, 256, (100, 150, 3), dtype=np.uint8), np.ones((4, 4, 1)))
    views = views_of(noise.astype(np.uint8))
    assert {view.frame for view in views if abs(view.angle) > 2} == {"cut", "even"}
    assert {view.angle for view in views} == set(ANGLES)
    square = views_of(noise.astype(np.uint8)[:, :400])
    assert {view.frame for view in square if abs(view.angle) > 2} == {"cut"}


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 2, 3), (15, 15)])
def test_tiny_pictures_have_no_views(shape: tuple[int, ...]) -> None:
    """Sides under 16 px give no views and no error."""
    assert views_of(np.full(shape, 9, np.uint8)) == ()


@pytest.mark.parametrize("shape", [(16, 20_000), (20_000, 16)])
def test_strips_have_no_views_of_which_little_is_seen(shape: tuple[int, int]) -> None:
    """A very long picture that was rotated and cut shows next to nothing of the whole."""
    assert {view.frame for view in views_of(np.full(shape, 9, np.uint8))} <= {"grown"}


def test_flat_pictures_have_no_quality() -> None:
    """A flat picture turned back is flat: every view's quality is 0, so none is searched with."""
    pixels = np.full((200, 260, 3), 77, np.uint8)
    views = views_of(pixels)
    assert views
    assert not qualities(sampled(small_luma(pixels), (200, 260), views)).any()


def test_quality_is_pdqs() -> None:
    """The quality of a picture turned back by next to nothing is that of PDQ, but for the blur of the small picture."""
    for number in range(4):
        pixels = picture("low-texture", 7_510_020 + number, (256, 320))
        quality = qualities(sampled(small_luma(pixels), (256, 320), [Tilt(angle=1e-3, frame="kept")]))
        assert abs(int(quality[0]) - HASHER.hash_pixels(pixels)[1]) <= 12


def test_views_in_a_batch_are_as_alone() -> None:
    """Sampling many views at once changes none."""
    pixels = picture("photo", 7_510_012, (300, 420))
    small, views = small_luma(pixels), views_of(edits.rotate(pixels, 3.0))
    together = sampled(small, (300, 420), views)
    for view, cells in zip(views, together, strict=True):
        assert np.allclose(sampled(small, (300, 420), [view])[0], cells, atol=1e-3)


@pytest.mark.parametrize("angle", [0.0, MAX_ANGLE + 0.1, math.nan])
def test_angles_out_of_range_are_refused(angle: float) -> None:
    """No rotation, and one too far, are errors."""
    with pytest.raises(ValueError, match="angle"):
        views_of(np.zeros((64, 64), np.uint8), [angle])
