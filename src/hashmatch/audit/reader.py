"""`LogReader`: what a log says, record by record, and the proof of one record.

Floor: audit. Only reads. A log may grow meanwhile; the reader sees it as it was when it was opened.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from hashmatch.audit.checkpoint import MAX_NOTE, Checkpoint, Proof, read_checkpoint
from hashmatch.audit.layout import (
    HEADER_BYTES,
    MAGIC,
    Frame,
    LogFiles,
    UnfitFrame,
    block_at,
    check_system,
    iter_frames,
    leaf_of,
    node_at,
)
from hashmatch.audit.merkle import HASH_BYTES, inclusion_path
from hashmatch.audit.words import keys_of, parsed
from hashmatch.errors import AuditError
from hashmatch.signing import VerifierKey
from hashmatch.store.locks import file_lock

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["LogReader", "LogRecord", "ProvedRecord", "prove_alone"]

_NO_LOCK: Final = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT}
_REFERENCES: Final = ("context", "policy")


class LogRecord(NamedTuple):
    """One record of a log.

    Parameters
    ----------
    place : int
        Place in the log, from 0.
    leaf : bytes
        Data of its leaf: SHA-256 of salt and record, 32 bytes.
    content : dict or None
        What it says; None if it is purged.
    """

    place: int
    leaf: bytes
    content: dict[str, Any] | None


class ProvedRecord(NamedTuple):
    """What a stand-alone proof proves.

    Parameters
    ----------
    place : int
        Place of the record in the log.
    content, context, policy : dict
        The record, and what it rests on; empty if it names none.
    checkpoint : Checkpoint
        What was signed.
    """

    place: int
    content: dict[str, Any]
    context: dict[str, Any]
    policy: dict[str, Any]
    checkpoint: Checkpoint


class LogReader:
    """A log, open for reading; a context manager.

    Parameters
    ----------
    folder : path
        Folder of the log; may be on a medium that cannot be written.

    Raises
    ------
    AuditError
        If there is no log, or its first record is damaged.

    Notes
    -----
    ``origin`` (str) and ``keys`` (tuple of VerifierKey) are what the log says of itself: whoever wrote all of it chose
    them. `hashmatch.audit.verify_log` takes the keys that are trusted.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        check_system()
        self.files = LogFiles.of(Path(folder).absolute())
        self._leaves: dict[str, int] = {}
        with ExitStack() as undo:
            try:
                self._records = undo.enter_context(open(self.files.records, "rb"))
                self._tree = undo.enter_context(open(self.files.tree, "rb", buffering=0))
                with self.held():
                    self.size = os.fstat(self._records.fileno()).st_size
                    self.tree_size = os.fstat(self._tree.fileno()).st_size
                    self.checkpoint_note = _read_note(self.files.checkpoint)
                    self.witnessed_note = _read_note(self.files.witnessed)
            except OSError as error:
                raise AuditError(f"the audit log cannot be read: {error.strerror}", reason="unreadable") from error
            head = self._records.read(HEADER_BYTES)
            if len(head) < HEADER_BYTES or not head.startswith(MAGIC):
                raise AuditError("this is no audit log, or one of a later version", reason="no-log")
            self.number = head[len(MAGIC) :]
            first = self._frame(0, HEADER_BYTES)
            if not first.whole:
                raise AuditError("record 0 is damaged", reason="damaged")
            self.origin, self.keys = keys_of(first.record)
            self._undo = undo.pop_all()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep writers out, where the medium lets one."""
        with ExitStack() as lock:
            try:
                lock.enter_context(file_lock(self.files.lock, wait=True))
            except OSError as error:
                if error.errno not in _NO_LOCK:
                    raise
            yield

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._undo.close()

    def frames(self) -> Iterator[Frame]:
        """Read all frames in order, also those that do not fit.

        Raises
        ------
        UnfitFrame
            If the file ends within one.
        """
        with open(self.files.records, "rb") as stream:
            for frame in iter_frames(stream, self.number, 0, HEADER_BYTES, self.size):
                yield frame if frame.fits else self._again(frame)

    def _again(self, frame: Frame) -> Frame:
        """Read a frame once more with writers kept out: a purge may have been at it."""
        with self.held(), open(self.files.records, "rb") as stream:
            return next(iter_frames(stream, self.number, frame.place, frame.offset, frame.end), frame)

    def __iter__(self) -> Iterator[LogRecord]:
        """Read all records in order; what a crash left unfinished at the end is left out.

        Raises
        ------
        AuditError
            If a record is damaged. Only `hashmatch.audit.verify_log` says whether all are those that were signed.
        """
        with contextlib.suppress(UnfitFrame):
            for frame in self.frames():
                yield self._record(frame)

    def _record(self, frame: Frame) -> LogRecord:
        if frame.purged and frame.fits:
            return LogRecord(frame.place, frame.leaf, None)
        if not frame.whole or not frame.fits:
            raise AuditError(f"record {frame.place} is damaged", reason="damaged")
        return LogRecord(frame.place, frame.leaf, parsed(frame.record))

    def _frame(self, index: int, offset: int) -> Frame:
        try:
            return next(iter_frames(self._records, self.number, index, offset, self.size))
        except (UnfitFrame, StopIteration, OSError, OverflowError):
            raise AuditError(f"record {index} is damaged", reason="damaged") from None

    def __len__(self) -> int:
        """Count the records that ``tree`` knows."""
        low, high = 0, self.tree_size // 40 + 1
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if block_at(middle) <= self.tree_size else (low, middle - 1)
        return low

    def frame(self, index: int) -> Frame:
        """Read the frame of a record.

        Raises
        ------
        AuditError
            If there is no such record, or it is damaged.
        """
        if not 0 <= index < len(self):
            raise AuditError(f"the log has no record {index}", reason="no-record")
        return self._frame(index, int.from_bytes(os.pread(self._tree.fileno(), 8, block_at(index)), "little"))

    def record(self, index: int) -> LogRecord:
        """Read a record; errors as `frame`."""
        return self._record(self.frame(index))

    def by_leaf(self, leaf: str, *, near: int | None = None, hint: object = None) -> LogRecord:
        """Find the record that another names, by its leaf in base64.

        Parameters
        ----------
        leaf : str
            The leaf.
        near : int, optional
            Place of the record that names it: it is looked for backwards from there, else from the beginning.
        hint : int, optional
            Place where the record that names it says that it is.

        Raises
        ------
        AuditError
            If there is none, or it is purged or damaged.
        """
        if leaf not in self._leaves:
            size = len(self)
            places = range(size) if near is None else range(min(near, size) - 1, -1, -1)
            hinted = (hint,) if isinstance(hint, int) and 0 <= hint < size else ()
            for place in chain(hinted, places):
                if base64.b64encode(self.frame(place).leaf).decode() == leaf:
                    self._leaves[leaf] = place
                    break
            else:
                raise AuditError("a record names another that is not in the log", reason="no-record")
        return self.record(self._leaves[leaf])

    def referred(self, record: LogRecord, name: str) -> LogRecord:
        """Find the record that another rests on: its ``"context"`` or ``"policy"``; errors as `by_leaf`."""
        said = record.content or {}
        return self.by_leaf(str(said.get(name)), near=record.place, hint=said.get(f"{name}_at"))

    def node(self, level: int, number: int) -> bytes:
        """Read a complete node of the tree."""
        return os.pread(self._tree.fileno(), HASH_BYTES, node_at(level, number))

    def checkpoint(self, *, witnesses: Iterable[VerifierKey] = (), witnessed: bool = False) -> Checkpoint:
        """Read the newest checkpoint, or the newest that a witness signed.

        Raises
        ------
        AuditError
            If there is none, or it is not signed by the log's keys.
        """
        data = self.witnessed_note if witnessed else self.checkpoint_note
        return read_checkpoint(data, self.origin, self.keys, tuple(witnesses))

    def proof(self, index: int) -> Proof:
        """Make the stand-alone proof of a record, with what it rests on.

        The proof is of the newest checkpoint that covers the record and that a witness signed, else of the newest.

        Raises
        ------
        AuditError
            If there is no such record, it is purged, or it is not signed yet.

        Notes
        -----
        Cost: about 20 nodes of the tree for 1,000,000 records, below a millisecond.
        """
        frame = self.frame(index)
        if frame.purged:
            raise AuditError(f"record {index} is purged", reason="purged")
        note, found = self.checkpoint_note, self.checkpoint()
        if self.witnessed_note:
            seen = self.checkpoint(witnessed=True)
            if index < seen.size:
                note, found = self.witnessed_note, seen
        if index >= found.size:
            raise AuditError(f"record {index} is not signed yet", reason="no-record")
        parts, record = [frame], self._record(frame)
        for name in _REFERENCES:
            if record.content is not None and isinstance(record.content.get(name), str):
                record = self.referred(record, name)
                parts.append(self.frame(record.place))
        extra = b"\n".join(base64.b64encode(part.salt + part.record) for part in parts)
        return Proof(extra, index, tuple(inclusion_path(index, found.size, self.node)), note)


def prove_alone(
    data: bytes, origin: str, keys: Iterable[VerifierKey], witnesses: Iterable[VerifierKey] = ()
) -> ProvedRecord:
    """Check a stand-alone proof, without the log.

    Parameters
    ----------
    data : bytes
        What `LogReader.proof` made, encoded.
    origin : str
        Name of the log.
    keys : iterable of VerifierKey
        All keys of the log.
    witnesses : iterable of VerifierKey
        Whose signatures are checked too, where there are any.

    Raises
    ------
    AuditError
        If it does not prove that the record is in the log.
    """
    proof = Proof.decode(data)
    try:
        parts = [base64.b64decode(line, validate=True) for line in proof.extra.split(b"\n")]
    except ValueError:
        raise AuditError("this is no proof of a record", reason="bad-proof") from None
    salted = [leaf_of(part[:16], part[16:]) for part in parts]
    checkpoint = proof.check(salted[0], origin, tuple(keys), tuple(witnesses))
    contents = [parsed(part[16:]) for part in parts]
    named = contents[0]
    for name, leaf, content in zip(_REFERENCES, salted[1:], contents[1:], strict=False):
        if named.get(name) != base64.b64encode(leaf).decode():
            raise AuditError("the proof is not of what the record rests on", reason="bad-proof")
        named = content
    if len(parts) > 1 + len(_REFERENCES) or b"\n".join(map(base64.b64encode, parts)) != proof.extra:
        raise AuditError("this is no proof of a record", reason="bad-proof")
    content, context, policy = [*contents, {}, {}][:3]
    return ProvedRecord(proof.place, content, context, policy, checkpoint)


def _read_note(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_NOTE + 1)
    except FileNotFoundError:
        return b""
