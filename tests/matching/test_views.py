"""Laws of the views that a policy asks for: borders, crops, what a match says of them, changes of the list."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hashmatch import Matcher, Outcome, ReferenceList, hash_image, profiles
from hashmatch.errors import PolicyError
from hashmatch.policy import CropRule, KeypointRule, MatchPolicy, Rule
from hashmatch.synthetic import edits, picture
from hashmatch.view import Rendering, Turn, View

PHOTOS = [picture("photo", seed, size=(288, 384)) for seed in range(40, 52)]


@pytest.fixture
def photos_list(tmp_path: Path) -> Path:
    """Make a list of PDQ hashes of a few photos."""
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="demo") as ref:
        for number, photo in enumerate(PHOTOS):
            ref.add(f"photo-{number}", hashes=[hash_image(photo)], source="ncmec")
    return path


@pytest.mark.parametrize(
    ("framed", "says"),
    [
        (lambda photo: edits.border(photo, 0.12), "without a border of"),
        (lambda photo: edits.border(photo, 0.2, "white"), "without a border of"),
        (lambda photo: edits.border(photo, 0.12)[:, ::-1], "mirrored"),
    ],
)
def test_standard_sees_inside_borders(photos_list: Path, framed: object, says: str) -> None:
    """A picture in a border matches by STANDARD, the match says what was taken off, and FAST does not find it."""
    query = np.ascontiguousarray(framed(PHOTOS[3]))  # type: ignore[operator]
    with Matcher.open(photos_list) as matcher:
        report = matcher.match(query)
    assert [match.entry_id for match in report.matches] == ["photo-3"]
    (match,) = report.matches
    assert says in str(match.view)
    assert match.view.trim
    assert (match.threshold, match.evidence) == (31, None)
    with Matcher.open(photos_list, policy=profiles.FAST) as matcher:
        assert matcher.match(query).outcome is Outcome.NO_MATCH


def test_thorough_finds_crops_and_says_what_was_cut(photos_list: Path) -> None:
    """A crop matches by THOROUGH with its evidence and its cut in the entry's picture; STANDARD does not find it."""
    query = edits.crop_sides(PHOTOS[5], left=0.1)
    with Matcher.open(photos_list) as matcher:
        assert matcher.match(query).outcome is Outcome.NO_MATCH
    with Matcher.open(photos_list, policy=profiles.THOROUGH) as matcher:
        report = matcher.match(query)
    (match,) = report.matches
    assert (match.entry_id, match.algorithm, match.threshold) == ("photo-5", "pdq", None)
    assert match.evidence is not None
    assert match.min_evidence is not None
    assert match.evidence >= match.min_evidence
    assert abs(match.view.cut.left - 100) <= 15
    assert max(map(abs, match.view.cut.shares[1:])) <= 25
    assert "as if cut off by" in str(match.view)
    record = json.loads(json.dumps(report.to_dict()))["matches"][0]
    assert record["evidence"] == match.evidence
    assert record["view"]["cut"]["left"] == match.view.cut.left / 1000


@pytest.mark.parametrize(("degrees", "corners"), [(2.0, "black"), (-4.0, "cut")])
def test_thorough_finds_rotated_pictures_and_says_how(photos_list: Path, degrees: float, corners: str) -> None:
    """A picture rotated by a few degrees matches by THOROUGH, by evidence, and the match says how."""
    query = edits.jpeg(edits.rotate(PHOTOS[6], degrees, corners=corners), 60)  # type: ignore[arg-type]
    with Matcher.open(photos_list) as matcher:
        assert matcher.match(query).outcome is Outcome.NO_MATCH
    with Matcher.open(photos_list, policy=replace(profiles.THOROUGH, crops=None)) as matcher:
        (match,) = matcher.match(query).matches
    assert (match.entry_id, match.algorithm, match.threshold) == ("photo-6", "pdq", None)
    assert match.evidence is not None
    assert match.evidence >= profiles.THOROUGH.rotation_evidence == match.min_evidence
    assert abs(match.view.tilt + degrees) <= 0.5
    assert not match.view.cut
    assert "turned back by" in str(match.view)
    strict = replace(profiles.THOROUGH, crops=None, keypoints=None, rotation_evidence=170.0)
    with Matcher.open(photos_list, policy=strict) as matcher:
        assert matcher.match(query).outcome is Outcome.NO_MATCH


