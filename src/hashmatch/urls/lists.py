"""`UrlList`: a keyed list of addresses that grows, ages and forgets, and never holds an address.

Floor: urls. Over 400 lines because all that changes a list stands under one lock, and works on one table.
"""

from __future__ import annotations

import os
import time
import uuid
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import AddressError, ReferenceListError
from hashmatch.lists.entry import MAX_SOURCE, checked_text
from hashmatch.store.locks import file_lock
from hashmatch.urls.canonical import read_address
from hashmatch.urls.guards import REASONS, Guards
from hashmatch.urls.keys import MAC_BYTES, UrlKey
from hashmatch.urls.records import Item, UrlListInfo, UrlReport
from hashmatch.urls.scopes import DAYS, SCOPES, Scope, candidates, md5_candidates, message, text_at
from hashmatch.urls.suffixes import list_version
from hashmatch.urls.table import Group, Head, Table, joined, read_head, read_table, write_table

__all__ = ["UrlList", "entry_id", "info_of", "row_key", "self_test_address"]

_DAY: Final = 86_400
_FREE_GROWTH: Final = 1_000
_FREE_LOSS: Final = 100
_SELF_TEST: Final = "self-test"
_MOST_HISTORY: Final = 10_000
_MOST_REFUSALS: Final = 1_000
_ALL: Final = frozenset(SCOPES)


def self_test_address(key: UrlKey) -> str:
    """Give the address that every list of the key has: where it is blocked, blocking works.

    Nobody can register it: its last part is a reserved name (RFC 2606), so a request for it reaches nobody.
    """
    return f"http://{key.mac(b'hashmatch/urls/self-test').hex()[:32]}.hashmatch-self-test.invalid/"


def entry_id(key: UrlKey, row: int) -> str:
    """Give the name of the entry with a number in the table's column ``keys``: 16 digits, which tell no MAC."""
    return f"{row ^ _mask(key):016x}"


def row_key(key: UrlKey, name: str) -> int:
    """Give the number of `entry_id` back; ReferenceListError if the text is no name of an entry."""
    if len(name) != 16 or not set(name) <= set("0123456789abcdef"):
        raise ReferenceListError("the name of an entry has 16 hexadecimal digits")
    return int(name, 16) ^ _mask(key)


def _mask(key: UrlKey) -> int:
    return int.from_bytes(key.mac(b"hashmatch/urls/entry-ids")[:8])


