"""The file of a `MultiIndex`, built out of core: bounded memory for any number of codes.

The codes go straight into the file. Each table is then made part by part: a part is a range of buckets whose rows fit
into the memory granted, found by counting, and filled by one pass over the codes in the file. Slots and runs of the
parts go to two files without a name until all tables are done, since the file has them one after the other.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import IO, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashmatch import kernels
from hashmatch.algorithms import Metric
from hashmatch.index.base import Path, check_codes
from hashmatch.index.multi.substring_tables import PADDING, item_layout, ranked
from hashmatch.index.storage import IndexWriter, Section
from hashmatch.kernels.tables import table_fill, table_pack

__all__ = ["DEFAULT_MEMORY", "write_multi_file"]

DEFAULT_MEMORY: Final = 1 << 28
_LEAST_MEMORY: Final = 4096
_ROW_COST: Final = 40  # key, item, order, sorted item, slot, run
_BUCKET_COST: Final = 5  # where its rows end, how many they are
_MOST_ROWS: Final = 2**32 - 1
_READ_ROWS: Final = 1 << 16
_COPY_BYTES: Final = 1 << 20
_COUNTED_BITS: Final = 16
_NAMES: Final = ("codes", "widths", "ranks", "slots", "runs", "options")


def write_multi_file(
    path: Path,
    blocks: Iterable[ArrayLike],
    *,
    n_bytes: int,
    choose: Callable[[int], tuple[int, ...]],
    options: tuple[int, ...],
    memory: int,
    tag: Mapping[str, str],
    more: Sequence[Section],
) -> int:
    """Write the file; `MultiIndex.build_file` says what each argument is.

    Parameters
    ----------
    choose : callable
        Gives the widths of the substrings for the number of codes.
    options : tuple of int
        Options of the index, as its file keeps them.
    """
    if memory < _LEAST_MEMORY:
        raise ValueError(f"memory must be {_LEAST_MEMORY} bytes or more, not {memory}")
    n_sections = len(_NAMES) + len(more)
    with IndexWriter(
        path, kind="multi", metric=Metric.HAMMING, n_bytes=n_bytes, n_sections=n_sections, tag=tag
    ) as writer:
        n = writer.stream("codes", "<u8", -(-n_bytes // 8), _words(blocks, n_bytes))
        if n > _MOST_ROWS:
            raise ValueError(f"an index holds at most {_MOST_ROWS} codes; split the list")
        widths = choose(n)
        writer.write("widths", np.array(widths, dtype=np.uint8))
        folder = FilePath(path).absolute().parent
        with tempfile.TemporaryFile(dir=folder) as slots_file, tempfile.TemporaryFile(dir=folder) as runs_file:
            slots, runs = _Spool(slots_file), _Spool(runs_file)
            writer.write("ranks", _Tables(writer.mapped(0), widths, memory, slots, runs).made())
            writer.stream("slots", "|u1", None, slots.blocks())
            writer.stream("runs", "|u1", None, runs.blocks())
        writer.write("options", np.array(options, dtype=np.int64))
        for section in more:
            writer.stream(section.name, section.dtype, None, section.blocks)
        writer.finish(n=n, next_position=n)
    return n


def _words(blocks: Iterable[ArrayLike], n_bytes: int) -> Iterator[NDArray[np.uint64]]:
    """Codes as rows of words."""
    for block in blocks:
        yield kernels.pack_words(check_codes(block, n_bytes)).T


class _Spool:
    """Bytes that go to a file and are read again in order."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.n = 0
        self._stream = stream

    def add(self, some: NDArray[np.uint8]) -> None:
        self._stream.write(some.data)
        self.n += len(some)

    def blocks(self) -> Iterator[NDArray[np.uint8]]:
        self._stream.seek(0)
        while some := self._stream.read(_COPY_BYTES):
            yield np.frombuffer(some, np.uint8)