@pytest.mark.parametrize("turn", [Turn.MIRROR, Turn.ROTATE_90])
def test_thorough_finds_turned_crops(photos_list: Path, turn: Turn) -> None:
    """A crop that was turned is found too, and the match says both."""
    query = edits.crop_sides(PHOTOS[7], top=0.06, right=0.05)
    turned: NDArray[np.uint8] = np.rot90(query) if turn is Turn.ROTATE_90 else query[:, ::-1]
    rule = CropRule(min_evidence=24.0, turns=tuple(Turn))
    with Matcher.open(photos_list, policy=replace(profiles.THOROUGH, crops=rule)) as matcher:
        (match,) = matcher.match(np.ascontiguousarray(turned)).matches
    assert match.entry_id == "photo-7"
    assert match.view.turn in {Turn.MIRROR, Turn.ROTATE_270}
    rule = CropRule(min_evidence=24.0, turns=(Turn.NONE,))
    with Matcher.open(photos_list, policy=replace(profiles.THOROUGH, crops=rule)) as matcher:
        assert matcher.match(np.ascontiguousarray(turned)).outcome is Outcome.NO_MATCH


_TURNED: dict[Turn, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    Turn.NONE: lambda pixels: pixels,
    Turn.ROTATE_90: np.rot90,
    Turn.ROTATE_180: lambda pixels: np.rot90(pixels, 2),
    Turn.ROTATE_270: lambda pixels: np.rot90(pixels, 3),
    Turn.MIRROR: np.fliplr,
    Turn.FLIP: np.flipud,
    Turn.TRANSPOSE: lambda pixels: pixels.transpose(1, 0, 2),
    Turn.TRANSVERSE: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
}


@pytest.mark.parametrize("turn", list(Turn))
def test_a_view_can_be_followed_step_by_step(photos_list: Path, turn: Turn) -> None:
    """What is left after the trim, turned as the match says, lies in the entry's picture where the cut says."""
    crop = PHOTOS[3][20:, 30:]  # 6.9 % of the height from the top, 7.8 % of the width from the left
    seen = _TURNED[turn](crop)
    framed = np.full((seen.shape[0] + 60, seen.shape[1] + 20, 3), 0, np.uint8)
    framed[50:-10, 5:-15] = seen
    rule = CropRule(min_evidence=24.0, turns=tuple(Turn))
    policy = replace(
        profiles.THOROUGH, rotations=False, shrinks=False, crops=rule, keypoints=None, max_false_reports=None
    )
    with Matcher.open(photos_list, policy=policy) as matcher:
        (match,) = matcher.match(framed).matches
    assert match.entry_id == "photo-3"
    height, width = framed.shape[:2]
    left, top, right, bottom = match.view.trim.shares
    expected = (5000 / width, 50000 / height, 15000 / width, 10000 / height)
    assert np.allclose((left, top, right, bottom), expected, atol=9)
    inner = framed[round(top * height / 1000) :, round(left * width / 1000) :]
    inner = inner[: round(seen.shape[0]), : round(seen.shape[1])]
    upright = _TURNED[match.view.turn](inner)
    assert upright.shape == crop.shape
    assert np.abs(upright.astype(int) - crop).mean() < 12
    assert abs(match.view.cut.left - 78) <= 12
    assert abs(match.view.cut.top - 69) <= 20
    assert max(abs(match.view.cut.right), abs(match.view.cut.bottom)) <= 15


def test_a_whole_picture_is_matched_by_its_distance(photos_list: Path) -> None:
    """An entry that is within the threshold is reported once, by its distance, not by evidence."""
    with Matcher.open(photos_list, policy=profiles.THOROUGH) as matcher:
        (match,) = matcher.match(PHOTOS[2]).matches
    assert (match.entry_id, match.distance, match.evidence) == ("photo-2", 0, None)
    assert str(match.view) == "original"


