"""Seeded mutations of bytes: what any format can suffer. What knows a format is in `formats`."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

__all__ = ["INTERESTING", "Mutation", "mutated", "some_bytes"]

Mutation = Callable[[bytearray, random.Random, Sequence[bytes]], None]
"""Changes the bytes in place; may take parts of other files."""

INTERESTING: Final = tuple(
    sorted({0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 63, 64, 65, 100, 127, 128, 129, 254, 255, 256, 257, 511, 512,
            1023, 1024, 4095, 4096, 4097, 32767, 32768, 65534, 65535, 65536, 2**24 - 1, 2**24, 2**31 - 1, 2**31,
            2**31 + 1, 2**32 - 1, 2**32, 2**48, 2**62, 2**63 - 1, 2**63, 2**64 - 1})
)  # fmt: skip
"""Numbers at the edges of types, tables and limits."""

_LONGEST_BLOCK: Final = 512


def _flip_bit(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set_byte(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, rng.randrange(256)))


def _set_number(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    width = rng.choice((1, 2, 2, 4, 4, 8))
    if len(data) >= width:
        at = rng.randrange(len(data) - width + 1)
        number = (rng.choice(INTERESTING) + rng.choice((0, 0, -1, 1))) % 2 ** (8 * width)
        data[at : at + width] = number.to_bytes(width, rng.choice(("little", "big")))


def _add_number(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    width = rng.choice((1, 2, 4))
    if len(data) >= width:
        at = rng.randrange(len(data) - width + 1)
        order = rng.choice(("little", "big"))
        number = int.from_bytes(data[at : at + width], order) + rng.randrange(-35, 36)
        data[at : at + width] = (number % 2 ** (8 * width)).to_bytes(width, order)


def _block(data: bytes | bytearray, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(data))
    return start, min(len(data), start + 1 + rng.randrange(min(_LONGEST_BLOCK, len(data))))


def _delete(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    if data:
        start, end = _block(data, rng)
        del data[start:end]


def _duplicate(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    if data:
        start, end = _block(data, rng)
        at = rng.randrange(len(data) + 1)
        data[at:at] = data[start:end] * rng.choice((1, 1, 1, 2, 17))


def _swap(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    if len(data) > 1:
        width = rng.choice((1, 4, 16, 64))
        a, b = sorted((rng.randrange(len(data)), rng.randrange(len(data))))
        one, two = bytes(data[a : a + width]), bytes(data[b : b + width])
        data[b : b + width] = one
        data[a : a + width] = two


def _splice(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    other = rng.choice(others) if others else b""
    if other and data:
        start, end = _block(other, rng)
        at = rng.randrange(len(data))
        if rng.random() < 0.5:
            data[at : at + end - start] = other[start:end]
        else:
            data[at:at] = other[start:end]


def _cross(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    other = rng.choice(others) if others else b""
    if other and data:
        at = rng.randrange(min(len(data), len(other)))
        data[at:] = other[at:]


def _truncate(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    if data:
        del data[rng.randrange(len(data)) :]


def _extend(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    data += some_bytes(rng, 1 + rng.randrange(rng.choice((4, 64, 512))))


def _fill(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    if data:
        start, end = _block(data, rng)
        data[start:end] = bytes((rng.choice((0, 0xFF, 0x20, 0x41)),)) * (end - start)


GENERAL: Final[tuple[Mutation, ...]] = (
    _flip_bit, _flip_bit, _flip_bit, _set_byte, _set_byte, _set_number, _set_number, _set_number, _add_number, _delete,
    _duplicate, _swap, _splice, _splice, _cross, _truncate, _extend, _fill,
)  # fmt: skip
"""Every general mutation, the gentle ones more often."""


def some_bytes(rng: random.Random, length: int) -> bytes:
    """Make seeded bytes: noise, zeros, or one byte again and again."""
    kind = rng.randrange(3)
    if kind == 0:
        return rng.randbytes(length)
    return bytes(length) if kind == 1 else bytes((rng.randrange(256),)) * length


def mutated(
    data: bytes,
    rng: random.Random,
    others: Sequence[bytes] = (),
    special: Sequence[Mutation] = (),
    *,
    most: int = 1 << 20,
    steps: tuple[int, ...] = (1, 1, 1, 2, 2, 3, 4, 6, 10),
) -> bytes:
    """Change a file in one to ten places.

    Parameters
    ----------
    data : bytes
        The file.
    rng : random.Random
        Seeded by run and case: the same state gives the same bytes.
    others : sequence of bytes
        Files to take parts from.
    special : sequence of Mutation
        What knows the format; taken as often as the general ones.
    most : int
        Longest result, bytes.
    steps : tuple of int
        Numbers of changes to choose from.
    """
    out = bytearray(data)
    for _ in range(rng.choice(steps)):
        mutation = rng.choice(special if special and rng.random() < 0.5 else GENERAL)
        mutation(out, rng, others)
    return bytes(out[:most])
