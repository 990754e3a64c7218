"""A mapping says what columns mean: from a file, strictly, and from what a delivery is told beside it."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists import ReferenceList
from hashmatch.lists.formats import (
    ColumnMapping,
    Delivery,
    HashColumn,
    LeftOut,
    Refused,
    Row,
    format_named,
    import_into,
    mapping_from_toml,
    read_table,
    reader_of,
)
from hashmatch.lists.formats.cells import parse_cell
from support.list_makers import made_up

MD5 = [made_up(i, "md5") for i in range(9)]
WHOLE = """
entry_id = "Id"
quality = "Q"
source = "made-up"
source_column = "Member"
role = "alarm"
role_column = "Kind"
header = true
comments = ["#", "//"]
delimiter = ";"
encoding = "iso-8859-1"
hashes = {MD5 = "md5", PDQ = {algorithm = "pdq", encoding = "base64"}}
labels = {Note = "note"}
classes = {Grade = "uk"}
fixed = {tlp = "red"}
roles = {"known good" = "benign", "" = "alarm", Compare = "comparison"}
where = {Type = "Image"}
"""


def rows_of(data: str | bytes, mapping: ColumnMapping) -> list[Row | Refused | LeftOut]:
    """Read a table."""
    return list(read_table(io.BytesIO(data.encode() if isinstance(data, str) else data), mapping))


def test_a_mapping_file_says_everything(tmp_path: Path) -> None:
    """Every key of it shows in what is read."""
    pdq = base64.b64encode(made_up(1).data).decode()
    data = "\n".join(
        [
            "// made up; by hand",
            "Id;MD5;PDQ;Note;Grade;Q;Member;Kind;Type",
            f"a-1;{MD5[0].hex()};{pdq};Stra\u00dfe;A;87.0;Police;;Image",
            f"a-2;{MD5[1].hex()};;;N/A;;Police;KNOWN good;Image",
            "# a-9;no row",
            f"a-3;{MD5[2].hex()};;;;;Other;;Video",
            f"a-4;{MD5[3].hex()};;;;;Other;strange;Image",
            f"a-5;{MD5[4].hex()};;;;;;;Image",
            f"a-6;{MD5[5].hex()};;;;;Other;compare;Image ",
        ]
    ).encode("iso-8859-1")
    rows = rows_of(data, mapping_from_toml(WHOLE))
    assert [type(row) for row in rows] == [Row, Row, LeftOut, Refused, Refused, Row]
    first, second, left, strange, nobody, last = rows
    assert isinstance(first, Row)
    listing = first.entry.listings[0]
    assert [(item.value, item.quality) for item in listing.hashes] == [(MD5[0], 87), (made_up(1), 87)]
    assert (first.entry.entry_id, listing.source, listing.role) == ("a-1", "Police", "alarm")
    assert dict(listing.labels) == {"tlp": "red", "note": "Stra\u00dfe", "uk": "A"}
    assert isinstance(second, Row)
    assert second.entry.listings[0].source == "Police/benign"
    assert (second.entry.role, dict(second.entry.listings[0].labels)) == ("benign", {"tlp": "red"})
    assert isinstance(last, Row)
    assert (last.entry.sources, last.entry.role) == (("Other/comparison",), "comparison")
    assert left == LeftOut(6)
    assert strange == Refused(7, "column kind: it tells no role that the mapping names")
    assert nobody == Refused(8, "column member: the source is missing")
    with ReferenceList.create(tmp_path / "list", name="demo") as ref:
        report = import_into(ref, rows)
    assert (report.rows, report.accepted, report.refused_count, report.left_out) == (6, 3, 2, 1)
    assert report.refused_share == pytest.approx(2 / 5)


def test_the_same_mapping_without_a_file() -> None:
    """Flags and code make what a file makes."""
    assert mapping_from_toml(WHOLE) == ColumnMapping(
        hashes={"md5": "md5", "pdq": HashColumn(algorithm="pdq", encoding="base64")},
        entry_id="Id",
        labels={"note": "note"},
        classes={"grade": "uk"},
        fixed={"tlp": "red"},
        quality="Q",
        source="made-up",
        source_column="Member",
        role_column="Kind",
        roles={"KNOWN GOOD": "benign", "": "alarm", "compare": "comparison"},
        where={"TYPE": "Image"},
        comments=("#", "//"),
        delimiter=";",
        encoding="latin-1",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hashes = {a = 'md5'}\ncolour = 1", r"unknown key 'colour' in the mapping file; allowed: hashes, entry_id,"),
        ("hashes = {a = {algoritm = 'md5'}}", r"unknown key 'algoritm' in .*hashes: a; allowed: algorithm, encoding"),
        ("hashes = {a = {algorithm = 'md5', encoding = 'hax'}}", "encoding must be one of hex, base64, base32"),
        ("hashes = {a = 7}", r"hashes: a must be text, not 7"),
        ("hashes = 'md5'", "hashes must be a table"),
        ("", "hashes is missing"),
        ("hashes = {}", "names no column of hashes"),
        ("hashes = {a = 'md6'}", "not a known algorithm; choose one of: pdq"),
        ("hashes = {a = 'md5'}\nrole = 'bad'", "role must be one of alarm, benign, comparison"),
        ("hashes = {a = 'md5'}\nroles = {x = 'alarm'}", "no role_column"),
        ("hashes = {a = 'md5'}\nrole_column = 'b'\nroles = {x = 'alert'}", "roles: x must be one of alarm"),
        ("hashes = {a = 'md5'}\nwhere = {b = 1}", "where: b must be text, not 1"),
        ("hashes = {a = 'md5'}\ncomments = ''", "comments must be a list"),
        ("hashes = {a = 'md5'}\ncomments = ['']", "cannot be empty"),
        ("hashes = {a = 'md5'}\nheader = 'no'", "header must be true or false"),
        ("hashes = {a = 'md5'}\nencoding = 'klingon'", "encoding"),
        ("hashes = {a = 'md5'}\ndelimiter = ';;'", "one character"),
        ("hashes = {a = 'md5', A = 'md5'}", "names a column twice"),
        ("hashes = {a = 'md5'}\nlabels = {b = 'x'}\nclasses = {c = 'x'}", "the same label name"),
        ("hashes = {a = 'md5'}\nsource_column = 'A'", "cannot be the source"),
        ("hashes = {a = 'md5'", r"is no TOML \(at line 1, column|is no TOML \(at end of document"),
        ("#" + "x" * 2**20, "at most"),
        ("a = " + "[" * 100_000, "no TOML"),
    ],
)
def test_a_mapping_file_is_read_strictly(text: str, said: str) -> None:
    """A key or value that means nothing stops the import, and the message says what is allowed."""
    with pytest.raises(ReferenceListError, match=said):
        mapping_from_toml(text)


def test_what_a_delivery_says_counts_more() -> None:
    """Source, role, labels, rows, delimiter and encoding beside a mapping."""
    mapping = ColumnMapping(hashes={"md5": "md5"}, source="file", fixed={"a": "1"}, where={"x": "1"}, delimiter=",")
    data = f"md5;x;y;who\n{MD5[0].hex()};1;2;\xe9\n{MD5[1].hex()};1;3;\xe9\n".encode("latin-1")

    def read(delivery: Delivery) -> list[object]:
        return list(reader_of(format_named("csv"), io.BytesIO(data), delivery))

    told = Delivery(
        mapping=mapping,
        role="comparison",
        labels={"b": "2"},
        where={"Y": "3"},
        delimiter=";",
        encoding="latin-1",
        source_column="WHO",
    )
    left, row = read(told)
    assert isinstance(row, Row)
    assert left == LeftOut(2)
    listing = row.entry.listings[0]
    assert (listing.source, listing.role, dict(listing.labels)) == ("\xe9", "comparison", {"a": "1", "b": "2"})
    _, second = read(Delivery(mapping=mapping, source="flag", delimiter=";"))
    assert isinstance(second, Row)
    assert second.entry.sources == ("flag",)
    with pytest.raises(ReferenceListError, match="'z'"):
        read(Delivery(mapping=mapping, where={"z": "1"}, delimiter=";"))


def test_a_row_that_was_not_asked_for_is_counted_and_costs_nothing(tmp_path: Path) -> None:
    """Rows left out are neither refused nor in the share of the refused; every good one asked for gets in."""
    data = "md5,type\n" + "".join(f"{value.hex()},{'a' if i < 2 else 'b'}\n" for i, value in enumerate(MD5))
    data += "bad,a\nbad,b\n"
    mapping = ColumnMapping(hashes={"md5": "md5"}, where={"type": "a"})
    with ReferenceList.create(tmp_path / "list", name="demo") as ref:
        with pytest.raises(HashFormatError, match="1 of 3 rows were refused"):
            import_into(ref, rows_of(data, mapping), max_refused_share=0.1)
        report = import_into(ref, rows_of(data, mapping))
        assert (report.rows, report.accepted, report.refused_count, report.left_out) == (11, 2, 1, 8)
        nothing = import_into(ref, rows_of(data, ColumnMapping(hashes={"md5": "md5"}, where={"type": "c"})))
        assert (nothing.took_nothing, nothing.left_out, nothing.refused_share) == (True, 11, 0)


@given(st.binary(min_size=20, max_size=20), st.sampled_from(["", "="]), st.sampled_from([" ", "\ufeff", '"']))
def test_base64_and_base32_by_declaration(data: bytes, padding: str, around: str) -> None:
    """Read as they stand, padded or not; and in lower case base64 is another hash, which nobody makes of it."""
    assume(data not in (bytes(20), b"\xff" * 20))
    for encoding, text in (("base64", base64.b64encode(data)), ("base32", base64.b32encode(data))):
        cell = around + text.decode().rstrip("=" if not padding else "") + around
        assert parse_cell(cell, "sha1", encoding).data == data  # type: ignore[arg-type]
    assert parse_cell(base64.b32encode(data).decode().lower(), "sha1", "base32").data == data


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (base64.b64encode(MD5[0].data).decode()[:-3] + "B==", "base64"),
        (base64.b64encode(MD5[0].data).decode()[:-4] + "==", "base64"),
        (base64.b64encode(MD5[0].data).decode()[:5] + "\n" + base64.b64encode(MD5[0].data).decode()[5:], "base64"),
        (base64.b64encode(MD5[0].data).decode()[:5] + "*" + base64.b64encode(MD5[0].data).decode()[5:], "base64"),
        (MD5[0].hex(), "base64"),
        (MD5[0].hex(), "base32"),
        ("\uff21" * 26, "base32"),
        ("\u0131" * 26, "base32"),
        ("=" * 24, "base64"),
        (base64.b32encode(MD5[0].data).decode()[:25] + "1======", "base32"),
        (base64.b32encode(MD5[0].data).decode()[:25] + "B======", "base32"),
    ],
)
def test_what_is_not_quite_base64_or_base32_is_refused(text: str, encoding: str) -> None:
    """Junk between, bits that say nothing, other lengths, letters of other scripts: no hash is made of them."""
    with pytest.raises(HashFormatError, match=f"this is no md5 hash in {encoding}") as caught:
        parse_cell(text, "md5", encoding)  # type: ignore[arg-type]
    assert text[:5] not in str(caught.value)


def test_the_digest_of_an_empty_file_is_refused_in_any_encoding() -> None:
    """How a hash is written changes nothing of what is refused."""
    empty = bytes.fromhex("d41d8cd98f00b204e9800998ecf8427e")
    for encoding, text in (("base64", base64.b64encode(empty)), ("base32", base64.b32encode(empty))):
        with pytest.raises(HashFormatError, match="empty file"):
            parse_cell(text.decode(), "md5", encoding)  # type: ignore[arg-type]


def test_photodna_in_decimal_numbers() -> None:
    """144 numbers from 0 to 255, one way of writing three."""
    value = made_up(0, "photodna")
    text = ",".join(map(str, value.data))
    mapping = ColumnMapping(hashes={"photodna": "photodna"})
    for said in (text, text.replace(",", ", ")):
        assert parse_cell(said, "photodna") == value
        (row,) = rows_of(f'photodna\n"{said}"\n', mapping)
        assert isinstance(row, Row)
        assert row.entry.hashes == (value,)
    numbers = text.split(",")
    for wrong in (
        ",".join([*numbers[:-1], "256"]),
        ",".join(numbers[:-1]),
        text + ",",
        text.replace(numbers[0], "\uff11", 1),
    ):
        with pytest.raises(HashFormatError):
            parse_cell(wrong, "photodna")


def test_comments_that_are_declared() -> None:
    """Only lines that begin so are no rows; none are where none begin so."""
    data = f"# id\nid,md5\n#1,{MD5[0].hex()}\n%2,{MD5[1].hex()}\n"
    shown = {
        None: ["#1", "%2"],
        ("%",): ["#1"],
        ("#", "%"): [],
    }
    for comments, ids in shown.items():
        rows = rows_of(data, ColumnMapping(hashes={"md5": "md5"}, entry_id="id", comments=comments))
        assert [row.entry.entry_id for row in rows if isinstance(row, Row)] == ids
        assert [row.line for row in rows if isinstance(row, Refused)] == ([1] if comments == ("%",) else [])
    bare = ColumnMapping(hashes={"2": "md5"}, entry_id="1", header=False, comments=())
    assert [type(row) for row in rows_of(data.partition("md5\n")[2], bare)] == [Row, Row]


def test_a_class_that_is_missing_is_no_class() -> None:
    """Marks of a missing value count as text in a label, and as nothing in a class."""
    mapping = ColumnMapping(hashes={"md5": "md5"}, labels={"note": "note"}, classes={"grade": "uk"})
    (row,) = rows_of(f"md5,note,grade\n{MD5[0].hex()},N/A,N/A\n", mapping)
    assert isinstance(row, Row)
    assert (dict(row.entry.listings[0].labels), row.flaws) == ({"note": "N/A"}, ())


def test_a_source_that_cannot_be_one_costs_its_row() -> None:
    """A source is a key; nothing is corrected, and no reason shows it."""
    mapping = ColumnMapping(hashes={"md5": "md5"}, source_column="who", role_column="role")
    for who in ("x" * 65, "a\tb", "x" * 60):
        (row,) = rows_of(f"md5,who,role\n{MD5[0].hex()},{who},benign\n", mapping)
        assert isinstance(row, Refused)
        assert who not in row.reason
