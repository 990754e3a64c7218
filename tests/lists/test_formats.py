"""Importing delivered lists: every row is accepted, a duplicate or refused with a reason; none vanishes."""

from __future__ import annotations

import base64
import bz2
import codecs
import contextlib
import csv
import gzip
import hashlib
import io
import lzma
import re
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists import Entry, ReferenceList
from hashmatch.lists.formats import (
    ColumnMapping,
    Refused,
    Row,
    default_entry_id,
    import_into,
    read_table,
    read_text,
)
from hashmatch.lists.formats.decoding import decoded_lines
from support.list_makers import made_up, made_up_record

PDQ = [made_up(i).hex() for i in range(20)]
SIMPLE = ColumnMapping(hashes={"pdq": "pdq"}, entry_id="id")


@pytest.fixture
def ref(tmp_path: Path) -> Iterator[ReferenceList]:
    """Make an empty list, open for writing."""
    with ReferenceList.create(tmp_path / "list.hashmatch", name="demo") as ref:
        yield ref


def text(data: str | bytes, algorithm: str | None = None) -> list[Row | Refused]:
    """Read plain text."""
    return list(read_text(io.BytesIO(data if isinstance(data, bytes) else data.encode()), algorithm))


def table(data: str | bytes, mapping: ColumnMapping = SIMPLE, **options: str) -> list[Row | Refused]:
    """Read a table."""
    return list(read_table(io.BytesIO(data if isinstance(data, bytes) else data.encode()), mapping, **options))


def lines_of(rows: list[Row | Refused]) -> list[int]:
    """Line numbers, negative for refused rows."""
    return [row.line if isinstance(row, Row) else -row.line for row in rows]


def hashes_of(rows: list[Row | Refused]) -> list[HashValue]:
    """First hashes of the good rows."""
    return [row.entry.hashes[0] for row in rows if isinstance(row, Row)]


def test_text_of_many_shapes() -> None:
    """Comments and blank lines are no rows; case, blanks, prefixes, line ends and md5sum's file names do not matter."""
    md5 = made_up(1, "md5").hex()
    data = f"# made up\r\n\r\npdq:{PDQ[0]}\r\n  pdq:{PDQ[1].upper()}  \nmd5:{md5}\r\n#x\nPDQ:{PDQ[2]}\n\nsha1:12"
    rows = text(data)
    assert lines_of(rows) == [3, 4, 5, 7, -9]
    assert hashes_of(rows) == [made_up(0), made_up(1), made_up(1, "md5"), made_up(2)]
    rows = text(f"{md5}  a name.jpg\n{md5.upper()} *b\n\\{md5}  c\\nd\n{md5}\n", "md5")
    assert hashes_of(rows) == [made_up(1, "md5")] * 4


def test_bare_hex_is_never_guessed() -> None:
    """64 hexadecimal digits may be PDQ or SHA-256: without an algorithm they are refused."""
    (row,) = text(PDQ[0])
    assert isinstance(row, Refused)
    assert "algorithm" in row.reason
    (row,) = text(f"sha256:{PDQ[0]}", "pdq")
    assert isinstance(row, Refused)


def test_photodna_as_hex_and_base64() -> None:
    """Both written forms of PhotoDNA give the same 144 bytes; base64 is not changed in case."""
    value = made_up(5, "photodna")
    forms = [value.hex(), value.hex().upper(), base64.b64encode(value.data).decode()]
    assert hashes_of(text("\n".join(forms), "photodna")) == [value] * 3
    assert lines_of(text(forms[2][:-1] + "\n" + forms[2][:-1] + "!", "photodna")) == [-1, -2]


