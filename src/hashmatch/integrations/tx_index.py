"""Indexes for ``threatexchange``: its interface over the exact index and the index of keypoints, kept without pickle.

Floor: integrations. Needs ``threatexchange``, which ``pip install 'hashmatch[threatexchange]'`` brings. A stored index
is an index file of hashmatch (`hashmatch.index.storage`) with what belongs to each entry beside it: every byte is under
a checksum, and nothing in it is run.
"""

from __future__ import annotations

import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, ClassVar, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import HashFormatError, IndexFormatError
from hashmatch.features.extract import record_look
from hashmatch.hashes import HashValue
from hashmatch.index import KeypointIndex, MultiIndex, pack_geometry
from hashmatch.index.keypoint.candidate import CODE_BYTES
from hashmatch.index.storage import IndexFile, Section, read_index_bytes
from hashmatch.integrations.tx_metadata import Blobs, Metadata
from hashmatch.keypoints.record import Record
from hashmatch.matching.hits import judge_records
from hashmatch.view import PLAIN_VIEW

try:
    from threatexchange.signal_type.index import (
        IndexMatch,
        IndexMatchUntyped,
        SignalSimilarityInfo,
        SignalSimilarityInfoWithIntDistance,
        SignalSimilarityInfoWithSingleDistance,
        SignalTypeIndex,
    )
except ImportError:  # pragma: no cover - the tests have it
    raise ImportError("this is a part of threatexchange: pip install 'hashmatch[threatexchange]'") from None

__all__ = ["HashmatchKeypointIndex", "HashmatchPdqIndex", "parsed"]

T = TypeVar("T")

RADIUS: Final = 31
"""Largest distance of a match by PDQ, bits: that of its authors, and of ``threatexchange``."""

_HOLDS: Final = "threatexchange"
_MERGED: Final = 2  # a part is made anew with the next one until it is so many times as large


def parsed(signal_str: str, algorithm: str) -> bytes:
    """Read a signal: bare hexadecimal digits in either case.

    Raises
    ------
    HashFormatError
        If it is none; the message does not repeat it.
    """
    data = HashValue.parse(signal_str, algorithm=algorithm).data
    if algorithm == "keypoint":
        Record.from_bytes(data)
    return data


class _KeptIndex(SignalTypeIndex[T], ABC):
    """What both indexes share: entries and their metadata, a lock, and the file.

    Searches and additions may run in many threads; they wait for each other.
    """

    ALGORITHM: ClassVar[str]

    def __init__(self, entries: Iterable[tuple[str, T]] = ()) -> None:
        super().__init__()
        self._lock = threading.RLock()
        self._metadata: Metadata[T] = Metadata()
        self.add_all(entries)

    def __len__(self) -> int:
        return len(self._metadata)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} entries>"

    def query(self, query: str) -> Sequence[IndexMatch[T]]:
        """Find every entry that matches a signal.

        Parameters
        ----------
        query : str
            A signal; the empty string, which stands for a picture without one, matches nothing.

        Returns
        -------
        sequence of IndexMatch
            The nearest first; each entry of equal signals is one of its own.

        Raises
        ------
        HashFormatError
            If it is no signal.
        """
        if not query.strip():
            return []
        data = parsed(query, self.ALGORITHM)
        with self._lock:
            return [IndexMatchUntyped(how, self._metadata[entry]) for entry, how in self._found(data)]

    def add(self, signal_str: str, entry: T) -> None:
        """Add an entry; the next query finds it, beside those of equal signals."""
        self.add_all([(signal_str, entry)])

    def add_all(self, entries: Iterable[tuple[str, T]]) -> None:
        """Add entries; none where one of them has no valid signal (`HashFormatError`)."""
        taken = list(entries)
        data = [parsed(signal_str, self.ALGORITHM) for signal_str, _ in taken]
        if data:
            with self._lock:
                self._add(data)
                self._metadata.extend(entry for _, entry in taken)

    def serialize(self, fout: BinaryIO) -> None:
        """Write the index.

        Raises
        ------
        TypeError
            If metadata cannot be kept: it is plain data (None, numbers, text, lists, tuples, sets, dictionaries of
            these) and records that exchanges of ``threatexchange`` fetch.
        """
        tag = {"holds": _HOLDS, "algorithm": self.ALGORITHM}
        with self._lock, TemporaryDirectory(prefix="hashmatch-") as folder:  # its owner's alone
            path = Path(folder) / "index"
            self._write(path, tag, self._metadata.blobs().sections("tx.meta"))
            with path.open("rb") as stream:
                shutil.copyfileobj(stream, fout)

    @classmethod
    def deserialize(cls, fin: BinaryIO) -> Self:
        """Read what `serialize` has written.

        Raises
        ------
        IndexFormatError
            If it is not that, or not all of it.
        """
        file = read_index_bytes(fin.read())
        if file.tag.get("holds") != _HOLDS or file.tag.get("algorithm") != cls.ALGORITHM:
            raise IndexFormatError(f"the file is no index of {cls.ALGORITHM} for threatexchange; fetch anew")
        index = cls()
        index._metadata = Metadata(Blobs.read(file, "tx.meta"))
        index._read(file)
        return index

    @abstractmethod
    def _found(self, data: bytes) -> Iterable[tuple[int, SignalSimilarityInfo]]:
        """Find entries, the nearest first."""

    @abstractmethod
    def _add(self, data: list[bytes]) -> None:
        """Add hashes."""

    @abstractmethod
    def _write(self, path: Path, tag: dict[str, str], more: list[Section]) -> None:
        """Write the index, and more beside it, into a file."""

    @abstractmethod
    def _read(self, file: IndexFile) -> None:
        """Take what a file holds."""


