"""Whether a border is a blurred copy of what it surrounds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hashmatch.picture import encode
from hashmatch.synthetic import edits, picture
from hashmatch.views.borders import edges as _edges
from hashmatch.views.borders.echo import echo
from hashmatch.views.trims import find_trims

Pixels = npt.NDArray[np.uint8]
ALL = _edges.SIDES


def zoomed(pixels: Pixels, down: float, across: float, light: float = 0.6) -> Pixels:
    """Frame with a blurred copy that covers the frame and keeps its shape, darkened."""
    height, width = pixels.shape[:2]
    y, x = round(down * height), round(across * width)
    tall, wide = height + 2 * y, width + 2 * x
    scale = max(tall / height, wide / width)
    large = encode.resize(
        edits.thumbnail(pixels, 20), (math.ceil(scale * height), math.ceil(scale * width)), filter="bicubic"
    )
    top, left = (large.shape[0] - tall) // 2, (large.shape[1] - wide) // 2
    out = (light * large[top : top + tall, left : left + wide]).astype(np.uint8)
    out[y : y + height, x : x + width] = pixels
    return out


def heard(framed: Pixels, down: float, across: float) -> float:
    """Echo of the content where borders take such shares of the content's sides."""
    small = _edges.reduce(framed)
    tall, wide = small.colours.shape[1:]
    y, x = math.ceil(tall * down / (1 + 2 * down)), math.ceil(wide * across / (1 + 2 * across))
    sides = [side for side in ALL if (x if side in ("left", "right") else y)]
    return echo(small, (0, 0, wide, tall), (x, y, wide - x, tall - y), sides)


@pytest.mark.parametrize("kind", ["photo", "portrait"])
@pytest.mark.parametrize("frame", ["stretched", "zoomed"])
@pytest.mark.parametrize(("down", "across"), [(0.1, 0.1), (0.25, 0.0), (0.0, 0.2), (0.05, 0.05)])
def test_a_blurred_copy_is_heard(kind: str, frame: str, down: float, across: float) -> None:
    """Round the true content, on all sides or on two, saved anew or not; but hardly round a box that nobody framed."""
    unframed = []
    for seed in range(76_000, 76_005):
        pixels = picture(kind, seed, (300, 400))
        unframed.append(heard(pixels, down, across))
        if frame == "zoomed":
            framed = zoomed(pixels, down, across)
        elif down == across:
            framed = edits.border(pixels, down, "blurred")
        elif down:
            framed = edits.letterbox(pixels, down, "blurred")
        else:
            framed = edits.transpose(edits.letterbox(edits.transpose(pixels), across, "blurred"))
        for query in (framed, edits.jpeg(framed, 50)):
            assert heard(query, down, across) >= 0.7
    assert np.median(unframed) <= 0.5
    assert sorted(unframed)[-2] <= 0.7


def test_it_does_not_depend_on_light_and_contrast() -> None:
    """A copy made darker echoes as much; one made the negative of it, as much the other way."""
    pixels = picture("photo", 76_010, (256, 256))
    framed = edits.border(pixels, 0.2, "blurred")
    inside = (slice(51, 307),) * 2
    dark, negative = framed // 3 + 20, 255 - framed
    for other in (dark, negative):
        other[inside] = framed[inside]
    plain = heard(framed, 0.2, 0.2)
    assert heard(dark, 0.2, 0.2) == pytest.approx(plain, abs=0.05)
    assert heard(negative, 0.2, 0.2) <= -0.9 * plain


@pytest.mark.parametrize("value", [0, 128, 255])
def test_nothing_is_heard_where_nothing_changes(value: int) -> None:
    """Flat pictures and flat borders have no echo, and nothing is divided by zero."""
    with np.errstate(all="raise", under="ignore"):
        assert heard(np.full((200, 240, 3), value, np.uint8), 0.1, 0.1) == 0
        assert abs(heard(edits.border(picture("photo", 76_011, (200, 200)), 0.1, "black"), 0.1, 0.1)) < 0.3


def test_it_is_within_bounds_for_noise_of_any_shape() -> None:
    """From -1 to 1, of colours and of grey, wide and narrow."""
    rng = np.random.default_rng(2)
    for height, width in ((64, 300), (300, 64), (40, 40), (700, 500)):
        noise: Any = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for pixels in (noise, noise[:, :, :1]):
            assert abs(heard(pixels, 0.1, 0.1)) <= 1
            assert abs(heard(pixels, 0.0, 0.3)) <= 1


def test_soft_pictures_are_trimmed_where_their_copy_bears_a_faint_seam_out() -> None:
    """Nearly every portrait in a blurred border is found, to a pixel or two; unframed ones seldom lose anything."""
    near = 0
    for seed in range(76_020, 76_028):
        pixels = picture("portrait", seed, (384, 512))
        for framed in (edits.letterbox(pixels, 0.1, "blurred"), zoomed(pixels, 0.2, 0.0)):
            y = (framed.shape[0] - 384) // 2
            boxes = [trim.box for trim in find_trims(edits.jpeg(framed, 60))]
            near += any(np.abs(np.subtract(box, (0, y, 512, y + 384))).max() <= 3 for box in boxes)
    assert near >= 15
    needless = [seed for seed in range(76_040, 76_070) if find_trims(picture("portrait", seed, (256, 320)))]
    assert len(needless) <= 3
