"""Tar archives, read in one pass: ustar, GNU long names and pax. A damaged header loses no more than its member.

Own code, because `tarfile` holds extended headers of any length in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hashmatch.packing import Filling
from hashmatch.scan.items import unread
from hashmatch.scan.sources.members import Fault, Member
from hashmatch.scan.sources.streams import Some, read_fully, skip

__all__ = ["is_tar_header", "tar_members"]

_BLOCK: Final = 512
_LONGEST_EXTENSION: Final = 2**20
_FARTHEST: Final = 2**17
"""Blocks in which a header is looked for behind a damaged one: 64 MiB."""

_PADDING: Final = 21
"""Blocks behind the end mark in which another archive may begin, as where archives were joined."""

_WITHOUT_DATA: Final = frozenset(b"123456")
_EXTENSIONS: Final = frozenset(b"xgLKX")
_SPARSE: Final = ord("S")


def is_tar_header(block: bytes) -> bool:
    """Tell whether 512 bytes are the header of a member: their checksum is right."""
    if len(block) != _BLOCK or not block[0]:
        return False
    stated = _octal(block[148:156])
    if stated is None or not stated:
        return False
    rest = block[:148] + b" " * 8 + block[156:]
    signed = sum(rest) - 256 * sum(byte > 127 for byte in rest)
    return stated in (sum(rest), signed)


def tar_members(source: Some) -> Iterator[Member | Fault]:
    """Read an archive from its beginning.

    Parameters
    ----------
    source : Some
        The archive. It is read on while the members are gone through.

    Yields
    ------
    Member or Fault
        A member is read before the next one is asked for.
    """
    lost = empty = 0
    name: bytes | None = None
    extended: dict[bytes, bytes] = {}
    while True:
        block = read_fully(source, _BLOCK)
        if len(block) < _BLOCK:
            if block.strip(b"\0") or lost or not empty:
                yield Fault("cut-short")
            return
        if not block.strip(b"\0"):
            empty += 1
            if empty > _PADDING:
                return
            continue
        size = _size(block, extended)
        if not is_tar_header(block) or size is None:
            if empty >= 2:
                return
            lost += 1
            if lost == 1:
                yield Fault("damaged")
            if lost > _FARTHEST:
                return
            continue
        lost = empty = 0
        kind = block[156]
        padded = -size % _BLOCK
        if kind in _EXTENSIONS:
            if size > _LONGEST_EXTENSION:
                yield Fault("damaged")
                _pass_over(source, size + padded)
                continue
            data = read_fully(source, size)
            skip(source, padded)
            if kind == ord("L"):
                name = data.rstrip(b"\0")
            elif kind in b"xX":
                extended = _records(data)
            continue
        path = extended.get(b"path") or name or _name(block)
        is_sparse = kind == _SPARSE or any(key.startswith(b"GNU.sparse") for key in extended)
        name, extended = None, {}
        if kind == _SPARSE:
            _pass_sparse_tables(source, block)
        if kind in _WITHOUT_DATA:
            continue
        if is_sparse:
            yield Fault("format-not-read", path)
            _pass_over(source, size + padded)
            continue
        stream = _Data(source, size)
        if not (kind in b"\0" and path.endswith(b"/")):
            yield Member(path, size, stream)
        _pass_over(source, stream.left + padded, least=stream.left)


class _Data(Filling):
    """The bytes of one member."""

    def __init__(self, source: Some, size: int) -> None:
        self._source, self.left = source, size

    def some(self, size: int) -> bytes:
        if not self.left:
            return b""
        data = self._source.some(min(size, self.left))
        if not data:
            raise unread("cut-short")
        self.left -= len(data)
        return data


def _pass_over(source: Some, size: int, least: int | None = None) -> None:
    if skip(source, size) < (size if least is None else least):
        raise unread("cut-short")


def _pass_sparse_tables(source: Some, block: bytes) -> None:
    """Go over the tables that follow the header of a sparse file of the old GNU form."""
    more = block[482]
    while more:
        table = read_fully(source, _BLOCK)
        more = len(table) == _BLOCK and table[504]


def _octal(field: bytes) -> int | None:
    text = field.replace(b"\0", b" ").strip()
    try:
        return int(text, 8) if text.isdigit() else 0 if not text else None
    except ValueError:
        return None


def _size(block: bytes, extended: dict[bytes, bytes]) -> int | None:
    """Length of a member, bytes; None for one that no member can have, such as a negative one."""
    stated = extended.get(b"size")
    if stated is not None and block[156] not in _EXTENSIONS:
        return int(stated) if stated.isdigit() and len(stated) < 19 else None
    field = block[124:136]
    if field[0] & 0x80:  # binary, as GNU writes what is over 8 GiB
        number = int.from_bytes(field, "big", signed=False) & ~(0x80 << 88)
        return number if field[0] == 0x80 and number < 2**62 else None
    return _octal(field)


def _name(block: bytes) -> bytes:
    name = block[:100].split(b"\0", 1)[0]
    prefix = block[345:500].split(b"\0", 1)[0] if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _records(data: bytes) -> dict[bytes, bytes]:
    """Read the records of a pax header, as far as they are sound."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        length = data[at:space] if space > at else b""
        if not length.isdigit() or not (end := at + int(length)) <= len(data) or end <= space:
            break
        key, mark, value = data[space + 1 : end - 1].partition(b"=")
        if mark:
            found[key] = value
        at = end
    return found
