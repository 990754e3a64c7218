"""Entries of little quality, stated or to be seen: never reported, never passed over in silence."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hashmatch import HashValue, Matcher, Outcome, ReferenceList, fingerprint, hash_image, profiles
from hashmatch.lists import Entry
from hashmatch.policy import CropRule, KeypointRule, MatchPolicy
from hashmatch.synthetic import PATTERN_KINDS, PLAIN_KINDS, edits, pattern, picture

SIZES = ((256, 256), (200, 320), (360, 270), (300, 400))
PHOTO = picture("photo", 71, size=(240, 320))
PRESETS = (profiles.FAST, profiles.STANDARD, profiles.THOROUGH)


def plain_entries(
    count: int, seed: int, quality: int | None, *, below: int = 101, kinds: tuple[str, ...] = PATTERN_KINDS
) -> Iterator[Entry]:
    """Make entries of patterned, plain and faint pictures whose own quality is below a bound, and state another."""
    for number in range(count):
        found = fingerprint(pattern(kinds[number % len(kinds)], seed + number, SIZES[number % 4]))
        if (found.quality or 0) < below:
            yield Entry.of(f"plain-{seed + number}", hashes=found.hashes, quality=quality)


def false_reports(path: Path, policy: MatchPolicy, seed: int, count: int) -> list[str]:
    """Look patterns up; what is reported."""
    found = []
    with Matcher.open(path, policy=policy) as matcher:
        for number in range(count):
            kind = PATTERN_KINDS[number % len(PATTERN_KINDS)]
            report = matcher.match(pattern(kind, seed + number, SIZES[number // 3 % 4]))
            found += [f"{kind} {number}: {match.entry_id}, {match.view}" for match in report.matches]
    return found


@pytest.mark.parametrize("quality", [0, None, 100])
def test_patterns_report_no_plain_entry(quality: int | None, tmp_path: Path) -> None:
    """No view of a pattern reports another pattern or a plain picture, whatever these state."""
    path = tmp_path / "list"
    with ReferenceList.create(path, name="plain") as ref:
        ref.add_many(plain_entries(240, 40_000, quality))
    assert false_reports(path, profiles.THOROUGH, 50_000, 96) == []


@pytest.mark.long
@pytest.mark.parametrize("policy", PRESETS, ids=lambda policy: policy.name)
def test_three_thousand_queries_report_no_plain_entry(policy: MatchPolicy, tmp_path: Path) -> None:
    """As above by every preset: patterns of low quality that state it, and plain pictures that state none or 100."""
    path = tmp_path / "list"
    with ReferenceList.create(path, name="plain") as ref:
        ref.add_many(plain_entries(600, 60_000, 0, below=50))
        for seed, quality in ((61_000, None), (62_000, 100)):  # of patterns two may be drawn alike
            ref.add_many(plain_entries(600, seed, quality, below=50, kinds=PLAIN_KINDS))
    assert false_reports(path, policy, 70_000, 3000) == []


@pytest.mark.parametrize("policy", PRESETS, ids=lambda policy: policy.name)
@pytest.mark.parametrize("kept", [False, True])
def test_a_stated_low_quality_is_not_compared_and_told(policy: MatchPolicy, kept: bool, tmp_path: Path) -> None:
    """An entry below the rule is not reported, not even by its own picture; their number is told, after changes too."""
    path, folder = tmp_path / "list", tmp_path if kept else None
    value = hash_image(PHOTO)
    other = hash_image(picture("photo", 72, size=(240, 320)))
    with ReferenceList.create(path, name="plain") as ref:
        ref.add("low", hashes=[value], quality=49)
        ref.add("good", hashes=[other], quality=50)
        ref.add("unknown", hashes=[hash_image(picture("photo", 73))])
    with Matcher.open(path, policy=policy, index_folder=folder) as matcher:
        report = matcher.match(PHOTO)
        assert report.outcome is Outcome.NO_MATCH
        assert (report.lists[0].compared, report.lists[0].not_compared) == ({"pdq": 2}, {"pdq": 1})
        assert matcher.match_hash(value).outcome is Outcome.NO_MATCH
        assert matcher.match_hash(other).matches[0].entry_id == "good"
        with ReferenceList.open(path, writable=True) as ref:
            ref.add("low too", hashes=[hash_image(picture("photo", 74))], quality=0)
            ref.add("low", hashes=[value], quality=50, source="another")
            ref.withdraw("good")
        assert matcher.reload()
        report = matcher.match(PHOTO)
        assert [match.entry_id for match in report.matches] == ["low"]
        assert (report.lists[0].compared, report.lists[0].not_compared) == ({"pdq": 2}, {"pdq": 2})


def test_a_match_is_explained_by_what_was_compared(tmp_path: Path) -> None:
    """Of an entry's hashes the nearest that is good enough is told, and a source's better word for one counts."""
    path, value = tmp_path / "list", hash_image(PHOTO)
    near = HashValue("pdq", bytes([value.data[0] ^ 0b111, *value.data[1:]]))
    with ReferenceList.create(path, name="plain") as ref:
        ref.add("one", hashes=[value], quality=3)
        ref.add("one", hashes=[near], quality=90, source="another")
    with Matcher.open(path, policy=profiles.FAST) as matcher:
        assert [match.distance for match in matcher.match(PHOTO).matches] == [3]
        with ReferenceList.open(path, writable=True) as ref:
            ref.add("one", hashes=[value], quality=50, source="another")
        matcher.reload()
        assert [match.distance for match in matcher.match(PHOTO).matches] == [0]


def test_a_list_of_low_quality_alone_decides_nothing(tmp_path: Path) -> None:
    """Nothing can be compared, so that no answer is "no match"; a policy that asks for no quality compares."""
    path = tmp_path / "list"
    with ReferenceList.create(path, name="plain") as ref:
        ref.add("low", hashes=[hash_image(PHOTO)], quality=10)
    with Matcher.open(path, policy=profiles.THOROUGH) as matcher:
        report = matcher.match(picture("photo", 75))
        assert (report.outcome, report.reason) == (Outcome.UNDECIDABLE, "nothing-to-compare")
        assert report.lists[0].not_compared == {"pdq": 1}
    rules = tuple(replace(rule, min_quality=0) for rule in profiles.RULES)
    with Matcher.open(path, policy=replace(profiles.FAST, rules=rules)) as matcher:
        assert matcher.match(PHOTO).outcome is Outcome.MATCH


def test_crops_and_rotations_leave_low_quality_out(tmp_path: Path) -> None:
    """A crop and a crooked copy are reported or not by what the entry states, and by the crop rule's own bound."""
    crop, crooked = edits.crop_sides(PHOTO, left=0.06), edits.rotate(PHOTO, 2.0)
    low = replace(profiles.THOROUGH, rules=tuple(replace(rule, min_quality=0) for rule in profiles.RULES))
    for quality, policy, reports in (
        (None, profiles.THOROUGH, (1, 1)),
        (80, profiles.THOROUGH, (1, 1)),
        (20, profiles.THOROUGH, (0, 0)),
        (20, low, (0, 1)),
        (20, replace(low, crops=CropRule(min_evidence=24.0, min_quality=0)), (1, 1)),
    ):
        path = tmp_path / f"list-{quality}-{policy.name}-{policy.crops and policy.crops.min_quality}-{reports}"
        with ReferenceList.create(path, name="plain") as ref:
            ref.add("one", hashes=[hash_image(PHOTO)], quality=quality)
            ref.add("other", hashes=[hash_image(picture("photo", 72))], quality=90)
        with Matcher.open(path, policy=policy) as matcher:
            assert (matcher.match(crop).n_matches, matcher.match(crooked).n_matches) == reports


