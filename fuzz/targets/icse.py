"""Deliveries of ICSE: `read` of the format ``icse``.

Law: every row becomes an operation or a refused row that shows nothing, in order, or a typed error stops the file; what
is taken stands in the file, and no name is kept.
"""

from __future__ import annotations

import argparse
import base64
import io
import random
from pathlib import Path
from typing import Final

from fuzz.engine import Case, Wrong, check_message
from fuzz.mutate import mutated
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists.formats import Delivery, Refused, format_named, reader_of
from hashmatch.lists.formats.cells import visible

__all__ = ["DESCRIPTION", "case_runner"]

DESCRIPTION = "deliveries of ICSE -> the format icse"

_SAMPLE: Final = Path(__file__).parents[2] / "tests" / "golden" / "formats" / "icse.csv"
_PIECES: Final = (
    *(bytes([letter]) for letter in b'\n\r;"\t,\\\0\xff '),
    *(b";;", b'""', b'";', b"\r\n", b"Yes", b"N/A", b"-1", b"0x", b"1", b"\xef\xbb\xbf", b"\xff\xfe", b"x" * 70_000),
)


def _insert_piece(data: bytearray, rng: random.Random, _: object) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.choice(_PIECES)


def _change_field(data: bytearray, rng: random.Random, _: object) -> None:
    """Drop, double or move a field or a line."""
    mark = rng.choice((b";", b"\n"))
    parts = bytes(data).split(mark)
    at = rng.randrange(len(parts))
    part = parts.pop(at) if rng.random() < 0.6 else parts[at]
    if rng.random() < 0.6:
        parts.insert(rng.randrange(len(parts) + 1), part)
    data[:] = mark.join(parts)


def case_runner(options: argparse.Namespace) -> Case:  # noqa: ARG001
    """Read one mutated file."""
    sample = _SAMPLE.read_bytes()
    known = [sample, sample.decode("utf-8-sig").encode("utf-16"), b"\n".join(sample.split(b"\r\n")[:3])]
    kind = format_named("icse")
    deliveries = [Delivery(), Delivery(), Delivery(encoding="latin-1"), Delivery(encoding="utf-8")]

    def case(rng: random.Random, _: int) -> str:
        data = mutated(rng.choice(known), rng, known, (_insert_piece, _change_field, _change_field), most=200_000)
        delivery = rng.choice(deliveries)
        try:
            items = list(reader_of(kind, io.BytesIO(data), delivery))
        except (ReferenceListError, HashFormatError) as error:
            check_message(error)
            return "file refused"
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff") and delivery.encoding is None
        text = visible(data.decode("utf-16" if wide else delivery.encoding or "utf-8", "replace"))
        there = text.lower()
        last = n_taken = 0
        for item in items:
            if isinstance(item, Refused):
                check_message(ReferenceListError(item.reason))
            else:
                n_taken += 1
                for flaw in item.flaws:
                    check_message(ReferenceListError(str(flaw)))
                for value in item.entry.hashes:
                    if value.hex() not in there and base64.b64encode(value.data).decode() not in text:
                        raise Wrong("a hash was taken that does not stand in the file")
                if "eries" in item.entry.entry_id or "eries" in str(item.entry.labels):
                    raise Wrong("a name was kept")
            if item.line < last:
                raise Wrong("the rows are not in order")
            last = item.line
        return f"rows {'and refused' if n_taken < len(items) else 'only'}" if n_taken else "nothing accepted"

    return case
