"""Laws of matching by keypoint records: small crops, what a match says, keys, changes of the list, index files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hashmatch import Fingerprint, HashValue, Matcher, Outcome, ReferenceList, fingerprint, hash_image, profiles
from hashmatch.errors import HashFormatError, PolicyError
from hashmatch.hashes import ViewHash
from hashmatch.matching import keypoints as room
from hashmatch.policy import KeypointRule
from hashmatch.synthetic import edits, picture

KEY = bytes(range(32))
PHOTOS = [picture("photo", seed, size=(420, 560)) for seed in range(70, 76)]
RECORDS = [hash_image(photo, "keypoint") for photo in PHOTOS]
ONLY_KEYPOINTS = replace(profiles.THOROUGH, name="keypoints", rotations=False, shrinks=False, trims=False, crops=None)


@pytest.fixture
def records_list(tmp_path: Path) -> Path:
    """Make a list of the keypoint records of a few photos."""
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="demo") as ref:
        for number, record in enumerate(RECORDS):
            ref.add(f"photo-{number}", hashes=[record], source="ncmec", labels={"class": "A1"})
    return path


def test_a_quarter_is_found_and_placed(records_list: Path) -> None:
    """A quarter of a picture, mirrored, matches, and the match says which part it shows and how sure that is."""
    query = np.ascontiguousarray(PHOTOS[2][150:360, 200:480][:, ::-1])
    with Matcher.open(records_list, policy=ONLY_KEYPOINTS) as matcher:
        report = matcher.match(query)
    (match,) = report.matches
    assert (match.entry_id, match.algorithm, match.distance, match.threshold) == ("photo-2", "keypoint", None, None)
    assert match.labels == {"class": "A1"}
    found = match.placement
    assert found is not None
    assert np.allclose(found.crop, (200 / 560, 150 / 420, 480 / 560, 360 / 420), atol=0.02)
    assert abs(found.overlap - 0.25) < 0.03
    assert found.mirrored
    assert abs(found.angle) < 2
    assert abs(found.scale - 2) < 0.1
    assert found.chance <= -6.0
    assert "shows 25% of it" in str(found).replace("24%", "25%").replace("26%", "25%")
    record = json.loads(json.dumps(report.to_dict()))
    assert record["matches"][0]["placement"]["mirrored"] is True
    assert record["lists"][0]["compared"] == {"keypoint": len(PHOTOS)}


@pytest.mark.parametrize("degrees", [20, 135])
def test_any_rotation_is_found(records_list: Path, degrees: int) -> None:
    """A picture turned by any angle matches, and the match says by how much."""
    with Matcher.open(records_list, policy=ONLY_KEYPOINTS) as matcher:
        (match,) = matcher.match(edits.rotate(PHOTOS[4], degrees)).matches
    assert match.entry_id == "photo-4"
    assert match.placement is not None
    assert abs(abs(match.placement.angle) - degrees) < 2


def test_unrelated_pictures_do_not_match(records_list: Path) -> None:
    """Other pictures are "no match", and plain ones are undecidable."""
    with Matcher.open(records_list, policy=ONLY_KEYPOINTS) as matcher:
        for kind in ("photo", "screenshot", "document"):
            assert matcher.match(picture(kind, 900, size=(300, 400))).outcome is Outcome.NO_MATCH
        assert matcher.match(np.full((200, 200, 3), 90, np.uint8)).reason == "too-plain"


def test_policies_without_the_rule_leave_records_out(records_list: Path) -> None:
    """STANDARD compares no keypoint records, and says so."""
    with Matcher.open(records_list) as matcher:
        report = matcher.match(PHOTOS[0])
    assert (report.outcome, report.reason) == (Outcome.UNDECIDABLE, "nothing-to-compare")
    assert report.lists[0].not_compared == {"keypoint": len(PHOTOS)}


def test_records_match_records(records_list: Path) -> None:
    """A stored record is enough for a query of the whole picture, and a broken or unwanted one is a typed error."""
    with Matcher.open(records_list, policy=ONLY_KEYPOINTS) as matcher:
        assert [match.entry_id for match in matcher.match_hash(RECORDS[3]).matches] == ["photo-3"]
        smaller = fingerprint(edits.resize(PHOTOS[1], 0.5), ("keypoint",))
        assert [match.entry_id for match in matcher.match_fingerprint(smaller).matches] == ["photo-1"]
        with pytest.raises(HashFormatError):
            matcher.match_hash(HashValue("keypoint", b"\x07" * 99))
    with Matcher.open(records_list) as matcher, pytest.raises(PolicyError):
        matcher.match_hash(RECORDS[3])


def test_keys_keep_lists_apart(tmp_path: Path, records_list: Path) -> None:
    """Records made with a key match queries of that key alone; the others count as not compared."""
    keyed = replace(ONLY_KEYPOINTS, keypoints=KeypointRule(max_chance=-6.0, key=KEY))
    path = tmp_path / "keyed.hashmatch"
    with ReferenceList.create(path, name="keyed") as ref:
        ref.add("mine", hashes=[hash_image(PHOTOS[0], "keypoint", keypoint_key=KEY)])
        ref.add("open", hashes=[RECORDS[1]])
    crops = [photo[100:310, 100:380] for photo in PHOTOS[:2]]
    with Matcher.open(path, policy=keyed) as matcher:
        assert [match.entry_id for match in matcher.match(crops[0]).matches] == ["mine"]
        report = matcher.match(crops[1])
        assert report.outcome is Outcome.NO_MATCH
        assert (report.lists[0].compared, report.lists[0].not_compared) == ({"keypoint": 1}, {"keypoint": 1})
    with Matcher.open(path, policy=ONLY_KEYPOINTS) as matcher:
        assert matcher.match(crops[0]).outcome is Outcome.NO_MATCH
        assert [match.entry_id for match in matcher.match(crops[1]).matches] == ["open"]
    with Matcher.open(records_list, policy=keyed) as matcher:
        assert matcher.match(crops[0]).reason == "nothing-to-compare"
        assert matcher.match_hash(RECORDS[0]).reason == "nothing-to-compare"


def test_records_follow_the_list(records_list: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Withdrawn records are no longer found, added ones are; whether the index is laid over or built anew."""
    added = [picture("photo", seed, size=(420, 560)) for seed in (80, 81)]
    with Matcher.open(records_list, policy=ONLY_KEYPOINTS) as matcher:
        with ReferenceList.open(records_list, writable=True) as ref:
            ref.withdraw("photo-0", source="ncmec")
        # what is withdrawn between two reloads is not reported either
        assert matcher.match(PHOTOS[0]).outcome is Outcome.NO_MATCH
        for number, photo in enumerate(added):
            with ReferenceList.open(records_list, writable=True) as ref:
                ref.add(f"added-{number}", hashes=[hash_image(photo, "keypoint")])
            if number:
                monkeypatch.setattr(room, "_REBUILD_FLOOR", 0)
            assert matcher.reload()
            assert matcher.match(PHOTOS[0]).outcome is Outcome.NO_MATCH
            for known in range(number + 1):
                crop = added[known][:300, :400]
                assert [match.entry_id for match in matcher.match(crop).matches] == [f"added-{known}"]
            assert matcher.match(PHOTOS[5]).matches[0].entry_id == "photo-5"
            assert matcher.match(PHOTOS[5]).lists[0].compared == {"keypoint": len(PHOTOS) + number}


