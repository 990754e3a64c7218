"""How the operations of a delivery get into a list: in one transaction, every one accounted for.

Floor: lists.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists.file.editor import AddCounts, Editor, Seen, blocks_of
from hashmatch.lists.file.schema import translated_errors
from hashmatch.lists.formats.operations import (
    Checkpoint,
    Delete,
    Flaw,
    LeftOut,
    Operation,
    Refused,
    SnapshotEnd,
    Upsert,
    checked_checkpoint,
)
from hashmatch.lists.reference import ReferenceList

__all__ = ["MAX_LOST", "ImportReport", "import_into"]

MAX_LOST: Final = 0.1
"""Largest share of a source's entries that the end of a snapshot takes back unless more is allowed."""

_BATCH: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What became of every row or record of an import: ``rows == accepted + duplicates + refused_count + left_out``.

    Parameters
    ----------
    rows : int
        Number of rows read; comments, blank lines and the header are not rows.
    accepted : int
        Number of rows that changed the list.
    new_entries : int
        Number of accepted rows that made a new entry; the others added to an entry.
    duplicates : int
        Number of rows that repeat what the list, or an earlier row, had from that source.
    refused_count : int
        Number of refused rows.
    refused : tuple of Refused
        The first refused rows, as many as were asked for.
    version : int
        The list's version afterwards.
    flawed : int
        Number of rows, among the accepted and the duplicates, with a flaw.
    flaws : tuple of Flaw
        The first flaws, as many as were asked for.
    columns : mapping of str to mapping of str to int
        How many cells of a column were ``"left out"``, ``"cut"`` or ``"cleaned"``; under ``""`` how many lines were
        ``"misquoted"``.
    deleted : int
        Number of accepted rows that took an entry back.
    lost : int
        Number of listings that were taken back because a snapshot did not have them. They are no rows.
    left_out : int
        Number of rows that were not asked for, as by ``where``. They count in no share.

    Notes
    -----
    An empty delivery and one of which every row was refused leave the list as it was: `took_nothing`.
    """

    rows: int
    accepted: int
    new_entries: int
    duplicates: int
    refused_count: int
    refused: tuple[Refused, ...]
    version: int
    flawed: int = 0
    flaws: tuple[Flaw, ...] = ()
    columns: Mapping[str, Mapping[str, int]] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    deleted: int = 0
    lost: int = 0
    left_out: int = 0

    @property
    def refused_share(self) -> float:
        """Share of the rows that were asked for that was refused, 0 to 1; 0 where there was no row."""
        return self.refused_count / max(1, self.rows - self.left_out)

    @property
    def took_nothing(self) -> bool:
        """Whether no row was accepted or known: the delivery was empty, or every row was refused."""
        return not self.accepted and not self.duplicates


def import_into(
    ref: ReferenceList,
    operations: Iterable[Operation],
    *,
    replace: bool = False,
    max_lost: float = MAX_LOST,
    on_refused: Callable[[Refused], None] | None = None,
    on_flaw: Callable[[Flaw], None] | None = None,
    progress: Callable[[int], None] | None = None,
    max_refused: int = 1_000,
    max_refused_share: float | None = None,
) -> ImportReport:
    """Carry out the operations of a reader in one transaction.

    Parameters
    ----------
    ref : ReferenceList
        List that is open for writing.
    operations : iterable of Operation
        Operations as the readers of `hashmatch.lists.formats` yield them.
    replace : bool
        Whether the operations are all that their sources list, as if a `SnapshotEnd` of each came last: what a source
        listed before and does not now is taken back.
    max_lost : float
        Largest share of a source's entries that the end of a snapshot may take back, 0 to 1. Beyond it nothing is
        imported, because the delivery was probably cut short.
    on_refused : callable, optional
        Called with every refused row, in order, for example to keep them all.
    on_flaw : callable, optional
        Called with every flaw, in order.
    progress : callable, optional
        Called with the number of rows so far, every 1,000 rows and at the end.
    max_refused : int
        Most refused rows, and most flaws, that the report keeps, 0 or more. The report counts them all; this number
        refuses nothing.
    max_refused_share : float, optional
        Largest share of the rows that may be refused, or have a cell of one column left out, 0 to 1. Beyond it nothing
        is imported, because such a delivery was probably misread. Without it any share passes, and the report has
        the share.

    Raises
    ------
    HashFormatError
        If a larger share of the rows, or of a column, was refused than ``max_refused_share``, or if the reader's file
        is not of its format. The list stays as it was.
    ReferenceListError
        If the list cannot be written, the reader cannot read, a source has another role in the list, or a snapshot
        would lose more than ``max_lost``. An import is kept as a whole or not at all: after an error or an
        interruption the list is as it was.

    Notes
    -----
    Cost: 24 to 48 microseconds a row of one or two hashes; memory does not grow with the number of rows but for one bit
    for each entry and source. Labels of one name that several records of one import give an entry are joined by
    ``" | "``; those of an earlier import are replaced.
    """
    if max_refused < 0:
        raise ValueError("max_refused must be 0 or more")
    for name, share in (("max_refused_share", max_refused_share), ("max_lost", max_lost)):
        if share is not None and not 0 <= share <= 1:
            raise ValueError(f"{name} must be from 0 to 1")
    tally = _Tally(max_refused, on_refused, on_flaw)
    before = ref.version
    with ref.transaction(), ref.editing() as editor:
        seen = Seen()
        for batch in blocks_of(operations, _BATCH):
            for run in _runs(batch):
                _carry_out(editor, run, seen, replace=replace, max_lost=max_lost, tally=tally)
            if progress is not None and len(batch) == _BATCH:
                progress(tally.rows)
        if replace:
            _end(editor, seen.sources, seen, max_lost, tally)
        now = int(time.time())
        for source in seen.sources:
            editor.note(source, heard=now)
        if max_refused_share is not None:
            _check_share(tally.rows - tally.left_out, tally.n_refused, tally.columns, max_refused_share)
    if progress is not None:
        progress(tally.rows)
    if ref.version == before:
        tally.nothing_changed()
    return tally.report(ref.version)


def _runs(batch: list[Operation]) -> Iterator[list[Operation]]:
    """Cut a batch where an operation of another type begins, so that each run is carried out at once, in order."""
    start = 0
    for place in range(1, len(batch) + 1):
        if place == len(batch) or _kind(batch[place]) is not _kind(batch[start]):
            yield batch[start:place]
            start = place


def _kind(operation: Operation) -> type[Operation]:
    """Type of an operation; a row that changes nothing goes with the upserts around it."""
    return Upsert if isinstance(operation, Refused | LeftOut) else type(operation)


class _Tally:
    """Counts of one import."""

    def __init__(
        self, most: int, on_refused: Callable[[Refused], None] | None, on_flaw: Callable[[Flaw], None] | None
    ) -> None:
        self._most, self._on_refused, self._on_flaw = most, on_refused, on_flaw
        self.refused: list[Refused] = []
        self.flaws: list[Flaw] = []
        self.columns: dict[str, dict[str, int]] = {}
        self.rows = self.n_refused = self.n_flawed = self.deleted = self.lost = self.unchanged_deletes = 0
        self.left_out = 0
        self.counts = AddCounts()

    def refuse(self, row: Refused) -> None:
        self.n_refused += 1
        if len(self.refused) < self._most:
            self.refused.append(row)
        if self._on_refused is not None:
            self._on_refused(row)

    def note(self, flaws: tuple[Flaw, ...]) -> None:
        self.n_flawed += 1
        for flaw in flaws:
            kinds = self.columns.setdefault(flaw.column, {})
            kinds[flaw.kind] = kinds.get(flaw.kind, 0) + 1
            if len(self.flaws) < self._most:
                self.flaws.append(flaw)
            if self._on_flaw is not None:
                self._on_flaw(flaw)

    def nothing_changed(self) -> None:
        """Count as duplicates what was taken back and said again, such as the labels of several records."""
        counts, deleted = self.counts, self.deleted
        self.counts = AddCounts(unchanged=counts.added + counts.merged + counts.unchanged)
        self.deleted, self.unchanged_deletes = 0, self.unchanged_deletes + deleted

    def report(self, version: int) -> ImportReport:
        return ImportReport(
            rows=self.rows,
            accepted=self.counts.added + self.counts.merged + self.deleted,
            new_entries=self.counts.added,
            duplicates=self.counts.unchanged + self.unchanged_deletes,
            refused_count=self.n_refused,
            refused=tuple(self.refused),
            version=version,
            flawed=self.n_flawed,
            flaws=tuple(self.flaws),
            columns=MappingProxyType({name: MappingProxyType(kinds) for name, kinds in self.columns.items()}),
            deleted=self.deleted,
            lost=self.lost,
            left_out=self.left_out,
        )


def _carry_out(
    editor: Editor, run: list[Operation], seen: Seen, *, replace: bool, max_lost: float, tally: _Tally
) -> None:
    first = run[0]
    if isinstance(first, Upsert | Refused | LeftOut):
        upserts = []
        for item in run:
            if isinstance(item, Refused):
                tally.refuse(item)
            elif isinstance(item, LeftOut):
                tally.left_out += 1
            elif isinstance(item, Upsert):
                upserts.append(item)
                if item.flaws:
                    tally.note(item.flaws)
        with translated_errors():
            tally.counts += editor.add(
                [item.entry for item in upserts], seen, [item.replaces or replace or item.whole for item in upserts]
            )
        tally.rows += len(run)
        return
    for item in run:
        if isinstance(item, Delete):
            with translated_errors():
                sources = (item.source, *editor.sources_under(item.source))
                found = max(editor.withdraw([item.entry_id], source) for source in sources)
            tally.deleted += found
            tally.unchanged_deletes += 1 - found
            tally.rows += 1
        elif isinstance(item, Checkpoint):
            editor.note(item.source, checkpoint=checked_checkpoint(item.value))
        elif isinstance(item, SnapshotEnd):
            _end(editor, [item.source], seen, max_lost, tally)
        else:
            raise TypeError(f"a reader yields operations, not {type(item).__name__}")


def _end(editor: Editor, sources: Iterable[str], seen: Seen, max_lost: float, tally: _Tally) -> None:
    """Take back what sources, and those named after them, listed before this import and did not repeat."""
    for source in dict.fromkeys(name for first in sources for name in (first, *editor.sources_under(first))):
        with translated_errors():
            before, gone = editor.unseen(source, seen)
            if len(gone) > max_lost * before:
                raise ReferenceListError(
                    f"the snapshot would take back {len(gone):,} of the {before:,} entries of the source {source!r}, "
                    f"more than the allowed share of {max_lost:.4g}: it may have been cut short; allow more if it is "
                    "right"
                )
            for block in blocks_of(gone):
                tally.lost += editor.withdraw_keys(block, source)


def _check_share(n_rows: int, n_refused: int, columns: dict[str, dict[str, int]], share: float) -> None:
    """Refuse a delivery of which so much was refused that it was probably misread."""
    if n_refused > share * n_rows:
        raise HashFormatError(
            f"{n_refused:,} of {n_rows:,} rows were refused, more than the allowed share of {share:.4g}"
        )
    for column, kinds in columns.items():
        if kinds.get("left out", 0) > share * n_rows:
            raise HashFormatError(
                f"column {column} has {kinds['left out']:,} cells in {n_rows:,} rows that cannot be taken, more than "
                f"the allowed share of {share:.4g}: check the mapping"
            )
