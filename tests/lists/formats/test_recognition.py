"""A format is recognised where that is certain, else an error says what to name; text comes in whatever bytes."""

from __future__ import annotations

import base64
import codecs
import gzip
import io
import json
from pathlib import Path

import pytest

from hashmatch.errors import HashFormatError
from hashmatch.lists.formats import FORMATS, ColumnMapping, Delivery, Refused, Row, format_named, reader_of, recognised
from hashmatch.lists.formats.cells import parse_cell
from hashmatch.lists.formats.deliveries import read_deliveries
from hashmatch.lists.formats.unpacking import beginning, unpacked
from support.list_makers import made_up

GOLDEN = Path(__file__).parents[2] / "golden/formats"
SAMPLES = {
    "NSRLFile.txt": "nsrl2",
    "autopsy.kdb": "kdb",
    "encase.hash": "encase",
    "hashkeeper.hsh": "hashkeeper",
    "hashmatch.ndjson": "ndjson",
    "icse.csv": "icse",
    "ncmec-page.xml": "ncmec",
    "nsrl3.db": "nsrl3",
    "stopncii-page.json": "stopncii",
    "tat-page.json": "tat",
    "threatexchange-page.json": "threatexchange",
    "tx-local.txt": "tx-local",
    "tx.csv": "tx-csv",
    "vics-1.3-cases.json": "vics",
    "vics-2.0-media.json": "vics",
}
PDQ = [made_up(i).hex() for i in range(3)]
MAPPED = ColumnMapping(hashes={"pdq": "pdq"})
TEXTS = {
    "text": "".join(f"pdq:{digits}\n" for digits in PDQ),
    "csv": "id,pdq\n" + "".join(f"a,{digits}\n" for digits in PDQ),
    "tx-local": "".join(f"pdq {digits}\n" for digits in PDQ),
    "tx-csv": "signal_type,signal_str,collab,category,tags\n"
    + "".join(f"pdq,{digits},\u00e9,POSITIVE_CLASS,\n" for digits in PDQ),
    "ndjson": "".join(json.dumps({"pdq": digits}) + "\n" for digits in PDQ),
}


def read(name: str, data: bytes, encoding: str | None = None) -> list[object]:
    """Read a delivery of a format."""
    mapping = MAPPED if name in ("csv", "ndjson") else None
    return list(reader_of(format_named(name), io.BytesIO(data), Delivery(mapping=mapping, encoding=encoding)))


@pytest.mark.parametrize("file", SAMPLES)
def test_a_sample_is_of_its_format_and_no_other(file: str) -> None:
    """By exactly one recogniser; also packed, and the text ones as PowerShell redirects them."""
    data = (GOLDEN / file).read_bytes()
    certain = [name for name, kind in FORMATS.items() if kind.load().recognises(data[:4_096])]
    assert certain == [SAMPLES[file]]
    found = recognised(beginning(unpacked(io.BytesIO(gzip.compress(data)))))
    assert found is FORMATS[SAMPLES[file]]
    if SAMPLES[file] in ("tx-csv", "tx-local", "icse"):
        assert recognised(data.decode().encode("utf-16")[:4_095]) is found


def test_what_is_not_certain_is_not_recognised() -> None:
    """Bare hashes, tables, any JSON, any XML, nothing, noise."""
    for data in (
        b"",
        b"\n",
        f"{PDQ[0]}\n".encode(),
        f"{PDQ[0]}  pdq:x.jpg\n".encode(),
        TEXTS["csv"].encode(),
        TEXTS["ndjson"].encode(),
        b"{}",
        b"[]",
        b'{"value": []}',
        b"<hashes/>",
        bytes(range(256)) * 16,
        b"SQLite format 3\0" + bytes(4_000),
    ):
        assert recognised(data) is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"value": []}', "JSON delivery: name its format with --format, as vics, .*ndjson"),
        (TEXTS["ndjson"].encode(), "JSON delivery: name its format with --format"),
        (b"<hashes>\n <hash/></hashes>", "XML delivery: name its format with --format, as ncmec"),
        (b"SQLite format 3\0" + bytes(4_000), "name its format, kdb or nsrl3"),
        (TEXTS["csv"].encode(), "looks like a table .*--mapping or --hash, or name its format with --format"),
        (TEXTS["csv"].encode("utf-16"), "looks like a table"),
        (b'# by hand\n"MD5";"Note"\nffeeddccbbaa99887766554433221100;x\n', "looks like a table"),
    ],
)
def test_what_is_not_recognised_is_told_what_to_say(data: bytes, said: str) -> None:
    """One error, before any row, with the likely names."""
    with pytest.raises(HashFormatError, match=said) as caught:
        list(read_deliveries([io.BytesIO(data)], Delivery()))
    assert PDQ[0][:8] not in str(caught.value)


