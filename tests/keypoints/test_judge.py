"""The judge: copies accepted, others refused, hostile records harmless."""

from __future__ import annotations

import numpy as np
import pytest

from hashmatch.keypoints.describe import extract, mirrored
from hashmatch.keypoints.field import FieldAgreement, make_field
from hashmatch.keypoints.frame import normal_luma
from hashmatch.keypoints.geometry import Pairs, Transform, propose
from hashmatch.keypoints.judge import ACCEPTED_CHANCE, Judge
from hashmatch.keypoints.points import Keypoints
from hashmatch.keypoints.record import Record
from hashmatch.synthetic import edits, picture, same_template


def _pairs(query, reference, radius=26):
    parts = []
    for points, flag in ((query, False), (mirrored(query), True)):
        distance = np.bitwise_count(points.codes[:, None] ^ reference.codes[None]).sum(axis=2, dtype=np.int64)
        i, j = np.nonzero(distance <= radius)
        parts.append((i, j, distance[i, j], np.full(len(i), flag)))
    return Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _record(pixels):
    luma = normal_luma(pixels)
    made = Record(extract(luma, 170, margins=False), make_field(luma), None)
    return Record.from_bytes(made.to_bytes())


def _verify(record, pixels):
    luma = normal_luma(pixels)
    points = extract(luma, 800, margins=False)
    return Judge(points, luma).verify(record.points, record.field, _pairs(points, record.points))


@pytest.fixture(scope="module")
def photo():
    """Make the reference's picture."""
    return picture("photo", 7_400_020, (600, 800))


@pytest.fixture(scope="module")
def record(photo):
    """Make the record of it as a list keeps it."""
    return _record(photo)


RNG = np.random.default_rng
COPIES = {
    "quarter": (lambda p: edits.crop_sides(p, left=0.2, top=0.3, right=0.3, bottom=0.2), 0.25, False),
    "turned": (lambda p: edits.rotate(p, 37), 1.0, False),
    "mirrored half": (lambda p: edits.crop_area(edits.mirror(p), 0.5, 0.5, 0.5), 0.5, True),
    "collage": (lambda p: edits.collage(p, 2, 2, RNG(1)), 1.0, False),
    "bordered": (lambda p: edits.border(p, 0.5, "gradient"), 1.0, False),
    "covered": (lambda p: edits.black_bar(p, 0.2, RNG(2)), 1.0, False),
    "phone": (lambda p: edits.phone_screenshot(p, 480), 1.0, False),
    "squashed": (lambda p: edits.squash(p, 0.8), 1.0, False),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_accepted_with_their_place(photo, record, name):
    """Each copy is accepted, and says how much of the reference it shows and whether it is mirrored."""
    edit, overlap, flipped = COPIES[name]
    found = _verify(record, edit(photo))
    assert found.accepted
    assert found.chance <= ACCEPTED_CHANCE
    assert found.overlap == pytest.approx(overlap, abs=0.05)
    assert found.transform.mirrored == flipped


def test_crop_box_is_the_crop(photo, record):
    """The crop box of a crop is where it was cut, within 1.5 % of the sides."""
    found = _verify(record, edits.crop_sides(photo, left=0.2, top=0.3, right=0.3, bottom=0.2))
    assert found.crop_box == pytest.approx((0.2, 0.3, 0.7, 0.8), abs=0.015)


def test_other_pictures_are_refused(record):
    """No unrelated picture of any kind is accepted."""
    for kind in ("photo", "portrait", "document", "comic"):
        found = _verify(record, picture(kind, 7_400_021, (500, 600)))
        assert found is None or not found.accepted


@pytest.mark.parametrize("kind", ["document", "card"])
def test_geometry_alone_is_no_proof(kind):
    """Another filling of the same template shares points in their places and is refused all the same."""
    first = same_template(kind, 7_400_030, 7_401_000, (640, 700))
    other = same_template(kind, 7_400_030, 7_401_001, (640, 700))
    record = _record(first)
    assert _verify(record, first).accepted
    found = _verify(record, other)
    assert found is None or not found.accepted


@pytest.mark.parametrize(("own", "other"), [(18, 51), (0, 52), (19, 55)])
def test_fillings_that_share_most_of_the_field_are_refused(own, other):
    """Cards of one template agree in over 83 % of the field and in a third of the points: too few of both."""
    made = [same_template("card", 8_470_015, 8_472_500 + number, (360, 480)) for number in (own, other)]
    record = _record(made[0])
    assert _verify(record, made[0]).accepted
    found = _verify(record, made[1])
    assert found.agreement > 0.8
    assert found.votes >= 20
    assert not found.accepted


def test_the_same_band_on_two_pictures_is_no_copy(photo, record):
    """A third of both pictures in common, as a caption may be, is not enough; half is."""
    for share, same in ((0.3, False), (0.55, True)):
        other = picture("photo", 7_400_024, (600, 800)).copy()
        rows = round(600 * share)
        other[:rows] = photo[-rows:]
        found = _verify(record, other)
        assert found.agreement > 0.93
        assert found.overlap == pytest.approx(share, abs=0.03)
        assert found.accepted == same


def test_foreign_field_refuses_the_same_points(photo, record):
    """With all points in place but the field of another picture, the answer is no."""
    foreign = make_field(normal_luma(picture("photo", 7_400_022, (600, 800))))
    luma = normal_luma(photo)
    points = extract(luma, 800, margins=False)
    pairs = _pairs(points, record.points)
    assert propose(points, [(record.points, pairs)])[0].votes > 50
    found = Judge(points, luma).verify(record.points, foreign, pairs)
    assert found is None or not found.accepted


def test_unreadable_field_is_never_accepted(photo, record):
    """A reference without a field that can be read gives no alignment."""
    luma = normal_luma(photo)
    points = extract(luma, 300, margins=False)
    judge = Judge(points, luma)
    for field in (b"", b"\x05", b"\xff" * 200):
        assert judge.verify(record.points, field, _pairs(points, record.points)) is None


def test_a_record_as_query(photo, record):
    """A query that is only a record is accepted for the same picture and for no other; without a field never."""
    query = _record(edits.jpeg(photo, 50))
    pairs = _pairs(query.points, record.points)
    assert Judge(query.points, None, field=query.field).verify(record.points, record.field, pairs).accepted
    assert Judge(query.points, None).verify(record.points, record.field, pairs) is None
    foreign = make_field(normal_luma(picture("photo", 7_400_023, (600, 800))))
    found = Judge(query.points, None, field=foreign).verify(record.points, record.field, pairs)
    assert found is None or not found.accepted


def test_no_points_and_no_pairs(record):
    """A query without points, and a candidate without pairs, give nothing."""
    none = np.empty(0, np.float32)
    empty = Keypoints(512.0, 512.0, none, none, none, none, np.empty((0, 16), np.uint8))
    luma = np.zeros((512, 512), np.float32)
    nothing = Pairs(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.bool_))
    assert Judge(empty, luma).verify(record.points, record.field, nothing) is None
    assert Judge(record.points, luma).verify(record.points, record.field, nothing) is None
    assert Judge(record.points, luma).verify_many([]) == []