class HashmatchPdqIndex(_KeptIndex[T]):
    """PDQ hashes, searched exactly: every entry at 31 bits or less is found, whatever the size of the list.

    Parameters
    ----------
    entries : iterable of (str, object)
        Signals and what belongs to them.

    Notes
    -----
    Cost: as `hashmatch.index.MultiIndex`; a stored index is read whole, and metadata only of what is found.
    """

    ALGORITHM = "pdq"

    def __init__(self, entries: Iterable[tuple[str, T]] = ()) -> None:
        self._index = MultiIndex.build(np.empty((0, 32), np.uint8), radius=RADIUS)
        super().__init__(entries)

    def _found(self, data: bytes) -> Iterable[tuple[int, SignalSimilarityInfo]]:
        positions, distances = self._index.search(np.frombuffer(data, np.uint8), RADIUS)
        for entry, bits in zip(positions.tolist(), distances.tolist(), strict=True):
            yield entry, SignalSimilarityInfoWithIntDistance(bits)

    def _add(self, data: list[bytes]) -> None:
        self._index.add(np.frombuffer(b"".join(data), np.uint8).reshape(-1, 32))

    def _write(self, path: Path, tag: dict[str, str], more: list[Section]) -> None:
        self._index._write(path, tag, more)

    def _read(self, file: IndexFile) -> None:
        self._index = MultiIndex._from_file(file)
        if (self._index.n_bits, file.n, file.next_position) != (256, len(self), len(self)):
            raise IndexFormatError("the index file has sections that do not fit together; fetch anew")


class HashmatchKeypointIndex(_KeptIndex[T]):
    """Keypoint records: the index proposes candidates, and each is laid over the query.

    The distance of a match is the decimal logarithm of the chance that an unrelated picture agrees so well, -8 or less:
    the less, the surer.

    Parameters
    ----------
    entries : iterable of (str, object)
        Signals and what belongs to them.

    Notes
    -----
    A query is itself only a record, so that fewer and larger parts are found than by `hashmatch.Matcher`, which has the
    picture. Cost: milliseconds a query, and for each candidate.
    """

    ALGORITHM = "keypoint"

    def __init__(self, entries: Iterable[tuple[str, T]] = ()) -> None:
        self._records = Blobs()
        self._parts: list[tuple[int, KeypointIndex]] = []  # first entry, and the index from there on
        super().__init__(entries)

    def _found(self, data: bytes) -> Iterable[tuple[int, SignalSimilarityInfo]]:
        look = record_look(data, None, PLAIN_VIEW)
        if look is None or look.points.margins is None:
            return []  # made with a secret key, which no signal of others is
        points, margins, found = look.points, look.points.margins, []
        places = pack_geometry(points.x, points.y, points.sigma, points.angle)
        for first, part in self._parts:
            asked = part.search(points.codes, margins, places, mirrored_codes=look.mirrored.codes)
            cases = [(self._records[first + item.entry], item) for item in asked]
            for item, judged in zip(asked, judge_records(look, cases), strict=True):
                if judged is not None and judged.accepted:
                    found.append((judged.chance, first + item.entry))
        best: dict[int, float] = {}
        for chance, entry in sorted(found):
            best.setdefault(entry, chance)  # an entry may agree with the picture and with its mirror image
        return [
            (entry, SignalSimilarityInfoWithSingleDistance[float](round(chance, 1))) for entry, chance in best.items()
        ]

    def _add(self, data: list[bytes]) -> None:
        first = len(self._records)
        self._records.extend(data)
        while self._parts and first - self._parts[-1][0] <= _MERGED * (len(self._records) - first):
            first = self._parts.pop()[0]
        self._parts.append((first, self._indexed(first)))

    def _indexed(self, first: int) -> KeypointIndex:
        points = [Record.from_bytes(data).points for data in self._records.since(first)]
        columns = [np.concatenate([getattr(item, name) for item in points]) for name in ("x", "y", "sigma", "angle")]
        entries: NDArray[np.int64] = np.repeat(np.arange(len(points)), [len(item) for item in points])
        codes = np.concatenate([item.codes for item in points]).reshape(-1, CODE_BYTES)
        return KeypointIndex.build(codes, entries, pack_geometry(*columns), n_entries=len(points))

    def _write(self, path: Path, tag: dict[str, str], more: list[Section]) -> None:
        if len(self._parts) != 1:
            self._parts = [(0, self._indexed(0) if len(self) else _none())]
        self._parts[0][1]._write(path, tag, [*self._records.sections("tx.rec"), *more])

    def _read(self, file: IndexFile) -> None:
        self._records = Blobs.read(file, "tx.rec")
        self._parts = [(0, KeypointIndex._from_file(file))]
        if not file.n == len(self._records) == len(self):
            raise IndexFormatError("the index file has sections that do not fit together; fetch anew")
        try:
            for data in self._records.since(0):
                Record.from_bytes(data)
        except HashFormatError as error:
            raise IndexFormatError("the index file has bytes that are no keypoint record; fetch anew") from error


def _none() -> KeypointIndex:
    nothing = np.empty((0, CODE_BYTES), np.uint8)
    return KeypointIndex.build(nothing, np.empty(0, np.int64), np.empty((0, 4), np.uint8))
