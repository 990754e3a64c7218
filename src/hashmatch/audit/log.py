"""`AuditLog`: the one place where a log is written.

Floor: audit. Records are queued, and a commit writes all that are queued: one write, one ``fsync``, under a lock
between processes. Whoever waits for a record commits what others queued with it. No thread is started, so that a
process may fork.

The root of the tree is signed, in ``checkpoint``, at most once a second and at the end. What was written since is
sealed by a secret that follows from the key: without the key it can be cut off, but not changed. After a crash the next
commit cuts off what is no whole record, signs the rest, and says both in a record of its own.

Over 400 lines because all that writes stands under the same two locks, and half of it documents the promises.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from hashmatch.audit.checkpoint import read_checkpoint, sign_checkpoint
from hashmatch.audit.layout import (
    HEADER_BYTES,
    MAGIC,
    MAX_RECORD,
    SALT_BYTES,
    Frame,
    LogFiles,
    UnfitFrame,
    block_at,
    check_system,
    encode_frame,
    iter_frames,
    leaf_of,
    node_at,
    purged_frame,
    seal_of,
)
from hashmatch.audit.merkle import HASH_BYTES, Frontier, hash_leaf
from hashmatch.audit.words import canonical, first_record, keys_of, ranges_of, recovery_record
from hashmatch.errors import AuditError
from hashmatch.index.atomic import AtomicFile
from hashmatch.signing import SigningKey
from hashmatch.store.locks import file_lock

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["AuditLog", "QueuedRecord"]

_CHECKPOINT_EVERY: Final = 1.0  # seconds
_QUEUE_BYTES: Final = 1 << 20
_QUEUE_SECONDS: Final = 1.0
_LOGS: Final[weakref.WeakSet[AuditLog]] = weakref.WeakSet()


def _renew_all() -> None:
    for log in list(_LOGS):
        log._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)


class QueuedRecord:
    """A record that waits to be written: its ``leaf`` (32 bytes) and its ``index`` in the log, -1 until then."""

    __slots__ = ("index", "leaf", "record", "salt")

    def __init__(self, record: bytes) -> None:
        self.record = record
        self.salt = os.urandom(SALT_BYTES)
        self.leaf = leaf_of(self.salt, record)
        self.index = -1


class AuditLog:
    """A log that is open for writing; a context manager. `hashmatch.audit.LogReader` reads one.

    Several threads and processes may write to one log, each with the log's key. Make one with `create` or `open`.

    Parameters
    ----------
    folder : Path
        Folder of the log.
    key : SigningKey
        Key of the log.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from hashmatch.signing import SigningKey
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "log"
    >>> with AuditLog.create(path, SigningKey.make("example.org/log")) as log:
    ...     log.append({"kind": "note", "text": "first"})
    1
    >>> folder.cleanup()
    """

    def __init__(self, folder: Path, key: SigningKey) -> None:
        self.folder = folder
        self._files = LogFiles.of(folder)
        self._key = key
        self._failed: str | None = None
        self._cut = 0
        self._queue: list[QueuedRecord] = []
        self._queued_bytes, self._queued_since = 0, 0.0
        self._change, self._committing = threading.Lock(), threading.Lock()
        self._records = self._tree = -1
        check_system()
        try:
            self._records = os.open(self._files.records, os.O_RDWR | os.O_CLOEXEC)
            self._tree = os.open(self._files.tree, os.O_RDWR | os.O_CLOEXEC)
            with self._locked():
                self._begin()
        except OSError as error:
            self._release()
            raise AuditError(f"the audit log cannot be opened: {error.strerror}", reason="unreadable") from error
        except BaseException:
            self._release()
            raise
        _LOGS.add(self)

    @classmethod
    def create(cls, folder: str | os.PathLike[str], key: SigningKey, *, origin: str | None = None) -> Self:
        """Make a new log.

        Parameters
        ----------
        folder : path
            Where; nothing may be there.
        key : SigningKey
            Key that signs the log for good; best with ML-DSA-44 too (``post_quantum=True``).
        origin : str, optional
            Name of the log, as of a key; unique. By default that of the key and a random number.

        Raises
        ------
        AuditError
            If something is there, or it cannot be made.
        SignatureError
            If the name is none.
        """
        check_system()
        folder = Path(folder).absolute()
        number = secrets.token_bytes(16)
        origin = f"{key.name}/{number.hex()}" if origin is None else origin
        item = QueuedRecord(canonical(first_record(origin, key.verifiers)))
        frontier = Frontier()
        (leaf,) = frontier.add(hash_leaf(item.leaf))
        seal = seal_of(_secret(key, number), number, 0, item.leaf)
        frame = encode_frame(number, 0, item.salt, item.leaf, seal, item.record)
        checkpoint = sign_checkpoint(origin, 1, frontier.root(), key)
        part = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.part")
        try:
            part.mkdir(mode=0o700)
            files = LogFiles.of(part)
            for path, data in (
                (files.records, MAGIC + number + frame),
                (files.tree, HEADER_BYTES.to_bytes(8, "little") + leaf),
                (files.checkpoint, checkpoint),
            ):
                _write_new(path, data)
            if os.path.lexists(folder):
                raise FileExistsError(0, "something is there already")
            part.rename(folder)
            _flush_folder(folder.parent)
        except OSError as error:
            raise AuditError(f"the audit log cannot be made: {error.strerror}", reason="unwritable") from error
        finally:
            for path in LogFiles.of(part):
                with contextlib.suppress(OSError):
                    path.unlink()
            with contextlib.suppress(OSError):
                part.rmdir()
        return cls(folder, key)

    @classmethod
    def open(cls, folder: str | os.PathLike[str], key: SigningKey) -> Self:
        """Open a log to write on.

        Raises
        ------
        AuditError
            If there is none, the key is not the log's, or what is signed is not what is there: `LogReader.verify` says
            more.
        """
        return cls(Path(folder).absolute(), key)

    def _renew(self) -> None:
        """Take fresh locks, in a forked child; what the parent queued stays the parent's."""
        self._change, self._committing = threading.Lock(), threading.Lock()
        self._queue, self._queued_bytes = [], 0

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with file_lock(self._files.lock, wait=True):
            yield

    def _begin(self) -> None:
        """Take up the log at its last checkpoint, and read what came after."""
        head = os.pread(self._records, HEADER_BYTES, 0)
        if head[: len(MAGIC)] != MAGIC or len(head) < HEADER_BYTES:
            raise AuditError("this is no audit log, or one of a later version", reason="no-log")
        self._number = head[len(MAGIC) :]
        damaged = AuditError(
            "what is signed is not what is there: hashmatch audit verify LOG says more", reason="damaged"
        )
        first = self._frame_at(0, HEADER_BYTES)
        if first is None or not first.whole:
            raise damaged
        self.origin, keys = keys_of(first.record)
        if set(keys) != set(self._key.verifiers):
            raise AuditError("the key is not that of this log", reason="wrong-key")
        self._secret = _secret(self._key, self._number)
        signed = read_checkpoint(self._files.checkpoint.read_bytes(), self.origin, keys)
        last = self._frame_at(signed.size - 1, self._place(signed.size - 1)) if signed.size else None
        if last is None:
            raise damaged
        self._frontier = Frontier.at(signed.size, self._node)
        if self._frontier.root() != signed.root:
            raise damaged
        self._end, self._signed = last.end, signed.size
        os.ftruncate(self._tree, block_at(signed.size))
        self._catch_up()
        unsigned = self._frontier.size - signed.size
        if self._cut or unsigned:
            self._write([QueuedRecord(canonical(recovery_record(self._cut, unsigned)))], sign=True)

    def _place(self, index: int) -> int:
        return int.from_bytes(os.pread(self._tree, 8, block_at(index)), "little")

    def _frame_at(self, index: int, offset: int) -> Frame | None:
        """Read one frame; None where none is whole enough to have an end."""
        with open(self._records, "rb", buffering=0, closefd=False) as stream:
            try:
                return next(iter_frames(stream, self._number, index, offset, os.fstat(self._records).st_size), None)
            except (UnfitFrame, OSError, OverflowError):
                return None

    def _node(self, level: int, number: int) -> bytes:
        return os.pread(self._tree, HASH_BYTES, node_at(level, number))

    def _catch_up(self) -> None:
        """Read what other processes wrote; cut off what one that is gone did not finish. Under the lock."""
        size = os.fstat(self._records).st_size
        whole = block_at(self._frontier.size)
        blocks = []
        if size != self._end:
            with open(self._records, "rb", closefd=False) as stream, contextlib.suppress(UnfitFrame):
                for frame in iter_frames(stream, self._number, self._frontier.size, self._end, size):
                    if not frame.fits:
                        break
                    if frame.seal != seal_of(self._secret, self._number, frame.place, frame.leaf):
                        raise AuditError(f"record {frame.place} was not written with the log's key", reason="damaged")
                    blocks.append(self._block(self._frontier, frame.offset, frame.leaf))
                    self._end = frame.end
            if self._end != size:
                if self._frontier.size < self._checkpoint_size():
                    raise AuditError(f"record {self._frontier.size} is damaged", reason="damaged")
                self._cut += size - self._end
                os.ftruncate(self._records, self._end)
        if os.fstat(self._tree).st_size != block_at(self._frontier.size):
            _write_at(self._tree, b"".join(blocks), whole)
            os.ftruncate(self._tree, block_at(self._frontier.size))

    def _checkpoint_size(self) -> int:
        return read_checkpoint(self._files.checkpoint.read_bytes(), self.origin, self._key.verifiers).size

    @staticmethod
    def _block(frontier: Frontier, offset: int, leaf: bytes) -> bytes:
        return offset.to_bytes(8, "little") + b"".join(frontier.add(hash_leaf(leaf)))

    def append(self, record: Mapping[str, Any]) -> int:
        """Write a record and wait until it is on the disk.

        Parameters
        ----------
        record : mapping
            JSON-ready, of texts, whole numbers, truth values, lists and mappings; at most 16 MiB of JSON.

        Returns
        -------
        int
            Its place in the log, from 0; the first record says whose log it is.

        Raises
        ------
        AuditError
            If the log is closed, could not be written, or the record is too long. The record is then not in the log,
            or not for certain.
        """
        item = self.queue(record)
        if item.index < 0:
            self._commit(item)
        return item.index

    def queue(self, record: Mapping[str, Any]) -> QueuedRecord:
        """Queue a record, which is written with the next that is waited for, by `flush`, or within about a second.

        A crash may lose it until then. Parameters and errors as `append`; returns what has the record's ``leaf``, and
        its ``index`` once it is written.

        Notes
        -----
        Cost: about 15 microseconds for a record of 500 bytes; a commit costs an ``fsync``, of some milliseconds.
        """
        data = canonical(record)
        if len(data) > MAX_RECORD:
            raise AuditError(f"a record has at most {MAX_RECORD:,} bytes", reason="too-long")
        item = QueuedRecord(data)
        now = time.monotonic()
        with self._change:
            self._check_open()
            if not self._queue:
                self._queued_since = now
            self._queue.append(item)
            self._queued_bytes += len(data)
            due = self._queued_bytes >= _QUEUE_BYTES or now - self._queued_since >= _QUEUE_SECONDS
        if due:
            self._commit(item)
        return item

    def flush(self) -> None:
        """Wait until all that was queued is on the disk; errors as `append`."""
        self._commit(None)

    def sign(self) -> None:
        """Flush, and sign the log as it is; a service that gets no more pictures calls this now and then."""
        self._commit(None, sign=True)

    def close(self) -> None:
        """Write what is queued, sign, and close; again does nothing."""
        if self._records < 0:
            return
        try:
            if self._failed is None:
                self.sign()
        finally:
            with self._committing, self._change:
                self._failed = self._failed or "the audit log is closed"
                self._release()

    def _release(self) -> None:
        for name in ("_records", "_tree"):
            descriptor = getattr(self, name)
            setattr(self, name, -1)
            if descriptor >= 0:
                os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._failed is not None:
            raise AuditError(self._failed, reason="closed")

    def _commit(self, item: QueuedRecord | None, *, sign: bool = False) -> None:
        with self._committing:
            self._check_open()
            if item is not None and item.index >= 0:
                return  # another thread took it along
            with self._change:
                batch, self._queue, self._queued_bytes = self._queue, [], 0
            with self._failing(), self._locked():
                self._catch_up()
                if self._cut:
                    batch.insert(0, QueuedRecord(canonical(recovery_record(self._cut, 0))))
                self._write(batch, sign=sign)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """Take no more after an error: what is on the disk after a failed ``fsync`` is not known."""
        try:
            yield
        except BaseException as error:
            with self._change:
                self._failed = "the audit log could not be written, open it anew"
            if isinstance(error, OSError):
                raise AuditError(f"the audit log cannot be written: {error.strerror}", reason="unwritable") from error
            raise

    def _write(self, batch: list[QueuedRecord], *, sign: bool = False) -> None:
        """Write records, under the lock, and sign if it is time or asked for."""
        if batch:
            frontier, offset = self._frontier.copy(), self._end
            frames, blocks = [], []
            for item in batch:
                seal = seal_of(self._secret, self._number, frontier.size, item.leaf)
                frames.append(encode_frame(self._number, frontier.size, item.salt, item.leaf, seal, item.record))
                blocks.append(self._block(frontier, offset, item.leaf))
                offset += len(frames[-1])
            try:
                _write_at(self._records, b"".join(frames), self._end)
                os.fsync(self._records)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._records, self._end)
                raise
            _write_at(self._tree, b"".join(blocks), block_at(self._frontier.size))
            for index, item in enumerate(batch, self._frontier.size):
                item.index = index
            self._frontier, self._end, self._cut = frontier, offset, 0
        if (sign and self._checkpoint_size() < self._frontier.size) or (batch and self._is_due()):
            os.fsync(self._tree)
            note = sign_checkpoint(self.origin, self._frontier.size, self._frontier.root(), self._key)
            part = AtomicFile(self._files.checkpoint)
            with part as stream:
                stream.write(note)
                part.finish()

    def _is_due(self) -> bool:
        age = time.time() - os.stat(self._files.checkpoint).st_mtime
        return not 0 <= age < _CHECKPOINT_EVERY  # a clock that was set back must not stop the signing

    def purge(
        self, indexes: Iterable[int], *, why: str, actor: str = "", counts: Mapping[str, Any] | None = None
    ) -> int:
        """Overwrite what records say; their leaves stay, so that the log is whole. `purge_log` chooses records.

        The record of the purge is written first, so that a purge that a crash interrupts is told and can be finished.

        Parameters
        ----------
        indexes : iterable of int
            Places of the records.
        why, actor : str
            Reason, and who asks.
        counts : mapping, optional
            What the yearly figures lose, kept in the record of the purge.

        Returns
        -------
        int
            Number of records overwritten now; those that were already are not counted.

        Raises
        ------
        AuditError
            As `append`; also if there is no such record.
        """
        wanted = sorted(set(indexes))
        if not wanted:
            return 0
        if wanted[0] < 1:
            raise AuditError("the first record of a log stays", reason="no-record")
        said = {"kind": "purge", "time": time.time_ns() // 1000, "why": why, "actor": actor}
        said["records"] = ranges_of(wanted)
        said["counts"] = dict(counts or {})
        if wanted[-1] >= self._frontier.size:
            self.flush()
        if wanted[-1] >= self._frontier.size:
            raise AuditError("the log has no such record", reason="no-record")
        self.queue(said)
        self.sign()
        return self.finish_purge(wanted)

    def finish_purge(self, indexes: Iterable[int]) -> int:
        """Overwrite what a purge that was interrupted left; returns how many records that were."""
        with self._committing, self._failing(), self._locked():
            done = sum(map(self._overwrite, indexes))
            os.fsync(self._records)
            return done

    def _overwrite(self, index: int) -> bool:
        offset = self._place(index)
        frame = self._frame_at(index, offset)
        if frame is None:
            raise AuditError(f"record {index} is damaged", reason="damaged")
        done = purged_frame(self._number, frame)
        if os.pread(self._records, len(done), offset) == done:
            return False
        _write_at(self._records, done, offset)
        return True


def _secret(key: SigningKey, number: bytes) -> bytes:
    """Give the secret of the seals: a signature that is never shown, the same for all who hold the key."""
    return hashlib.sha256(key.sign(key.verifiers[0], b"hashmatch audit seal\n" + number)).digest()


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, offset)
        view, offset = view[done:], offset + done


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        _write_at(descriptor, data, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
