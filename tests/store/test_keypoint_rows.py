"""Laws of matching by keypoint records: small crops, what a match says, keys, changes of the list, index files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hashmatch import Fingerprint, HashValue, Matcher, Outcome, ReferenceList, fingerprint, hash_image, profiles
from hashmatch.errors import HashFormatError, IndexFormatError, PolicyError, ReferenceListError
from hashmatch.features.query import Query, read_pixels, read_records
from hashmatch.hashes import ViewHash
from hashmatch.index import segmented
from hashmatch.keypoints.judge import ACCEPTED_CHANCE
from hashmatch.lists.file import editor
from hashmatch.policy import KeypointRule
from hashmatch.store import keypoint_rows as room
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


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_mirrored_picture_is_said_to_be_turned_first(records_list: Path, mirrored: bool) -> None:
    """The entry's picture, turned by the angle and mirrored then where that is said, lies as the query does."""
    query = np.rot90(PHOTOS[1])
    query = query[:, ::-1] if mirrored else query
    with Matcher.open(records_list, policy=ONLY_KEYPOINTS) as matcher:
        (match,) = matcher.match(np.ascontiguousarray(query)).matches
    assert match.placement is not None
    assert match.placement.mirrored is mirrored
    assert abs(match.placement.angle - 90) < 1
    assert str(match.placement).endswith("turned by 90 degrees, then mirrored" if mirrored else "turned by 90 degrees")


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
                monkeypatch.setattr(segmented, "_REBUILD_FLOOR", 0)
            assert matcher.reload()
            assert matcher.match(PHOTOS[0]).outcome is Outcome.NO_MATCH
            for known in range(number + 1):
                crop = added[known][:300, :400]
                assert [match.entry_id for match in matcher.match(crop).matches] == [f"added-{known}"]
            assert matcher.match(PHOTOS[5]).matches[0].entry_id == "photo-5"
            assert matcher.match(PHOTOS[5]).lists[0].compared == {"keypoint": len(PHOTOS) + number}


def test_records_that_cannot_be_searched_are_counted(tmp_path: Path) -> None:
    """Records of another key and records without points count as not compared, until they are withdrawn."""
    flat = hash_image(np.full((200, 200, 3), 90, np.uint8), "keypoint")
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="demo") as ref:
        for number, photo in enumerate(PHOTOS[:2]):
            ref.add(f"keyed-{number}", hashes=[hash_image(photo, "keypoint", keypoint_key=KEY)], source="a")
        ref.add("flat", hashes=[flat], source="a")
    with Matcher.open(path, policy=ONLY_KEYPOINTS, index_folder=tmp_path) as matcher:
        expected: list[tuple[dict[str, int], dict[str, int]]] = [
            ({}, {"keypoint": 3}),
            ({}, {"keypoint": 2}),
            ({}, {"keypoint": 1}),
            ({}, {}),
        ]
        for step, gone in enumerate(("", "keyed-0", "flat", "keyed-1")):
            if gone:
                with ReferenceList.open(path, writable=True) as ref:
                    ref.withdraw(gone, source="a")
                assert matcher.reload()
            with Matcher.open(path, policy=ONLY_KEYPOINTS, index_folder=tmp_path) as anew:
                for found in (matcher.match(PHOTOS[0]), anew.match(PHOTOS[0])):
                    assert (found.lists[0].compared, found.lists[0].not_compared) == expected[step]
                    assert found.outcome is Outcome.UNDECIDABLE