class _Tables:
    """All tables over codes that stand in a file."""

    def __init__(
        self, codes: NDArray[np.uint64], widths: tuple[int, ...], memory: int, slots: _Spool, runs: _Spool
    ) -> None:
        self.slots = slots
        self.runs = runs
        self._codes = codes
        self._widths = widths
        self._starts = np.cumsum([0, *widths]).tolist()
        self._layout = item_layout(len(codes), widths)
        self._memory = memory
        self._step = max(64, min(_READ_ROWS, memory // 64))

    def made(self) -> NDArray[np.uint64]:
        """Make all tables: write slots and runs to the two files, and return the ranks of all buckets."""
        n_bytes = -(-sum(1 << width for width in self._widths) // 8)
        one, two = np.zeros(n_bytes, dtype=np.uint8), np.zeros(n_bytes, dtype=np.uint8)
        first = 0
        for table, width in enumerate(self._widths):
            for begin, span in self._parts(table, 0, width, len(self._codes)):
                kinds = self._fill(table, begin, span)
                _set_bits(one, first + begin, kinds & np.uint8(1))
                _set_bits(two, first + begin, kinds >> np.uint8(1))
            first += 1 << width
        self.slots.add(PADDING)
        self.runs.add(PADDING)
        return ranked(one, two)

    def _parts(self, table: int, begin: int, span: int, count: int) -> Iterator[tuple[int, int]]:
        """Cut the buckets ``begin`` to ``begin + 2 ** span`` into ranges that fit; ``count`` rows are in them."""
        if not span or self._fits(span, count):
            yield begin, span
            return
        fine = max(0, span - _COUNTED_BITS)
        counts = np.zeros(1 << (span - fine), dtype=np.int64)
        for row in range(0, len(self._codes), self._step):
            keys = self._keys(table, row)
            keys = keys[keys >> np.uint32(span) == begin >> span] if span < self._widths[table] else keys
            counts += np.bincount((keys - np.uint32(begin)) >> np.uint32(fine), minlength=len(counts))
        sums = np.concatenate(([0], np.cumsum(counts)))

        # halves of halves until they fit; not by a closure, which would keep the sums alive in a cycle
        halves = [(0, span - fine)]
        while halves:
            at, size = halves.pop()
            inside = int(sums[at + (1 << size)] - sums[at])
            if self._fits(size + fine, inside):
                yield begin + (at << fine), size + fine
            elif not size:
                yield from self._parts(table, begin + (at << fine), fine, inside)
            else:
                middle = at + (1 << (size - 1))
                halves += [(middle, size - 1), (at, size - 1)]

    def _fits(self, span: int, count: int) -> bool:
        return _ROW_COST * count + (_BUCKET_COST << span) <= self._memory

    def _keys(self, table: int, row: int) -> NDArray[np.uint32]:
        """Give the keys of a block of rows in one table."""
        block = self._codes[row : row + self._step].T
        return kernels.substring_keys(block, self._starts[table], self._widths[table])

    def _fill(self, table: int, begin: int, span: int) -> NDArray[np.uint8]:
        """Make the buckets ``begin`` to ``begin + 2 ** span`` of one table; of what kind each is."""
        whole = span == self._widths[table]
        after = (table + 1) % len(self._widths)
        mask = np.uint32((1 << self._layout.tag_bits) - 1)
        some_keys, some_items = [np.empty(0, np.uint32)], [np.empty(0, "<u8")]
        for row in range(0, len(self._codes), self._step):
            keys = self._keys(table, row)
            items = np.arange(row, row + len(keys), dtype="<u8")
            if self._layout.tag_bits:
                items |= (self._keys(after, row) & mask).astype("<u8") << np.uint64(self._layout.row_bits)
            if not whole:
                inside = (keys >> np.uint32(span) == begin >> span).nonzero()[0]
                keys, items = keys[inside] - np.uint32(begin), items[inside]
            some_keys.append(keys)
            some_items.append(items)
        joined = np.concatenate(some_keys)
        some_keys.clear()
        ends, order = table_fill(joined, max(span, 1))
        del joined
        items = np.concatenate(some_items)
        some_items.clear()
        sorted_items = items.take(order)
        del items, order
        item_bytes = self._layout.item_bytes
        found: tuple[NDArray[np.uint8], ...]
        found = table_pack(ends[: 1 << span], sorted_items, self.runs.n // item_bytes, item_bytes)
        kinds, slots, runs = found
        self.slots.add(slots)
        self.runs.add(runs)
        return kinds


def _set_bits(bits: NDArray[np.uint8], first: int, of_buckets: NDArray[np.uint8]) -> None:
    """Set the bits of buckets, the lowest of each byte first."""
    if first % 8 == 0:
        packed = np.packbits(of_buckets, bitorder="little")
        bits[first // 8 : first // 8 + len(packed)] |= packed
        return
    places = first + of_buckets.nonzero()[0]
    np.bitwise_or.at(bits, places >> 3, (1 << (places & 7)).astype(np.uint8))