class UrlList:
    """A list of addresses in a file, open for changes.

    Open one with `create` or `open`. Every change takes up what others changed meanwhile, under a lock, and writes the
    file whole or not at all.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> made = UrlList.create(f"{folder.name}/made.urls", UrlKey.make(), name="made up")
    >>> made.add(["http://shop.example.com/stolen/1?ref=x"], scope="address", source="desk").added
    1
    >>> folder.cleanup()
    """

    def __init__(self, path: Path, key: UrlKey) -> None:
        self.path, self.key = path, key
        self._read()

    @classmethod
    def create(cls, path: str | os.PathLike[str], key: UrlKey, *, name: str) -> UrlList:
        """Make a list that has nothing but its self-test entry.

        Raises
        ------
        ReferenceListError
            If something stands there, the name is not acceptable or the file cannot be written.
        """
        target = Path(path)
        checked_text(name, "the name", 256)
        if os.path.lexists(target):
            raise ReferenceListError("a file is already there: name another one")
        now = int(time.time())
        group = Group(scope="host", source=_SELF_TEST, added=now, verified=now, expires=None)
        host = read_address(self_test_address(key))[0][1].host
        table = Table.of(key.mac(message("host", host))[:MAC_BYTES], np.zeros(1, np.uint32))
        head = Head(name=name, list_id=str(uuid.uuid4()), key_id=key.key_id, version=0, groups=(group,))
        write_table(target, key, head, table)
        return cls(target, key)

    @classmethod
    def open(cls, path: str | os.PathLike[str], key: UrlKey) -> UrlList:
        """Open a list.

        Raises
        ------
        ReferenceListError
            If it is no such list, damaged, of another key, or was changed without the key.
        """
        return cls(Path(path), key)

    def add(
        self,
        addresses: Iterable[str | Item],
        *,
        scope: Scope = "address",
        source: str = "local",
        classes: Iterable[str] = (),
        days: float | None = None,
        approved_by: str = "",
        reason: str = "",
        guards: Guards | None = None,
        whole: bool = False,
        max_lost: float = 0.1,
        max_growth: float = 1.0,
        now: float | None = None,
    ) -> UrlReport:
        """List addresses, or verify them again: those that their source has listed already count from now.

        Parameters
        ----------
        addresses : iterable of str or Item
            The addresses; those that are refused are counted and cost nothing else.
        scope : str
            How much each means, see `hashmatch.urls.scopes.SCOPES`.
        source : str
            Who lists them, 1 to 64 characters.
        classes : iterable of str
            What they are listed for.
        days : float, optional
            Days until they expire; by default 90 for domains and hosts and 30 for what is narrower.
        approved_by, reason : str
            Who overrules the guards that a person can overrule, by name, and why.
        guards : Guards, optional
            Further guards.
        whole : bool
            Whether this is all that the source lists: its other entries are withdrawn.
        max_lost, max_growth : float
            Largest shares of the source's entries that may go and that may come; a hundred may always go, and a
            thousand come.
        now : float, optional
            Seconds since 1970, for tests.

        Raises
        ------
        ReferenceListError
            If the list or an argument is not acceptable, or a guard stops all of it; nothing is changed then.
        """
        if scope not in SCOPES:
            raise ReferenceListError(f"a scope is one of {', '.join(SCOPES)}")
        checked_text(source, "the source", MAX_SOURCE)
        if source == _SELF_TEST:
            raise ReferenceListError("this source is the list's own: name another one")
        words = tuple(sorted({checked_text(word, "a class", 64) for word in classes}))
        for text, what in ((approved_by, "the name of a person"), (reason, "the reason")):
            if text:
                checked_text(text, what, 256)
        if days is not None and not 0 < days <= 3_660:
            raise ReferenceListError("days must be over 0 and at most 3,660")
        moment = int(time.time() if now is None else now)
        new = _Delivery(self.key, guards or Guards(), approved=bool(approved_by))
        for number, item in enumerate(addresses, 1):
            new.take(item if isinstance(item, Item) else Item(number, item), scope)
        new.try_traffic()

        def group_for(of: Scope, added: int) -> Group:
            until = moment + int((DAYS[of] if days is None else days) * _DAY)
            said = {"source": source, "classes": words, "by": approved_by, "reason": reason}
            return Group(scope=of, added=added, verified=moment, expires=until, **said)  # type: ignore[arg-type]

        with self._changed() as state:
            groups, old = list(state.head.groups), state.table
            mine = np.array([group.source == source and not group.kept_out for group in groups])
            kept = np.array([group.kept_out for group in groups])
            live = np.array([group.counts_at(moment) for group in groups])
            had = old.group[mine[old.group] & live[old.group]]
            fresh, origin = new.table()
            rows, theirs = old.pairs(fresh)
            barred = np.zeros(len(fresh), bool)
            drop = np.zeros(len(old), bool)
            again = np.full(len(fresh), -1)
            for row, at in zip(rows.tolist(), theirs.tolist(), strict=True):
                number = int(old.group[row])
                if kept[number] and not approved_by:
                    barred[at] = True
                elif kept[number] or mine[number]:
                    drop[row] = True
                    again[at] = number if live[number] else again[at]
            numbers: dict[tuple[Scope, int], int] = {}
            group = np.zeros(len(fresh), np.uint32)
            for pair in np.unique(np.stack((origin, again), 1), axis=0).tolist() if len(fresh) else ():
                of = new.scopes[pair[0]]
                added = moment if pair[1] < 0 else groups[pair[1]].added
                if (of, added) not in numbers:
                    numbers[of, added] = len(groups)
                    groups.append(group_for(of, added))
                group[(origin == pair[0]) & (again == pair[1])] = numbers[of, added]
            n_added = int(((again < 0) & ~barred).sum())
            n_again = int(((again >= 0) & ~barred).sum())
            gone = old.pairs(new.gone_table())[0]
            lost = np.zeros(len(old), bool)
            lost[gone] = mine[old.group[gone]]
            if whole and len(had) and not len(fresh):
                raise ReferenceListError("a delivery that lists nothing is not all that its source lists")
            if whole:
                lost |= mine[old.group] & live[old.group] & ~drop
            self._check_change(len(had), n_added, int(lost.sum()), max_growth, max_lost if whole else 1.0)
            dead = ~live[old.group] & ~kept[old.group] & ~drop & ~lost
            added_rows = Table(keys=fresh.keys, rest=fresh.rest, group=group).taken(~barred)
            state.table = joined(old.taken(~(drop | lost | dead)), added_rows)
            state.groups = groups
            report = new.report(n_added, n_again, int(lost.sum()), int(barred.sum()), int(dead.sum()))
            state.note("add", moment, report, source=source, by=approved_by, reason=reason)
        return replace(report, version=self.head.version)

    def withdraw(
        self, what: Iterable[str], *, by: str, reason: str, keep_out: bool = True, now: float | None = None
    ) -> UrlReport:
        """Take entries out, by a person's decision.

        Parameters
        ----------
        what : iterable of str
            Names of entries, as an answer tells them, or addresses: an address stands for what was listed as exactly
            that, at any scope.
        by, reason : str
            Who decides, and why.
        keep_out : bool
            Whether imports that list them again are refused, unless they are approved by name.

        Raises
        ------
        ReferenceListError
            If one of them is not listed, or an argument is not acceptable; nothing is changed then.
        """
        checked_text(by, "the name of a person", 256)
        checked_text(reason, "the reason", 256)
        moment = int(time.time() if now is None else now)
        with self._changed() as state:
            old, groups = state.table, list(state.head.groups)
            chosen = sorted({row for text in what for row in self._rows_of(text, old)})
            column = old.group.copy()
            out: dict[int, int] = {}
            for row in chosen:
                number = int(column[row])
                if number not in out:
                    out[number] = len(groups)
                    groups.append(
                        replace(groups[number], kept_out=True, by=by, reason=reason, verified=moment, expires=None)
                    )
                column[row] = out[number]
            table = Table(keys=old.keys, rest=old.rest, group=column)
            left = np.ones(len(old), bool)
            if not keep_out:
                left[chosen] = False
            state.table, state.groups = table.taken(left), groups
            report = UrlReport(rows=len(chosen), withdrawn=len(chosen))
            state.note("withdraw", moment, report, by=by, reason=reason)
        return replace(report, version=self.head.version)

    def info(self, now: float | None = None) -> UrlListInfo:
        """Describe the list."""
        return info_of(self.path, now)

    def entries(self) -> Iterator[dict[str, Any]]:
        """Give each entry's name, scope, source, classes and times; neither its address nor its MAC."""
        for key, number in zip(self.table.keys.tolist(), self.table.group.tolist(), strict=True):
            group = self.head.groups[number]
            yield {
                "entry_id": entry_id(self.key, key),
                "scope": group.scope,
                "source": group.source,
                "classes": list(group.classes),
                "added": group.added,
                "verified": group.verified,
                "expires": group.expires,
                "kept_out": group.kept_out,
                "by": group.by,
                "reason": group.reason,
            }

    def _rows_of(self, text: str, table: Table) -> list[int]:
        """Find the rows that a person means."""
        try:
            wanted = row_key(self.key, text)
            rows = list(range(*(int(table.keys.searchsorted(np.uint64(wanted), side)) for side in _SIDES)))
        except ReferenceListError:
            forms = [form for _, form in read_address(text)]
            texts = {(scope, text_at(form, scope)) for form in forms for scope in SCOPES if scope != "url-md5"}
            macs = [self.key.mac(message(*pair)) for pair in texts]
            macs += [self.key.mac(one) for _, one in md5_candidates(text, tuple(forms))]
            rows = [row for _, row in table.find(macs)]
        groups = self.head.groups
        rows = [row for row in rows if not groups[int(table.group[row])].kept_out]
        if any(groups[int(table.group[row])].source == _SELF_TEST for row in rows):
            raise ReferenceListError("one of them is the list's self-test, which stays: nothing was changed")
        if not rows:
            raise ReferenceListError("one of them is not listed: nothing was changed")
        return rows

    @staticmethod
    def _check_change(had: int, added: int, lost: int, max_growth: float, max_lost: float) -> None:
        if had and added > max(_FREE_GROWTH, max_growth * had):
            raise ReferenceListError(f"{added:,} entries came to {had:,}: if that is meant, allow it by max_growth")
        if lost > max(_FREE_LOSS, max_lost * had):
            raise ReferenceListError(f"{lost:,} of {had:,} entries would go: if that is meant, allow it by max_lost")

    def _read(self) -> None:
        self.head, self.table, _, _ = read_table(self.path, [self.key])

    @contextmanager
    def _changed(self) -> Iterator[_State]:
        """Change the list as it is now, under a lock."""
        lock = self.path.with_name(f".{self.path.name.removeprefix('.')}.lock")
        try:
            with file_lock(lock, wait=True):
                self._read()
                state = _State(self.head, self.table)
                yield state
                write_table(self.path, self.key, state.made(), state.table)
                self._read()
        except OSError as error:
            raise ReferenceListError(f"the list file cannot be written: {error.strerror}") from None

    def __repr__(self) -> str:
        return f"<UrlList {self.head.name!r}, version {self.head.version}, {len(self.table)} entries>"


