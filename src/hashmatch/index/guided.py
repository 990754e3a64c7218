"""`GuidedIndex`: entries by chosen groups of bits, looked up by the likeliest keys of an uncertain query.

An exact search must allow for every bit being wrong. Where the query says how sure each of its bits is, a few groups
of sure bits, and those groups with their least sure bits the other way, find the entry with a chance that the sum of
the probes' own chances tells. This is not exact and does not replace an exact index: it proposes, the caller decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.index.base import check_codes
from hashmatch.kernels.guided import near_by_keys

__all__ = ["GuidedIndex"]

_MIN_KEY: Final = 8
_MAX_KEY: Final = 22


class GuidedIndex:
    """Entries of equal-length codes, filed by several groups of bits.

    Parameters
    ----------
    codes : (n, n_bytes) uint8 array
        Entries; ``n_bytes`` a multiple of 8. Kept as given, not copied where it is contiguous.
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
    Memory: 4 bytes an entry and a group, and 4 bytes for each of the 2**key_bits keys of a group. Cost of building:
    0.2 s a group for 1,000,000 entries.
    """

    __slots__ = ("_groups", "_offsets", "_positions", "_words")

    def __init__(self, codes: npt.NDArray[np.uint8], bit_order: Sequence[int], n_groups: int) -> None:
        checked = np.ascontiguousarray(check_codes(codes, None))
        if checked.shape[1] % 8:
            raise ValueError("a guided index takes codes of a multiple of 8 bytes")
        width = min(_MAX_KEY, max(_MIN_KEY, len(checked).bit_length()))
        order = np.asarray(bit_order, np.intp)
        if n_groups < 1 or n_groups * width > len(order):
            raise ValueError(f"{n_groups} groups of {width} bits need as many bits in the order")
        self._words = checked.view("<u8")
        self._groups = order[: n_groups * width].reshape(n_groups, width)
        self._offsets, self._positions = [], []
        for group in self._groups:
            keys = _keys(checked, group)
            counts = np.bincount(keys, minlength=1 << width)
            self._offsets.append(np.concatenate(([0], np.cumsum(counts))).astype(np.int32))
            self._positions.append(np.argsort(keys, kind="stable").astype(np.int32))

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
        """Look keys of queries up and keep what lies near the query.

        Parameters
        ----------
        group : int
            Which group of bits.
        keys : (s, v) uint32 array
            Keys of each of v queries, those to look up first above.
        chances : (s, v) float32 array
            How likely each is; those under ``least`` are passed over.
        queries : (v, n_bytes / 8) uint64 array
            Codes in words, as `words`.
        least : float
            Least chance of a key.
        limit : int
            Most entries compared; a list of many copies must not make a look-up endless.
        radius : int
            Largest distance kept, bits, inclusive.

        Returns
        -------
        rows : (h,) int64 array
            Which query found the entry, in the order of the keys; one entry may be found by several keys.
        positions : (h,) int64 array
            The entry.
        distances : (h,) int32 array
            Differing bits.

        Notes
        -----
        Cost: two random reads a key, two an entry.
        """
        found: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]] = near_by_keys(
            self._words, self._offsets[group], self._positions[group], keys, chances, least, queries, limit, radius
        )
        return found


def _keys(codes: npt.NDArray[np.uint8], group: npt.NDArray[np.intp]) -> npt.NDArray[np.uint32]:
    keys = np.zeros(len(codes), np.uint32)
    for place, bit in enumerate(group.tolist()):
        column = (codes[:, bit >> 3] >> np.uint8(7 - (bit & 7))) & np.uint8(1)
        keys |= column.astype(np.uint32) << np.uint32(place)
    return keys
