"""INTERPOL's ICSE export: rows of any number of fields, the ZZ40 that looks like an MD5, and what is never kept."""

from __future__ import annotations

import hashlib
import io
import sqlite3
from pathlib import Path

import pytest

from hashmatch.errors import HashFormatError
from hashmatch.lists import ReferenceList
from hashmatch.lists.formats import (
    Delivery,
    Operation,
    Refused,
    Upsert,
    format_named,
    import_into,
    reader_of,
    recognised,
)

SAMPLE = (Path(__file__).parents[2] / "golden" / "formats" / "icse.csv").read_bytes()
HEADER, FIRST, *_ = SAMPLE.decode("utf-8-sig").split("\r\n")


def read(data: bytes | str, **more: str) -> list[Operation]:
    """Read a delivery."""
    stream = io.BytesIO(data if isinstance(data, bytes) else data.encode())
    return list(reader_of(format_named("icse"), stream, Delivery(source="icse", **more)))  # type: ignore[arg-type]


def made_up(name: str, number: int, size: int) -> bytes:
    """Make the hash of the sample again."""
    return hashlib.shake_256(f"made up {name} {number}".encode()).digest(size)


def labels(operation: Operation) -> dict[str, str]:
    """Labels of what was listed."""
    assert isinstance(operation, Upsert)
    (listing,) = operation.entry.listings
    assert (listing.source, listing.role) == ("icse", "alarm")
    return dict(listing.labels)


FLAGS = {"distributed": "no", "victim-identified": "yes", "offender-identified": "no"}


def test_the_sample() -> None:
    """A semicolon too many in a name moves nothing; where fields are missing only what is certain is taken."""
    found = read(SAMPLE)
    assert [type(item) for item in found] == [Upsert] * 5 + [Refused] * 2 + [Upsert]
    good = [item for item in found if isinstance(item, Upsert)]
    assert [item.entry.entry_id for item in good] == [f"icse-{number}" for number in (1, 2, 3, 4, 5, 8)]
    for number, item in zip((1, 2, 3, 4, 5, 8), good, strict=True):
        assert {value.algorithm: value.data for value in item.entry.hashes} == {
            name: made_up(name, number, size) for name, size in (("md5", 16), ("sha1", 20), ("photodna", 144))
        }
    assert labels(good[0]) == FLAGS | {"interpol-baseline": "yes"}
    for item in good[1], good[2], good[4]:
        assert labels(item) == FLAGS | {"interpol-baseline": "no"}
        assert not item.flaws
    assert (labels(good[3]), [flaw.column for flaw in good[3].flaws]) == ({}, ["baseline"])
    assert (labels(good[5]), [flaw.column for flaw in good[5].flaws]) == (FLAGS, ["baseline"])


def test_a_zz40_is_never_taken_for_an_md5() -> None:
    """Where the columns before it are missing, it stands where the MD5 should."""
    for operation in read(SAMPLE):
        if isinstance(operation, Upsert):
            stored = {value.data for value in operation.entry.hashes}
            assert not stored & {made_up("zz40", number, 16) for number in range(9)}
    rest = ";".join(FIRST.split(";")[2:])
    (found,) = read(f"{HEADER}\n{rest}\n")
    assert isinstance(found, Refused)
    assert "ZZ40" in found.reason
    (found,) = read(f"{HEADER}\n{FIRST.upper()}\n")
    assert isinstance(found, Upsert)


def test_nothing_else_is_kept(tmp_path: Path) -> None:
    """No name of a series, an investigation or an agency gets into the list or a report."""
    with ReferenceList.create(tmp_path / "list", name="list") as ref:
        report = import_into(ref, read(SAMPLE))
        assert (report.rows, report.accepted, report.refused_count, report.flawed) == (8, 6, 2, 2)
        text = repr(report)
    with sqlite3.connect(tmp_path / "list") as connection:
        text += "\n".join(connection.iterdump())
    connection.close()
    for secret in ("series", "semicolon", "Case", "EX'", "Image", "Video"):
        assert secret not in text


def test_a_file_cut_within_a_row_fails() -> None:
    """Wherever its last row ends; with its last value in full it may lack the line end."""
    whole = f"{HEADER}\n{FIRST.replace(';1;N', ';2;N')}\n{FIRST}"
    for end in range(1, len(FIRST)):
        with pytest.raises(HashFormatError, match="cut short"):
            read(whole[:-end])
    assert len(read(whole)) == len(read(whole + "\n")) == 2


@pytest.mark.parametrize("data", ["", "\n\n", "a;b;c\n1;2;3\n", "MD5;MD5\n1;2\n", "x" * 70_000, "MD5,SHA1\n"])
def test_what_is_no_export_fails(data: str) -> None:
    """A table without the columns is none."""
    with pytest.raises(HashFormatError):
        read(data)


def test_columns_may_have_any_order_case_and_encoding() -> None:
    """They are found by their names."""
    names, cells = HEADER.split(";"), FIRST.split(";")
    text = f"{';'.join(reversed(names)).upper()}\n{';'.join(reversed(cells))}\n"
    for data in (text.encode(), text.encode("utf-16")):
        (found,) = read(data)
        assert labels(found) == FLAGS | {"interpol-baseline": "yes"}
    (found,) = read(f"MD5;Agency\n{cells[0]};\xe4\n".encode("latin-1"), encoding="latin-1")
    assert isinstance(found, Upsert)
    assert found.entry.entry_id.startswith("md5-")


def test_fields_are_bounded() -> None:
    """A line without end is refused, and so is a record whose quote nobody closed; the next is read."""
    (one, two) = read(f"{HEADER}\n{FIRST};{'x' * 70_000}\n{FIRST}\n")
    assert isinstance(one, Refused)
    assert isinstance(two, Upsert)
    cells = FIRST.split(";")
    cells[9] = '"open'
    found = read(f"{HEADER}\n{';'.join(cells)}\n{FIRST}\n")
    assert [type(item) for item in found] == [Upsert, Upsert]


@pytest.mark.parametrize(
    ("cell", "entry_id"),
    [
        ("77", "icse-77"),
        (" 77 ", "icse-77"),
        ("", None),
        ("N", None),
        ("\uff11", None),
        ("00112233445566778899AABBCCDDEEFF", None),
        ("00112233-4455-6677-8899-aabbccddeeff", "icse-00112233-4455-6677-8899-aabbccddeeff"),
    ],
)
def test_ids(cell: str, entry_id: str | None) -> None:
    """An id is shown in reports, so nothing that may be a hash or a name is one."""
    cells = FIRST.split(";")
    cells[5] = cell
    (found,) = read(f"{HEADER}\n{';'.join(cells)}\n")
    assert isinstance(found, Upsert)
    assert found.entry.entry_id == (entry_id or found.entry.entry_id)
    assert found.entry.entry_id.startswith("icse-" if entry_id else "md5-")
    assert bool(found.flaws) == (entry_id is None and cell != "")


def test_recognition() -> None:
    """By columns that no other table has."""
    found = recognised(SAMPLE[:4_096])
    assert found is not None
    assert found.name == "icse"
    assert recognised(SAMPLE.decode("utf-8-sig").encode("utf-16")[:4_096]) is found
    assert recognised(b"md5;sha1;id\n") is None
