"""Cells of delivered lists: a bad one costs itself, labels are text, ids are keys, and all of it is counted."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists import Entry, ReferenceList
from hashmatch.lists.formats import ColumnMapping, Flaw, Refused, Row, import_into, read_table, read_text
from support.list_makers import made_up

PDQ = [made_up(i).hex() for i in range(20)]
MD5 = [made_up(i, "md5").hex() for i in range(20)]
BOTH = ColumnMapping(hashes={"pdq": "pdq", "md5": "md5"}, entry_id="id", labels={"class": "class"}, quality="q")
ONE = ColumnMapping(hashes={"md5": "md5"})
LABELLED = ColumnMapping(hashes={"pdq": "pdq"}, labels={"class": "class"})


@pytest.fixture
def ref(tmp_path: Path) -> Iterator[ReferenceList]:
    """Make an empty list, open for writing."""
    with ReferenceList.create(tmp_path / "list.hashmatch", name="demo") as ref:
        yield ref


def table(text: str | bytes, mapping: ColumnMapping, **options: str) -> list[Row | Refused]:
    """Read a table."""
    return list(read_table(io.BytesIO(text if isinstance(text, bytes) else text.encode()), mapping, **options))


def entries(rows: list[Row | Refused]) -> list[Entry]:
    """Entries of the good rows."""
    return [row.entry for row in rows if isinstance(row, Row)]


def flaws(rows: list[Row | Refused]) -> list[Flaw]:
    """Give everything that was not taken as it stood."""
    return [flaw for row in rows if isinstance(row, Row) for flaw in row.flaws]


NOTHING = [
    "",
    " ",
    "N/A",
    "n/a",
    "NA",
    "#N/A",
    "NULL",
    "null",
    "(null)",
    "None",
    "nan",
    "NaN",
    "-1",
    "-",
    "\\N",
    "\u200b",
]


@pytest.mark.parametrize("mark", NOTHING)
def test_a_mark_of_a_missing_value_is_no_value(mark: str) -> None:
    """It stands for nothing in columns of hashes and quality, is not counted, and is no entry id."""
    (row,) = table(f"id,pdq,md5,q,class\na-1,{PDQ[1]},{mark},{mark},A\n", BOTH)
    assert isinstance(row, Row)
    assert (row.entry, row.flaws) == (Entry.of("a-1", hashes=[made_up(1)], labels={"class": "A"}), ())
    (row,) = table(f"id,pdq,md5,q,class\na-1,{mark},{mark},1,A\n", BOTH)
    assert row == Refused(2, "the record has no hash")
    (row,) = table(f"id,pdq,md5,q,class\n{mark},{PDQ[1]},,1,A\n", BOTH)
    assert isinstance(row, Refused)


@pytest.mark.parametrize(
    "bad", ["12", "x" * 32, "1.23E+31", "d41d8cd98f00b204e9800998ecf8427e", f"sha1:{'0a' * 20}", "\ufffd"]
)
def test_a_bad_hash_costs_itself(bad: str) -> None:
    """The row's other hash, its label and its quality get in; what was left out is told by column, without the cell."""
    rows = table(f"id,pdq,md5,q,class\na-1,{PDQ[1]},{bad},80,A\n", BOTH)
    assert entries(rows) == [Entry.of("a-1", hashes=[made_up(1)], labels={"class": "A"}, quality=80)]
    ((line, column, kind, reason),) = [(flaw.line, flaw.column, flaw.kind, flaw.reason) for flaw in flaws(rows)]
    assert (line, column, kind) == (2, "md5", "left out")
    assert reason
    assert bad not in reason or bad == "12"
    (row,) = table(f"id,pdq,md5,q,class\na-1,N/A,{bad},80,A\n", BOTH)
    assert isinstance(row, Refused)
    assert "column md5" in row.reason


@pytest.mark.parametrize(
    ("text", "quality"),
    [("87", 87), ("87.0", 87), ("87,0", 87), ("87.", 87), ("100.00", 100), ("0", 0), (" 7 ", 7), ("+87", 87)]
    + [(bad, None) for bad in ("87.5", "101", "-5", "1e2", "0x10", "good", "\uff18\uff17", "999999999999")],
)
def test_quality_of_many_forms(text: str, quality: int | None) -> None:
    """A whole number may be written as a program writes a column with gaps; what is none is left out and told."""
    rows = table(f"id;pdq;md5;q;class\na-1;{PDQ[1]};;{text};A\n", BOTH)
    assert entries(rows) == [Entry.of("a-1", hashes=[made_up(1)], labels={"class": "A"}, quality=quality)]
    assert [flaw.column for flaw in flaws(rows)] == ([] if quality is not None else ["q"])


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        " {}\t",
        "\u200b{}",
        "\ufeff{}",
        "\u202a{}\u202c",
        "{}\xa0",
        "0x{}",
        "0X{}",
        "hash={}",
        "md5:{}",
        "MD5:0x{}",
        "'{}",
        '=""{}""',
        "\xad{}",
        "{}\u2060",
    ],
)
def test_a_hash_of_many_forms(form: str) -> None:
    """What shows nothing, prefixes, and what spreadsheets put around text do not count; nor does the case."""
    for digits in (MD5[1], MD5[1].upper()):
        cell = form.format(digits)
        cell = f'"{cell}"' if '"' in cell else cell
        rows = table(f"md5,x\n{cell},y\n", ONE)
        assert [entry.hashes for entry in entries(rows)] == [(made_up(1, "md5"),)]
        assert not flaws(rows)


