"""`GuidedIndex`: entries stored under groups of their bits, looked up by the likeliest keys of an uncertain query.

An exact search must allow for an error in every bit. If the query states how sure each of its bits is, a few keys of
sure bits, and the same keys with their least sure bits inverted, find the entry with a high chance: the sum of the
chances of the probes. This search is not exact and does not replace an exact index. It proposes entries, and the caller
decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.algorithms import Metric
from hashmatch.errors import IndexFormatError
from hashmatch.index.base import Path, check_codes
from hashmatch.index.storage import IndexFile, IndexWriter, impossible_numbers
from hashmatch.kernels.guided import near_by_keys
from hashmatch.kernels.tables import table_fill

__all__ = ["GuidedIndex", "guided_index", "restored_guided", "write_guided"]

_KIND: Final = "guided"
_MIN_KEY: Final = 8
_MAX_KEY: Final = 22
_GROUPS: Final = 6  # of bits, under each of which entries are filed; chosen by hand, no command is recorded


class GuidedIndex:
    """Entries of equal-length codes, stored under several groups of their bits.

    Parameters
    ----------
    codes : (n, n_bytes) uint8 array
        Entries; ``n_bytes`` is a multiple of 8. A contiguous array is not copied.
    bit_order : sequence of int
        Positions of bits in a code, the surest first; bit 0 is the highest bit of byte 0. Group g takes the next
        `key_bits` of them.
    n_groups : int
        Number of groups, 1 or more.

    Raises
    ------
    ValueError
        If the codes have another length, or there are too few bits for the groups.

    Notes
    -----
    Memory: 4 bytes an entry and group, and 4 bytes for each of the 2**key_bits keys of a group. Cost of a build: one
    sort of the entries a group. `write` and `restored` store the tables in a file.
    """

    __slots__ = ("_groups", "_is_from_file", "_offsets", "_positions", "_words")

    def __init__(self, codes: npt.NDArray[np.uint8], bit_order: Sequence[int], n_groups: int) -> None:
        checked, self._groups = _checked(codes, bit_order, n_groups)
        self._words = checked.view("<u8")
        tables = [_table(checked, group) for group in self._groups]
        self._offsets = [offsets for offsets, _ in tables]
        self._positions = [positions for _, positions in tables]
        self._is_from_file = False

    @classmethod
    def write(
        cls,
        path: Path,
        codes: npt.NDArray[np.uint8],
        bit_order: Sequence[int],
        n_groups: int,
        *,
        tag: Mapping[str, str] | None = None,
    ) -> None:
        """Write the tables of an index to a file, one group after the other; the file does not hold the codes.

        Parameters
        ----------
        path : str or path-like
            File to write: beside it, flushed, renamed.
        codes, bit_order, n_groups
            As for the index itself.
        tag : mapping of str to str, optional
            Metadata stored in the file, such as the source of the codes.

        Raises
        ------
        ValueError
            As the index itself.
        OSError
            If the file cannot be written.

        Notes
        -----
        Memory: one group's table, 16 bytes an entry.
        """
        checked, groups = _checked(codes, bit_order, n_groups)
        with IndexWriter(
            path,
            kind=_KIND,
            metric=Metric.HAMMING,
            n_bytes=checked.shape[1],
            n_sections=1 + 2 * n_groups,
            tag=tag or {},
        ) as writer:
            writer.write("groups", groups.astype(np.int64))
            for number, group in enumerate(groups):
                for name, array in zip(("offsets", "positions"), _table(checked, group), strict=True):
                    writer.write(f"{name}.{number}", array)
            writer.finish(n=len(checked), next_position=len(checked))

    @classmethod
    def restored(
        cls, file: IndexFile, codes: npt.NDArray[np.uint8], bit_order: Sequence[int], n_groups: int
    ) -> GuidedIndex:
        """Make an index of its codes and of the tables in a file, which stay mapped.

        Raises
        ------
        IndexFormatError
            If the tables have another number of codes, or other groups.
        """
        checked, groups = _checked(codes, bit_order, n_groups)
        index = cls.__new__(cls)
        index._words, index._groups, index._is_from_file = checked.view("<u8"), groups, True
        try:
            index._offsets = [file.sections[f"offsets.{number}"] for number in range(n_groups)]
            index._positions = [file.sections[f"positions.{number}"] for number in range(n_groups)]
            sound = file.kind == _KIND and np.array_equal(file.sections["groups"], groups)
        except KeyError:
            sound = False
        shape = ((1 << groups.shape[1]) + 1,)
        if not sound or any(
            offsets.shape != shape
            or positions.shape != (len(checked),)
            or offsets.dtype != np.int32
            or positions.dtype != np.int32
            for offsets, positions in zip(index._offsets, index._positions, strict=True)
        ):
            raise IndexFormatError("the file holds no such tables of these codes; rebuild it from the list")
        return index

    def __len__(self) -> int:
        return len(self._words)

    @property
    def key_bits(self) -> int:
        """Bits of a key: about the logarithm of the number of entries, 8 to 22."""
        return int(self._groups.shape[1])

    @property
    def groups(self) -> npt.NDArray[np.intp]:
        """Positions of each group's bits in a code, (groups, key_bits); the first is the key's lowest bit."""
        return self._groups

    @property
    def words(self) -> npt.NDArray[np.uint64]:
        """The codes as (n, n_bytes / 8) little-endian words."""
        return self._words

    def near(
        self,
        group: int,
        keys: npt.NDArray[np.uint32],
        chances: npt.NDArray[np.float32],
        queries: npt.NDArray[np.uint64],
        *,
        least: float,
        limit: int,
        radius: int,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Look up keys of queries and return the entries near the query.

        Parameters
        ----------
        group : int
            Number of the group of bits, from 0.
        keys : (s, v) uint32 array
            Keys of each of v queries, in the order of the look-ups.
        chances : (s, v) float32 array
            Chance of each key; keys under ``least`` are not looked up.
        queries : (v, n_bytes / 8) uint64 array
            Codes in words, as `words`.
        least : float
            Least chance of a key.
        limit : int
            Most entries compared; it bounds the time in a list of many copies.
        radius : int
            Largest distance kept, bits, inclusive.

        Returns
        -------
        rows : (h,) int64 array
            Query that found the entry, in the order of the keys; several keys may find one entry.
        positions : (h,) int64 array
            The entry.
        distances : (h,) int32 array
            Differing bits.

        Raises
        ------
        IndexFormatError
            If the tables come from a file that proves to be corrupt.

        Notes
        -----
        Cost: two random reads a key, two an entry.
        """
        found: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]
        try:
            found = near_by_keys(
                self._words, self._offsets[group], self._positions[group], keys, chances, least, queries, limit, radius
            )
        except (ValueError, IndexError) as error:
            if not self._is_from_file:
                raise
            raise impossible_numbers() from error
        return found

    def _check(self) -> None:
        """Check every table, slowly.

        Raises
        ------
        ValueError
            If one is not what the codes give.
        """
        codes = self._words.view(np.uint8)
        for group, offsets, positions in zip(self._groups, self._offsets, self._positions, strict=True):
            expected = _table(codes, group)
            if not (np.array_equal(expected[0], offsets) and np.array_equal(expected[1], positions)):
                raise ValueError("a table of the crop search is not what the codes give")


