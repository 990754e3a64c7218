"""Samples of Netpbm files (PBM, PGM, PPM, PAM, PFM), read by NumPy without a codec in C."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hashmatch.picture.loose import Netpbm
from hashmatch.picture.pixels import stretch

__all__ = ["netpbm_samples"]

_COMMENT: Final = re.compile(rb"#[^\r\n]*")
_BLOCK: Final = 2**20  # samples, or bytes of text, at a time
_LONGEST: Final = 10  # digits
_WHITE: Final = b" \t\n\r\x0b\x0c"

Samples = npt.NDArray[Any]


def netpbm_samples(data: bytes, header: Netpbm) -> tuple[Samples, bool]:
    """Read the samples of a file; those that are missing are 0.

    Parameters
    ----------
    data : bytes
        The file.
    header : Netpbm
        Result of `hashmatch.picture.loose.netpbm_header` for the file; its size was checked.

    Returns
    -------
    ((H, W, depth) uint8 array, or (H, W, 1) float32 array), bool
        Samples from 0 to 255, and whether all were present. If white is another value than 255:
        ``(255 v + white // 2) // white``; of 16 bits the high byte of the same with 65,535. Colours in floats are
        stretched.

    Raises
    ------
    ValueError
        If the text of a plain file (P1, P2, P3) is not a list of numbers.

    Notes
    -----
    Cost: one pass over the samples; much more a sample for plain files.
    """
    (width, height), depth = header.size, header.depth
    count = width * height * depth
    if header.kind in "fF":
        return _floats(data, header, count)
    if header.kind == "4":
        return _bits(data, header)
    flat = np.zeros(count, np.uint8)
    table = _table(header.largest)
    if header.kind in "123":
        done = 0
        for part in _plain(data, header):
            part = part[: count - done]
            flat[done : done + len(part)] = table[np.minimum(part, header.largest)]
            done += len(part)
            if done == count:
                break
        return flat.reshape(height, width, depth), done == count
    wide = 1 if header.largest < 256 else 2
    there = min(count, (len(data) - header.start) // wide)
    raw = np.frombuffer(data, np.uint8 if wide == 1 else ">u2", there, header.start)
    for start in range(0, there, _BLOCK):
        part = raw[start : start + _BLOCK]
        flat[start : start + len(part)] = table[np.minimum(part, header.largest)]
    return flat.reshape(height, width, depth), there == count


def _table(largest: int) -> npt.NDArray[np.uint8]:
    values = np.arange(largest + 1, dtype=np.uint64)
    if largest < 256:
        return ((values * 255 + largest // 2) // largest).astype(np.uint8)
    return (((values * 65_535 + largest // 2) // largest) >> 8).astype(np.uint8)


def _plain(data: bytes, header: Netpbm) -> Iterator[Samples]:
    """Give the numbers of a text, a block at a time; in P1 every digit is one, and 1 is black."""
    text = data[header.start :]
    if b"#" in text:
        text = _COMMENT.sub(b"", text)
    at = 0
    while at < len(text):
        end = at + _BLOCK
        if end < len(text) and header.kind != "1":
            end = max(text.rfind(bytes((white,)), at, end) for white in _WHITE)
            if end <= at:
                raise ValueError("a number without an end")
        block, at = text[at:end], end
        if header.kind == "1":
            digits = np.frombuffer(block.translate(None, _WHITE), np.uint8)
            if digits.size and not (digits.min() >= 48 and digits.max() <= 49):
                raise ValueError("neither 0 nor 1")
            yield 49 - digits
            continue
        words = block.split()
        if any(len(word) > _LONGEST or not word.isdigit() for word in words):
            raise ValueError("no number")
        yield np.array(words, dtype=f"S{_LONGEST}").astype(np.uint64)


def _bits(data: bytes, header: Netpbm) -> tuple[Samples, bool]:
    width, height = header.size
    stride = (width + 7) // 8
    rows = np.zeros(stride * height, np.uint8)
    there = data[header.start : header.start + rows.size]
    rows[: len(there)] = np.frombuffer(there, np.uint8)
    ink = np.unpackbits(rows.reshape(height, stride), axis=1)[:, :width]
    return ((1 - ink) * np.uint8(255))[:, :, None], len(there) == rows.size


def _floats(data: bytes, header: Netpbm, count: int) -> tuple[Samples, bool]:
    """Read the rows from the lowest up."""
    (width, height), depth = header.size, header.depth
    there = min(count, (len(data) - header.start) // 4)
    samples = np.zeros(count, np.float32)
    samples[:there] = np.frombuffer(data, "<f4" if header.is_little else ">f4", there, header.start)
    samples = samples.reshape(height, width, depth)[::-1]
    return (stretch(samples) if depth == 3 else samples), there == count