def test_keypoint_records_as_hex() -> None:
    """Records of any length are read from text and tables, with their other hashes; a malformed one is refused."""
    long, short = made_up_record(1, 200, 18), made_up_record(2, 3)
    assert len(long.hex()) > 8_000
    bad = [long.hex()[:-2], long.hex() + "00", "07" + long.hex()[2:], short.hex()[:-1], "00" * 50, "00" * 4097, ""]
    lines = [f"keypoint:{long.hex()}", f"KEYPOINT:{short.hex().upper()}", *(f"keypoint:{digits}" for digits in bad)]
    rows = text("\n".join(lines))
    assert lines_of(rows) == [1, 2, -3, -4, -5, -6, -7, -8, -9]
    assert hashes_of(rows) == [long, short]
    mapping = ColumnMapping(hashes={"points": "keypoint", "pdq": "pdq"}, entry_id="id")
    data = "\n".join(
        [
            "id;points;pdq",
            f"a-1;{long.hex()};{PDQ[1]}",
            f'a-2;"{short.hex()}";',
            f"a-3;;{PDQ[3]}",
            *(f"a-4;{digits};{PDQ[4]}" for digits in bad[:-1]),
        ]
    )
    rows = table(data, mapping)
    assert lines_of(rows) == [*range(2, 11)]
    good = [row.entry for row in rows if isinstance(row, Row)]
    assert good[0] == Entry.of("a-1", hashes=[long, made_up(1)])
    assert good[1] == Entry.of("a-2", hashes=[short])
    assert all(entry == Entry.of("a-4", hashes=[made_up(4)]) for entry in good[3:])
    flaws = [flaw for row in rows if isinstance(row, Row) for flaw in row.flaws]
    assert [(flaw.line, flaw.column, flaw.kind) for flaw in flaws] == [(n, "points", "left out") for n in range(5, 11)]


def test_records_are_imported_as_other_hashes(ref: ReferenceList) -> None:
    """An import of records counts every row, and a second changes nothing."""
    data = "\n".join(str(made_up_record(i, 4)) for i in (1, 2, 1)).encode() + b"\nkeypoint:0102\n"
    report = import_into(ref, read_text(io.BytesIO(data)))
    assert (report.accepted, report.new_entries, report.duplicates, report.refused_count) == (2, 2, 1, 1)
    again = import_into(ref, read_text(io.BytesIO(data)))
    assert (again.accepted, again.duplicates, again.version) == (0, 3, 1)
    assert {entry.entry_id for entry in ref} == {default_entry_id(made_up_record(i, 4)) for i in (1, 2)}
    assert ref.verify().hashes == {"keypoint": 2}


