"""NDJSON: the form in which hashmatch writes lists, and any other fields by a mapping."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists import Entry, ListedHash, Listing, ReferenceList, content_digest
from hashmatch.lists.formats import (
    ColumnMapping,
    Delivery,
    HashColumn,
    LeftOut,
    Refused,
    Row,
    format_named,
    import_into,
    reader_of,
    recognised,
)
from hashmatch.lists.formats.ndjson import MAX_RECORD, NDJSON_HASHES
from hashmatch.lists.formats.out import export_into
from support.list_makers import made_up, made_up_record

SAMPLE = Path(__file__).parents[2] / "golden/formats/hashmatch.ndjson"
MD5 = [made_up(i, "md5") for i in range(9)]
FIELDS = ColumnMapping(
    hashes={"hashes.md5": "md5", "hashes.PDQ": HashColumn(algorithm="pdq", encoding="base64")},
    entry_id="id",
    labels={"tags": "tags"},
    classes={"grade": "uk"},
    quality="q",
)


def read(data: str | bytes, mapping: ColumnMapping | None = None, **said: Any) -> list[Any]:
    """Read NDJSON."""
    stream = io.BytesIO(data.encode() if isinstance(data, str) else data)
    return list(reader_of(format_named("ndjson"), stream, Delivery(mapping=mapping, **said)))


def own(entry_id: object = "a-1", **listing: object) -> dict[str, Any]:
    """Make one record of our form."""
    first: dict[str, object] = {
        "source": "me",
        "role": "alarm",
        "labels": {},
        "hashes": [{"algorithm": "md5", "hash": MD5[0].hex(), "quality": None}],
    }
    return {"hashmatch": 1, "id": entry_id, "listings": [first | listing]}


def lines(*records: object) -> str:
    """Write records."""
    return "".join(json.dumps(record) + "\n" for record in records)


def test_the_sample_is_recognised_and_read() -> None:
    """The made-up sample of the reference page."""
    data = SAMPLE.read_bytes()
    found = recognised(data[:4_096])
    assert found is not None
    assert found.name == "ndjson"
    assert recognised(b"\xef\xbb\xbf \n" + data) is found
    for other in (b'{"id": 1}\n', b'{"hashmatch": {}}\n', b'{"x": {"hashmatch": 1}}\n', b"hashmatch", b""):
        assert recognised(other) is None
    one, two = read(data)
    assert (one.entry.sources, one.entry.labels["hotline"]) == (
        ("hotline", "other"),
        {"uk": "A", "note": "Stra\u00dfe"},
    )
    assert [item.quality for item in one.entry.listings[0].hashes] == [90, None]
    assert (two.entry.entry_id, two.entry.role) == ("entry-2", "benign")


def test_what_was_written_reads_back(tmp_path: Path) -> None:
    """Also entries of several lines, of several sources, with records and labels."""
    many = [ListedHash(made_up(i), i % 101) for i in range(NDJSON_HASHES + 7)]
    records = [ListedHash(made_up_record(i)) for i in range(3)]
    entries = [
        Entry("many", (Listing("a", tuple(many), {"x": "1 | 2"}), Listing("b/benign", tuple(records), {}, "benign"))),
        Entry("few", (Listing("a", (ListedHash(MD5[0]),), {"\u00e9": "\u00df\U0001f600"}),)),
    ]
    with ReferenceList.create(tmp_path / "one", name="one") as ref:
        ref.add_many(entries)
        stream = io.BytesIO()
        export_into(ref, stream, "ndjson")
        digest = ref.digest
    assert stream.getvalue().isascii()
    assert len(stream.getvalue().splitlines()) == 4
    with ReferenceList.create(tmp_path / "two", name="two") as ref:
        report = import_into(ref, iter(read(stream.getvalue())))
        assert (report.new_entries, report.refused_count, report.flawed) == (2, 0, 0)
        assert ref.digest == digest


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_everything_an_entry_holds_comes_back(data: st.DataObject) -> None:
    """By the exporter's own lines, value for value."""
    from hashmatch.lists.formats.out.lines import Order, ndjson_lines
    from support.strategies import listed_entries

    entries = data.draw(listed_entries())
    text = "".join(ndjson_lines(entries, Order((), None, Counter())))
    assert content_digest([row.entry for row in read(text)]) == content_digest(entries)


