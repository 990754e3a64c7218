"""Delivered lists: `read_text` and `read_table`.

Law: every line becomes a `Row` or a `Refused` whose reason shows nothing, in order, or a typed error stops the file;
what was accepted reads back equal when it is written out again. A share goes into a list, which then verifies.
"""

from __future__ import annotations

import argparse
import base64
import io
import random
import tempfile
from pathlib import Path
from typing import Final

from fuzz.engine import Case, Wrong, check_message
from fuzz.mutate import mutated
from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists import ReferenceList
from hashmatch.lists.formats import ColumnMapping, Refused, Row, import_into, read_table, read_text
from support.list_makers import made_up

__all__ = ["DESCRIPTION", "case_runner"]

DESCRIPTION = "delivered lists -> read_text, read_table, import_into"

_IMPORT_ONE_OF: Final = 400
_ENCODINGS: Final = (
    None,
    None,
    None,
    "utf-8",
    "utf-16",
    "utf-32",
    "utf-7",
    "latin-1",
    "ascii",
    "cp1252",
    "idna",
    "shift_jis",
    "hz",
)
_MAPPINGS: Final = (
    ColumnMapping(hashes={"pdq": "pdq", "md5": "md5"}, entry_id="id", labels={"class": "class"}, quality="quality"),
    ColumnMapping(hashes={"md5": "md5"}),
    ColumnMapping(hashes={"photodna": "photodna"}, labels={"note": "note"}, source="fuzz"),
    ColumnMapping(hashes={"1": "pdq", "2": "sha256"}, header=False),
)


def _texts() -> list[bytes]:
    values = [made_up(k, name) for k in range(3) for name in ALGORITHMS]
    plain = "\n".join(["# a list", *map(str, values), ""]).encode()
    sums = "\n".join(f"{made_up(k, 'md5').hex()}  holiday {k}.jpg" for k in range(9)).encode()
    return [
        plain,
        sums,
        plain.decode().encode("utf-16"),
        sums.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + sums,
        b"\n\n#\n",
    ]


def _tables() -> list[bytes]:
    rows = [
        (f"a-{k}", str(made_up(k)), made_up(k, "md5").hex().upper(), k * 10, f'class "{k}"', "x, y\nz")
        for k in range(8)
    ]
    out = []
    for mark in ",;\t|":
        lines = [mark.join(("id", "pdq", "md5", "quality", "class", "note"))]
        for row in rows:
            cells = [str(cell) for cell in row]
            cells[4:] = [f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in cells[4:]]
            lines.append(mark.join(cells))
        out.append("\n".join(lines).encode())
    photodna = [base64.b64encode(made_up(k, "photodna").data).decode() for k in range(4)]
    out.append(b"photodna,note\n" + "\n".join(f"{text},n{k}" for k, text in enumerate(photodna)).encode())
    bare = "\r\n".join(f"{made_up(k).hex()},{made_up(k, 'sha256').hex()}" for k in range(6))
    return [*out, bare.encode(), out[0].decode().encode("utf-16")]


_PIECES: Final = (
    *(bytes([letter]) for letter in b'\n\r,;"\t|#:\\\0\x1c\xff '),
    *(b"\r\n", b'""', b"pdq:", b"md5", b"100", b"-1"),
    *(b"sep=;\n", b"MD5 (a) = ", b"N/A", b"NULL", b"87.0", b"0x", b'"\n'),
    *(b"\xff\xfe", b"\xe2\x80\x8b", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"\xf0\x9f\x98\x80"),
)


def _insert_piece(data: bytearray, rng: random.Random, _: object) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.choice(_PIECES) * rng.choice((1, 1, 1, 2, 40))


def _change_line(data: bytearray, rng: random.Random, _: object) -> None:
    """Drop, double, move or lengthen a line."""
    lines = bytes(data).split(b"\n")
    at = rng.randrange(len(lines))
    kind = rng.randrange(4)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines[at:at] = [lines[at]] * rng.choice((1, 3, 40))
    elif kind == 2:
        lines.insert(rng.randrange(len(lines)), lines.pop(at))
    else:
        lines[at] += bytes((rng.choice(b'a0,"'),)) * rng.choice((10, 1000, 66_000))
    data[:] = b"\n".join(lines)


def case_runner(options: argparse.Namespace) -> Case:  # noqa: ARG001
    """Read one mutated file."""
    texts, tables = _texts(), _tables()
    special = (_insert_piece, _insert_piece, _change_line)

    def case(rng: random.Random, number: int) -> str:
        table = number % 2 == 1
        known = tables if table else texts
        data = mutated(rng.choice(known), rng, known, special, most=200_000)
        encoding = rng.choice(_ENCODINGS)
        stream = _Slow(data, rng) if rng.random() < 0.2 else io.BytesIO(data)
        try:
            if table:
                reader = read_table(
                    stream, rng.choice(_MAPPINGS), delimiter=rng.choice((None, None, ",", ";")), encoding=encoding
                )
            else:
                reader = read_text(stream, rng.choice((None, "pdq", "md5", "photodna")), encoding=encoding)
            items = list(reader)
        except (ReferenceListError, HashFormatError) as error:
            check_message(error)
            return "file refused"
        last = 0
        rows = []
        for item in items:
            if (
                item.line < last + (1 if isinstance(item, Row) else 0)
                or item.line > data.count(b"\n") + data.count(b"\r") + 1
            ):
                raise Wrong("line numbers do not rise, or are of no line")
            last = item.line
            if isinstance(item, Refused):
                check_message(ReferenceListError(item.reason))
            else:
                rows.append(item)
                for flaw in item.flaws:
                    check_message(ReferenceListError(str(flaw)))
                for listing in item.entry.listings:
                    for listed in listing.hashes:
                        if HashValue.parse(str(listed.value)) != listed.value:
                            raise Wrong("an accepted hash does not read back")
        if rng.randrange(_IMPORT_ONE_OF) == 0:
            _import(items)
        return f"rows {'and refused' if len(rows) < len(items) else 'only'}" if rows else "nothing accepted"

    return case


class _Slow(io.BytesIO):
    """A stream that gives less than it is asked for, as a pipe does."""

    def __init__(self, data: bytes, rng: random.Random) -> None:
        super().__init__(data)
        self._rng = rng

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self._rng.randrange(1, 50) if size != 0 else 0)


def _import(items: list[Row | Refused]) -> None:
    """Take the rows into a list: counts agree, it verifies, and a second time changes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        with ReferenceList.create(Path(folder) / "list", name="fuzz") as ref:
            first = import_into(ref, items)
            second = import_into(ref, items)
            if first.rows != len(items) or first.rows != first.accepted + first.duplicates + first.refused_count:
                raise Wrong("the counts of the import do not add up")
            if (first.flawed, first.columns) != (second.flawed, second.columns):
                raise Wrong("the same rows had other flaws a second time")
            if second.accepted or second.version != first.version:
                raise Wrong("the second import changed the list")
        with ReferenceList.open(Path(folder) / "list", check="full") as ref:
            if len(ref) != first.new_entries:
                raise Wrong("the list has another number of entries than the import said")