@pytest.mark.parametrize(
    ("algorithm", "digits"),
    [
        *((name, hashlib.new(name, b"").hexdigest()) for name in ("md5", "sha1", "sha256")),
        ("pdq", "0" * 64),
        ("pdq", "f" * 64),
        ("dhash", "0" * 16),
        ("photodna", "00" * 144),
        ("photodna", "/" * 192),
    ],
)
def test_hashes_that_match_everything_are_refused(algorithm: str, digits: str) -> None:
    """The digest of an empty file and perceptual hashes of one repeated bit do not get in."""
    assert lines_of(text(digits, algorithm)) == [-1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings(encoding: str, end: str) -> None:
    """UTF-8 and, with a byte order mark, UTF-16 are read without being told; otherwise they are named."""
    plain = end.join(["id,pdq", f"é-1,{PDQ[0]}", f"é-2,{PDQ[1]}"])
    rows = table(plain.encode(encoding), encoding=None if encoding in ("utf-8", "utf-8-sig", "utf-16") else encoding)
    assert [row.entry.entry_id for row in rows if isinstance(row, Row)] == ["é-1", "é-2"]
    assert lines_of(rows) == [2, 3]


def test_bytes_of_another_encoding() -> None:
    """They spoil what is read and nothing else; with the right encoding nothing is spoilt."""
    data = f"id,pdq,note\na-1,{PDQ[0]},é\né-2,{PDQ[1]},x\n".encode("latin-1")
    assert lines_of(table(data)) == [2, -3]
    assert lines_of(table(data, encoding="latin-1")) == [2, 3]
    with pytest.raises(LookupError):
        table(data, encoding="no-such")


@pytest.mark.parametrize("delimiter", list(",;\t|"))
def test_the_delimiter_is_found(delimiter: str) -> None:
    """The delimiter is the one that finds the mapped columns, even where another is in a name."""
    data = delimiter.join(["ID ", '"a,b;c|d"', "PDQ"]) + "\n" + delimiter.join(["a-1", '"x,;|\t"', PDQ[0]])
    (row,) = table(data)
    assert isinstance(row, Row)
    assert row.entry == Entry.of("a-1", hashes=[made_up(0)])
    assert table(data, delimiter=delimiter) == [row]


def test_columns_are_mapped() -> None:
    """Several hashes, labels, quality and source go where the mapping says; other columns are not read."""
    mapping = ColumnMapping(
        hashes={"PDQ": "pdq", "MD5": "md5"},
        entry_id="Id",
        labels={"Class": "class", "Agency": "agency"},
        quality="Q",
        source="made-up",
    )
    md5 = made_up(1, "md5")
    data = f"id,name,md5,pdq,q,class,agency\na-1,x.jpg,{md5.hex().upper()},{PDQ[0]},70,A1,\na-2,y,,{PDQ[1]},,B,C\n"
    first, second = table(data, mapping)
    assert isinstance(first, Row)
    assert isinstance(second, Row)
    expected = {"hashes": [made_up(0), md5], "source": "made-up", "labels": {"class": "A1"}, "quality": 70}
    assert first.entry == Entry.of("a-1", **expected)  # type: ignore[arg-type]
    assert second.entry == Entry.of("a-2", hashes=[made_up(1)], source="made-up", labels={"class": "B", "agency": "C"})


def test_a_table_without_a_header() -> None:
    """Columns are named by their number, and the first line is a row."""
    mapping = ColumnMapping(hashes={"1": "pdq"}, quality="2", header=False)
    rows = table(f"{PDQ[0]},80,a.jpg\n{PDQ[1]},101,b.jpg\n", mapping)
    assert lines_of(rows) == [1, 2]
    assert isinstance(rows[0], Row)
    assert isinstance(rows[1], Row)
    assert rows[0].entry == Entry.of(default_entry_id(made_up(0)), hashes=[made_up(0)], quality=80)
    assert rows[1].entry == Entry.of(default_entry_id(made_up(1)), hashes=[made_up(1)])
    assert hashes_of(table(f"{PDQ[0]}\n{PDQ[1]}\n", ColumnMapping(hashes={"1": "pdq"}, header=False))) == [
        made_up(0),
        made_up(1),
    ]


def test_bad_rows_stop_nothing() -> None:
    """Each bad row is refused with its line number and a reason; the good ones around it are read."""
    rows = table(
        "\n".join(
            [
                "id,pdq",
                f"a-1,{PDQ[0]}",
                f"a-2,{PDQ[1][:-1]}",
                f"a-3,{PDQ[1]},extra",
                "a-4",
                "",
                f",{PDQ[2]}",
                "a-6,",
                f"a\x00b,{PDQ[3]}",
                f"{'x' * 257},{PDQ[3]}",
                f'"a-8"x,{PDQ[3]}',
                f"a-9,{chr(0xFF10) * 64}",
                f"a-10,{PDQ[4]}",
            ]
        )
    )
    assert lines_of(rows) == [2, -3, -4, -5, -7, -8, -9, -10, -11, -12, 13]
    reasons = [row.reason for row in rows if isinstance(row, Refused)]
    assert all(reasons)
    assert "63" in reasons[0]
    assert "3 fields" in reasons[1]


def test_an_open_quote_spoils_one_line() -> None:
    """Records may span lines within quotes; a quote that is never closed does not swallow what follows."""
    rows = table(f'id,pdq,note\na-1,{PDQ[0]},"two\nlines, ""quoted"""\na-2,{PDQ[1]},"open\n' + f"a-3,{PDQ[2]},x\n" * 40)
    assert lines_of(rows) == [2, *range(4, 45)]
    assert [row.line for row in rows if isinstance(row, Row) and row.flaws] == [4]
    assert lines_of(table(f'id,pdq\n"a-1,{PDQ[0]}')) == [-2]


def test_long_lines_are_refused_in_bounded_memory() -> None:
    """A line beyond the limit is refused, however long, and what follows it is read."""

    class Long(io.RawIOBase):
        """A line of 200 MB that is never in memory, between two good ones."""

        def __init__(self) -> None:
            self.parts = iter([f"pdq:{PDQ[0]}\n".encode(), *[b"a" * 65_536] * 3_200, f"\npdq:{PDQ[1]}".encode()])
            self.largest = 0

        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= 65_536
            return next(self.parts, b"")

    rows = list(read_text(Long()))  # type: ignore[arg-type]
    assert lines_of(rows) == [1, -2, 3]
    assert lines_of(table(f"id,pdq\n{'x' * 70_000},{PDQ[0]}\na-2,{PDQ[1]}\n")) == [-2, 3]
    assert lines_of(table(f'id,pdq,n\n"a{"x" * 60_000}\n{"y" * 60_000}",{PDQ[0]},n\na-2,{PDQ[1]},\n')) == [-2, -3, 4]


def test_the_field_limit_of_the_process_stays() -> None:
    """A limit that the application set is neither changed nor a reason to stop."""
    before = csv.field_size_limit(100)
    try:
        rows = table(f'id,pdq,note\na-1,{PDQ[0]},"{"x" * 200}"\na-2,{PDQ[1]},""\n')
        assert lines_of(rows) == [2, 3]
        assert csv.field_size_limit() == 100
    finally:
        csv.field_size_limit(before)


@given(st.lists(st.sampled_from(["a", "\n", "\r", "é", "", "😀" * 5, "x" * 40_000]), max_size=12), st.integers(1, 7))
def test_lines_are_cut_as_python_cuts_them(parts: list[str], step: int) -> None:
    """However the bytes arrive, the lines are those of a text file, with long ones replaced by None."""
    data = "".join(parts).encode()

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or -1, step if len(data) < 1000 else 30_000))

    expected = [
        (number, line if len(line) <= 65_536 else None)
        for number, line in enumerate(io.TextIOWrapper(io.BytesIO(data), "utf-8").read().split("\n"), 1)
    ]
    if expected[-1][1] == "":
        expected.pop()
    assert list(decoded_lines(Slow(data), None)) == expected


