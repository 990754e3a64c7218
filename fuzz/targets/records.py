"""Keypoint records: `Record.from_bytes`.

Law: a `HashFormatError` that shows nothing, or a record whose byte form is the input to the byte.
"""

from __future__ import annotations

import argparse
import random
import struct
from typing import Final

from fuzz.engine import Case, Wrong, check_message
from fuzz.mutate import INTERESTING, mutated
from hashmatch.errors import HashFormatError
from hashmatch.keypoints.record import Record
from support.list_makers import made_up_record

__all__ = ["DESCRIPTION", "case_runner", "seeds"]

DESCRIPTION = "bytes -> keypoint Record.from_bytes"

_SIZES: Final = ((0, 0), (1, 0), (0, 3), (2, 2), (5, 9), (20, 4), (190, 9))
_FIELDS: Final = ((0, 1), (1, 1), (2, 2), (4, 2), (6, 4), (10, 4))


def seeds() -> list[bytes]:
    """Make records with and without points, fields and keys."""
    plain = [made_up_record(k, *size).data for k, size in enumerate(_SIZES)]
    keyed = [data[:1] + b"\1" + data[2:10] + b"keys" + data[14:] for data in plain]
    return plain + keyed


def case_runner(options: argparse.Namespace) -> Case:  # noqa: ARG001
    """Read one mutated record."""
    known = seeds()

    def case(rng: random.Random, number: int) -> str:  # noqa: ARG001
        seed = rng.choice(known)
        data = mutated(seed, rng, known, (_change_header, _change_header, _change_field))
        if rng.random() < 0.3:
            data = _announced(data)
        try:
            record = Record.from_bytes(data)
        except HashFormatError as error:
            check_message(error)
            return "refused"
        if record.to_bytes() != data:
            raise Wrong("what was read is written differently")
        repr(record)
        return "read"

    return case


def _change_header(data: bytearray, rng: random.Random, _: object) -> None:
    at, width = rng.choice(_FIELDS)
    if at + width <= len(data):
        data[at : at + width] = (rng.choice(INTERESTING) % 2 ** (8 * width)).to_bytes(width, "little")
        if at == 6 and rng.random() < 0.7:
            width_px = rng.choice((1.0, 0.5, 262144.0, 262145.0, 3.7e4, 700.123, 1.0000001, 1e-40))
            struct.pack_into("<f", data, 6, width_px)


def _change_field(data: bytearray, rng: random.Random, _: object) -> None:
    """Change the grid of the field, which is behind the points."""
    if len(data) >= 14:
        count = int.from_bytes(data[2:4], "little")
        at = 14 + 20 * count + rng.randrange(2)
        if at < len(data):
            data[at] = rng.choice((0, 1, 2, 3, 8, 9, 16, 17, 24, 25, 255))


def _announced(data: bytes) -> bytes:
    """Write the number of points, or the length of the field, so that the length fits."""
    if len(data) < 14:
        return data
    count = min(int.from_bytes(data[2:4], "little"), (len(data) - 14) // 20)
    field = len(data) - 14 - 20 * count
    return data[:2] + count.to_bytes(2, "little") + (field % 65536).to_bytes(2, "little") + data[6:]