@pytest.mark.parametrize(
    "bad", [MD5[1][:16] + " " + MD5[1][17:], " " * 32, MD5[1][:31] + "\uff11", "=" + MD5[1], MD5[1] * 2]
)
def test_blanks_within_and_digits_of_other_scripts_are_no_hash(bad: str) -> None:
    """Python's own readers would take some of them."""
    assert not entries(table(f"md5\n{bad}\n", ONE))


LABELS = [
    "Cat\xe9gorie\xa01",
    "A\u202f: x",
    "\u5206\u985e\u3000\u4e00",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "\u05d0\u200f1",
    "\U0001f468\u200d\U0001f467",
    "Kinder\xadschutz",
    "a\tb",
    "two\nlines",
    "\x1b[31mred",
    "\u202eoverride",
    "a\x85b\u2028c",
    "e\u0301 and \xe9",
    "\ue000\U0010ffff",
]


@pytest.mark.parametrize("label", LABELS, ids=ascii)
def test_labels_are_text_of_any_script(ref: ReferenceList, label: str) -> None:
    """Imports and calls keep them as they are, and so does a list that is opened again."""
    rows = table(f'pdq,class\n{PDQ[1]},"{label}"\n', LABELLED)
    assert not flaws(rows)
    assert import_into(ref, rows).accepted == 1
    ref.add("entry-2", hashes=[made_up(2)], labels={"class": label})
    ref.verify()
    kept = label.strip()
    assert [entry.labels["local"]["class"] for entry in ref] == [kept, label]


@pytest.mark.parametrize("name", [name for name in LABELS if not set(name) & set("\n\t\x1b\x85\u2028")], ids=ascii)
def test_names_are_text_of_any_script_and_exact(ref: ReferenceList, name: str) -> None:
    """Ids, sources and names of labels are keys: nothing is normalised, so that no two become one."""
    rows = table(f"id,pdq,md5,q,class\n{name},{PDQ[1]},,,x\n", BOTH)
    assert import_into(ref, rows).accepted == 1
    assert ref.get(name) is not None
    assert name in ref
    ref.add(name + "\u200b", hashes=[made_up(1)], source=name, labels={name: "x"})
    assert len(ref) == 2
    ref.verify()


def test_ids_that_look_alike_stay_apart(ref: ReferenceList) -> None:
    """Composed and decomposed letters, spaces of several kinds and joiners are different ids."""
    ids = ["\xe9", "e\u0301", "a b", "a\xa0b", "a\u200bb", "ab", "a\u200db", "AB", "ab\xa0", "\ufeffab"]
    rows = table("id,pdq,md5,q,class\n" + "".join(f"{name},{PDQ[1]},,,\n" for name in ids), BOTH)
    assert import_into(ref, rows).new_entries == len(ids)
    assert [entry.entry_id for entry in ref] == ids


@pytest.mark.parametrize(
    "bad", ["a\x00b", "a\x1bb", "a\x85b", "a\u2028b", "x" * 257, "\ufffd", '"a\nb"', "NULL"], ids=ascii
)
def test_an_id_that_cannot_be_a_key_is_refused(bad: str) -> None:
    """It is not mended: two ids could become one, and a withdrawal would not find its entry."""
    (row,) = table(f"id,pdq,md5,q,class\n{bad},{PDQ[1]},,,x\n", BOTH)
    assert isinstance(row, Refused)
    assert "id" in row.reason


WORDS = "a label of many words, as people write them when they have time for it. " * 8


