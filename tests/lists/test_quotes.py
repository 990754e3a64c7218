"""Quotes of tables: records of several lines are read, and no stray quote swallows a row."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.lists import Entry
from hashmatch.lists.formats import ColumnMapping, Refused, Row, read_table
from support.list_makers import made_up

PDQ = [made_up(i).hex() for i in range(40)]
MAPPING = ColumnMapping(hashes={"pdq": "pdq"}, entry_id="id", labels={"note": "note"})
FIRST = ColumnMapping(hashes={"pdq": "pdq"}, entry_id="id")


def table(text: str, mapping: ColumnMapping = MAPPING) -> list[Row | Refused]:
    """Read a table."""
    return list(read_table(io.BytesIO(text.encode()), mapping))


def ids(rows: list[Row | Refused]) -> list[str]:
    """Ids of the good rows."""
    return [row.entry.entry_id for row in rows if isinstance(row, Row)]


@pytest.mark.parametrize("between", [0, 1, 5, 30, 40])
@pytest.mark.parametrize("quoted", [False, True])
def test_a_stray_quote_swallows_nothing(between: int, quoted: bool) -> None:
    """Two quotes that nobody meant, some rows apart: every row gets in, and the span of lines is told."""
    cells = [[f"a-{i}", PDQ[i % 40], f"note {i}"] for i in range(between + 4)]
    lines = [",".join(f'"{cell}"' if quoted else cell for cell in row) for row in cells]
    lines[1] = f'a-1,{PDQ[1]},"open'
    lines[between + 2] = f'a-{between + 2},{PDQ[(between + 2) % 40]},closed"'
    rows = table("\n".join(["id,pdq,note", *lines]))
    assert ids(rows) == [f"a-{i}" for i in range(between + 4)]
    flaws = [flaw for row in rows if isinstance(row, Row) for flaw in row.flaws]
    assert flaws[0].line == 3
    assert {flaw.kind for flaw in flaws} == {"misquoted", "left out"}
    if between < 30 and not quoted:
        assert f"lines 3 to {between + 4}" in flaws[0].reason
    labels = {row.entry.entry_id: row.entry.labels["local"] for row in rows if isinstance(row, Row)}
    assert labels["a-0"] == {"note": "note 0"}
    assert labels["a-1"] == {}


@pytest.mark.parametrize(
    "record",
    [
        f'a-1,{PDQ[1]},"two\nlines"',
        f'a-1,{PDQ[1]},"two\nlines, with ""quotes"" and\n\n, commas"',
        f'"a-1","{PDQ[1]}","\nfirst\n"',
    ],
)
def test_records_of_several_lines_are_read(record: str) -> None:
    """Quotes that are right are believed, whatever column they are in."""
    rows = table(f"id,pdq,note\n{record}\na-2,{PDQ[2]},x\n")
    assert ids(rows) == ["a-1", "a-2"]
    assert not any(row.flaws for row in rows if isinstance(row, Row))
    note_first = f'note,id,pdq\n"two\nlines, here",a-1,{PDQ[1]}\n"three\n,{PDQ[3]},\nlines",a-2,{PDQ[2]}\n'
    assert ids(table(note_first, FIRST)) == ids(table(note_first)) == ["a-1", "a-2"]


def test_a_refused_record_names_its_lines() -> None:
    """A record of several lines that is no good row is refused with all of them, and swallows no good one."""
    rows = table(f'id,pdq,note\na-1,bad,"two\nlines"\na-2,{PDQ[2]},x\n')
    assert [row.line for row in rows] == [2, 4]
    assert isinstance(rows[0], Refused)
    assert "lines 2 to 3" in rows[0].reason
    rows = table(f'id,pdq,note\na-1,bad,"open\na-2,{PDQ[2]},x\na-3,{PDQ[3]},close"\n')
    assert ids(rows) == ["a-2", "a-3"]


def test_quotes_within_quotes_that_were_not_doubled() -> None:
    """The row is read without regard to its quotes where it then has all its fields, and else refused."""
    rows = table(f'id,pdq,note\n"a-1","{PDQ[1]}","a "b" c"\n"a-2","{PDQ[2]}","a "b", c"\n"a-3","{PDQ[3]}","x"\n')
    assert [row.line if isinstance(row, Row) else -row.line for row in rows] == [2, -3, 4]
    assert isinstance(rows[0], Row)
    assert rows[0].entry == Entry.of("a-1", hashes=[made_up(1)])
    (row,) = table(f'id,pdq,note\n"a-1"x,{PDQ[1]},y\n')
    assert isinstance(row, Refused)


def test_quotes_escaped_by_a_backslash() -> None:
    """Databases write them; a folder's name that ends with a backslash is none."""
    note = 'a \\"b\\", c'
    rows = table(f'id,pdq,note\na-1,{PDQ[1]},"{note}"\na-2,{PDQ[2]},"C:\\pictures\\"\n"a-3", "{PDQ[3]}", "x"\n')
    assert ids(rows) == ["a-1", "a-2", "a-3"]
    labels = [row.entry.labels["local"]["note"] for row in rows if isinstance(row, Row)]
    assert labels == ['a "b", c', "C:\\pictures\\", "x"]
    assert not any(row.flaws for row in rows if isinstance(row, Row))


@given(st.lists(st.sampled_from(['"', ",", "x", "\n", f"a-1,{PDQ[1]},n", f'"a-2","{PDQ[2]}","n"']), max_size=40))
def test_every_good_line_without_quotes_gets_in(parts: list[str]) -> None:
    """Whatever quotes stand around it, a line that is a good row by itself is not lost to one that is not."""
    text = "".join(parts)
    rows = table("id,pdq,note\n" + text)
    spans = [row for row in rows if isinstance(row, Row) and "\n" in row.entry.labels["local"].get("note", "")]
    alone = text.split("\n").count(f"a-1,{PDQ[1]},n")
    if not spans:
        assert ids(rows).count("a-1") >= alone
