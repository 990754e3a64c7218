"""Pages of the hash list of Tech Against Terrorism."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from hashmatch.lists import ReferenceList
from hashmatch.lists.formats import Delete, Delivery, Refused, Upsert, import_into
from hashmatch.lists.formats.tat import read

SAMPLE = Path(__file__).parents[2] / "golden/formats/tat-page.json"
MD5 = "00112233445566778899aabbccddeeff"


def one(**fields: Any) -> Upsert | Delete | Refused:
    """Read the only record of a page."""
    made = {"hash_digest": MD5, "algorithm": "MD5", "ideology": "x", "file_type": "png", "deleted": False, "id": 7}
    data = json.dumps({"results": [made | fields]}).encode()
    (found,) = read(io.BytesIO(data), Delivery(source="tat"))
    assert isinstance(found, Upsert | Delete | Refused)
    return found


def test_the_sample(tmp_path: Path) -> None:
    """Ideology is the class, a deleted record takes its entry back."""
    with ReferenceList.create(tmp_path / "list", name="x") as ref:
        with SAMPLE.open("rb") as stream:
            report = import_into(ref, read(stream, Delivery(source="tat")))
        assert (report.rows, report.accepted, report.duplicates) == (3, 2, 1)
        assert {entry.entry_id: entry.labels["tat"] for entry in ref} == {
            "tat:1": {"tat": "made-up", "media": "video"},
            "tat:2": {"tat": "made-up"},
        }
        gone = json.loads(SAMPLE.read_bytes())
        gone["results"] = [record | {"deleted": True, "hash_digest": ""} for record in gone["results"]]
        import_into(ref, read(io.BytesIO(json.dumps(gone).encode()), Delivery(source="tat")))
        assert len(ref) == 0
        ref.verify()


@pytest.mark.parametrize(
    ("deleted", "kind"),
    [
        (True, Delete),
        ("True", Delete),
        ("yes", Delete),
        (1, Delete),
        (False, Upsert),
        ("false", Upsert),
        ("N", Upsert),
        (0, Upsert),
        ("", Upsert),
        (None, Upsert),
        ("perhaps", Refused),
        (2, Refused),
        ([], Refused),
        (1.0, Refused),
    ],
)
def test_deleted_is_read_four_ways(deleted: object, kind: type) -> None:
    """Yes, no, nothing, and what is none of them: that is refused, because it could mean a deletion."""
    assert type(one(deleted=deleted)) is kind


@pytest.mark.parametrize(
    ("fields", "algorithm"),
    [
        ({"algorithm": "PDQ", "hash_digest": "0f" * 32}, "pdq"),
        ({"algorithm": "SHA-256", "hash_digest": "0f" * 32}, "sha256"),
        ({"algorithm": "sha1", "hash_digest": "0f" * 20}, "sha1"),
    ],
)
def test_algorithms(fields: dict[str, Any], algorithm: str) -> None:
    """The field says the algorithm."""
    found = one(**fields)
    assert isinstance(found, Upsert)
    assert [value.algorithm for value in found.entry.hashes] == [algorithm]


@pytest.mark.parametrize(
    "fields",
    [
        {"algorithm": "SHA512", "hash_digest": "0f" * 64},
        {"algorithm": ""},
        {"algorithm": "PDQ"},
        {"hash_digest": "d41d8cd98f00b204e9800998ecf8427e"},
        {"id": None},
        {"id": "x" * 300},
    ],
)
def test_what_cannot_be_held_is_refused(fields: dict[str, Any]) -> None:
    """With a reason that does not show it."""
    found = one(**fields)
    assert isinstance(found, Refused)
    assert "0f0f" not in found.reason
