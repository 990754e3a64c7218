"""Our own table, read back from people's hands: what was changed costs itself."""

from __future__ import annotations

import io

import pytest

from hashmatch.errors import HashFormatError
from hashmatch.lists.formats import Delivery, Refused, Upsert, format_named, reader_of, recognised
from support.list_makers import made_up

HEADER = "entry_id,source,role,hash,quality,labels"
HASH = str(made_up(1))


def read(*rows: str, **said: object) -> list[Upsert | Refused]:
    """Read a table of these rows."""
    data = "\n".join([HEADER, *rows]).encode()
    return list(reader_of(format_named("hashmatch-csv"), io.BytesIO(data), Delivery(**said)))  # type: ignore[arg-type]


def test_it_is_recognised_by_its_columns() -> None:
    """And nothing else is, nor read as it."""
    for head in (HEADER, "\ufeff" + HEADER, HEADER + "\r"):
        found = recognised((head + "\na,b").encode())
        assert found is not None
        assert found.name == "hashmatch-csv"
    assert recognised(b"entry_id,source,role,hash\n") is None
    with pytest.raises(HashFormatError, match="no table that hashmatch wrote"):
        list(reader_of(format_named("hashmatch-csv"), io.BytesIO(b"a,b\n"), Delivery()))


def test_a_row_keeps_its_source_and_role_unless_others_are_named() -> None:
    """A named source lists those of another role under its own name with the role."""
    rows = [f"a,x,alarm,{HASH},7,", f"b,x/benign,benign,{HASH},,"]

    def found(**said: object) -> list[tuple[str, str]]:
        return [
            (item.entry.listings[0].source, item.entry.listings[0].role)
            for item in read(*rows, **said)
            if isinstance(item, Upsert)
        ]

    assert found() == [("x", "alarm"), ("x/benign", "benign")]
    assert found(source="me") == [("me", "alarm"), ("me/benign", "benign")]
    assert found(source="me", role="comparison") == [("me", "comparison"), ("me", "comparison")]
    (row,) = read(rows[0], labels={"batch": "3"})
    assert isinstance(row, Upsert)
    assert row.entry.labels == {"x": {"batch": "3"}}
    assert row.entry.listings[0].hashes[0].quality == 7


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"a,x,alarm,{HASH},", "5 fields"),
        (f"a,x,ALARM,{HASH},,", "a role is one of"),
        ("a,x,alarm,pdq:12,,", "64 hexadecimal digits"),
        (f"a,x,alarm,{made_up(1).hex()},,", "algorithm"),
        (f"a,x,alarm,{HASH},200,", "quality"),
        (f",x,alarm,{HASH},,", "entry id"),
        (f"a\ufffd,x,alarm,{HASH},,", "encoding"),
        (f'a"b,"x"y,alarm,{HASH},,', "quotes"),
        (f"a,x,alarm,{HASH},,{'y' * 70_000}", "more than"),
    ],
)
def test_a_bad_row_costs_itself(row: str, reason: str) -> None:
    """And its reason does not show it."""
    before, bad, after = read(f"a,x,alarm,{HASH},,", row, f"c,x,alarm,{HASH},,")
    assert isinstance(before, Upsert)
    assert isinstance(after, Upsert)
    assert isinstance(bad, Refused)
    assert bad.line == 3
    assert reason in bad.reason
    assert made_up(1).hex()[:16] not in bad.reason


@pytest.mark.parametrize(
    ("cell", "kept", "lost"),
    [
        ('{"a": "b"}', {"a": "b"}, 0),
        ('{"a": "b", "c": 1, "": "x"}', {"a": "b"}, 2),
        ("[1]", {}, 1),
        ("{", {}, 1),
        ("[" * 60_000, {}, 1),
        ("{" + ", ".join(f'"{k}": "v"' for k in range(70)) + "}", {str(k): "v" for k in range(64)}, 6),
    ],
)
def test_a_bad_label_costs_itself(cell: str, kept: dict[str, str], lost: int) -> None:
    """Never the hash."""
    quoted = cell.replace('"', '""')
    (row,) = read(f'a,x,alarm,{HASH},,"{quoted}"')
    assert isinstance(row, Upsert)
    assert row.entry.labels == {"x": kept}
    assert len(row.flaws) == lost