def test_many_are_as_one_by_one(photo, record):
    """Candidates judged together get what each gets alone."""
    luma = normal_luma(photo)
    points = extract(luma, 500, margins=False)
    judge = Judge(points, luma)
    records = [_record(picture("photo", seed, (300, 400))) for seed in (7_400_024, 7_400_025)] + [record]
    candidates = [(r.points, r.field, _pairs(points, r.points, 30)) for r in records]
    together = judge.verify_many(candidates)
    alone = [judge.verify(*candidate) for candidate in candidates]
    assert [a and (a.chance, a.accepted, a.votes) for a in together] == [
        a and (a.chance, a.accepted, a.votes) for a in alone
    ]


@pytest.mark.parametrize("width", [1.0, 3.0, 512.0, 262144.0])
def test_hostile_records_are_harmless(width):
    """Random words and any frame that a record may hold neither raise nor warn, nor are they accepted."""
    rng = np.random.default_rng(7_300_040)
    luma = normal_luma(picture("photo", 7_400_026, (300, 300)))
    query = extract(luma, 200, margins=False)
    judge = Judge(query, luma)
    none = np.empty(0, np.float32)
    for _ in range(4):
        head = Record(
            Keypoints(width, 512.0**2 / width, none, none, none, none, np.empty((0, 16), np.uint8)), b"", None
        )
        data = bytearray(head.to_bytes())
        data[2:4] = (150).to_bytes(2, "little")
        words = rng.integers(0, 256, 150 * 20, np.uint8)
        words[: 150 * 4] &= rng.choice(np.array([0, 255], np.uint8), 1)[0]
        record = Record.from_bytes(bytes(data) + words.tobytes())
        for columns, rows in ((1, 1), (255, 5), (36, 36), (1, 255)):
            steps = (columns - 1) * rows + columns * (rows - 1)
            field = bytes((columns, rows)) + np.packbits(rng.random(steps) < 0.5).tobytes()
            pairs = Pairs(
                rng.integers(0, len(query), 400),
                rng.integers(0, 150, 400),
                rng.integers(0, 27, 400),
                rng.random(400) < 0.5,
            )
            found = judge.verify(record.points, field, pairs)
            assert found is None or not found.accepted
            own = Judge(record.points, None, field=field)
            swapped = Pairs(pairs.reference, pairs.query, pairs.distance, pairs.mirrored)
            own.verify(query, make_field(luma), swapped)


def test_few_bits_have_to_agree_better(photo, record):
    """The same agreement that is enough over a thousand bits is not over a hundred."""
    luma = normal_luma(photo)
    judge = Judge(extract(luma, 300, margins=False), luma)
    whole = Transform(np.eye(2), np.zeros(2))
    for agreement, bits, enough in ((0.973, 97.0, False), (0.973, 1300.0, True), (0.995, 97.0, True)):
        seen = FieldAgreement(whole, overlap=1.0, bits=bits, agreement=agreement, noise=1.5, trimmed=0.99)
        found = judge._weigh(record.points, 7, 7, seen)
        assert found.chance <= ACCEPTED_CHANCE
        assert found.accepted == enough


def test_doubtful_candidates_are_bounded(photo, record):
    """However many candidates agree at once, all are judged; of those that have to be moved first, twelve."""
    luma = normal_luma(photo)
    points = extract(luma, 400, margins=False)
    case = (record.points, record.field, _pairs(points, record.points))
    assert sum(found is not None for found in Judge(points, luma).verify_many([case] * 30)) == 30
    covered = edits.black_bar(photo, 0.25, RNG(2))
    luma = normal_luma(covered)
    points = extract(luma, 400, margins=False)
    case = (record.points, record.field, _pairs(points, record.points))
    assert sum(found is not None for found in Judge(points, luma).verify_many([case] * 30)) == 12