@pytest.mark.parametrize(
    ("cell", "kept", "kind"),
    [
        (WORDS, WORDS[:255].rstrip() + "\u2026", "cut"),
        ("\u5206" * 300, "\u5206" * 255 + "\u2026", "cut"),
        ("x" * 300, None, "left out"),
        ("x y" * 85, "x y" * 85, None),
        ("a\x00b", "a\ufffdb", "cleaned"),
        (base64.b64encode(bytes(range(256))).decode(), None, "left out"),
        (bytes(range(256)).hex(" "), None, "left out"),
        (str(list(range(100, 200))), None, "left out"),
        (base64.encodebytes(bytes(range(256))).decode().replace("\n", " "), None, "left out"),
    ],
    ids=range(9),
)
def test_a_hash_is_not_lost_for_its_label(ref: ReferenceList, cell: str, kept: str | None, kind: str | None) -> None:
    """A label is cut or cleaned where it is text, left out where it may be a picture written as text; and counted."""
    report = import_into(ref, table(f'pdq,class\n{PDQ[1]},"{cell}"\n', LABELLED))
    (entry,) = ref
    assert entry.labels["local"] == ({} if kept is None else {"class": kept})
    assert (report.accepted, report.flawed) == (1, int(kind is not None))
    assert report.columns == ({} if kind is None else {"class": {kind: 1}})
    assert [(flaw.line, flaw.column, flaw.kind) for flaw in report.flaws] == ([(2, "class", kind)] if kind else [])
    ref.verify()


def test_bytes_of_another_encoding_cost_a_label_its_letters() -> None:
    """The label says that something is missing, and the flaw what to do; with the encoding named nothing is missing."""
    data = f"pdq,class\n{PDQ[1]},Cat\xe9gorie\n".encode("latin-1")
    rows = table(data, LABELLED)
    assert entries(rows)[0].labels["local"] == {"class": "Cat\ufffdgorie"}
    assert "encoding" in str(flaws(rows)[0])
    assert entries(table(data, LABELLED, encoding="cp1252"))[0].labels["local"] == {"class": "Cat\xe9gorie"}


@pytest.mark.parametrize("bad", ["a\0b", "a\ud800b", "x" * 257, "", " a", "a "], ids=ascii)
def test_a_call_is_told_what_a_label_cannot_be(ref: ReferenceList, bad: str) -> None:
    """`add` mends nothing: its caller can."""
    with pytest.raises(ReferenceListError, match="value of a label"):
        ref.add("entry-1", hashes=[made_up(1)], labels={"class": bad})
    assert ref.version == 0


def test_what_was_left_out_is_counted(ref: ReferenceList) -> None:
    """By column and kind, the first in the report, all to the callback; duplicates are looked at too."""
    lines = [f"a-{i},{PDQ[i]},{'bad' if i % 2 else MD5[i]},{'good' if i == 4 else 80},A\n" for i in range(10)]
    seen: list[Flaw] = []
    text = "id,pdq,md5,q,class\n" + "".join(lines)
    report = import_into(ref, table(text, BOTH), on_flaw=seen.append, max_refused=2, max_refused_share=0.5)
    assert (report.accepted, report.refused_count, report.flawed) == (10, 0, 6)
    assert report.columns == {"md5": {"left out": 5}, "q": {"left out": 1}}
    assert (len(seen), report.flaws) == (6, tuple(seen[:2]))
    again = import_into(ref, table(text, BOTH))
    assert (again.duplicates, again.flawed, again.version) == (10, 6, report.version)


def test_a_column_that_was_misread_changes_nothing(ref: ReferenceList) -> None:
    """Though every row has another hash that is good: a wrong column is no success of the right one."""
    text = "id,pdq,md5,q,class\n" + "".join(f"a-{i},{PDQ[i]},name {i}.jpg,80,A\n" for i in range(10))
    with pytest.raises(HashFormatError, match="column md5 has 10 cells in 10 rows"):
        import_into(ref, table(text, BOTH), max_refused_share=0.5)
    assert (len(ref), ref.version) == (0, 0)


def lines(text: str, algorithm: str | None = "md5") -> list[tuple[str, ...] | None]:
    """Hashes of plain text by line; None where it was refused."""
    rows = read_text(io.BytesIO(text.encode()), algorithm)
    return [tuple(map(str, row.entry.hashes)) if isinstance(row, Row) else None for row in rows]


@pytest.mark.parametrize(
    "form",
    [
        "MD5 (a.jpg) = {}",
        "MD5(a.jpg)= {}",
        "MD5 (a = (b) = c.jpg) = {}",
        "md5 (a) ={}",
        "(stdin)= {}",
        "{},a.jpg",
        "{};a",
        "{}|a",
        '"{}","a.jpg"',
        "{}  a (1)=2.jpg",
        "{} *MD5 (b) = 1",
        "\\{}  a",
        "\ufeff{}",
        "{}\tx",
        "md5 {} a.jpg",
        "{},80,a.jpg",
        "0x{}",
    ],
)
def test_lines_as_programs_write_them(form: str) -> None:
    """Hash and name in either order, with the separators and brackets of md5sum, md5, openssl and others."""
    assert lines(form.format(MD5[1])) == lines(form.format(MD5[1].upper())) == [(f"md5:{MD5[1]}",)]