_SIDES: Final[tuple[Literal["left"], Literal["right"]]] = ("left", "right")


class _State:
    """A list while it is changed."""

    def __init__(self, head: Head, table: Table) -> None:
        self.head, self.table, self.groups = head, table, list(head.groups)
        self._history: list[dict[str, Any]] = list(head.history)

    def note(self, what: str, when: int, report: UrlReport, **said: str) -> None:
        """Keep what happened."""
        counts = {
            name: getattr(report, name)
            for name in ("added", "again", "withdrawn", "kept_out", "expired")
            if getattr(report, name)
        }
        words = {name: text for name, text in said.items() if text}
        self._history.append({"version": self.head.version + 1, "what": what, "when": when, **counts, **words})

    def made(self) -> Head:
        """Give the head of the next version, with the groups that have entries and no other."""
        used, column = np.unique(self.table.group, return_inverse=True)
        self.table = replace(self.table, group=column.astype(np.uint32))
        return replace(
            self.head,
            version=self.head.version + 1,
            suffixes=list_version(),
            groups=tuple(self.groups[number] for number in used.tolist()),
            history=tuple(self._history[-_MOST_HISTORY:]),
        )


class _Delivery:
    """Addresses on their way into a list, as MACs."""

    def __init__(self, key: UrlKey, guards: Guards, *, approved: bool) -> None:
        self._key, self._guards, self._approved = key, guards, approved
        self._macs, self._gone = bytearray(), bytearray()
        self._origin, self._numbers = array("B"), array("Q")
        self.scopes: list[Scope] = list(SCOPES)
        self._rows = 0
        self._refused: Counter[str] = Counter()
        self._refusals: list[tuple[int, str]] = []

    def take(self, item: Item, scope: Scope) -> None:
        """Take one record, or count why not."""
        self._rows += 1
        scope = item.scope or scope
        if item.refused:
            self._refuse(item.number, item.refused)
            return
        try:
            if scope == "url-md5":
                texts: tuple[str, ...] = (_md5(item.address),)
            elif item.gone:
                texts = tuple({text_at(form, scope) for _, form in read_address(item.address)})
            else:
                texts = self._guards.texts(item.address, scope, approved=self._approved)
        except AddressError as error:
            if error.reason not in REASONS:
                raise
            self._refuse(item.number, error.reason)
            return
        for text in texts:
            mac = self._key.mac(message(scope, text))[:MAC_BYTES]
            if item.gone:
                self._gone += mac
            else:
                self._macs += mac
                self._origin.append(self.scopes.index(scope))
                self._numbers.append(item.number)

    def try_traffic(self) -> None:
        """Refuse what too much of the operator's own traffic would match."""
        sample = self._guards.sample
        if not sample or self._approved:
            return
        table = Table.of(self._macs, np.arange(len(self._origin), dtype=np.uint32))
        hits: Counter[int] = Counter()
        share, n_hit = self._guards.max_share * len(tuple(sample)), 0
        for address in sample:
            found = {row for _, row in table.find(macs_of(self._key, address, _ALL))}
            hits.update(found)
            n_hit += bool(found)
        bad = {int(table.group[row]) for row, count in hits.items() if count > share}
        if n_hit > share and not bad:
            raise ReferenceListError(f"{n_hit:,} addresses of the sample would match: nothing was listed")
        for place in sorted(bad):
            self._refuse(self._numbers[place], "own-traffic")
        left = [place for place in range(len(self._origin)) if place not in bad] if bad else None
        if left is not None:
            self._macs = bytearray(b"".join(self._macs[MAC_BYTES * k : MAC_BYTES * (k + 1)] for k in left))
            self._origin = array("B", [self._origin[k] for k in left])

    def _refuse(self, number: int, reason: str) -> None:
        self._refused[reason] += 1
        if len(self._refusals) < _MOST_REFUSALS:
            self._refusals.append((number, reason))

    def table(self) -> tuple[Table, NDArray[np.int64]]:
        """Rows, each MAC once, and the number of each one's scope."""
        made = Table.of(self._macs, np.frombuffer(self._origin, np.uint8).astype(np.uint32))
        first = np.ones(len(made), bool)
        first[1:] = (made.keys[1:] != made.keys[:-1]) | (made.rest[1:] != made.rest[:-1])
        made = made.taken(first)
        return made, made.group.astype(np.int64)

    def gone_table(self) -> Table:
        """Rows of what the source takes back."""
        return Table.of(self._gone, np.zeros(len(self._gone) // MAC_BYTES, np.uint32))

    def report(self, added: int, again: int, withdrawn: int, kept_out: int, expired: int) -> UrlReport:
        """Say what happened."""
        return UrlReport(
            rows=self._rows,
            added=added,
            again=again,
            withdrawn=withdrawn,
            kept_out=kept_out,
            expired=expired,
            refused=MappingProxyType(dict(sorted(self._refused.items()))),
            refusals=tuple(self._refusals),
        )


def macs_of(key: UrlKey, address: str, scopes: frozenset[Scope]) -> list[bytes]:
    """Make the MACs of everything that would list an address, of some scopes; none if it cannot be read."""
    try:
        forms = [form for _, form in read_address(address)]
    except AddressError as error:
        if error.reason == "no-parser":
            raise
        return []
    return [key.mac(text) for form in forms for _, text in candidates(form, scopes)]


def _md5(text: str) -> str:
    text = text.strip().lower()
    if len(text) != 32 or not set(text) <= set("0123456789abcdef"):
        raise AddressError("this is no MD5", reason="no-host")
    return text


def info_of(path: str | os.PathLike[str], now: float | None = None) -> UrlListInfo:
    """Describe a list whose key is not at hand; errors as `UrlList.open`."""
    head, digest, size, column = read_head(Path(path))
    moment = time.time() if now is None else now
    counts = np.bincount(column, minlength=len(head.groups)).tolist()
    live: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    expired = kept_out = 0
    verified = None
    for group, count in zip(head.groups, counts, strict=True):
        if group.kept_out:
            kept_out += count
        elif not group.counts_at(moment):
            expired += count
        else:
            live[group.scope] += count
            sources[group.source] += count
            if group.expires is not None:
                verified = group.verified if verified is None else min(verified, group.verified)
    return UrlListInfo(
        name=head.name,
        list_id=head.list_id,
        key_id=head.key_id,
        digest=digest,
        version=head.version,
        file_bytes=size,
        live=MappingProxyType(dict(sorted(live.items()))),
        sources=MappingProxyType(dict(sorted(sources.items()))),
        expired=expired,
        kept_out=kept_out,
        verified=verified,
        suffixes=head.suffixes,
        history=head.history,
    )
