"""Pages of ThreatExchange's threat_updates: what is taken back, statuses, tags and types."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hashmatch.lists import ReferenceList
from hashmatch.lists.formats import Delete, Delivery, ImportReport, Refused, Upsert, import_into
from hashmatch.lists.formats.threatexchange import read

SAMPLE = Path(__file__).parents[2] / "golden/formats/threatexchange-page.json"
PDQ = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
MD5 = "00112233445566778899aabbccddeeff"


def record(status: str | None = "MALICIOUS", tags: Any = None, **fields: Any) -> dict[str, Any]:
    """Make a record with one descriptor."""
    descriptor = {"id": "2001", "owner": {"id": "canary"}, "status": status, "tags": tags}
    made = {"id": "1001", "indicator": MD5, "type": "HASH_MD5", "should_delete": False}
    return {**made, "descriptors": {"data": [descriptor]}, **fields}


def one(made: dict[str, Any], delivery: Delivery | None = None) -> Upsert | Delete | Refused:
    """Read the only record of a page."""
    (found,) = read(io.BytesIO(json.dumps({"data": [made]}).encode()), delivery or Delivery(source="te"))
    assert isinstance(found, Upsert | Delete | Refused)
    return found


def upsert(made: dict[str, Any], delivery: Delivery | None = None) -> Upsert:
    """Read the only record of a page, which is an upsert."""
    found = one(made, delivery)
    assert isinstance(found, Upsert)
    return found


@pytest.fixture
def ref(tmp_path: Path) -> Iterator[ReferenceList]:
    """Make an empty list."""
    with ReferenceList.create(tmp_path / "list", name="list") as made:
        yield made
        made.verify()


def take(ref: ReferenceList, *records: dict[str, Any]) -> ImportReport:
    """Import a page."""
    return import_into(ref, read(io.BytesIO(json.dumps({"data": records}).encode()), Delivery(source="te")))


def test_the_sample(ref: ReferenceList) -> None:
    """Two alarms, one for comparison, one taken back, one digest that is of no file."""
    with SAMPLE.open("rb") as stream:
        report = import_into(ref, read(stream, Delivery(source="te")))
    assert (report.rows, report.accepted, report.duplicates, report.refused_count) == (5, 3, 1, 1)
    assert {entry.entry_id: (entry.role, entry.labels) for entry in ref} == {
        "threatexchange:1001": (
            "alarm",
            {"te": {"tags": "example_tag", "threatexchange": "MALICIOUS", "threatexchange-descriptors": "2001"}},
        ),
        "threatexchange:1002": (
            "alarm",
            {
                "te": {
                    "tags": "media_type_video",
                    "threatexchange": "MALICIOUS",
                    "threatexchange-descriptors": "2002",
                    "media": "video",
                }
            },
        ),
        "threatexchange:1003": (
            "comparison",
            {"te/comparison": {"threatexchange": "NON_MALICIOUS", "threatexchange-descriptors": "2003"}},
        ),
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"should_delete": True},
        {"should_delete": "true"},
        {"should_delete": True, "indicator": None, "descriptors": None},
        {"descriptors": None},
        {"descriptors": []},
        {"descriptors": {}},
        {"descriptors": {"data": []}},
        {"descriptors": {"data": None}},
    ],
)
def test_taken_back(ref: ReferenceList, fields: dict[str, Any]) -> None:
    """By should_delete, or because no descriptor is left; whatever role the entry had."""
    take(ref, record(), record("NON_MALICIOUS", id="1002"))
    take(ref, record(**fields), record(**{**fields, "id": "1002"}))
    assert len(ref) == 0


@pytest.mark.parametrize(
    "fields", [{"descriptors": "canary"}, {"descriptors": [1]}, {"should_delete": "canary"}, {"should_delete": 2}]
)
def test_what_may_mean_taken_back_is_not_guessed(ref: ReferenceList, fields: dict[str, Any]) -> None:
    """It is refused, and the entry stays."""
    take(ref, record())
    report = take(ref, record(**fields))
    assert (report.refused_count, len(ref)) == (1, 1)
    assert "canary" not in repr(report)


@pytest.mark.parametrize(
    ("tags", "labels", "flaws"),
    [
        ({"data": [{"text": "b"}, {"text": "a"}]}, "a | b", 0),
        ([{"text": "a"}], "a", 0),
        (["a", "a"], "a", 0),
        (None, None, 0),
        ({}, None, 0),
        ([], None, 0),
        ([{"id": "1"}, "a"], "a", 1),
        ("canary", None, 1),
        (["a" * 200, "b" * 200], "a" * 200, 1),
    ],
)
def test_tags(tags: object, labels: str | None, flaws: int) -> None:
    """They come in an object, a list or not at all."""
    found = upsert(record(tags=tags))
    assert found.entry.listings[0].labels.get("tags") == labels
    assert len(found.flaws) == flaws


def test_tags_of_the_record_itself() -> None:
    """Some pages have them beside the descriptors."""
    assert (
        upsert(record(**{"tags": ["x"]}) | {"tags": ["media_type_video"]}).entry.listings[0].labels["media"] == "video"
    )


@pytest.mark.parametrize(
    ("statuses", "role"),
    [
        (["MALICIOUS"], "alarm"),
        (["NON_MALICIOUS", "malicious"], "alarm"),
        ([None], "alarm"),
        (["NON_MALICIOUS"], "comparison"),
        (["UNKNOWN"], "comparison"),
        (["SUSPICIOUS", "UNKNOWN"], "comparison"),
    ],
)
def test_an_indicator_that_nobody_calls_malicious_never_alarms(statuses: list[str | None], role: str) -> None:
    """A page without statuses was asked for without them."""
    descriptors = [{"id": str(i), "status": status} for i, status in enumerate(statuses)]
    found = upsert(record(descriptors=descriptors)).entry
    assert found.role == role
    assert found.sources == ("te" if role == "alarm" else "te/comparison",)
    assert upsert(record(descriptors=descriptors), Delivery(source="te", role="benign")).entry.role == "benign"


def test_a_changed_status_moves_the_entry(ref: ReferenceList) -> None:
    """Nothing of it stays where it was."""
    for status, role in (("MALICIOUS", "alarm"), ("NON_MALICIOUS", "comparison"), ("MALICIOUS", "alarm")):
        assert take(ref, record(status)).accepted == 1
        entry = ref.get("threatexchange:1001")
        assert entry is not None
        assert entry.role == role
        assert len(entry.listings) == 1


@pytest.mark.parametrize(
    ("kind", "indicator", "algorithm", "media"),
    [
        ("HASH_PDQ", PDQ, "pdq", None),
        ("HASH_MD5", MD5, "md5", None),
        ("HASH_SHA1", "1f" * 20, "sha1", None),
        ("HASH_SHA256", PDQ, "sha256", None),
        ("HASH_PHOTODNA", bytes(range(144)).hex(), "photodna", None),
        ("HASH_VIDEO_MD5", MD5, "md5", "video"),
        ("HASH_VIDEO_SHA256", PDQ, "sha256", "video"),
    ],
)
def test_types(kind: str, indicator: str, algorithm: str, media: str | None) -> None:
    """The type says the algorithm: 64 digits are never guessed at."""
    found = upsert(record(type=kind, indicator=indicator)).entry
    assert [value.algorithm for value in found.hashes] == [algorithm]
    assert found.listings[0].labels.get("media") == media


@pytest.mark.parametrize(
    ("kind", "indicator"),
    [
        ("HASH_TMK", "abc"),
        ("HASH_PDQ_OCR", PDQ),
        ("HASH_TEXT_TLSH", "abc"),
        ("HASH_URL_MD5", MD5),
        ("URI", "canary"),
        (None, MD5),
        ("HASH_PDQ", MD5),
        ("HASH_PDQ", "0" * 64),
    ],
)
def test_what_cannot_be_held_is_refused(kind: str | None, indicator: str) -> None:
    """The digest of an address is no digest of a file."""
    found = one(record(type=kind, indicator=indicator))
    assert isinstance(found, Refused)
    assert "canary" not in found.reason


def test_owners_are_never_kept(ref: ReferenceList, tmp_path: Path) -> None:
    """And may be missing."""
    take(ref, record(), record(id="1002", descriptors=[{"id": "1", "status": "MALICIOUS"}]))
    assert len(ref) == 2
    for file in tmp_path.iterdir():
        assert b"canary" not in file.read_bytes()


def test_ids_of_many_descriptors_are_kept_as_far_as_they_fit() -> None:
    """And what was cut is told."""
    found = upsert(record(descriptors=[{"id": str(10**15 + i)} for i in range(40)]))
    label = found.entry.listings[0].labels["threatexchange-descriptors"]
    assert 200 < len(label) <= 256
    assert set(label.split()) <= {str(10**15 + i) for i in range(40)}
    assert [flaw.kind for flaw in found.flaws] == ["cut"]