def test_mappings_that_make_no_sense_are_refused() -> None:
    """A mapping is checked when it is made."""
    for wrong in (
        {"hashes": {}},
        {"hashes": {"a": "no-such"}},
        {"hashes": {"a": "pdq", "A": "md5"}},
        {"hashes": {"a": "pdq"}, "entry_id": "A"},
        {"hashes": {"a": "pdq"}, "labels": {"b": "x", "c": "x"}},
        {"hashes": {"a": "pdq"}, "labels": {"b": ""}},
        {"hashes": {"a": "pdq"}, "source": ""},
        {"hashes": {"a": "pdq"}, "header": False},
        {"hashes": {"0": "pdq"}, "header": False},
    ):
        with pytest.raises((ReferenceListError, HashFormatError)):
            ColumnMapping(**wrong)  # type: ignore[arg-type]
    for delimiter in ("", ",,", '"', "\n"):
        with pytest.raises(ValueError, match="delimiter"):
            read_table(io.BytesIO(), SIMPLE, delimiter=delimiter)


@pytest.mark.parametrize("data", ["id,hash\na,b\n", "pdq\n", "id,pdq,pdq\n", "x" * 70_000, '"id,pdq\n'])
def test_a_table_without_the_mapped_columns_is_refused_as_a_whole(data: str) -> None:
    """What to check is said before any row is read."""
    with pytest.raises(ReferenceListError):
        table(data)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a folder and a file opened as text are refused; an empty file has no rows."""
    for path in (tmp_path / "missing", tmp_path, "a\x00b"):
        with pytest.raises(ReferenceListError):
            list(read_text(path))
    with pytest.raises(TypeError, match="binary"):
        list(read_text(io.StringIO("x")))  # type: ignore[arg-type]
    assert text("") == table("") == []


def test_a_file_that_is_passed_in_stays_open(tmp_path: Path) -> None:
    """Files opened by the caller, also compressed ones, are read as a stream and not closed."""
    path = tmp_path / "list.txt.gz"
    path.write_bytes(gzip.compress(f"pdq:{PDQ[0]}\n".encode()))
    with gzip.open(path) as file:
        assert len(list(read_text(file))) == 1  # type: ignore[arg-type]
        assert not file.closed
    plain = tmp_path / "list.txt"
    plain.write_text(f"pdq:{PDQ[0]}\n")
    assert hashes_of(list(read_text(plain))) == [made_up(0)]


def test_import_counts_every_row(ref: ReferenceList) -> None:
    """Rows are accepted, duplicates or refused; the sum is the number of rows, and a second import changes nothing."""
    data = f"pdq:{PDQ[0]}\npdq:{PDQ[1]}\n# no row\npdq:{PDQ[0].upper()}\nbad\npdq:12\n"
    seen: list[Refused] = []
    steps: list[int] = []
    report = import_into(
        ref, read_text(io.BytesIO(data.encode())), on_refused=seen.append, progress=steps.append, max_refused=1
    )
    assert (report.rows, report.accepted, report.new_entries, report.duplicates, report.refused_count) == (
        5,
        2,
        2,
        1,
        2,
    )
    assert [row.line for row in seen] == [5, 6]
    assert report.refused == (seen[0],)
    assert steps == [5]
    assert report.version == ref.version == 1
    again = import_into(ref, read_text(io.BytesIO(data.encode())))
    assert (again.accepted, again.duplicates, again.refused_count, again.version) == (0, 3, 2, 1)
    assert {entry.entry_id for entry in ref} == {default_entry_id(made_up(0)), default_entry_id(made_up(1))}


def test_the_same_hash_of_another_source_or_entry_is_no_duplicate(ref: ReferenceList) -> None:
    """A duplicate is the same entry, hash and source."""
    data = f"id,pdq\na,{PDQ[0]}\nb,{PDQ[0]}\na,{PDQ[1]}\na,{PDQ[0]}\n".encode()
    report = import_into(ref, read_table(io.BytesIO(data), SIMPLE))
    assert (report.accepted, report.new_entries, report.duplicates) == (3, 2, 1)
    other = ColumnMapping(hashes={"pdq": "pdq"}, entry_id="id", source="other")
    report = import_into(ref, read_table(io.BytesIO(data), other))
    assert (report.accepted, report.new_entries, report.duplicates) == (3, 0, 1)
    assert ref.info().sources == {"local": 2, "other": 2}


def test_an_interrupted_import_leaves_the_list_as_it_was(ref: ReferenceList) -> None:
    """An import counts as a whole or not at all."""
    ref.add("entry-1", hashes=[made_up(1)])

    def interrupted() -> Iterator[Row]:
        for i in range(12_000):
            yield Row(i, Entry.of(f"new-{i}", hashes=[made_up(0)]))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_into(ref, interrupted())
    assert ([entry.entry_id for entry in ref], ref.version) == (["entry-1"], 1)
    ref.verify()


def test_default_ids_do_not_show_the_hash() -> None:
    """The id made for a hash is stable and shares no digits with it."""
    value = made_up(3)
    assert default_entry_id(value) == default_entry_id(HashValue.parse(str(value).upper()))
    assert default_entry_id(value) == "pdq-" + hashlib.sha256(value.to_bytes()).hexdigest()[:24]
    assert default_entry_id(value)[4:12] not in value.hex()
    assert default_entry_id(value) != default_entry_id(HashValue("sha256", value.data))


def _zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, f"pdq:{PDQ[0]}\n")
    return file.getvalue()


def _database(path: Path) -> bytes:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE hashes (md5 TEXT)")
    return path.read_bytes()


LINE = f"pdq:{PDQ[0]}\n"
JSON = f'{{"value": [{{"pdq": "{PDQ[0]}"}}]}}'
FOREIGN = {
    "JSON": JSON.encode(),
    "JSON in a list": f"\n [\n  {JSON},\n {JSON}]".encode(),
    "JSON, one a line": f"{JSON}\n{JSON}\n".encode(),
    "JSON with a mark": codecs.BOM_UTF8 + JSON.encode(),
    "JSON in UTF-16": JSON.encode("utf-16"),
    "XML": f'<?xml version="1.0"?><hashes><hash>{PDQ[0]}</hash></hashes>'.encode(),
    "XML without a declaration": f"<hashes a='b'>\n  <hash>{PDQ[0]}</hash></hashes>".encode(),
    "HTML": f"\n<!DOCTYPE html><html><body>{LINE}".encode(),
    "HTML page": f"<?xml version='1.0'?>\n<html><body>{LINE}".encode(),
    "ZIP archive has 2 files": _zipped("a.txt", "b.txt"),
    "xlsx": _zipped("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"),
    "gzip delivery has a gzip archive": gzip.compress(gzip.compress(LINE.encode())),
    "bzip2": bz2.compress(LINE.encode()),
    "xz": lzma.compress(LINE.encode()),
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "xls": bytes.fromhex("d0cf11e0a1b11ae1") + bytes(500),
    "Parquet": b"PAR1" + bytes(range(200)),
    "UTF-16": LINE.encode("utf-16-le"),
    "UTF-16 without": LINE.encode("utf-16-be"),
    "UTF-32": LINE.encode("utf-32"),
    "binary": b"".join(made_up(i, "md5").data for i in range(100)),
    "PNG": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(20),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_delivery_of_another_kind_is_named(name: str, ref: ReferenceList) -> None:
    """What is neither a table nor text is one error that names it, not thousands of refused rows."""
    data = FOREIGN[name]
    for rows in (read_text(io.BytesIO(data)), read_table(io.BytesIO(data), SIMPLE)):
        what = name if "archive" in name else f"this is .*{re.split('[ ,]', name)[0]}"
        with pytest.raises(HashFormatError, match=what) as caught:
            import_into(ref, rows)
        assert PDQ[0][:8] not in str(caught.value)
    assert (len(ref), ref.version) == (0, 0)


def test_databases_are_told_from_lists(tmp_path: Path, ref: ReferenceList) -> None:
    """An SQLite file is named as one, and a list of hashmatch's own as what it is."""
    with pytest.raises(HashFormatError, match="an SQLite database"):
        text(_database(tmp_path / "other.db"))
    ref.close()
    with pytest.raises(HashFormatError, match="a hashmatch list itself"):
        list(read_text(ref.path))