@pytest.mark.parametrize(
    "edit",
    [lambda photo: edits.crop_sides(photo, bottom=0.08), lambda photo: edits.rotate(photo, 3.0, corners="cut")],
    ids=["crop", "rotation"],
)
def test_crops_and_rotations_follow_the_list(
    photos_list: Path, edit: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> None:
    """An edited copy of a withdrawn picture is no longer found, one of an added picture is after a reload."""
    added = picture("photo", 60, size=(288, 384))
    gone, new = edit(PHOTOS[1]), edit(added)
    with Matcher.open(photos_list, policy=profiles.THOROUGH) as matcher:
        assert matcher.match(gone).outcome is Outcome.MATCH
        assert matcher.match(new).outcome is Outcome.NO_MATCH
        with ReferenceList.open(photos_list, writable=True) as ref:
            ref.withdraw("photo-1", source="ncmec")
            ref.add("added", hashes=[hash_image(added)])
        # what is withdrawn between two reloads is not reported either
        assert matcher.match(gone).outcome is Outcome.NO_MATCH
        assert matcher.reload()
        assert matcher.match(gone).outcome is Outcome.NO_MATCH
        assert [match.entry_id for match in matcher.match(new).matches] == ["added"]


@pytest.mark.parametrize("shape", ["flat", "gradient", "bars", "disc"])
def test_plain_pictures_match_nothing_in_any_view(tmp_path: Path, shape: str) -> None:
    """Flat pictures, gradients and single shapes match no entry, even where others like them are listed."""
    y, x = np.mgrid[0:200, 0:260] / 200
    shades = {
        "flat": (np.full_like(x, 0.5), np.full_like(x, 0.2)),
        "gradient": (x / 2, (x + y) / 3),
        "bars": ((x > 0.6) * 0.8, (y > 0.3) * 0.7),
        "disc": (((x - 0.6) ** 2 + (y - 0.5) ** 2 < 0.1) * 0.9, ((x - 0.5) ** 2 + (y - 0.6) ** 2 < 0.2) * 0.9),
    }[shape]
    listed, query = (np.repeat((255 * shade).astype(np.uint8)[..., None], 3, axis=2) for shade in shades)
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="plain") as ref:
        ref.add("plain", hashes=[hash_image(listed)])
    with Matcher.open(path, policy=profiles.THOROUGH) as matcher:
        assert not matcher.match(query).matches


def test_rules_of_views_are_checked() -> None:
    """Numbers out of range, rules of another kind and views that need PDQ without it are refused."""
    only_phash = (Rule(algorithm="phash", threshold=4),)
    for wrong in ({"rotations": True}, {"shrinks": True}, {"negatives": True}, {"crops": CropRule(min_evidence=80)}):
        with pytest.raises(PolicyError, match="PDQ"):
            MatchPolicy(name="x", rules=only_phash, **wrong)  # type: ignore[arg-type]
    for bad in (
        {"trims": 1},
        {"negatives": 1},
        {"rotation_evidence": -1.0},
        {"crops": 62.0},
        {"keypoints": True},
        {"max_false_reports": 2},
    ):
        with pytest.raises(PolicyError):
            replace(profiles.STANDARD, **bad)  # type: ignore[arg-type]
    for evidence in (-1, True, float("nan")):
        with pytest.raises(PolicyError, match="min_evidence"):
            CropRule(min_evidence=evidence)
    unknown: tuple[object, ...] = ((), True, [Turn.MIRROR], ("mirrored",), ([],))
    for turns in unknown:
        with pytest.raises(PolicyError, match="turns of the crop rule"):
            CropRule(min_evidence=80, turns=turns)  # type: ignore[arg-type]
    with pytest.raises(PolicyError, match="KeypointRule"):
        Rule(algorithm="keypoint", threshold=1)
    with pytest.raises(PolicyError, match="key"):
        KeypointRule(max_chance=-8, key=b"short")
    assert "secret" not in repr(KeypointRule(max_chance=-8, key=b"secret of 16 byte"))


