"""Feedback as requests: the right identity, one receiver at a time, what cannot be said is told."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from hashmatch.errors import HashFormatError
from hashmatch.hashes import HashValue
from hashmatch.lists import ReferenceList
from hashmatch.lists.feedback import Feedback, FeedbackLog
from hashmatch.lists.formats import Delivery, default_entry_id, format_named, import_into, reader_of
from hashmatch.lists.formats.out.feedback_requests import Request, Unaddressed, requests_of

GOLDEN = Path(__file__).parents[3] / "golden/formats"
PDQ = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
GUID = "01234567-0000-4000-8000-000000000000"


@pytest.fixture
def ref(tmp_path: Path) -> ReferenceList:
    """Make a list of the four samples."""
    made = ReferenceList.create(tmp_path / "list", name="x")
    for name in ("ncmec", "stopncii", "threatexchange", "tat"):
        data = next(GOLDEN.glob(f"{name}-page.*")).read_bytes()
        import_into(made, reader_of(format_named(name), io.BytesIO(data), Delivery(source=f"{name}/x")))
    return made


def requests(ref: ReferenceList, receiver: str, *said: tuple[object, ...]) -> list[Request | Unaddressed]:
    """Make the requests of verdicts: entry id, verdict, reason, algorithm."""
    items = []
    for number, given in enumerate(said):
        entry_id, verdict, reason, algorithm = (*given, *("", None)[len(given) - 2 :])
        items.append(
            Feedback(entry_id=entry_id, verdict=verdict, reason=reason, algorithm=algorithm, when=number)  # type: ignore[arg-type]
        )
    return list(requests_of(ref, FeedbackLog(items=tuple(items)), receiver))


IMAGE = "ncmec/x:42:entry-1:image"


def test_ncmec(ref: ReferenceList) -> None:
    """One request a fingerprint that NCMEC has, at the path of member and entry."""
    found = requests(ref, "ncmec", (IMAGE, True))
    assert [item.path for item in found if isinstance(item, Request)] == [
        "/v2/entries/42/entry-1/MD5/feedback",
        "/v2/entries/42/entry-1/SHA1/feedback",
        "/v2/entries/42/entry-1/PDQ/feedback",
    ]
    space = "{https://hashsharing.ncmec.org/hashsharing/v2}"
    for item in found:
        assert isinstance(item, Request)
        assert item.method == "PUT"
        root = ET.fromstring(item.body)  # noqa: S314 - our own
        assert (root.tag, [child.tag for child in root]) == (f"{space}feedbackSubmission", [f"{space}affirmative"])
    (one,) = requests(ref, "ncmec", (IMAGE, False, f"wrong, {GUID} and {GUID}", "pdq"))
    assert isinstance(one, Request)
    assert one.path.endswith("/PDQ/feedback")
    root = ET.fromstring(one.body)  # noqa: S314 - our own
    assert [item.text for item in root.iter(f"{space}guid")] == [GUID]
    (apart,) = requests(ref, "ncmec", ("ncmec/x:77:entry-2:image", True))
    assert isinstance(apart, Request)
    assert apart.path == "/v2/entries/77/entry-2/PDQ/feedback"


def test_ncmec_needs_a_reason(ref: ReferenceList) -> None:
    """A negative verdict without one of NCMEC's is told, and so is a fingerprint of another kind."""
    (one,) = requests(ref, "ncmec", (IMAGE, False, "a cartoon"))
    assert isinstance(one, Unaddressed)
    assert "guid" in one.reason
    (two,) = requests(ref, "ncmec", (IMAGE, True, "", "dhash"))
    assert isinstance(two, Unaddressed)


@pytest.mark.parametrize("name", ["a/b?c", "a:b", "é", "../x"])
def test_ids_in_paths_are_quoted(ref: ReferenceList, name: str) -> None:
    """No id leads to another path."""
    entry = f"ncmec:7:{name}:video"
    ref.add(entry, hashes=[HashValue("md5", bytes(range(16)))], source="ncmec")
    (found,) = requests(ref, "ncmec", (entry, True))
    assert isinstance(found, Request)
    assert found.path.count("/") == 6
    assert "?" not in found.path


def test_stopncii(ref: ReferenceList) -> None:
    """The hash is the identity; the last verdict holds."""
    entry = default_entry_id(HashValue("pdq", bytes.fromhex(PDQ)))
    (found,) = requests(ref, "stopncii", (entry, True), (entry, False), ("threatexchange:1001", True))
    assert isinstance(found, Request)
    assert (found.method, found.path) == ("POST", "/v1/SubmitFeedback")
    assert json.loads(found.body) == {
        "count": 1,
        "hashFeedbacks": [{"hashValue": PDQ, "feedbackValue": "NotBlocked", "tags": []}],
    }
    assert PDQ not in repr(found)


def test_threatexchange(ref: ReferenceList) -> None:
    """Reactions go to the descriptors of the indicator."""
    found = requests(
        ref, "threatexchange", ("threatexchange:1001", True), ("threatexchange:1002", False), (IMAGE, True)
    )
    assert [(item.path, item.body) for item in found if isinstance(item, Request)] == [
        ("/2001", "reactions=HELPFUL"),
        ("/2002", "reactions=DISAGREE_WITH_TAGS"),
    ]


def test_what_is_left_out_is_told(ref: ReferenceList) -> None:
    """Entries that are gone, and descriptors that are not known."""
    ref.add("threatexchange:9", hashes=[HashValue("md5", bytes(range(16)))], source="other")
    found = requests(ref, "threatexchange", ("gone", True), ("threatexchange:9", True))
    assert [type(item) for item in found] == [Unaddressed, Unaddressed]
    with pytest.raises(HashFormatError, match="ncmec, stopncii, threatexchange"):
        requests(ref, "tat")
