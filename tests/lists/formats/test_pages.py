"""Pages of JSON: the limits and the errors that StopNCII, ThreatExchange and Tech Against Terrorism share."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from hashmatch.errors import HashFormatError
from hashmatch.lists import ReferenceList
from hashmatch.lists.formats import Delivery, Refused, Upsert, format_named, import_into, reader_of, recognised

GOLDEN = Path(__file__).parents[2] / "golden/formats"
RECORDS = {"stopncii": "hashRecords", "threatexchange": "data", "tat": "results"}
NAMES = list(RECORDS)
CANARY = "canary-name"


def sample(name: str) -> bytes:
    """Give the sample page of a format."""
    return (GOLDEN / f"{name}-page.json").read_bytes()


def said(name: str, data: bytes) -> list[object]:
    """Read pages by a format."""
    return list(reader_of(format_named(name), io.BytesIO(data), Delivery(source="feed")))


@pytest.mark.parametrize("name", NAMES)
def test_recognised_by_its_fields(name: str) -> None:
    """Each page is told from the others, with a byte order mark and without."""
    for data in (sample(name), b"\xef\xbb\xbf" + sample(name)):
        found = recognised(data[:4096])
        assert found is not None
        assert found.name == name
    assert recognised(b'{"data":[]}') is None
    assert recognised(b'{"results":[]}') is None


@pytest.mark.parametrize("name", NAMES)
def test_several_pages_in_one_file(name: str, tmp_path: Path) -> None:
    """They are numbered on, and what comes twice is unchanged."""
    data = sample(name)
    once, twice = said(name, data), said(name, b"\xef\xbb\xbf" + data + b"\n" + data)
    assert [item.line for item in twice] == [  # type: ignore[attr-defined]
        *(item.line for item in once),  # type: ignore[attr-defined]
        *(item.line + len(once) for item in once),  # type: ignore[attr-defined]
    ]
    with ReferenceList.create(tmp_path / "list", name="x") as ref:
        report = import_into(ref, twice)  # type: ignore[arg-type]
        upserts = sum(isinstance(item, Upsert) for item in once)
        assert report.new_entries == report.accepted == upserts == len(ref)
        ref.verify()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b" \n ", "the file is empty"),
        (b"[]", "this JSON is no page"),
        (b"{}", "this JSON is no page"),
        (b'{"error":{"message":"canary-name"}}', "this JSON is no page"),
        (b'{"KEY":{}}', "this JSON is no page"),
        (b'{"KEY":[],"KEY":[]}', "this JSON is no page"),
        (b'{"KEY":[NaN]}', "damaged or cut short"),
        (b'{"KEY":[' + b"1" * 5000 + b"]}", "damaged or cut short"),
        (b'{"KEY":[]} rest', "damaged or cut short"),
        (b'{"KEY":[' * 100_000, "nested too deep"),
        ('{"KEY":[]}'.encode("utf-16"), "not in UTF-8"),
        (b'{"KEY":["\xff"]}', "not in UTF-8"),
        (b'{"KEY":[' + b"0," * 4_100_000 + b"0]}", "at most 4,000,000 values"),
    ],
)
def test_what_is_no_page_fails_as_a_whole(name: str, data: bytes, message: str) -> None:
    """With one typed error that shows nothing of it."""
    with pytest.raises(HashFormatError, match=message) as caught:
        said(name, data.replace(b"KEY", RECORDS[name].encode()))
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", NAMES)
def test_a_page_cut_anywhere_fails(name: str) -> None:
    """No beginning of a page is a page."""
    data = sample(name).rstrip()
    for size in range(0, len(data), 7):
        with pytest.raises(HashFormatError):
            said(name, data[:size])


@pytest.mark.parametrize("name", NAMES)
def test_a_page_over_the_limit_fails(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not read to its end."""
    monkeypatch.setattr("hashmatch.lists.formats.pages.MAX_PAGE", 1_000)
    with pytest.raises(HashFormatError, match="at most 1,000 bytes"):
        said(name, sample(name) * 2)


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_record_costs_itself(name: str) -> None:
    """Whatever stands in place of a record or of a field of it, the others are read and no reason shows it."""
    page = json.loads(sample(name))
    good = page[RECORDS[name]][0]
    bad: list[object] = [None, 1, CANARY, [], [CANARY], {}]
    for key in good:
        bad += [{**good, key: value} for value in (CANARY, 1.5, {CANARY: 1}, [CANARY], True, "\ud800", "x" * 100_000)]
    page[RECORDS[name]] = [good, *bad, good]
    found = said(name, json.dumps(page).encode())
    assert isinstance(found[0], Upsert)
    assert isinstance(found[-1], Upsert)
    assert [item.line for item in found] == list(range(1, len(bad) + 3))  # type: ignore[attr-defined]
    refused = [item for item in found if isinstance(item, Refused)]
    assert len(refused) >= 10
    for item in refused:
        assert CANARY not in item.reason
        assert len(item.reason) < 200


@pytest.mark.parametrize("name", NAMES)
def test_a_key_that_is_said_twice_refuses_the_record(name: str) -> None:
    """Readers would differ over which of the two holds."""
    page = json.loads(sample(name))
    records = page[RECORDS[name]]
    inner = json.dumps(records[0])
    double = f'{{"deleted":true,"hashStatus":"Withdrawn","should_delete":true,{inner[1:]}'
    text = json.dumps({**page, RECORDS[name]: ["HERE"]}).replace('"HERE"', f"{double},{inner}")
    first, second = said(name, text.encode())
    assert isinstance(first, Refused)
    assert "a key twice" in first.reason
    assert isinstance(second, Upsert)
