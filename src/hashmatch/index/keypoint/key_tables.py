"""Tables of keys for local descriptors: which bits make a key, which keys are looked up, and what they hold.

A descriptor of a picture that was cut, turned or recompressed differs from the stored one in 5 to 30 of its 128 bits,
and the query knows which: a bit whose coefficient lies near zero is unsure. A key is a group of bits; a *probe* is the
query's key with some of its least sure bits the other way. The chance of every probe is the product of the chances of
its bits, and a search takes the likeliest probes of all points and tables together, as many as it can afford.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hashmatch.index.keypoint.candidate import CODE_BITS
from hashmatch.kernels.keys import BLOCK, Starts, bucket_ranges

__all__ = [
    "MAX_KEY",
    "MIN_KEY",
    "KeyTables",
    "KeyProbes",
    "choose_groups",
    "even_limit",
    "high_words",
    "low_bits",
    "low_words",
    "plan_probes",
]

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

MIN_KEY: Final = 8
MAX_KEY: Final = 25

_SAMPLE: Final = 1 << 14
_BLOCK: Final = 1 << 19
_FLIPS: Final = 10
_PLACE: Final = 31
_PROBES_A_KEY: Final = 12
_SURE_BITS: Final = 72
_HALF_RANK: Final = 60.0
_NOISE: Final = 0.017


def choose_groups(codes: Bytes, n_tables: int, width: int) -> Bytes:
    """Choose the bits of every table's key so that the codes spread over the keys.

    Parameters
    ----------
    codes : (n, 16) uint8 array
        Codes of the list; an even sample of 16,384 is looked at.
    n_tables : int
        Tables; ``n_tables * width`` at most 128, so that no bit serves twice.
    width : int
        Bits a key.

    Returns
    -------
    (n_tables, width) uint8 array
        Positions of bits in a code; bit 0 is the highest of byte 0. The first is the key's lowest bit.

    Notes
    -----
    Bits of one key that go together, or are nearly always the same, leave most keys empty and crowd the others. Each
    table in turn takes the bit that adds least to the sum of squared correlations and squared means of its key. The
    groups depend on the list, so they suit codes turned by a secret key as well.
    Low frequencies come first in a code and are the surest: the first 72 bits are used, or as many as the keys need.
    """
    step = max(1, len(codes) // _SAMPLE)
    bits = np.unpackbits(codes[::step][:_SAMPLE], axis=1).astype(np.float64) * 2 - 1
    n = max(1, len(bits))
    # whole numbers up to 2**14: exact in any order of summation, so every machine chooses the same bits
    together = np.rint(bits.T @ bits) / n
    mean = np.rint(bits.sum(axis=0)) / n
    spread = np.rint((together - mean[:, None] * mean) ** 2 * 2**20)
    load = np.tile(np.rint(mean**2 * 2**20), (n_tables, 1))
    left = np.ones(CODE_BITS, np.bool_)
    left[max(_SURE_BITS, n_tables * width) :] = False
    groups = np.empty((n_tables, width), np.uint8)
    for place in range(width):
        for table in range(n_tables):
            bit = int(np.where(left, load[table], np.inf).argmin())
            groups[table, place] = bit
            left[bit] = False
            load[table] += spread[bit]
    return groups


@dataclass(frozen=True, slots=True)
class KeyProbes:
    """Keys to look up: the point, the table and the bits to turn over of each."""

    points: Ints
    tables: Ints
    flips: NDArray[np.uint32]


@lru_cache(maxsize=8)
def _pairs(count: int) -> tuple[Ints, Ints]:
    """All pairs of the numbers 0 to ``count``, the first smaller; with them 0 and 0."""
    first, second = np.triu_indices(count + 1, 1)
    return np.append(0, first), np.append(0, second)


def plan_probes(margins: Floats, groups: Bytes, budget: int) -> KeyProbes:
    """Choose the likeliest probes of all points and tables.

    Parameters
    ----------
    margins : (k, 128) float32 array
        How far each coefficient lies from 0, in units of the descriptor's spread; the best point first.
    groups : (tables, width) uint8 array
        Bits of each table's key, the lowest first.
    budget : int
        Most probes.

    Notes
    -----
    Some pairs of views are well aligned and some badly, so what moves a coefficient has no one size, and its tail is
    heavy: a bit of margin m is wrong with a chance of about 0.5 / (1 + m / 0.017), whatever its frequency.
    A reference keeps its best points only, so a point of rank r of the query is among them with a chance that falls
    like 1 / (1 + (r / 60)^2).
    Of each key the 10 least sure bits may be turned over, at most two together.
    """
    tables, width = groups.shape
    count = min(_FLIPS, width)
    sizes = np.take(margins, groups.ravel(), axis=1).reshape(-1, width)
    sizes *= np.float32(1 / _NOISE)
    ranks = np.arange(len(margins), dtype=np.float32) / np.float32(_HALF_RANK)
    alone = np.log(((sizes + np.float32(0.5)) / (sizes + np.float32(1))).prod(axis=1))
    alone -= np.repeat(np.log1p(ranks * ranks), tables)
    owners = np.arange(len(alone))
    most = max(1, budget // _PROBES_A_KEY)
    if len(alone) > most:
        # keys of little chance would get no probe but cost the planning of all
        owners = np.sort(np.argpartition(alone, len(alone) - most)[len(alone) - most :])
        sizes, alone = sizes[owners], alone[owners]
    # each size carries the number of its bit in its lowest bits, so one sort does for both
    marked = sizes.view(np.uint32) & np.uint32(~_PLACE & 0xFFFFFFFF)
    marked |= np.arange(width, dtype=np.uint32)
    marked.sort(axis=1)
    # place 0 stands for no bit: a pair with it turns one bit over, the pair of two of it none
    flips = np.zeros((len(marked), count + 1), np.uint32)
    flips[:, 1:] = np.uint32(1) << (marked[:, :count] & np.uint32(_PLACE))
    odds = np.zeros(flips.shape, np.float32)
    odds[:, 1:] = np.log1p(2 * marked[:, :count].view(np.float32))
    first, second = _pairs(count)
    chance = (alone[:, None] - odds.take(first, axis=1) - odds.take(second, axis=1)).ravel()
    if chance.size > budget:
        least = np.partition(chance, chance.size - budget)[chance.size - budget]
        places = np.flatnonzero(chance >= least)[:budget]
    else:
        places = np.arange(chance.size)
    rows = places // len(first)
    pair = places - rows * len(first)
    turned = flips[rows, first[pair]] | flips[rows, second[pair]]
    owners = owners[rows]
    return KeyProbes(owners // tables, owners % tables, turned)


class KeyTables:
    """Tables from a key to the rows that have it, one for each group of bits.

    The keys of all tables are numbered one after the other; ``starts`` says for each where its rows are in ``rows``.
    """

    __slots__ = ("_lookups", "groups", "rows", "starts")

    def __init__(self, groups: Bytes, starts: Starts, rows: NDArray[np.uint32]) -> None:
        self.groups = groups
        self.starts = starts
        self.rows = rows
        self._lookups = [_lookup(group) for group in groups]

    @classmethod
    def build(cls, codes: Bytes, groups: Bytes) -> KeyTables:
        """File the codes under their keys; rows of one key ascend."""
        tables, width = groups.shape
        n, size = len(codes), 1 << width
        directory = Directory(tables * size, tables * n)
        rows = np.empty(tables * n, dtype="<u4")
        for i, group in enumerate(groups):
            # key and row in one number: one sort gives both, without an array of places
            both = np.empty(n, np.uint64)
            lookup = _lookup(group)
            for start in range(0, n, _BLOCK):
                part = slice(start, min(start + _BLOCK, n))
                both[part] = _keys(codes[part], lookup)
                both[part] <<= np.uint64(32)
                both[part] |= np.arange(part.start, part.stop, dtype=np.uint64)
            both.sort()
            counts = np.zeros(size, np.int64)
            for start in range(0, n, _BLOCK):
                part = slice(start, min(start + _BLOCK, n))
                rows[i * n + part.start : i * n + part.stop] = both[part]
                keys = (both[part] >> np.uint64(32)).astype(np.int64)
                first = int(keys[0])
                seen = np.bincount(keys - first)
                counts[first : first + len(seen)] += seen
            del both
            for start in range(0, size, _BLOCK):
                directory.add(counts[start : start + _BLOCK])
        return cls(groups, directory.starts, rows)

    def keys(self, codes: Bytes) -> NDArray[np.uint32]:
        """Keys of codes in every table, (tables, k)."""
        return np.array([_keys(codes, lookup) for lookup in self._lookups], np.uint32).reshape(len(self.groups), -1)

    def buckets(self, codes: Bytes, probes: KeyProbes) -> tuple[Ints, Ints]:
        """Start and length in ``rows`` of what each probe finds."""
        keys = self.keys(codes)[probes.tables, probes.points] ^ probes.flips
        places = keys.astype(np.int64)
        places += probes.tables << self.groups.shape[1]
        starts, lengths = bucket_ranges(self.starts, places)
        return starts, lengths


class Directory:
    """Makes the starts of all keys, a few thousand keys at a time."""

    def __init__(self, n_keys: int, n_rows: int) -> None:
        self.starts = Starts(
            heads=np.zeros(n_keys // BLOCK, dtype="<u4" if n_rows < 2**32 else "<u8"),
            low=np.zeros(low_words(n_keys, n_rows), "<u8"),
            high=np.zeros(high_words(n_keys, n_rows), "<u8"),
            shift=low_bits(n_keys, n_rows),
        )
        self._keys, self._rows = 0, 0
        self._mark(np.zeros(1, np.int64), 0)

    def add(self, counts: Ints) -> None:
        """Add the numbers of rows of the next keys, a multiple of 64 of them."""
        ends = np.cumsum(counts) + self._rows
        heads = np.append(self._rows, ends[BLOCK - 1 : -1 : BLOCK])
        self.starts.heads[self._keys // BLOCK : (self._keys + len(counts)) // BLOCK] = heads
        self._mark(ends, self._keys + 1)
        self._keys, self._rows = self._keys + len(counts), int(ends[-1])

    def _mark(self, places: Ints, first: int) -> None:
        """Keep the starts of the keys from ``first`` on."""
        shift, numbers = self.starts.shift, np.arange(first, first + len(places))
        bits = (places >> shift) + numbers
        np.bitwise_or.at(self.starts.high, bits >> 6, np.uint64(1) << (bits & 63).astype(np.uint64))
        if shift:
            rest = (places & (1 << shift) - 1).astype(np.uint64) << (numbers * shift & 63).astype(np.uint64)
            np.bitwise_or.at(self.starts.low, numbers * shift >> 6, rest)


def low_bits(n_keys: int, n_rows: int) -> int:
    """How many low bits of each start are kept as they are: so many that the rest grows by less than 4 a key."""
    return max((bits for bits in (0, 1, 2, 4, 8, 16) if n_keys << bits <= n_rows), default=0)


def low_words(n_keys: int, n_rows: int) -> int:
    """Words of those bits."""
    return ((n_keys + 1) * low_bits(n_keys, n_rows) + 63) // 64


def high_words(n_keys: int, n_rows: int) -> int:
    """Words of the rest: a bit a key and one each time the rest grows by one."""
    return ((n_rows >> low_bits(n_keys, n_rows)) + n_keys + 64) // 64


def even_limit(lengths: Ints, most: int) -> int:
    """Largest number to which every length can be cut so that their sum is at most ``most``."""
    if not len(lengths) or int(lengths.sum()) <= most:
        return int(lengths.max(initial=0))
    ordered = np.sort(lengths)
    before = np.concatenate(([0], np.cumsum(ordered)[:-1]))
    # with limit L = ordered[i] the sum is before[i] + L * (count of those not shorter)
    left = np.arange(len(ordered), 0, -1)
    fits = int(np.searchsorted(before + ordered * left, most, side="right"))
    return int((most - before[fits]) // left[fits])


def _lookup(group: Bytes) -> list[tuple[int, NDArray[np.uint32]]]:
    """Say what each byte of a code adds to the key, for the bytes that have a bit in it: byte, and table of 256."""
    values = np.arange(256, dtype=np.uint32)
    added: dict[int, NDArray[np.uint32]] = {}
    for place, bit in enumerate(group.tolist()):
        column = values >> np.uint32(7 - (bit & 7)) & np.uint32(1)
        added[bit >> 3] = added.get(bit >> 3, np.zeros(256, np.uint32)) | column << np.uint32(place)
    return sorted(added.items())


def _keys(codes: Bytes, lookup: list[tuple[int, NDArray[np.uint32]]]) -> NDArray[np.uint32]:
    keys = np.zeros(len(codes), np.uint32)
    for byte, added in lookup:
        keys |= added.take(codes[:, byte])
    return keys