def test_a_mapping_reads_tables_and_json() -> None:
    """Which of both it is, the first bytes tell; and a recognised delivery needs nothing."""
    for name, mapping in (("csv", MAPPED), ("ndjson", MAPPED), ("tx-csv", None), ("text", None)):
        rows = list(read_deliveries([io.BytesIO(gzip.compress(TEXTS[name].encode()))], Delivery(mapping=mapping)))
        assert [type(row) for row in rows] == [Row] * 3
    bare = io.BytesIO(f"{PDQ[0]},holiday.jpg\n{PDQ[1]},b.jpg\n".encode())
    assert [type(row) for row in read_deliveries([bare], Delivery(algorithm="pdq"))] == [Row] * 2


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "iso-8859-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_text_comes_in_whatever_bytes(name: str, encoding: str, end: str) -> None:
    """A mark is found, other encodings are told; line ends, blanks at the end and case do not count."""
    text = TEXTS[name].replace(PDQ[1], PDQ[1].upper()).replace("\n", f"{' ' if name != 'tx-csv' else ''}{end}")
    told = encoding if encoding in ("utf-16-be", "utf-16-le", "iso-8859-1") else None
    rows = read(name, text.encode(encoding), told)
    assert [row.entry.hashes[0].hex() for row in rows if isinstance(row, Row)] == PDQ
    assert len(rows) == 3
    if encoding == "utf-16-le" and name != "ndjson":
        marked = read(name, codecs.BOM_UTF16_LE + text.encode(encoding))
        assert [type(row) for row in marked] == [Row] * 3


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("wrong", ["\0", "\uff11", "\u0661", " ", "\u00a0", "\n"])
def test_what_is_no_digit_makes_no_hash(name: str, wrong: str) -> None:
    """NUL bytes, digits of other scripts and blanks within: that row is refused, and no other."""
    bad = PDQ[1][:5] + wrong + PDQ[1][6:]
    rows = read(name, TEXTS[name].replace(PDQ[1], bad).encode())
    assert [row.entry.hashes[0].hex() for row in rows if isinstance(row, Row)] == [PDQ[0], PDQ[2]]
    assert [type(row) for row in rows if not isinstance(row, Row)] == [Refused] * (2 if wrong == "\n" else 1)


def test_a_hash_in_other_letters_is_another_hash() -> None:
    """Hexadecimal digits may have any case; base64 is never put into lower case."""
    value = made_up(1)
    text = base64.b64encode(value.data).decode()
    assert parse_cell(text, "pdq", "base64") == value
    assert parse_cell(value.hex().upper(), "pdq") == value
    with pytest.raises(HashFormatError):
        parse_cell(text.lower() + "\n=", "pdq", "base64")
    try:
        lower = parse_cell(text.lower(), "pdq", "base64")
    except HashFormatError:
        return
    assert lower != value


def test_every_format_has_a_page() -> None:
    """The page on imports names every format and where it is described."""
    page = (Path(__file__).parents[3] / "docs/how-to/import-a-list.md").read_text(encoding="utf-8")
    rows = page.split("| --- | --- | --- |")[1].split("\n\n")[0].strip().splitlines()
    named = {name.strip(" `") for row in rows for name in row.split("|")[2].split(",")}
    assert named == set(FORMATS)