def test_index_files_are_used_again(records_list: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an index folder the second start builds nothing, a damaged file is made anew, and answers are the same."""
    crop = PHOTOS[3][60:300, 90:410]
    with Matcher.open(records_list, policy=ONLY_KEYPOINTS, index_folder=tmp_path) as matcher:
        expected = matcher.match(crop)
    (file,) = tmp_path.glob("*.keypoint.index")
    with monkeypatch.context() as patch:
        patch.setattr(room, "_gather", None)
        with Matcher.open(records_list, policy=ONLY_KEYPOINTS, index_folder=tmp_path) as matcher:
            assert matcher.match(crop) == expected
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    with Matcher.open(records_list, policy=ONLY_KEYPOINTS, index_folder=tmp_path) as matcher:
        assert matcher.match(crop) == expected
    keyed = replace(ONLY_KEYPOINTS, keypoints=KeypointRule(max_chance=-6.0, key=KEY))
    with Matcher.open(records_list, policy=keyed, index_folder=tmp_path) as matcher:
        assert matcher.match(crop).reason == "nothing-to-compare"


def test_a_source_may_list_what_another_lists(records_list: Path) -> None:
    """One record listed by two sources is one match with both behind it."""
    with ReferenceList.open(records_list, writable=True) as ref:
        ref.add("photo-2", hashes=[RECORDS[2]], source="other")
    with Matcher.open(records_list, policy=ONLY_KEYPOINTS) as matcher:
        (match,) = matcher.match(PHOTOS[2][:200]).matches
    assert set(match.sources) == {"ncmec", "other"}


def test_the_key_is_not_shown(records_list: Path) -> None:
    """Neither the policy nor a report nor an error shows the key."""
    keyed = replace(ONLY_KEYPOINTS, keypoints=KeypointRule(max_chance=-6.0, key=b"a secret of 16 by"))
    with Matcher.open(records_list, policy=keyed) as matcher:
        texts = [repr(keyed), repr(matcher), repr(matcher.match(PHOTOS[0]))]
    assert not any("secret" in text for text in texts)


def test_fingerprints_carry_records() -> None:
    """A fingerprint holds the record beside the hashes, and survives its byte form."""
    whole = fingerprint(PHOTOS[0], ("pdq", "keypoint"))
    assert whole.hashes == (hash_image(PHOTOS[0]), RECORDS[0])
    assert Fingerprint.from_bytes(whole.to_bytes()) == whole
    assert all(isinstance(item, ViewHash) for item in whole.view_hashes)