def _checked(
    codes: npt.NDArray[np.uint8], bit_order: Sequence[int], n_groups: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.intp]]:
    """Check the codes, and choose the bits of each group."""
    checked = np.ascontiguousarray(check_codes(codes, None))
    if checked.shape[1] % 8:
        raise ValueError("a guided index takes codes of a multiple of 8 bytes")
    width = min(_MAX_KEY, max(_MIN_KEY, len(checked).bit_length()))
    order = np.asarray(bit_order, np.intp)
    if n_groups < 1 or n_groups * width > len(order):
        raise ValueError(f"{n_groups} groups of {width} bits need as many bits in the order")
    return checked, order[: n_groups * width].reshape(n_groups, width)


def _table(
    codes: npt.NDArray[np.uint8], group: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Sort the entries by their keys: where each key begins, and the entries."""
    ends, rows = table_fill(_keys(codes, group), len(group))
    return np.concatenate(([0], ends)).astype(np.int32), rows.astype(np.int32)


def _keys(codes: npt.NDArray[np.uint8], group: npt.NDArray[np.intp]) -> npt.NDArray[np.uint32]:
    keys = np.zeros(len(codes), np.uint32)
    for place, bit in enumerate(group.tolist()):
        column = (codes[:, bit >> 3] >> np.uint8(7 - (bit & 7))) & np.uint8(1)
        keys |= column.astype(np.uint32) << np.uint32(place)
    return keys


def guided_index(codes: npt.NDArray[np.uint8]) -> GuidedIndex:
    """Index PDQ hashes for `CropSearch`.

    Parameters
    ----------
    codes : (n, 32) uint8 array
        Hashes in the published order of bytes.

    Notes
    -----
    Keys consist of the lowest frequencies, which change least if the estimated cut differs from the true one.
    """
    if codes.shape[1:] != (32,):
        raise ValueError(f"PDQ hashes have 32 bytes, these codes have the shape {codes.shape}")
    return GuidedIndex(codes, *_filing())


def write_guided(path: Path, codes: npt.NDArray[np.uint8], tag: Mapping[str, str]) -> None:
    """Write the tables of `guided_index` to a file, with a tag; see `GuidedIndex.write`."""
    GuidedIndex.write(path, codes, *_filing(), tag=tag)


def restored_guided(file: IndexFile, codes: npt.NDArray[np.uint8]) -> GuidedIndex:
    """Make the index of PDQ hashes whose tables are in a file; see `GuidedIndex.restored`."""
    return GuidedIndex.restored(file, codes, *_filing())


def _filing() -> tuple[list[int], int]:
    """Order of the bits, and how many groups of them."""
    return (255 - _by_frequency()).tolist(), _GROUPS


def _by_frequency() -> npt.NDArray[np.int64]:
    """Flat indices of the 256 coefficients, the lowest frequencies first."""
    squares = np.arange(1, 17) ** 2
    return np.argsort(np.add.outer(squares, squares).ravel(), kind="stable")