def test_a_delivery_may_name_the_source() -> None:
    """Each listing goes under that name, and a role that differs beside it."""
    two = own()
    two["listings"].append({**two["listings"][0], "source": "good", "role": "benign"})
    rows = read(lines(two), source="mine", labels={"tlp": "red"})
    assert [(row.line, row.entry.sources, row.entry.role) for row in rows] == [
        (1, ("mine",), "alarm"),
        (1, ("mine/benign",), "benign"),
    ]
    assert all(row.entry.labels[row.entry.sources[0]] == {"tlp": "red"} for row in rows)
    (row,) = read(lines(own()), role="comparison")
    assert (row.entry.sources, row.entry.role) == (("me",), "comparison")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"hashmatch": 1}, "the record has no listings"),
        ({**own(), "listings": []}, "the record has no listings"),
        ({**own(), "listings": ["x"]}, "it is no JSON object"),
        (own(None), "the entry id must be str"),
        (own("x" * 257), "the entry id must be 1 to 256"),
        (own("a\ufffd"), "not of the file's encoding"),
        (own(source=""), "the source must be 1 to 64"),
        (own(source=7), "the source must be str"),
        (own(role="bad"), "a role is one of"),
        (own(role=None), "a role is one of"),
        (own(hashes=[]), "it has no hash"),
        (own(hashes={}), "it has no hash"),
        (own(hashes=[7]), "no JSON object with a hash"),
        (own(hashes=[{"algorithm": "pdq", "hash": MD5[0].hex()}]), "64 hexadecimal digits, not 32"),
        (own(hashes=[{"algorithm": 1, "hash": MD5[0].hex()}]), "not a known algorithm"),
        (own(hashes=[{"algorithm": "md5", "hash": "d41d8cd98f00b204e9800998ecf8427e"}]), "empty file"),
        ({"hashmatch": True}, "not of the form"),
        ({"hashmatch": 0}, "not of the form"),
        ({"id": "x"}, "not of the form"),
        ([own()], "no JSON object"),
        (7, "no JSON object"),
    ],
)
def test_a_bad_record_costs_itself(record: object, reason: str) -> None:
    """It is refused with its line; those around it are read; no reason shows what it said."""
    first, bad, last = read(lines(own("a-1"), record, own("a-3")))
    assert isinstance(bad, Refused)
    assert (first.entry.entry_id, bad.line, last.entry.entry_id) == ("a-1", 2, "a-3")
    assert reason in bad.reason
    assert MD5[0].hex()[:8] not in bad.reason


def test_a_bad_part_of_a_record_costs_itself() -> None:
    """A hash, a quality, a label, a listing, a key that is not known, a key that stands twice."""
    good = {"algorithm": "md5", "hash": MD5[0].hex(), "quality": 7}
    record = own(
        hashes=[good, {"algorithm": "md5", "hash": "xyz"}, {**good, "hash": MD5[1].hex(), "quality": 101, "more": 1}],
        labels={"a": "1", "b": 2, "": "x", "c": "y" * 257},
        file_name="holiday.jpg",
    )
    record["listings"].append({"source": "other", "role": "alarm", "hashes": []})
    record["comment"] = "x"
    (row,) = read(lines(record))
    (listing,) = row.entry.listings
    assert [(item.value, item.quality) for item in listing.hashes] == [(MD5[0], 7), (MD5[1], None)]
    assert dict(listing.labels) == {"a": "1"}
    assert sorted(flaw.column for flaw in row.flaws) == [
        *("", "hashes", "hashes", "labels", "labels", "labels", "listings", "listings", "quality")
    ]
    assert "holiday" not in str(row.flaws)
    assert MD5[0].hex() not in str(row.flaws)
    twice = lines(own()).replace('"role": "alarm"', '"role": "benign", "role": "alarm"')
    (refused,) = read(twice)
    assert isinstance(refused, Refused)
    (refused,) = read(lines(own(labels=[1])).replace('"id": "a-1"', '"id": "a-1", "id": "a-2"'))
    assert "entry id must be str" in refused.reason


