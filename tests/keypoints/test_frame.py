"""The normal frame against its slow twin, and at the edges of what pictures can be."""

from __future__ import annotations

import numpy as np
import pytest

from hashmatch.keypoints.frame import frame_shape, normal_luma


def weights(size: int, samples: int) -> np.ndarray:
    """Write the tents out, one weight at a time."""
    ratio = size / samples
    half = max(1.0, ratio)
    matrix = np.zeros((samples, size))
    for i in range(samples):
        middle = (i + 0.5) * ratio - 0.5
        if ratio <= 1:
            middle = min(max(middle, 0.0), size - 1.0)
        for j in range(size):
            matrix[i, j] = max(0.0, half - abs(j - middle))
        matrix[i] /= matrix[i].sum()
    return matrix


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (37, 91), (700, 40), (600, 811), (1300, 900)])
def test_frame_is_two_products_with_tents(size: tuple[int, int]) -> None:
    """The frame is the luma times the written-out tents on both sides."""
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    rows, columns = frame_shape(*size)
    slow = weights(size[0], rows) @ (pixels @ np.array([0.299, 0.587, 0.114])) @ weights(size[1], columns).T
    assert np.abs(normal_luma(pixels) - slow).max() < 0.002


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (480, 640), (3000, 2000)])
def test_area_is_that_of_the_frame(size: tuple[int, int]) -> None:
    """Every frame has about 512 x 512 samples and, where neither side is tiny, the picture's aspect."""
    rows, columns = frame_shape(*size)
    assert abs(rows * columns / 512**2 - 1) < 0.05
    if min(rows, columns) > 100:
        assert abs(columns / rows / (size[1] / size[0]) - 1) < 0.01


def test_flat_stays_flat_and_grey_equals_its_rgb() -> None:
    """A flat picture stays flat, and grey is read as the RGB of three equal channels."""
    grey = np.full((90, 120), 200, np.uint8)
    assert np.abs(normal_luma(grey) - 200).max() < 0.001
    noisy = np.random.default_rng(2).integers(0, 256, (200, 150), dtype=np.uint8)
    assert np.abs(normal_luma(noisy) - normal_luma(np.stack([noisy] * 3, axis=2))).max() < 0.001


def test_memory_layout_does_not_matter() -> None:
    """Views of the same pixels give the same bytes, and the frame is contiguous."""
    pixels = np.random.default_rng(3).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    frame = normal_luma(pixels)
    assert frame.flags.c_contiguous
    assert frame.dtype == np.float32
    assert np.array_equal(frame, normal_luma(np.asfortranarray(pixels)))
    assert np.array_equal(frame, normal_luma(pixels.astype(np.float64)))
