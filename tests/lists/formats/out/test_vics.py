"""VICS written by us, read by a parser written here from the published field tables, not by ours."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.errors import ReferenceListError
from hashmatch.lists import Entry, ReferenceList, content_digest
from hashmatch.lists.formats import FORMATS, Delivery, default_entry_id, import_into, reader_of
from hashmatch.lists.formats.category_profiles import PROFILES
from hashmatch.lists.formats.out import ExportReport, export_into
from support.list_makers import made_up
from support.strategies import listed_entries

CONTEXT = re.compile(r"DataModels/(\d+\.\d+)\.xml(?:/([^/]+)/\$metadata)?#(Cases|Media)")
FLAGS = ("VictimIdentified", "OffenderIdentified", "IsDistributed", "IsSuspected", "SelfGenerated")
EVERYTHING = ("md5", "sha1", "sha256", "photodna", "pdq")


def written(path: Path, entries: list[Entry], **asked: Any) -> tuple[bytes, ExportReport]:
    """Write entries as a hash set."""
    path.unlink(missing_ok=True)
    with ReferenceList.create(path, name="list") as ref:
        ref.add_many(entries)
        stream = io.BytesIO()
        report = export_into(ref, stream, "vics", **asked)
    return stream.getvalue(), report


def parsed(data: bytes) -> tuple[tuple[str, str, str], list[dict[str, Any]]]:
    """Read a hash set as its consumers do: version, region and kind, and the records, every field checked."""
    assert data[:1] == b"{"
    text = data.decode("utf-8")
    whole = json.loads(text, object_pairs_hook=list)
    assert [name for name, _ in whole] == ["@odata.context", "value"]
    found = CONTEXT.search(whole[0][1])
    assert found is not None
    records = json.loads(text)["value"]
    for number, record in enumerate(records, start=1):
        assert record["MediaID"] == number
        assert re.fullmatch("[0-9A-F]{32}", record["MD5"])
        assert record["Category"] is None or type(record["Category"]) is int
        assert record["IsPrecategorized"] == ("false" if record["Category"] is None else "true")
        assert record.keys() <= {
            *("MediaID", "Category", "MD5", "SHA1", "SHA256", "PhotoDNA", "AlternativeHashes", "IsPrecategorized"),
            *FLAGS,
        }
        assert all(record.get(name, "true") == "true" for name in FLAGS)
        for name, digits in (("SHA1", 40), ("SHA256", 64)):
            assert re.fullmatch(f"[0-9A-F]{{{digits}}}", record.get(name, "0" * digits))
        assert len(base64.b64decode(record.get("PhotoDNA", ""), validate=True)) in (0, 144)
        for other in record.get("AlternativeHashes", ()):
            assert other.keys() == {"MD5", "HashName", "HashValue"}
            assert (other["MD5"], other["HashName"]) == (record["MD5"], "PDQ")
            assert re.fullmatch("[0-9a-f]{64}", other["HashValue"])
    version, region, kind = found.groups()
    return (version, region, kind), records


def test_a_record_holds_all_hashes_of_its_file(tmp_path: Path) -> None:
    """Value for value; PDQ, which has no field, where it is asked for."""
    values = {name: made_up(1, name) for name in EVERYTHING}
    entry = Entry.of("a", hashes=values.values(), labels={"vics-us": "2"})
    data, report = written(tmp_path / "list", [entry], category_scheme="vics-us", algorithms=EVERYTHING)
    head, (record,) = parsed(data)
    assert head == ("2.0", "US", "Media")
    assert record["Category"] == 2
    assert [bytes.fromhex(record[name]) for name in ("MD5", "SHA1", "SHA256")] == [
        values[name].data for name in ("md5", "sha1", "sha256")
    ]
    assert base64.b64decode(record["PhotoDNA"]) == values["photodna"].data
    assert [item["HashValue"] for item in record["AlternativeHashes"]] == [values["pdq"].hex()]
    assert dict(report.left_out) == {"entry ids": 1}
    data, report = written(tmp_path / "list", [entry])
    head, (record,) = parsed(data)
    assert (head[1], record["Category"]) == ("CUSTOM", None)
    assert "AlternativeHashes" not in record
    assert dict(report.left_out) == {"entry ids": 1, "labels": 1, "pdq hashes": 1, "sha256 hashes": 1}


@pytest.mark.parametrize(
    ("labels", "category"),
    [
        ({"vics-us": "0"}, 0),
        ({"vics-us": "1 | 2"}, None),
        ({"vics-us": "\uff11"}, None),
        ({"vics-us": "one"}, None),
        ({"vics-uk": "1"}, None),
        ({}, None),
    ],
)
def test_a_category_is_a_number_of_the_named_scheme_or_none(
    tmp_path: Path, labels: dict[str, str], category: int | None
) -> None:
    """Never one of another scheme, which means other things."""
    data, report = written(
        tmp_path / "list", [Entry.of("a", hashes=[made_up(1, "md5")], labels=labels)], category_scheme="vics-us"
    )
    (record,) = parsed(data)[1]
    assert record["Category"] == category
    lost = category is None and "vics-us" in labels
    assert report.left_out.get("categories that are not one number", 0) == lost


def test_sources_that_disagree_give_no_category(tmp_path: Path) -> None:
    """Nobody but a person decides between them."""
    entries = [
        Entry.of("a", hashes=[made_up(1, "md5")], source=source, labels={"vics-us": number})
        for source, number in (("one", "1"), ("two", "2"))
    ]
    data, report = written(tmp_path / "list", entries, category_scheme="vics-us")
    (record,) = parsed(data)[1]
    assert record["Category"] is None
    assert report.left_out["categories that are not one number"] == 1


def test_known_good_never_leaves_without_its_category(tmp_path: Path) -> None:
    """A record without a category is looked at as one that is not yet sorted."""
    entries = [
        Entry.of("good", hashes=[made_up(1, "md5")], source="s/benign", role="benign", labels={"vics-us": "0"}),
        Entry.of("plain", hashes=[made_up(2, "md5")], source="s/benign", role="benign"),
        Entry.of("bad", hashes=[made_up(3, "md5")], source="s", labels={"vics-us": "1"}),
    ]
    data, report = written(tmp_path / "list", entries, category_scheme="vics-us", roles=["alarm", "benign"])
    assert [record["Category"] for record in parsed(data)[1]] == [0, 1]
    assert report.left_out["entries of the role benign without a category"] == 1
    assert parsed(written(tmp_path / "list", entries, roles=["benign"])[0])[1] == []
    with pytest.raises(ReferenceListError, match="each role"):
        written(tmp_path / "list", entries, roles=["alarm", "benign"])


def test_digests_of_unknown_files_are_not_put_together(tmp_path: Path) -> None:
    """With two MD5s nobody knows whose the SHA-1 is; the MD5s go out, the rest is counted."""
    several = Entry.of("a", hashes=[made_up(1, "md5"), made_up(2, "md5"), made_up(1, "sha1")])
    further = Entry.of("b", hashes=[made_up(3, "md5"), made_up(3, "sha1"), made_up(4, "sha1")])
    without = Entry.of("c", hashes=[made_up(5, "sha1")])
    data, report = written(tmp_path / "list", [several, further, without])
    records = parsed(data)[1]
    assert [record.get("SHA1") for record in records] == [None, None, made_up(3, "sha1").hex().upper()]
    assert dict(report.left_out) == {
        "entries without an MD5": 1,
        "entry ids": 2,
        "further sha1 hashes of an entry": 1,
        "sha1 hashes of entries with several MD5s": 1,
    }
    assert [record["MD5"] for record in parsed(written(tmp_path / "list", [further], algorithms=["sha1"])[0])[1]]


@given(listed_entries())
@settings(max_examples=15, deadline=None)
def test_every_md5_of_an_alarm_is_a_record(tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]) -> None:
    """None more, none less, whatever else the entries hold."""
    data, _ = written(tmp_path_factory.mktemp("vics") / "list", entries, algorithms=EVERYTHING)
    wanted = [
        sorted({i.value.hex() for x in e.listings if x.role == "alarm" for i in x.hashes if i.value.algorithm == "md5"})
        for e in entries
    ]
    assert sorted(r["MD5"].lower() for r in parsed(data)[1]) == sorted(value for found in wanted for value in found)


def test_flags_are_fields(tmp_path: Path) -> None:
    """What a reader keeps as labels goes out as it came; another value is no flag."""
    labels = {"victim-identified": "yes", "distributed": "no", "self-generated": "yes"}
    data, report = written(tmp_path / "list", [Entry.of("a", hashes=[made_up(1, "md5")], labels=labels)])
    (record,) = parsed(data)[1]
    assert {name for name in FLAGS if name in record} == {"VictimIdentified", "SelfGenerated"}
    assert report.left_out["labels"] == 1


@st.composite
def media(draw: st.DrawFn) -> list[Entry]:
    """Draw a list as our reader makes one of VICS: an entry a MD5, each category under the source of its role."""
    out = []
    for number in range(draw(st.integers(0, 6))):
        others = draw(st.sets(st.sampled_from(["sha1", "sha256", "photodna", "pdq"])))
        values = [made_up(number, "md5"), *(made_up(number, name) for name in sorted(others))]
        category = draw(st.integers(0, 5))
        role = PROFILES["vics-us"].roles[category]
        flags = draw(st.sets(st.sampled_from(["victim-identified", "distributed"])))
        labels = {"vics-us": str(category)} | dict.fromkeys(flags, "yes")
        source = "vic" if role == "alarm" else f"vic/{role}"
        out.append(Entry.of(default_entry_id(values[0]), hashes=values, source=source, role=role, labels=labels))
    return out


@given(media())
@settings(max_examples=15, deadline=None)
def test_our_reader_reads_it_back(tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]) -> None:
    """Entries, hashes, labels and roles, by the content digest."""
    folder = tmp_path_factory.mktemp("vics")
    data, report = written(
        folder / "list",
        entries,
        category_scheme="vics-us",
        algorithms=EVERYTHING,
        roles=["alarm", "benign", "comparison"],
    )
    assert set(report.left_out) <= {"entry ids"}
    with ReferenceList.create(folder / "back", name="back") as ref:
        delivery = Delivery(source="vic", category_profile="vics-us")
        done = import_into(ref, reader_of(FORMATS["vics"], io.BytesIO(data), delivery))
        assert (done.rows, done.refused_count, done.flawed) == (len(entries), 0, 0)
        assert ref.digest == content_digest(entries)
