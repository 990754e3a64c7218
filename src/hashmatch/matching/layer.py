"""The hashes of one algorithm in one list, searchable: an index that never changes, what came later, what has gone.

A list changes by a few entries at a time, so a new version does not rebuild the index: later hashes are held in a
small index beside it and withdrawn ones are masked. A `Layer` is immutable; `updated` makes the next one, sharing
the large index, so threads that search the old layer are not disturbed.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from hashmatch.algorithms import Algorithm
from hashmatch.errors import IndexFormatError
from hashmatch.index import Index, build_index, load_index
from hashmatch.lists import HashRows

if TYPE_CHECKING:
    from hashmatch.index.guided import GuidedIndex
    from hashmatch.views.crops import CropSearch, Found
    from hashmatch.views.small import Floats

__all__ = ["Layer"]

_REBUILD_SHARE: Final = 0.1
_REBUILD_FLOOR: Final = 4096

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Part:
    """One index, the rows that its positions stand for, and the same hashes filed for crop searches where asked."""

    index: Index
    rows: HashRows
    guided: GuidedIndex | None = None
    gone: NDArray[np.bool_] | None = None

    def without(self, withdrawn: Ints) -> _Part:
        """Mark rows that were withdrawn; only crop searches ask row by row."""
        if self.guided is None or not withdrawn.size:
            return self
        return replace(self, gone=np.isin(self.rows.hash_ids, withdrawn))


@dataclass(frozen=True, slots=True)
class Layer:
    """All hashes of one algorithm in one version of a list.

    Parameters
    ----------
    algorithm : Algorithm
        What the hashes are.
    radius : int
        Radius the indexes are chosen for; any other radius is searched exactly too.
    base : _Part
        The large index.
    recent : _Part or None
        Hashes added since ``base`` was built.
    withdrawn : (w,) int64 array
        Ids of hashes that are still in one of the indexes and must not be reported, sorted.
    """

    algorithm: Algorithm
    radius: int
    base: _Part
    recent: _Part | None
    withdrawn: Ints

    @classmethod
    def build(
        cls, algorithm: Algorithm, rows: HashRows, radius: int, file: Path | None = None, *, crops: bool = False
    ) -> Layer:
        """Index all hashes of one algorithm in a list.

        Parameters
        ----------
        algorithm : Algorithm
            What the codes are.
        rows : HashRows
            What the list holds.
        radius : int
            Radius that searches will mostly use.
        file : Path, optional
            Where the index is kept between runs: taken from there, memory-mapped, when it was made from just these
            hashes; else built, written there and mapped.
        crops : bool
            Whether crops are searched too; for PDQ.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        index = _build(algorithm, rows, radius) if file is None else _kept(file, algorithm, rows, radius)
        base = _Part(index, rows, _guided(rows) if crops else None)
        return cls(algorithm, radius, base, None, np.empty(0, np.int64))

    def __len__(self) -> int:
        later = 0 if self.recent is None else len(self.recent.index)
        return len(self.base.index) + later - self.withdrawn.size

    def search(self, codes: NDArray[np.uint8], radius: int) -> list[tuple[int, int, int]]:
        """Find every live hash within the radius of each query.

        Parameters
        ----------
        codes : (k, n_bytes) uint8 array
            Queries.
        radius : int
            Largest distance, inclusive.

        Returns
        -------
        list of (row, key, distance)
            Number of the query, key of the entry, distance; an entry stands once for each of its hashes.
        """
        found: list[tuple[int, int, int]] = []
        for part in (self.base, self.recent):
            if part is None or not len(part.index):
                continue
            rows, positions, distances = part.index.search_batch(codes, radius)
            if rows.size and self.withdrawn.size:
                live = ~np.isin(part.rows.hash_ids[positions], self.withdrawn)
                rows, positions, distances = rows[live], positions[live], distances[live]
            found += zip(rows.tolist(), part.rows.entry_keys[positions].tolist(), distances.tolist(), strict=True)
        return found

    def search_crops(self, small: Floats, search: CropSearch) -> list[tuple[Found, int, bytes]]:
        """Find live hashes of pictures that the query may have been cut from.

        Parameters
        ----------
        small : (128, 128) float32 array
            The query, from `hashmatch.views.small.small_luma`.
        search : CropSearch
            How to search.

        Returns
        -------
        list of (found, key, code)
            What was found, key of the entry, and the entry's hash. Empty where the layer was built without crops.
        """
        found: list[tuple[Found, int, bytes]] = []
        for part in (self.base, self.recent):
            if part is None or part.guided is None:
                continue
            for item in search.search(small, part.guided, withdrawn=part.gone):
                key, code = part.rows.entry_keys[item.position], part.rows.codes[item.position]
                found.append((item, int(key), code.tobytes()))
        return found

    def updated(self, added: HashRows | None, withdrawn: Ints) -> Layer | None:
        """Make the layer of a later version.

        Parameters
        ----------
        added : HashRows or None
            Hashes that came since.
        withdrawn : (w,) int64 array
            Ids of hashes that went since.

        Returns
        -------
        Layer or None
            None when so much has changed that building anew is the better way.
        """
        gone = np.union1d(self.withdrawn, withdrawn)
        codes = np.empty((0, self.algorithm.n_bytes), np.uint8) if added is None else added.codes
        later = len(codes) + (0 if self.recent is None else len(self.recent.index))
        if later + gone.size > max(_REBUILD_FLOOR, _REBUILD_SHARE * len(self.base.index)):
            return None
        recent = self.recent if added is None or not len(codes) else self._recent_with(added)
        recent = None if recent is None else recent.without(gone)
        return replace(self, base=self.base.without(gone), recent=recent, withdrawn=gone)

    def _recent_with(self, added: HashRows) -> _Part:
        if self.recent is None:
            return self._part(added)
        old = self.recent.rows
        # the small index is made anew, never changed: another thread may be searching it
        rows = HashRows(
            algorithm=old.algorithm,
            codes=np.concatenate((old.codes, added.codes)),
            hash_ids=np.concatenate((old.hash_ids, added.hash_ids)),
            entry_keys=np.concatenate((old.entry_keys, added.entry_keys)),
            quality=np.concatenate((old.quality, added.quality)),
        )
        return self._part(rows)

    def _part(self, rows: HashRows) -> _Part:
        crops = self.base.guided is not None
        return _Part(_build(self.algorithm, rows, self.radius), rows, _guided(rows) if crops else None)