def test_a_policy_that_overspends_is_refused(photos_list: Path) -> None:
    """A matcher is not opened where the policy is expected to make more false reports than it allows itself."""
    modest = replace(profiles.FAST, max_false_reports=1e-3)
    with Matcher.open(photos_list, policy=modest) as matcher:
        assert matcher.match(PHOTOS[0]).outcome is Outcome.MATCH
    with pytest.raises(PolicyError, match="false reports per picture"):
        Matcher.open(photos_list, policy=replace(profiles.THOROUGH, max_false_reports=0.0))


def test_more_may_be_asked_of_a_view_than_of_the_picture(photos_list: Path) -> None:
    """With a threshold of views a far mirrored copy is no match, a far copy as it is still is one."""
    noisy = edits.jpeg(edits.resize(PHOTOS[2], 0.3), 20)
    mirrored = np.ascontiguousarray(noisy[:, ::-1])
    with Matcher.open(photos_list, policy=profiles.STANDARD) as matcher:
        (far,), (turned,) = matcher.match(noisy).matches, matcher.match(mirrored).matches
    assert 0 < far.distance <= 31
    assert turned.threshold == 31
    strict = tuple(replace(rule, view_threshold=0) if rule.algorithm == "pdq" else rule for rule in profiles.RULES)
    with Matcher.open(photos_list, policy=replace(profiles.STANDARD, rules=strict)) as matcher:
        (match,) = matcher.match(noisy).matches
        assert (match.distance, match.threshold) == (far.distance, 31)
        assert matcher.match(mirrored).outcome is Outcome.NO_MATCH
        (turned,) = matcher.match(np.ascontiguousarray(PHOTOS[2][:, ::-1])).matches
    assert (turned.distance, turned.threshold) == (0, 0)


@pytest.mark.parametrize("turn", [Turn.NONE, Turn.MIRROR, Turn.ROTATE_90])
def test_thorough_finds_negatives_and_says_so(photos_list: Path, turn: Turn) -> None:
    """The negative of every listed picture, saved anew and turned too, is found within the threshold and named."""
    turned = {
        Turn.NONE: lambda x: x,
        Turn.MIRROR: lambda x: x[:, ::-1],
        Turn.ROTATE_90: np.rot90,
    }[turn]
    with (
        Matcher.open(photos_list, policy=profiles.THOROUGH) as thorough,
        Matcher.open(photos_list, policy=profiles.STANDARD) as standard,
    ):
        for number, photo in enumerate(PHOTOS):
            query = edits.jpeg(np.ascontiguousarray(turned(255 - photo)), 60)
            (match,) = thorough.match(query).matches
            assert (match.entry_id, match.view.negative) == (f"photo-{number}", True)
            assert match.distance <= match.threshold == 31
            assert "negative" in str(match.view)
            assert match.to_dict()["view"]["negative"]
            assert standard.match(query).outcome is Outcome.NO_MATCH


def test_the_hash_of_the_negative_is_the_complement() -> None:
    """PDQ of ``255 - x`` has every bit of PDQ of x turned over, but for coefficients that tie with the median."""
    for photo in (*PHOTOS, *(picture("document", seed, size=(288, 384)) for seed in range(6))):
        code, other = (np.frombuffer(hash_image(pixels).data, np.uint8) for pixels in (photo, 255 - photo))
        assert int(np.bitwise_count(~code ^ other).sum()) <= 2


def test_negatives_of_plain_pictures_match_nothing(tmp_path: Path) -> None:
    """A query too plain to be searched with has no negative that is, and a mask of views is held to its threshold."""
    flat = np.full((200, 200, 3), 128, np.uint8)
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="flat") as ref:
        ref.add("flat", hashes=[hash_image(flat), hash_image(255 - flat)])
    with Matcher.open(path, policy=profiles.THOROUGH) as matcher:
        assert matcher.match(flat).outcome is Outcome.UNDECIDABLE
    rule = Rule(algorithm="pdq", threshold=31, view_threshold=7)
    assert rule.threshold_of(View(negative=True)) == 7
    assert rule.threshold_of(View(rendering=Rendering.SHOWN)) == 7
    assert rule.threshold_of(View(frame=2)) == 31
