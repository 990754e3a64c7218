"""Pages of StopNCII.org: what is withdrawn, what is never kept, and that it is no abuse of children."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hashmatch.lists import ReferenceList
from hashmatch.lists.formats import Delete, Delivery, Flaw, ImportReport, Refused, Upsert, default_entry_id, import_into
from hashmatch.lists.formats.cells import parse_cell
from hashmatch.lists.formats.stopncii import read

SAMPLE = Path(__file__).parents[2] / "golden/formats/stopncii-page.json"
PDQ = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
NAME = default_entry_id(parse_cell(PDQ, "pdq"))


def record(**fields: Any) -> dict[str, Any]:
    """Make a record."""
    return {
        "signalType": "ImagePDQ",
        "hashValue": PDQ,
        "hashStatus": "Active",
        "caseNumbers": {"canary-case": "Active"},
        "CSPFeedbacks": [],
        **fields,
    }


def one(**fields: Any) -> Upsert | Delete | Refused:
    """Read the only record of a page."""
    data = json.dumps({"hashRecords": [record(**fields)]}).encode()
    (found,) = read(io.BytesIO(data), Delivery(source="stopncii"))
    assert isinstance(found, Upsert | Delete | Refused)
    return found


@pytest.fixture
def ref(tmp_path: Path) -> Iterator[ReferenceList]:
    """Make an empty list."""
    with ReferenceList.create(tmp_path / "list", name="list") as made:
        yield made
        made.verify()


def take(ref: ReferenceList, *records: dict[str, Any]) -> ImportReport:
    """Import a page."""
    data = json.dumps({"hashRecords": records}).encode()
    return import_into(ref, read(io.BytesIO(data), Delivery(source="stopncii")))


def test_the_sample(ref: ReferenceList) -> None:
    """Two hashes, one withdrawn, one that is no PDQ; the label says what it is, and nothing says abuse of children."""
    with SAMPLE.open("rb") as stream:
        report = import_into(ref, read(stream, Delivery(source="stopncii", labels={"batch": "1"})))
    assert (report.rows, report.accepted, report.duplicates, report.refused_count) == (4, 2, 1, 1)
    assert [entry.labels["stopncii"] for entry in ref] == [
        {"batch": "1", "ncii": "yes", "stopncii-blocked": "1"},
        {"batch": "1", "ncii": "yes", "media": "video"},
    ]


@pytest.mark.parametrize(
    ("fields", "gone"),
    [
        ({"hashStatus": "Withdrawn"}, True),
        ({"hashStatus": "Deleted"}, True),
        ({"hashStatus": " withdrawn "}, True),
        ({"hashStatus": "Received"}, False),
        ({"hashStatus": "Unknown"}, False),
        ({"hashStatus": None}, False),
        ({"caseNumbers": {"1": "Withdrawn", "2": "Deleted"}}, True),
        ({"caseNumbers": {"1": "Withdrawn", "2": "Active"}}, False),
        ({"caseNumbers": {}}, False),
        ({"caseNumbers": None}, False),
        ({"hashStatus": "Withdrawn", "caseNumbers": {"1": "Active"}}, True),
        ({"CSPFeedbacks": [{"source": "canary", "feedbackValue": "Withdrawn"}]}, False),
    ],
)
def test_withdrawal(ref: ReferenceList, fields: dict[str, Any], gone: bool) -> None:
    """It is told by the status of the hash or of all its cases, and removes the entry."""
    take(ref, record(), record(hashValue="1f" * 32))
    take(ref, record(**fields))
    assert (NAME in ref) is not gone
    assert len(ref) == 2 - gone


@pytest.mark.parametrize("cases", [[], "canary", {"1": None}, {"1": 2}])
def test_cases_that_are_no_table_are_told(cases: object) -> None:
    """They cost themselves."""
    found = one(caseNumbers=cases)
    assert isinstance(found, Upsert)
    assert found.flaws == (Flaw(1, "caseNumbers", "left out", "it is no table of cases and their status"),)


@pytest.mark.parametrize(
    ("signal", "value"),
    [
        ("ImagePDQ", "0" * 32),
        ("ImagePDQ", "0" * 64),
        ("ImagePDQ", "f" * 64),
        ("ImagePDQ", PDQ + "\n1"),
        ("VideoMD5", "d41d8cd98f00b204e9800998ecf8427e"),
        ("VideoMD5", PDQ),
        ("VideoTMK", "abc"),
        ("Text", "canary"),
        ("URL", "canary"),
        ("Unknown", PDQ),
        ("", PDQ),
    ],
)
def test_what_cannot_be_held_is_refused(signal: str, value: str) -> None:
    """All-zero, all-one, short and foreign hashes, and what is no hash of a picture or video."""
    found = one(signalType=signal, hashValue=value)
    assert isinstance(found, Refused)
    assert "canary" not in found.reason


def test_a_later_record_replaces(ref: ReferenceList) -> None:
    """Counts of what services said do not add up over updates."""
    said = [{"source": "canary", "feedbackValue": word} for word in ("Blocked", "Blocked", "NotBlocked", "None")]
    take(ref, record(CSPFeedbacks=said))
    assert ref.get(NAME).labels["stopncii"] == {"ncii": "yes", "stopncii-blocked": "2", "stopncii-notblocked": "1"}  # type: ignore[union-attr]
    take(ref, record(CSPFeedbacks=said), record(CSPFeedbacks=said[2:]))
    assert ref.get(NAME).labels["stopncii"] == {"ncii": "yes", "stopncii-notblocked": "1"}  # type: ignore[union-attr]


def test_nothing_of_cases_and_services_is_kept(ref: ReferenceList, tmp_path: Path) -> None:
    """Neither numbers nor names, in the list or its report."""
    report = take(ref, record(CSPFeedbacks=[{"source": "canary", "feedbackValue": "Blocked", "tags": ["canary"]}]))
    assert "canary" not in repr(report)
    for file in tmp_path.iterdir():
        assert b"canary" not in file.read_bytes()