def test_a_cut_file_fails_and_a_bad_line_does_not() -> None:
    """Wherever it is cut within a record. A last line that is whole may lack its end."""
    data = lines(own("a-1"), own("a-2"))
    assert len(read(data[:-1])) == 2
    for cut in range(len(data) // 2 + 1, len(data) - 1):
        with pytest.raises(HashFormatError, match="cut short"):
            read(data[:cut])
    assert [type(row) for row in read(lines(own()) + '{"hashmatch": 1, "id\n' + lines(own()))] == [Row, Refused, Row]


@pytest.mark.parametrize("data", ["{\n}\n", "[\n{}\n]\n", '[{"hashmatch": 1}]\n', "\n [ {} ]"])
def test_json_that_is_not_a_record_a_line_is_one_error(data: str) -> None:
    """Not thousands of refused rows."""
    for mapping in (None, FIELDS):
        with pytest.raises(HashFormatError, match="not one object a line"):
            read(data, mapping)


def test_what_a_delivery_of_json_needs() -> None:
    """A mapping where the records are not ours; a later version is read by a later hashmatch."""
    with pytest.raises(ReferenceListError, match="--mapping"):
        read(lines({"id": 1}))
    with pytest.raises(ReferenceListError, match="--mapping"):
        read(lines(own()), where={"a": "b"})
    with pytest.raises(HashFormatError, match="later version"):
        read(lines(own(), own() | {"hashmatch": 2}))
    assert read("") == []
    with pytest.raises(HashFormatError, match="SQLite"):
        read(b"SQLite format 3\0" + bytes(90))


def test_fields_by_a_mapping() -> None:
    """Paths in any case, numbers and truth values as text, lists in labels; a bad field costs itself."""
    pdq = "Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDwE="
    rows = read(
        lines(
            {"ID": 7, "hashes": {"MD5": MD5[0].hex(), "pdq": pdq}, "q": 87.0, "tags": ["a", 1, True], "grade": "N/A"},
            {"id": "b", "hashes.md5": MD5[1].hex(), "q": None, "tags": {"x": 1}, "grade": False},
            {"id": "c", "hashes": {"md5": [MD5[2].hex()]}},
            {"id": ["d"], "hashes": {"md5": MD5[3].hex()}},
            {"id": "e", "hashes": {"md5": MD5[4].hex(), "MD5": MD5[5].hex(), "pdq": pdq}},
            {"hashes": {"md5": MD5[4].hex()}},
        ),
        FIELDS,
    )
    one, two, three, four, five, six = rows
    assert (one.entry.entry_id, one.entry.hashes[0], len(one.entry.hashes)) == ("7", MD5[0], 2)
    assert (one.entry.listings[0].hashes[0].quality, one.entry.labels["local"]) == (87, {"tags": "a | 1 | true"})
    assert (two.entry.hashes, two.entry.labels["local"]) == ((MD5[1],), {"uk": "false"})
    assert [(flaw.line, flaw.column) for flaw in two.flaws] == [(2, "tags")]
    assert three == Refused(3, "field hashes.md5: it is an object or a list; the record has no hash")
    assert four == Refused(4, "field id: it is an object or a list; the entry id is missing")
    assert (len(five.entry.hashes), five.flaws[0].reason) == (1, "the record has it twice")
    assert six == Refused(6, "the entry id is missing")


def test_items_of_lists_and_rows_that_are_left_out() -> None:
    """By their number from 0; a record without the field was not asked for."""
    mapping = ColumnMapping(hashes={"h.0.v": "md5", "h.1.v": "md5"}, where={"kind": "true"}, source_column="by.name")
    rows = read(
        lines(
            {"h": [{"v": MD5[0].hex()}, {"v": MD5[1].hex()}, {"v": "x"}], "kind": True, "by": {"name": "Who"}},
            {"h": [{"v": MD5[0].hex()}], "kind": False},
            {"h": [{"v": MD5[0].hex()}]},
        ),
        mapping,
    )
    assert rows[1:] == [LeftOut(2), LeftOut(3)]
    assert (rows[0].entry.hashes, rows[0].entry.sources) == ((MD5[0], MD5[1]), ("Who",))


def test_hostile_lines_cost_themselves() -> None:
    """Deep nesting, endless lines, endless numbers, numbers that are none, bytes that are no text."""
    good = lines({"id": "a", "hashes": {"md5": MD5[0].hex()}}).encode()
    for bad in (
        b'{"a":' * 100_000 + b"\n",
        b"[" * 100_000 + b"\n",
        b'{"id": "' + b"x" * MAX_RECORD + b'"}\n',
        b'{"q": ' + b"1" * 10_000 + b"}\n",
        b'{"q": NaN}\n',
        b'{"id": "\xff", "hashes": {"md5": "%s"}}\n' % MD5[1].hex().encode(),
        b"\0\n",
        b'{"id": "\\ud800", "hashes": {"md5": "%s"}}\n' % MD5[1].hex().encode(),
    ):
        first, refused, last = read(good + bad + good, FIELDS)
        assert isinstance(refused, Refused)
        assert (first.line, refused.line, last.line) == (1, 2, 3)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "iso-8859-1"])
def test_encodings(encoding: str) -> None:
    """Marks are found; others are told."""
    text = json.dumps({"id": "\u00e9", "hashes": {"md5": MD5[0].hex()}}, ensure_ascii=False) + "\r\n"
    told = encoding if encoding in ("utf-16-le", "iso-8859-1") else None
    (row,) = read(text.encode(encoding), FIELDS, encoding=told)
    assert row.entry.entry_id == "\u00e9"