def test_forged_records_are_an_error_of_the_list(records_list: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list file that holds other bytes as a record is refused as a list, and an open matcher answers as before."""
    with Matcher.open(records_list, policy=ONLY_KEYPOINTS) as matcher:
        with monkeypatch.context() as patch, ReferenceList.open(records_list, writable=True) as ref:
            patch.setattr(editor, "check_hash", lambda _: None)
            ref.add("forged", hashes=[HashValue("keypoint", b"\x07" * 99)])
        with pytest.raises(ReferenceListError, match="no keypoint record"):
            matcher.reload()
        assert matcher.match(PHOTOS[0]).outcome is Outcome.MATCH
    with pytest.raises(ReferenceListError, match="no keypoint record"):
        Matcher.open(records_list, policy=ONLY_KEYPOINTS)


def test_lists_of_records_alone_cost_no_other_views() -> None:
    """Where no list holds a hash of pixels, the picture is hashed once, to know whether it is plain."""
    looked = read_pixels(edits.border(PHOTOS[0], 0.1), (), frozenset({"keypoint"}), profiles.THOROUGH)
    assert (len(looked.hashes), len(looked.smalls), len(looked.keypoints)) == (1, 0, 1)


def test_a_chance_that_nothing_reaches_is_refused() -> None:
    """The largest chance of a rule is the judge's own: a larger one would be taken and not followed."""
    assert KeypointRule(max_chance=ACCEPTED_CHANCE).max_chance == ACCEPTED_CHANCE
    with pytest.raises(PolicyError, match="max_chance"):
        KeypointRule(max_chance=ACCEPTED_CHANCE + 0.1)


def test_index_files_are_used_again(records_list: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an index folder the second start builds nothing, a damaged file is made anew, and answers are the same."""
    crop = PHOTOS[3][60:300, 90:410]
    with Matcher.open(records_list, policy=ONLY_KEYPOINTS, index_folder=tmp_path) as matcher:
        expected = matcher.match(crop)
    (file,) = tmp_path.glob("*.keypoint.index")
    with monkeypatch.context() as patch:
        patch.setattr(room, "_read", None)
        with Matcher.open(records_list, policy=ONLY_KEYPOINTS, index_folder=tmp_path) as matcher:
            assert matcher.match(crop) == expected
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(bytes(data))
    with Matcher.open(records_list, policy=ONLY_KEYPOINTS, index_folder=tmp_path) as matcher:
        assert matcher.match(crop) == expected
    keyed = replace(ONLY_KEYPOINTS, keypoints=KeypointRule(max_chance=-6.0, key=KEY))
    with Matcher.open(records_list, policy=keyed, index_folder=tmp_path) as matcher:
        assert matcher.match(crop).reason == "nothing-to-compare"


@pytest.mark.parametrize("maps", [True, False])
def test_a_file_changed_in_place(records_list: Path, tmp_path: Path, maps: bool) -> None:
    """A mapped file of records that was changed raises until a reload has made another; a copy answers on."""
    crop = PHOTOS[3][60:300, 90:410]
    with Matcher.open(records_list, policy=ONLY_KEYPOINTS, index_folder=tmp_path, map_files=maps) as matcher:
        expected = matcher.match(crop)
        (file,) = tmp_path.glob("*.keypoint.index")
        good = file.read_bytes()
        file.chmod(0o600)
        file.write_bytes(bytes(len(good)))
        if maps:
            with pytest.raises(IndexFormatError, match="changed in place"):
                matcher.match(crop)
        else:
            assert matcher.match(crop) == expected
        matcher.reload()
        assert matcher.match(crop) == expected
        assert not maps or next(iter(tmp_path.glob("*.keypoint.index"))).read_bytes() == good


def test_two_copies_have_an_index_file_each(records_list: Path, tmp_path: Path) -> None:
    """Copies of a list that went on differently, opened in turn, do not make each other's file anew."""
    (tmp_path / "folder").mkdir(mode=0o700)
    copy = tmp_path / "copy"
    copy.write_bytes(records_list.read_bytes())
    for changed, name in ((copy, "photo-2"), (records_list, "photo-4")):
        with ReferenceList.open(changed, writable=True) as ref:
            assert ref.withdraw(name, source="ncmec")
    made = []
    for _ in range(3):
        for path in (records_list, copy):
            with Matcher.open(path, policy=ONLY_KEYPOINTS, index_folder=tmp_path / "folder") as matcher:
                found = [match.entry_id for match in matcher.match(PHOTOS[2][:200]).matches]
                assert ("photo-2" in found) == (path == records_list)
        made.append({file.name: file.stat().st_mtime_ns for file in (tmp_path / "folder").glob("*.index")})
    assert len(made[0]) == 2
    assert made[0] == made[1] == made[2]


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


def test_what_is_searched_with_is_not_shown() -> None:
    """The repr of a query shows neither pixels nor bytes of a record."""
    looked = read_pixels(PHOTOS[0], (), frozenset({"pdq", "keypoint"}), profiles.THOROUGH)
    stored = Query(keypoints=read_records((ViewHash(value=RECORDS[0]),), profiles.THOROUGH))
    assert len(looked.smalls) == len(looked.keypoints) == len(stored.keypoints) == 1
    for query in (looked, stored):
        assert "array" not in repr(query)
        assert "b'" not in repr(query)
        assert 'b"' not in repr(query)


def test_fingerprints_carry_records() -> None:
    """A fingerprint holds the record beside the hashes, and survives its byte form."""
    whole = fingerprint(PHOTOS[0], ("pdq", "keypoint"))
    assert whole.hashes == (hash_image(PHOTOS[0]), RECORDS[0])
    assert Fingerprint.from_bytes(whole.to_bytes()) == whole
    assert all(isinstance(item, ViewHash) for item in whole.view_hashes)


def test_a_key_costs_no_recall(tmp_path: Path) -> None:
    """Quarters of pictures are found as often with a key as without one."""
    found = {}
    for name, key in (("open", None), ("keyed", KEY)):
        path = tmp_path / f"{name}.hashmatch"
        with ReferenceList.create(path, name=name) as ref:
            for number, photo in enumerate(PHOTOS):
                ref.add(f"photo-{number}", hashes=[hash_image(photo, "keypoint", keypoint_key=key)])
        policy = replace(ONLY_KEYPOINTS, keypoints=KeypointRule(max_chance=-6.0, key=key))
        with Matcher.open(path, policy=policy) as matcher:
            crops = [edits.jpeg(photo[140:350, 180:460], 60) for photo in PHOTOS]
            found[name] = [[match.entry_id for match in matcher.match(crop).matches] for crop in crops]
    assert found["open"] == found["keyed"] == [[f"photo-{number}"] for number in range(len(PHOTOS))]
