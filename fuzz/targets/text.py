"""Hash text: `HashValue.parse`.

Law: a `HashFormatError` that shows nothing, or a value whose text is the input's in lower case and reads back equal.
"""

from __future__ import annotations

import argparse
import random
from typing import Final

from fuzz.engine import Case, Wrong, check_message
from fuzz.mutate import INTERESTING
from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import HashFormatError
from hashmatch.hashes import HashValue

__all__ = ["DESCRIPTION", "case_runner"]

DESCRIPTION = "hash text -> HashValue.parse"

_NAMES: Final = tuple(ALGORITHMS)
_ODD: Final = (
    *("", ":", "::", " ", "\t", "\n", "\0", "x", "-", "_", "+", "0x", "g", "=", ","),
    *("é", "٣", "\N{FULLWIDTH LATIN CAPITAL LETTER A}", "\ud800", "\N{REPLACEMENT CHARACTER}", "ß"),
    *("\N{ZERO WIDTH SPACE}", "\N{KELVIN SIGN}", "\N{LATIN SMALL LETTER DOTLESS I}"),
    *("pdq", "PDQ", "pdq:", "sha256:", "keypoint:", "None"),
)


def case_runner(options: argparse.Namespace) -> Case:  # noqa: ARG001
    """Parse one text."""

    def case(rng: random.Random, number: int) -> str:  # noqa: ARG001
        name = rng.choice(_NAMES)
        algorithm = ALGORITHMS[name]
        size = algorithm.n_bytes if algorithm.n_bits else rng.choice((1, 2, 19, 40, 100, 4095, 4096, 4097))
        digits = rng.randbytes(size).hex()
        if rng.random() < 0.3:
            digits = digits.upper()
        text = rng.choice((f"{name}:{digits}", digits, f"{name.upper()}:{digits}", f" {name}:{digits}\n"))
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
            text = _changed(text, rng)
        asked = rng.choice((None, None, name, rng.choice(_NAMES)))
        try:
            value = HashValue.parse(text, algorithm=asked)
        except HashFormatError as error:
            check_message(error)
            return "refused"
        if asked is not None and value.algorithm != asked:
            raise Wrong("another algorithm than asked for")
        plain = text.strip().lower()
        if str(value) != (plain if ":" in plain else f"{asked}:{plain}"):
            raise Wrong("the text of the value is not what was read")
        if HashValue.parse(str(value)) != value or HashValue.from_bytes(value.to_bytes()) != value:
            raise Wrong("the value does not read back")
        return "read"

    return case


def _changed(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    kind = rng.randrange(6)
    if kind == 0:
        return text[:at] + rng.choice(_ODD) + text[at:]
    if kind == 1:
        return text[:at] + rng.choice(_ODD) + text[at + 1 :]
    if kind == 2:
        return text[:at] + text[at + rng.choice((1, 2, 8)) :]
    if kind == 3:
        return text[:at] + text[: rng.choice((1, 2, 8))] + text[at:]
    if kind == 4:
        return text[:at]
    return text[:at] + chr(rng.choice((*INTERESTING[:34], rng.randrange(0x3000))) % 0x110000) + text[at + 1 :]