def _guided(rows: HashRows) -> GuidedIndex:
    # only a policy that looks for crops loads the code for them
    from hashmatch.views.crops import guided_index

    return guided_index(rows.codes)


def _build(algorithm: Algorithm, rows: HashRows, radius: int) -> Index:
    return build_index(rows.codes, metric=algorithm.metric, radius=radius)


def _kept(file: Path, algorithm: Algorithm, rows: HashRows, radius: int) -> Index:
    """Take the index from its file, or make the file where it is missing, damaged or of other hashes."""
    # the version of a list does not tell: a copy brought back from a backup may go on differently
    content = hashlib.blake2b(rows.codes.data, digest_size=32).hexdigest()
    tag = {"algorithm": algorithm.name, "content": content, "radius": str(radius)}
    found = _fitting(file, tag)
    if found is not None:
        return found
    built = _build(algorithm, rows, radius)
    built.save(file, tag=tag)
    # another process may have written its own index, of other hashes, over this one by now
    return _fitting(file, tag) or built


def _fitting(file: Path, tag: dict[str, str]) -> Index | None:
    """Load the index from its file; None where it is missing, damaged or of other hashes."""
    with suppress(FileNotFoundError, IndexFormatError):
        found = load_index(file)
        if found.tag == tag:
            return found
    return None