@pytest.mark.parametrize(
    "first", ["{a-1}", "[hash]", "<id>", "{3F2504E0-4F89}", "PK", "BM", "GIF", "BZhang", "%PDF", "\u00e9", "\x00a"]
)
def test_text_that_begins_oddly_is_text(first: str) -> None:
    """Names of columns in brackets, ids in braces and words that begin like magic numbers stop nothing."""
    mapping = ColumnMapping(hashes={"pdq": "pdq"})
    assert hashes_of(table(f"{first};pdq\nx;{PDQ[0]}\n", mapping)) == [made_up(0)]
    assert hashes_of(text(f"{first} x\npdq:{PDQ[0]}\n")) == [made_up(0)]


def test_other_encodings_are_read_where_they_are_named() -> None:
    """What is told from text by its zero bytes is text once its encoding is named."""
    for encoding in ("utf-16-le", "utf-16-be", "utf-32", "utf-32-le"):
        rows = list(read_text(io.BytesIO(LINE.encode(encoding)), encoding=encoding))
        assert hashes_of(rows) == [made_up(0)]


@pytest.mark.parametrize(("share", "passes"), [(None, True), (1.0, True), (0.5, True), (0.49, False), (0, False)])
def test_too_large_a_share_of_refused_rows_undoes_the_import(
    ref: ReferenceList, share: float | None, passes: bool
) -> None:
    """Up to the bound the good rows are imported; above it none, and the list is as it was."""
    data = f"pdq:{PDQ[0]}\nbad\nbad\npdq:{PDQ[1]}\n".encode()
    seen: list[Refused] = []
    if passes:
        report = import_into(ref, read_text(io.BytesIO(data)), max_refused_share=share)
        assert (report.refused_share, report.took_nothing, len(ref)) == (0.5, False, 2)
        return
    with pytest.raises(HashFormatError, match="2 of 4 rows were refused"):
        import_into(ref, read_text(io.BytesIO(data)), max_refused_share=share, on_refused=seen.append)
    assert (len(seen), len(ref), ref.version) == (2, 0, 0)


def test_a_report_says_when_nothing_was_taken(ref: ReferenceList) -> None:
    """No row, or none but refused ones, is nothing; what the list has already is something."""
    for data, nothing in (("", True), ("# none\n", True), ("bad\n", True), (LINE, False), (LINE + "bad\n", False)):
        report = import_into(ref, read_text(io.BytesIO(data.encode())), max_refused_share=1)
        assert report.took_nothing == nothing
    assert import_into(ref, [], max_refused_share=0).refused_share == 0
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="max_refused_share"):
            import_into(ref, [], max_refused_share=wrong)
