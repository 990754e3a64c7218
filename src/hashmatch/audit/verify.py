"""`verify_log`: whether a log is what its keys signed, and which record is the first that is not.

Floor: audit. All bytes of all files are looked at: each record against its leaf, leaves and places against ``tree``,
the tree against the checkpoint, purged records against the purges that the log tells of. Only a checkpoint that was
kept elsewhere, or a witness, can tell that the whole log was put back to an earlier state: ``against`` takes those.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hashmatch.audit.checkpoint import Checkpoint, read_checkpoint
from hashmatch.audit.layout import Frame, UnfitFrame, block_at
from hashmatch.audit.merkle import Frontier, hash_leaf
from hashmatch.audit.reader import LogReader
from hashmatch.audit.words import parsed, unrolled
from hashmatch.errors import AuditError
from hashmatch.signing import VerifierKey

__all__ = ["Problem", "Verification", "verify_log", "verify_reader"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was written.

    Parameters
    ----------
    record : int or None
        The first record that it is about; None if it is about no certain one.
    what : str
        What is wrong.
    """

    record: int | None
    what: str

    def __str__(self) -> str:
        return self.what if self.record is None else f"record {self.record}: {self.what}"


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify_log` found.

    Parameters
    ----------
    records : int
        Number of whole records, from the first.
    signed : int
        Number of records that the checkpoint covers; 0 if it is damaged.
    purged : int
        Number of purged records.
    witnesses : tuple of str
        Names of the trusted witnesses whose signatures are right.
    problem : Problem or None
        The first that is wrong.
    unfinished : Problem or None
        The first that a crash may have left so, and that somebody may have made so: records or bytes behind what is
        signed, a purge that is not finished.
    """

    records: int
    signed: int
    purged: int
    witnesses: tuple[str, ...]
    problem: Problem | None
    unfinished: Problem | None

    @property
    def sound(self) -> bool:
        """Whether every byte is what the log's keys signed."""
        return self.problem is None and self.unfinished is None

    @property
    def first_bad(self) -> int | None:
        """Place of the first record that is not as it was signed; None if none, or no certain one, is wrong."""
        found = self.problem or self.unfinished
        return None if found is None else found.record

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "sound": self.sound,
            "records": self.records,
            "signed": self.signed,
            "purged": self.purged,
            "witnesses": list(self.witnesses),
            "first_bad_record": self.first_bad,
            "problem": None if self.problem is None else self.problem.what,
            "unfinished": None if self.unfinished is None else self.unfinished.what,
        }


def verify_log(
    folder: str | os.PathLike[str],
    trust: Iterable[VerifierKey],
    *,
    witnesses: Iterable[VerifierKey] = (),
    against: Iterable[bytes] = (),
) -> Verification:
    """Verify a log.

    Parameters
    ----------
    folder : path
        Folder of the log.
    trust : iterable of VerifierKey
        Keys that are believed; all others that the log names must have signed too.
    witnesses : iterable of VerifierKey
        Whose signatures on ``witnessed`` are checked.
    against : iterable of bytes
        Checkpoints of this log that were kept elsewhere: the log must still begin with what they signed.

    Returns
    -------
    Verification
        Never raises for what is in the log.

    Raises
    ------
    AuditError
        If there is no log at all, or a kept checkpoint is none of this log.

    Notes
    -----
    Cost: about 10 microseconds a record; memory does not grow with the log, but for its purges.
    """
    try:
        reader = LogReader(folder)
    except AuditError as error:
        if error.reason == "unreadable":
            raise
        return Verification(0, 0, 0, (), Problem(0, "the log or its first record is damaged"), None)
    with reader:
        return verify_reader(reader, trust, witnesses=witnesses, against=against)


def verify_reader(
    reader: LogReader,
    trust: Iterable[VerifierKey],
    *,
    witnesses: Iterable[VerifierKey] = (),
    against: Iterable[bytes] = (),
) -> Verification:
    """Verify a log that is open, as `verify_log`."""
    if not set(trust) & set(reader.keys):
        return Verification(0, 0, 0, (), Problem(None, "the log is of none of the keys that are trusted"), None)
    return _Walk(reader, tuple(witnesses), tuple(against)).result()


class _Walk:
    def __init__(self, reader: LogReader, witnesses: tuple[VerifierKey, ...], against: tuple[bytes, ...]) -> None:
        self._reader = reader
        self._problems: list[Problem] = []
        self._unfinished: list[Problem] = []
        self._purged: set[int] = set()
        self._told: set[int] = set()
        self._broken: set[int] = set()
        self._witnesses: set[str] = set()
        self._roots: dict[int, list[tuple[str, Checkpoint]]] = {}
        self._signed = 0
        for data in against:
            self._expect("a checkpoint that was kept", read_checkpoint(data, reader.origin, reader.keys))
        for name, data, others in (
            ("the checkpoint", reader.checkpoint_note, ()),
            ("the witnessed checkpoint", reader.witnessed_note, witnesses),
        ):
            if data or name == "the checkpoint":
                try:
                    found = read_checkpoint(data, reader.origin, reader.keys, others)
                except AuditError:
                    self._problems.append(Problem(None, f"{name} is missing, damaged or not of this log"))
                    continue
                if len(found.note.signatures) != len(found.signers) and name == "the checkpoint":
                    self._problems.append(Problem(None, f"{name} has a signature that the log's keys did not make"))
                self._expect(name, found)
                names = {key.name for key in found.signers if key in others}
                for key in others:
                    if key.name in names and key not in found.signers:
                        self._problems.append(Problem(None, f"{name} lacks a signature of {key.name}"))
                self._witnesses.update(names)
                self._signed = max(self._signed, found.size if name == "the checkpoint" else 0)

    def _expect(self, name: str, checkpoint: Checkpoint) -> None:
        self._roots.setdefault(checkpoint.size, []).append((name, checkpoint))

    def result(self) -> Verification:
        """Walk through the log, up to the first frame that is none."""
        frontier = Frontier()
        self._compare(frontier)
        with open(self._reader.files.tree, "rb") as tree:
            try:
                for frame in self._reader.frames():
                    self._look(frame)
                    block = frame.offset.to_bytes(8, "little") + b"".join(frontier.add(hash_leaf(frame.leaf)))
                    self._look_at_tree(frame.place, block, tree.read(len(block)))
                    self._compare(frontier)
            except UnfitFrame as unfit:
                self._end_at(unfit)
        size = frontier.size
        self._look_at_the_end(size)
        changed = self._broken - self._told
        if changed:
            self._problems.append(Problem(min(changed), "it is damaged or was changed"))
        untold = self._purged - self._told
        if untold and not self._problems:  # else what tells of the purge may be what is damaged
            self._problems.append(Problem(min(untold), "what it said is gone, and no record tells of a purge"))
        left = sorted(place for place in self._told if place < size and place not in self._purged)
        if left:
            self._unfinished.append(Problem(left[0], "its purge is not finished: hashmatch audit purge LOG"))
        named = [item for item in self._problems if item.record is not None]
        first = min(named, key=lambda item: item.record or 0) if named else next(iter(self._problems), None)
        return Verification(
            size,
            self._signed,
            len(self._purged),
            tuple(sorted(self._witnesses)),
            first,
            min(self._unfinished, key=lambda item: item.record or 0, default=None),
        )

    def _look(self, frame: Frame) -> None:
        if frame.purged and frame.fits:
            self._purged.add(frame.place)
        elif not frame.whole:
            self._broken.add(frame.place)
        elif not frame.fits:
            self._problems.append(Problem(frame.place, "it is damaged or out of its place"))
        else:
            try:
                content = parsed(frame.record)
            except AuditError:
                self._problems.append(Problem(frame.place, "it is not readable"))
                return
            if content["kind"] == "purge":
                self._told.update(unrolled(content["records"], frame.place))

    def _look_at_tree(self, index: int, block: bytes, found: bytes) -> None:
        if found == block:
            return
        if len(found) < len(block) and index >= self._signed:
            return  # written after the record, and written again by the next writer
        self._problems.append(Problem(index, "it is not what the tree says"))

    def _compare(self, frontier: Frontier) -> None:
        for name, checkpoint in self._roots.pop(frontier.size, ()):
            if checkpoint.root != frontier.root():
                self._problems.append(Problem(None, f"the first {frontier.size} records are not those of {name}"))

    def _end_at(self, unfit: UnfitFrame) -> None:
        if unfit.place < self._signed:
            self._problems.append(Problem(unfit.place, "it is damaged or cut off"))
        else:
            rest = self._reader.size - unfit.offset
            self._unfinished.append(Problem(unfit.place, f"{rest:,} bytes after the last record are no record"))

    def _look_at_the_end(self, size: int) -> None:
        for least in sorted(self._roots):
            if least > size:
                name = self._roots[least][0][0]
                self._problems.append(Problem(size, f"it is missing: {name} is of {least} records"))
                break
        whole = self._reader.tree_size - block_at(size)
        if whole > 0:
            self._problems.append(Problem(size, "it is missing: the tree knows it"))
        if size > self._signed and not self._problems:
            count = size - self._signed
            self._unfinished.append(Problem(self._signed, f"from it on {count:,} records are not signed"))
