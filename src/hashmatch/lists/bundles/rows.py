"""Rows of a list as the chunks of a bundle, and back.

Floor: lists. A chunk is one line of JSON in columns and after it the bytes of the hashes, deflated. What is read back
is checked by what it adds up to: the receiver computes every check value anew, and the list's sums must come out.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import Any, Final, NamedTuple

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import BundleError
from hashmatch.lists.file.entries import State, seal_of_rows
from hashmatch.lists.file.schema import damaged
from hashmatch.lists.file.sql_tables import ALGORITHM_NAMES

__all__ = ["ENTRIES_A_CHUNK", "Block", "pack", "pack_entries", "read_block", "unpack", "unpack_entries"]

ENTRIES_A_CHUNK: Final = 1_000
_IDS_A_QUERY: Final = 500
_MAX_PLAIN: Final = 64 << 20
_LEVEL: Final = 1  # most of a chunk is hashes, which do not deflate
_BYTES: Final = {number: ALGORITHMS[name].n_bytes for number, name in ALGORITHM_NAMES.items()}


class Block(NamedTuple):
    """One entry: its number and id, the version that changed it last, its hash rows and its labels.

    ``rows`` are (row, source, algorithm, quality, code), ascending; ``labels`` are (source, name, value).
    """

    key: int
    entry_id: str
    changed: int | None
    rows: Sequence[tuple[int, int, int, int | None, bytes]]
    labels: Sequence[tuple[int, str, str]]


def read_block(connection: sqlite3.Connection, state: State, keys: Sequence[int]) -> Iterator[Block]:
    """Read entries by their keys, ascending, and check each against its seal.

    Raises
    ------
    ReferenceListError
        If an entry is not what was written.

    Notes
    -----
    Cost: about 4 microseconds an entry of one hash; `load_records` makes objects of the same rows and takes 7.
    """
    for start in range(0, len(keys), _IDS_A_QUERY):
        some = keys[start : start + _IDS_A_QUERY]
        among = f"IN ({','.join('?' * len(some))})"
        heads = connection.execute(
            "SELECT key, entry_id, entry.seal, changed.version FROM entry LEFT JOIN changed"  # noqa: S608
            f" ON changed.entry = entry.key WHERE key {among} ORDER BY key",
            some,
        ).fetchall()
        columns = "entry, id, source, algorithm, quality, code"
        rows = connection.execute(f"SELECT {columns} FROM hash WHERE entry {among} ORDER BY entry, id", some).fetchall()  # noqa: S608
        longer = connection.execute(f"SELECT {columns} FROM record WHERE entry {among}", some).fetchall()  # noqa: S608
        rows = sorted(rows + longer, key=itemgetter(0, 1)) if longer else rows
        labels = connection.execute(f"SELECT * FROM label WHERE entry {among} ORDER BY entry, source, name", some)  # noqa: S608
        of_rows, of_labels = _grouped(rows), _grouped(labels)
        for key, entry_id, expected, changed in heads:
            block = Block(key, entry_id, changed, of_rows.pop(key, ()), of_labels.pop(key, ()))
            if seal_of_rows(state.uuid, key, entry_id, block.rows, block.labels, changed) != expected:
                raise damaged()
            yield block
        if of_rows or of_labels:
            raise damaged()


def _grouped(rows: Iterable[tuple[Any, ...]]) -> dict[int, list[tuple[Any, ...]]]:
    """Rows by their first column, without it."""
    found: dict[int, list[tuple[Any, ...]]] = {}
    for row in rows:
        if row[0] in found:
            found[row[0]].append(row[1:])
        else:
            found[row[0]] = [row[1:]]
    return found


def pack(kind: str, columns: dict[str, Any], codes: bytes = b"") -> bytes:
    """Make a chunk."""
    line = json.dumps({"kind": kind, **columns}, separators=(",", ":")).encode()
    if len(line) + len(codes) >= _MAX_PLAIN:
        raise BundleError("an entry of the list is too large for a bundle", reason="too-large")
    return zlib.compress(line + b"\n" + codes, _LEVEL)


def unpack(data: bytes) -> tuple[str, dict[str, Any], bytes]:
    """Take a chunk apart: its kind, columns, and hashes.

    Raises
    ------
    BundleError
        If it is none.
    """
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data, _MAX_PLAIN)
        if not inflater.eof or inflater.unused_data:
            raise ValueError
        line, _, codes = plain.partition(b"\n")
        columns = json.loads(line)
        return columns.pop("kind"), columns, codes
    except (zlib.error, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise malformed() from None


def malformed() -> BundleError:
    """Make the error for what a signed bundle may not hold."""
    return BundleError(
        "the bundle is signed, and yet it holds what no list holds, or another version than it says: tell its owner",
        reason="malformed",
    )


def pack_entries(blocks: Sequence[Block]) -> bytes:
    """Make a chunk of entries."""
    rows = list(chain.from_iterable(block.rows for block in blocks))
    labels = list(chain.from_iterable(block.labels for block in blocks))
    ids, sources, algorithms, qualities, codes = zip(*rows, strict=True)
    columns = {
        "keys": [block.key for block in blocks],
        "ids": [block.entry_id for block in blocks],
        "changed": [block.changed for block in blocks],
        "n_rows": [len(block.rows) for block in blocks],
        "n_labels": [len(block.labels) for block in blocks],
        "rows": ids,
        "sources": sources,
        "algorithms": algorithms,
        "qualities": qualities,
        "lengths": [len(row[4]) for row in rows if not _BYTES[row[2]]],
        "labels": labels,
    }
    return pack("entries", columns, b"".join(codes))


def unpack_entries(columns: dict[str, Any], codes: bytes) -> Iterator[Block]:
    """Give the entries of a chunk; raises ValueError, TypeError or KeyError where it is malformed."""
    lengths = iter(columns["lengths"])
    parts, start = [], 0
    for algorithm in columns["algorithms"]:
        end = start + (_BYTES[algorithm] or next(lengths, 0))
        parts.append(codes[start:end])
        start = end
    if start != len(codes) or next(lengths, None) is not None:
        raise ValueError
    names = ("rows", "sources", "algorithms", "qualities")
    rows = zip(*(columns[name] for name in names), parts, strict=True)
    labels = (tuple(label) for label in columns["labels"])
    heads = zip(*(columns[name] for name in ("keys", "ids", "changed", "n_rows", "n_labels")), strict=True)
    for key, entry_id, changed, n_rows, n_labels in heads:
        block = Block(key, entry_id, changed, tuple(islice(rows, n_rows)), tuple(islice(labels, n_labels)))
        if len(block.rows) != n_rows or len(block.labels) != n_labels:
            raise ValueError
        yield block
    if next(rows, None) is not None or next(labels, None) is not None:
        raise ValueError
