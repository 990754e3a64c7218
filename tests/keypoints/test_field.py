"""Fields: what they keep, what they shrug off, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from hashmatch.errors import HashFormatError
from hashmatch.keypoints.field import MAX_FIELD_BYTES, Canvas, Field, make_field
from hashmatch.keypoints.frame import normal_luma
from hashmatch.keypoints.geometry import Transform
from hashmatch.synthetic import edits, picture

SAME = Transform.similarity(1.0, 0.0, (0.0, 0.0))


@pytest.fixture(scope="module")
def photo():
    """Make the reference's picture."""
    return picture("photo", 7_400_000, (480, 640))


@pytest.fixture(scope="module")
def luma(photo):
    """Make its normal frame."""
    return normal_luma(photo)


def _compare(luma, query, transform=SAME, **options):
    width = 512.0 * np.sqrt(luma.shape[1] / luma.shape[0])
    return Canvas(normal_luma(query)).compare(Field.from_bytes(make_field(luma)), width, transform, **options)


@pytest.mark.parametrize("shape", [(512, 512), (418, 627), (1, 262144), (262144, 1), (2, 3), (1, 1), (100, 2621)])
def test_a_field_can_be_read_back_and_is_small(shape):
    """The field of a picture of any shape has a grid in its first bytes and at most 326 bytes."""
    luma = np.random.default_rng(1).uniform(0, 255, shape).astype(np.float32)
    data = make_field(luma)
    field = Field.from_bytes(data)
    assert len(data) <= MAX_FIELD_BYTES == 326
    assert (field.columns, field.rows) == (data[0], data[1])


def test_signs_are_those_of_the_cells_means():
    """Every sign is that of the difference of two means taken one by one."""
    luma = np.random.default_rng(2).uniform(0, 255, (72 * 5, 18 * 5)).astype(np.float32)
    field = Field.from_bytes(make_field(luma))
    assert (field.columns, field.rows) == (18, 72)
    mean = np.array(
        [[luma[5 * i : 5 * i + 5, 5 * j : 5 * j + 5].astype(float).mean() for j in range(18)] for i in range(72)]
    )
    slow = [mean[i, j + 1] > mean[i, j] for i in range(72) for j in range(17)]
    slow += [mean[i + 1, j] > mean[i, j] for i in range(71) for j in range(18)]
    assert field.signs.tolist() == slow


@pytest.mark.parametrize(
    "data", [b"", b"\x05", b"\x00\x05", b"\x05\x05", b"\x05\x05" + bytes(9), b"\xff\xff" + bytes(300)]
)
def test_bytes_that_are_no_field_are_refused(data):
    """Wrong lengths and impossible grids raise the typed error."""
    with pytest.raises(HashFormatError):
        Field.from_bytes(data)


@pytest.mark.parametrize(
    "edit",
    [
        lambda p: edits.gamma(p, 0.5),
        lambda p: edits.contrast(p, 0.5),
        lambda p: edits.brightness(p, 0.6),
        lambda p: edits.grey(p),
        lambda p: edits.jpeg(p, 30),
        lambda p: edits.blur(p, 2),
        lambda p: edits.resize(p, 0.25),
        lambda p: edits.noise(p, 13, np.random.default_rng(0)),
    ],
    ids=["gamma", "contrast", "brightness", "grey", "jpeg", "blur", "quarter", "noise"],
)
def test_tone_and_noise_change_few_bits(photo, luma, edit):
    """After any change of tone, codec, sharpness or size, 87 % of the bits agree, hundreds compared."""
    seen = _compare(luma, edit(photo))
    assert seen.agreement >= 0.87
    assert seen.trimmed >= 0.915
    assert seen.bits >= 600
    assert seen.score >= 10


def test_covered_and_written_on_pictures_keep_most(photo, luma):
    """A fifth blacked out, or letters across, leave the rest in agreement."""
    for query in (
        edits.black_bar(photo, 0.2, np.random.default_rng(1)),
        edits.text(photo, 0.12, np.random.default_rng(1)),
    ):
        seen = _compare(luma, query)
        assert seen.agreement >= 0.8
        assert seen.trimmed >= 0.92


def test_another_picture_agrees_by_chance(luma):
    """Ten other pictures, even climbing, agree in little more than half of the bits."""
    for seed in range(7_400_001, 7_400_011):
        seen = _compare(luma, picture("photo", seed, (480, 640)))
        assert seen.agreement < 0.72
        assert seen.score < 6


def test_climbing_finds_the_place(photo, luma):
    """A crop laid 10 px and 4 % wrong is brought back to within 4 px."""
    query = edits.crop_sides(photo, left=0.3, top=0.2, right=0.2, bottom=0.3)
    width, height = luma.shape[1], luma.shape[0]
    right = Transform.similarity(0.5, 0.0, (0.3 * width, 0.2 * height))
    wrong = Transform.similarity(0.52, 0.02, (0.3 * width + 8.0, 0.2 * height - 10.0))
    plain, climbed = _compare(luma, query, wrong, refine=False), _compare(luma, query, wrong)
    assert climbed.score > plain.score
    assert climbed.agreement >= 0.95
    assert np.abs(climbed.transform.apply([(256.0, 256.0)]) - right.apply([(256.0, 256.0)])).max() < 4.0
    assert climbed.overlap == pytest.approx(0.25, abs=0.03)


def test_nothing_shared_is_nothing_compared(photo, luma):
    """A transform that lays the query beside the reference compares no bits."""
    seen = _compare(luma, photo, Transform.similarity(1.0, 0.0, (2000.0, 0.0)))
    assert (seen.overlap, seen.bits, seen.score) == (0.0, 0.0, 0.0)


def test_flat_query_counts_for_nothing(luma):
    """A query of one grey agrees with nothing."""
    seen = _compare(luma, np.full((480, 640, 3), 99, np.uint8))
    assert seen.score == 0.0


def test_surface_has_the_signs_it_came_from(luma):
    """The surface drawn from a field, laid over that field, agrees in most bits."""
    field = Field.from_bytes(make_field(luma))
    seen = Canvas(field.surface()).compare(field, 512.0 * np.sqrt(640 / 480), SAME, refine=False)
    assert seen.agreement >= 0.85


def test_deterministic(photo, luma):
    """Twice the same question gets twice the same answer, and the same bytes."""
    assert make_field(luma) == make_field(luma.copy())
    one, two = _compare(luma, edits.jpeg(photo, 40)), _compare(luma, edits.jpeg(photo, 40))
    assert (one.score, one.bits, one.overlap) == (two.score, two.bits, two.overlap)


def test_a_hopeless_start_is_given_up() -> None:
    """Where the bits disagree from the start nothing climbs, and what comes back proves nothing."""
    here, there = (normal_luma(picture("photo", seed, size=(300, 400))) for seed in (31, 32))
    field = Field.from_bytes(make_field(there))
    seen = Canvas(here).compare(field, float(there.shape[1]), Transform.similarity(1.0, 0.0, (0.0, 0.0)))
    assert (seen.bits, seen.score) == (0.0, 0.0)
    assert seen.agreement < 0.66