@pytest.mark.parametrize("algorithm", ["phash", "dhash-256", "keypoint"])
def test_other_algorithms_leave_low_quality_out(algorithm: str, tmp_path: Path) -> None:
    """Every rule with a least quality, and that of keypoint records, passes over what states less, and tells so."""
    values = fingerprint(PHOTO, (algorithm,)).hashes
    for quality, outcome in ((None, Outcome.MATCH), (90, Outcome.MATCH), (49, Outcome.UNDECIDABLE)):
        path = tmp_path / f"list-{quality}"
        with ReferenceList.create(path, name="plain") as ref:
            ref.add("one", hashes=values, quality=quality)
        for folder in (None, tmp_path, tmp_path):
            with Matcher.open(path, policy=profiles.THOROUGH, index_folder=folder) as matcher:
                report = matcher.match(PHOTO)
                assert report.outcome is outcome
                assert bool(report.lists[0].not_compared) == (outcome is Outcome.UNDECIDABLE)
    all_kinds = replace(profiles.THOROUGH, keypoints=KeypointRule(max_chance=-6.0, min_quality=0))
    if algorithm == "keypoint":
        with Matcher.open(tmp_path / "list-49", policy=all_kinds, index_folder=tmp_path) as matcher:
            assert matcher.match(PHOTO).outcome is Outcome.MATCH


