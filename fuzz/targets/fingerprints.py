"""Byte forms of fingerprints and hashes.

Law: a `HashFormatError` that shows nothing, or a value whose byte form is the input to the byte: nothing is read twice
in two ways and nothing is hidden in it.
"""

from __future__ import annotations

import argparse
import random
import struct
from typing import Final

from fuzz.engine import Case, Wrong, check_message
from fuzz.mutate import INTERESTING, mutated
from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import HashFormatError
from hashmatch.hashes import Fingerprint, HashValue, ViewHash
from hashmatch.view import Background, Margins, Shrink, Turn, View

__all__ = ["DESCRIPTION", "case_runner", "seeds"]

DESCRIPTION = "byte form -> Fingerprint.from_bytes and HashValue.from_bytes"

_NAMES: Final = tuple(ALGORITHMS)


def seeds(seed: int = 1, count: int = 60) -> list[bytes]:
    """Byte forms of fingerprints with views of every kind."""
    rng = random.Random(seed)
    return [Fingerprint(tuple(_view_hash(rng, k % 3) for _ in range(k % 6))).to_bytes() for k in range(count)]


def _view_hash(rng: random.Random, kind: int) -> ViewHash:
    name = rng.choice(_NAMES)
    algorithm = ALGORITHMS[name]
    size = algorithm.n_bytes if algorithm.n_bits else rng.choice((1, 30, 400))
    view = View(frame=rng.choice((0, 1, 7)), background=rng.choice(list(Background)), turn=rng.choice(list(Turn)))
    if kind:
        shares = [rng.choice((0, 0, 25, 100, 333)) for _ in range(8)]
        view = View(
            frame=view.frame,
            trim=Margins.of(shares[:4]),
            cut=Margins.of(shares[4:]),
            tilt=rng.choice((0.0, 1.25, -3.5)),
            shrink=rng.choice(list(Shrink)),
        )
    return ViewHash(value=HashValue(name, rng.randbytes(size)), quality=rng.choice((None, 0, 50, 100)), view=view)


def case_runner(options: argparse.Namespace) -> Case:  # noqa: ARG001
    """Read one mutated byte form."""
    known = seeds()
    values = [view.value.to_bytes() for data in known for view in Fingerprint.from_bytes(data).view_hashes]
    special = (_change_view,)

    def case(rng: random.Random, number: int) -> str:
        if number % 3 == 0:
            data = mutated(rng.choice(values), rng, values)
            kind: type[HashValue] | type[Fingerprint] = HashValue
        else:
            data = mutated(rng.choice(known), rng, known, special)
            kind = Fingerprint
        given = data if rng.random() < 0.9 else bytearray(data)
        try:
            found = kind.from_bytes(given)  # type: ignore[arg-type]
        except HashFormatError as error:
            check_message(error)
            return f"{kind.__name__} refused"
        if found.to_bytes() != data:
            raise Wrong("what was read is written differently")
        if kind.from_bytes(found.to_bytes()) != found:
            raise Wrong("what was read does not read back")
        repr(found)
        return f"{kind.__name__} read"

    return case


def _change_view(data: bytearray, rng: random.Random, _: object) -> None:
    """Change a number where a view keeps it."""
    at = rng.choice((0, 3, 4, 8, 12, 13, 14, 15, 16, *range(16, 34, 2), 34))
    width = rng.choice((1, 2, 4))
    if at + width <= len(data):
        number = rng.choice(INTERESTING) % 2 ** (8 * width)
        struct.pack_into({1: "<B", 2: "<H", 4: "<I"}[width], data, at, number)
