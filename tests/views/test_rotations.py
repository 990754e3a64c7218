"""Small rotations turned back, judged by turning pixels and by PDQ of the upright picture."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import scipy.ndimage

from hashmatch.hashers.pdq import PDQHasher
from hashmatch.synthetic import edits, picture
from hashmatch.views.rotations import ANGLES, MAX_ANGLE, turned_back, upright_size

HASHER = PDQHasher()
SIZES = ((256, 320), (300, 240), (560, 700))


def code_of(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Hash as bytes."""
    return np.frombuffer(HASHER.hash_pixels(pixels)[0].data, np.uint8)


def kept(pixels: npt.NDArray[np.uint8], degrees: float) -> npt.NDArray[np.uint8]:
    """Rotate on a canvas that keeps its size."""
    turned, (height, width) = edits.rotate(pixels, degrees), pixels.shape[:2]
    y, x = (turned.shape[0] - height) // 2, (turned.shape[1] - width) // 2
    return turned[y : y + height, x : x + width]


@pytest.mark.parametrize("degrees", [1.0, -2.0, 4.0, 3.4])
@pytest.mark.parametrize("frame", ["grown", "kept", "cut"])
def test_a_rotated_photograph_is_found(frame: str, degrees: float) -> None:
    """The nearest view is near the upright picture's hash, less so without corners; it turns back, in that frame."""
    limit = 31 + 4 * abs(degrees) * (frame == "cut")
    for number, size in enumerate(SIZES):
        pixels = picture("photo", 7_510_000 + number, size)
        query = edits.rotate(pixels, degrees, corners="cut") if frame == "cut" else edits.rotate(pixels, degrees)
        query = kept(pixels, degrees) if frame == "kept" else query
        found = turned_back(query)
        apart = np.bitwise_count(found.codes ^ code_of(pixels)).sum(axis=1)
        best = int(apart.argmin())
        assert apart[best] <= limit
        assert abs(found.angles[best] + degrees) <= (1.5 if frame == "cut" else 0.8)
        if abs(degrees) > 1:
            assert found.frames[best] == frame


def test_a_view_is_pdq_of_the_picture_turned_back() -> None:
    """Turning the pixels themselves by splines and hashing what comes out gives nearly the same hash."""
    pixels = picture("photo", 7_510_010, (300, 420))
    query = edits.rotate(pixels, 3.0)
    found = turned_back(query, [-3.0])
    (height, width), angle = query.shape[:2], math.radians(3.0)
    tall, wide = (round(side) for side in upright_size((height, width), 3.0, "grown"))
    y, x = np.mgrid[:tall, :wide] + 0.5
    y, x = y - tall / 2, x - wide / 2
    at = (
        y * math.cos(angle) - x * math.sin(angle) + height / 2 - 0.5,
        x * math.cos(angle) + y * math.sin(angle) + width / 2 - 0.5,
    )
    grey = query @ np.array([0.299, 0.587, 0.114])
    judge = code_of(np.clip(scipy.ndimage.map_coordinates(grey, at, order=3, mode="nearest"), 0, 255))
    assert np.bitwise_count(found.codes[found.frames.index("grown")] ^ judge).sum() <= 10
    assert np.bitwise_count(judge ^ code_of(pixels)).sum() <= 12


@pytest.mark.parametrize("size", [(300, 400), (411, 133)])
@pytest.mark.parametrize("degrees", [0.75, 2.0, -5.0])
def test_upright_size_undoes_the_rotation(size: tuple[int, int], degrees: float) -> None:
    """The frames give back the size that was rotated, to what rounding the canvas takes."""
    pixels = np.full((*size, 3), 90, np.uint8)
    grown, cut = edits.rotate(pixels, degrees), edits.rotate(pixels, degrees, corners="cut")
    assert np.allclose(upright_size(grown.shape[:2], degrees, "grown"), size, atol=4)
    assert np.allclose(upright_size(cut.shape[:2], degrees, "cut"), size, atol=4)
    assert upright_size(size, degrees, "kept") == size


def test_filled_corners_do_not_matter() -> None:
    """Whatever one colour the corners have, the view of that frame is the same."""
    pixels = picture("photo", 7_510_011, (300, 420))
    black = edits.rotate(pixels, 3.0)
    covered = edits.rotate(np.full_like(pixels, 255), 3.0)[..., :1] / 255.0
    white = (black + 255.0 * (1.0 - covered)).astype(np.uint8)
    codes = [found.codes[found.frames.index("grown")] for found in (turned_back(q, [-3.0]) for q in (black, white))]
    assert np.bitwise_count(codes[0] ^ codes[1]).sum() <= 6


def test_corners_of_content_leave_one_frame() -> None:
    """A picture with content in its corners was not rotated with filled ones, so only the cut frame is tried."""
    noise = np.random.default_rng(5).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    found = turned_back(noise)
    assert {frame for angle, frame in zip(found.angles, found.frames, strict=True) if abs(angle) > 2} == {"cut"}
    assert len(found.codes) == len(found.angles) == len(found.qualities) == len(found)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 2, 3), (15, 15)])
def test_tiny_pictures_have_no_views(shape: tuple[int, ...]) -> None:
    """Sides under 16 px give no views and no error."""
    assert len(turned_back(np.full(shape, 9, np.uint8))) == 0


def test_flat_pictures_have_no_quality() -> None:
    """A flat picture turned back is flat: every view's quality is 0, so none is searched with."""
    found = turned_back(np.full((200, 260, 3), 77, np.uint8))
    assert len(found) > 0
    assert set(found.qualities) == {0}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_grey_and_floats_are_as_bytes(dtype: type) -> None:
    """Grey pixels, the same as floats and the same as RGB give the same views."""
    grey = picture("photo", 7_510_012, (600, 530))[..., 1]
    expected = turned_back(grey, ANGLES[:4])
    coloured = np.repeat(grey[:, :, None], 3, axis=2)
    for same in (grey.astype(dtype), coloured, np.broadcast_to(grey[..., None], (600, 530, 3))):
        assert np.bitwise_count(turned_back(same, ANGLES[:4]).codes ^ expected.codes).sum(axis=1).max() <= 2


@pytest.mark.parametrize("angle", [0.0, MAX_ANGLE + 0.1, math.nan])
def test_angles_out_of_range_are_refused(angle: float) -> None:
    """No rotation, and one too far, are errors."""
    with pytest.raises(ValueError, match="angle"):
        turned_back(np.zeros((64, 64), np.uint8), [angle])