def test_a_digest_finds_a_file_of_any_quality(tmp_path: Path) -> None:
    """Digests have no quality: the very file of a plain picture is found."""
    stream = io.BytesIO()
    Image.fromarray(np.full((64, 64, 3), 99, np.uint8)).save(stream, "PNG")
    data = stream.getvalue()
    path = tmp_path / "list"
    with ReferenceList.create(path, name="plain") as ref:
        ref.add("wall", hashes=fingerprint(data, ("md5", "pdq")).hashes, quality=0)
    with Matcher.open(path) as matcher:
        assert [match.algorithm for match in matcher.match(data).matches] == ["md5"]


def test_a_picture_near_a_code_of_a_few_signs_is_undecidable(tmp_path: Path) -> None:
    """It is neither reported nor "no match"; a hash that is given is looked up for what it is."""
    code = np.unpackbits(np.frombuffer(hash_image(PHOTO).data, np.uint8))
    signs = code[::-1].reshape(16, 16)
    product = signs[0] ^ signs[:, :1] ^ signs[0, 0]  # the entry is a product, and the picture's hash is made near it
    value = HashValue("pdq", np.packbits(product.ravel()[::-1]).tobytes())
    path = tmp_path / "list"
    with ReferenceList.create(path, name="plain") as ref:
        ref.add("few signs", hashes=[value])
    far = replace(profiles.FAST, rules=tuple(replace(r, threshold=200) for r in profiles.RULES if r.algorithm == "pdq"))
    with Matcher.open(path, policy=far) as matcher:
        report = matcher.match(PHOTO)
        assert (report.outcome, report.reason) == (Outcome.UNDECIDABLE, "too-plain")
        assert report.matches == ()
        assert matcher.match_hash(value).outcome is Outcome.MATCH
        with ReferenceList.open(path, writable=True) as ref:
            ref.add("few signs", hashes=[hash_image(PHOTO)])
        matcher.reload()
        assert matcher.match(PHOTO).matches[0].distance == 0


@pytest.mark.parametrize("kind", ["stripes", "checkerboard"])
def test_quality_is_of_what_is_compared(kind: str, tmp_path: Path) -> None:
    """A fine pattern has a quality of 100 by its steps, and hardly a sign: it is too plain by every preset."""
    rows, columns = np.mgrid[:256, :256]
    fine = (columns // 3 % 2 if kind == "stripes" else (rows // 2 + columns // 2) % 2) * 200
    pixels = np.repeat(fine[..., None], 3, 2).astype(np.uint8)
    with ReferenceList.create(tmp_path / "list", name="plain") as ref:
        ref.add("one", hashes=[hash_image(PHOTO)])
    for policy in PRESETS:
        with Matcher.open(tmp_path / "list", policy=policy) as matcher:
            report = matcher.match(pixels)
            assert (report.outcome, report.reason) == (Outcome.UNDECIDABLE, "too-plain")