def test_the_algorithm_that_a_line_names_counts() -> None:
    """It is taken where none is given, and refused where another is."""
    sha = made_up(1, "sha256").hex()
    for line in (f"SHA256 (a) = {sha}", f"SHA2-256(a)= {sha}", f"sha-256 {sha}", f"SHA256 {sha}"):
        assert lines(line, None) == [(f"sha256:{sha}",)]
        assert lines(line, "pdq") == [None]
    assert lines(f"SHA512 (a) = {sha}", None) == lines(f"BLAKE2 (a) = {sha}", "md5") == [None]


def test_comments_of_plain_text() -> None:
    """Three marks begin one; base64 may begin with a slash."""
    assert lines(f"# a\n% b\n; c\n  # d\n{MD5[1]}\n\u200b\n") == [(f"md5:{MD5[1]}",)]


@pytest.mark.parametrize(
    ("head", "refused"),
    [
        ("sep=;\nid;MD5\n", []),
        ('"sep=;"\nid;md5\n', []),
        ("SEP=;\r\n# made up\n\n#;;\nid;md5;\n", []),
        ("\ufeffsep=;\n\u200bid ; MD5\xa0\n", []),
        ('"id";"Md5"\n', []),
        ("'id'; 'MD5'\n", []),
        ('"id"; "md5"\n', []),
        ("%%%% made up\n%%%% size;hash\nid;md5\n", []),
        ('id;"\xa0MD5 ";"notes,\nif any"\n', []),
        ("Hashes of 2026;;\n\nid;md5\n", [1]),
        ("#md5\nid;md5\n", []),
    ],
)
def test_what_stands_above_the_header(head: str, refused: list[int]) -> None:
    """The line of a spreadsheet and comments are no rows; anything else is refused and counted, and stops nothing."""
    rows = table(f"{head}1;{MD5[1]}\n2;{MD5[2]}\n", ONE)
    assert [entry.hashes[0] for entry in entries(rows)] == [made_up(1, "md5"), made_up(2, "md5")]
    assert [row.line for row in rows if isinstance(row, Refused)] == refused


def test_comments_above_rows_without_a_header() -> None:
    """A line with the mark of a comment that is a good row is one."""
    mapping = ColumnMapping(hashes={"2": "md5"}, entry_id="1", header=False)
    rows = table(f"# made up, by me\n#1,{MD5[1]}\n2,{MD5[2]}\n#3,{MD5[3]}\n", mapping)
    assert [entry.entry_id for entry in entries(rows)] == ["#1", "2", "#3"]
    assert [entry.entry_id for entry in entries(table(f"#1,{MD5[1]}\n#2,{MD5[2]}", mapping))] == ["#1", "#2"]
    assert table("# only a comment\n", ONE) == []
    with pytest.raises(ReferenceListError):
        table("# a\n" * 200 + f"md5\n{MD5[1]}", ONE)


def test_a_name_of_several_lines() -> None:
    """Spreadsheets have line ends within the names of columns; white space between words is as good as any other."""
    mapping = ColumnMapping(hashes={"md5 of  it": "md5"}, entry_id="id (ours)")
    rows = table(f'"Id\n(ours)",MD5\xa0of it,"notes\n\n"\n1,{MD5[1]},\n2,{MD5[2]},"x\ny"\n', mapping)
    assert [entry.entry_id for entry in entries(rows)] == ["1", "2"]
    with pytest.raises(ReferenceListError):
        table(f'"id,md5\n1,{MD5[1]}\n' * 20, ONE)


def test_ragged_rows() -> None:
    """Delimiters at the end and missing empty cells do not matter; a surplus cell that says something does."""
    rows = table(
        f"id,pdq,md5,q,class\na-1,{PDQ[1]},,,,,\na-2,{PDQ[2]}\na-3,{PDQ[3]},,,A,x\na-4\na-5,{PDQ[5]},,7,A\n", BOTH
    )
    assert [entry.entry_id for entry in entries(rows)] == ["a-1", "a-2", "a-5"]
    assert [row.line for row in rows if isinstance(row, Refused)] == [4, 5]


ONE_LINE = st.characters(codec="utf-8", exclude_characters="\n\r")


@given(st.text(ONE_LINE, max_size=300), st.text(ONE_LINE, max_size=300), st.text(ONE_LINE, max_size=10))
def test_no_text_in_a_label_or_quality_costs_a_hash(label: str, quality: str, md5: str) -> None:
    """Whatever stands in the other cells, the hash gets in, and what is taken can be held by a list."""
    quoted = [text.replace('"', '""') for text in (md5, quality, label)]
    (row,) = table('id,pdq,md5,q,class\na-1,{},"{}","{}","{}"'.format(PDQ[1], *quoted), BOTH, encoding="utf-8")
    assert isinstance(row, Row)
    assert made_up(1) in row.entry.hashes
