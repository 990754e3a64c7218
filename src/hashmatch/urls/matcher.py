"""`UrlMatcher`: is an address listed? It says which entry, scope and list, and never shows an address.

Floor: urls.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self, TypeAlias

from hashmatch.errors import AddressError, ReferenceListError
from hashmatch.urls.canonical import read_address
from hashmatch.urls.keys import UrlKey
from hashmatch.urls.lists import entry_id
from hashmatch.urls.scopes import Scope, candidates, md5_candidates
from hashmatch.urls.table import read_table

__all__ = ["UrlAnswer", "UrlHit", "UrlMatcher", "UrlOutcome"]

UrlOutcome: TypeAlias = Literal["listed", "not-listed", "undecided"]
_FORM: Final = "published"


class UrlHit(NamedTuple):
    """One entry that lists an address; times are seconds since 1970.

    Parameters
    ----------
    list_name, list_id, list_version : str, str, int
        Which list, and its version.
    entry_id : str
        Name of the entry, 16 hexadecimal digits.
    scope, form : str
        How much the entry means, and the form of the address that matched, ``"published"`` or ``"browser"``.
    source, classes : str, tuple of str
        Who lists it, and for what.
    added, verified, expires : int, int, int or None
        When it was first and last listed, and until when it counts.
    """

    list_name: str
    list_id: str
    list_version: int
    entry_id: str
    scope: Scope
    form: str
    source: str
    classes: tuple[str, ...]
    added: int
    verified: int
    expires: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlAnswer:
    """The answer for one address.

    Parameters
    ----------
    outcome : {"listed", "not-listed", "undecided"}
        ``"not-listed"`` only where every list was asked; ``"undecided"`` where the text could not be read.
    hits : tuple of UrlHit
        What lists it.
    reason : str
        Why it is undecided, a word as of `hashmatch.errors.AddressError`.
    """

    outcome: UrlOutcome
    hits: tuple[UrlHit, ...] = ()
    reason: str = ""


class _Open:
    """One list as it was read: what is in it, and which file that was."""

    def __init__(self, path: Path, keys: Iterable[UrlKey]) -> None:
        self.path = path
        self.head, self.table, self.key, self.found = read_table(path, keys)
        self.scopes: frozenset[Scope] = frozenset(group.scope for group in self.head.groups if not group.kept_out)

    def changed(self) -> bool:
        """Whether another file stands at the path."""
        now = os.stat(self.path)
        return (now.st_ino, now.st_dev, now.st_mtime_ns, now.st_size) != (
            self.found.st_ino,
            self.found.st_dev,
            self.found.st_mtime_ns,
            self.found.st_size,
        )


class UrlMatcher:
    """Lists of addresses, open for questions; threads may share one.

    Parameters
    ----------
    paths : iterable of path
        The lists.
    keys : iterable of UrlKey
        Their keys, in any order: while a key is changed, the old and the new list are open side by side.

    Raises
    ------
    ReferenceListError
        If a list cannot be read, or its key is not among those given.

    Notes
    -----
    An address costs tens of microseconds: its forms, and for each list up to 16 MACs of each form.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]], keys: Iterable[UrlKey]) -> None:
        given = tuple(keys)
        self._lists = tuple(_Open(path, given) for path in map(Path, paths))
        if not self._lists:
            raise ReferenceListError("no list of addresses is given")

    @classmethod
    def open(cls, path: str | os.PathLike[str], key: UrlKey) -> Self:
        """Open one list."""
        return cls([path], [key])

    @property
    def lists(self) -> tuple[tuple[str, str, int], ...]:
        """Name, identifier and version of each list that is asked."""
        return tuple((one.head.name, one.head.list_id, one.head.version) for one in self._lists)

    @property
    def keys(self) -> tuple[UrlKey, ...]:
        """Key of each list."""
        return tuple(one.key for one in self._lists)

    def check(self, address: str, *, now: float | None = None) -> UrlAnswer:
        """Ask all lists about an address.

        Parameters
        ----------
        address : str
            As it stands in a link, a log or a request.
        now : float, optional
            Seconds since 1970, for tests.
        """
        try:
            forms = read_address(address)
        except AddressError as error:
            if error.reason == "no-parser":
                raise
            return UrlAnswer(outcome="undecided", reason=error.reason)
        moment = time.time() if now is None else now
        hits: list[UrlHit] = []
        for one in self._lists:
            names, texts = [], []
            for name, form in forms:
                found = candidates(form, one.scopes)
                texts += [text for _, text in found]
                names += [name] * len(found)
            if "url-md5" in one.scopes:
                found = md5_candidates(address, tuple(form for _, form in forms))
                texts += [text for _, text in found]
                names += [_FORM] * len(found)
            head, mac = one.head, one.key.mac
            seen = set()
            for number, row in one.table.find([mac(text) for text in texts]):
                group = head.groups[int(one.table.group[row])]
                if row in seen or not group.counts_at(moment):
                    continue
                seen.add(row)
                hits.append(
                    UrlHit(
                        list_name=head.name,
                        list_id=head.list_id,
                        list_version=head.version,
                        entry_id=entry_id(one.key, int(one.table.keys[row])),
                        scope=group.scope,
                        form=names[number],
                        source=group.source,
                        classes=group.classes,
                        added=group.added,
                        verified=group.verified,
                        expires=group.expires,
                    )
                )
        return UrlAnswer(outcome="listed", hits=tuple(hits)) if hits else _NOT_LISTED

    def refresh(self) -> bool:
        """Take up lists that were changed; whether any was.

        Raises
        ------
        ReferenceListError
            If one cannot be read; what was open before stays open, all of it.
        """
        try:
            changed = [one.changed() for one in self._lists]
        except OSError:
            raise ReferenceListError("a list is not there any more: what was read before is still asked") from None
        if any(changed):
            self._lists = tuple(
                _Open(one.path, [one.key]) if new else one for one, new in zip(self._lists, changed, strict=True)
            )
        return any(changed)

    def __repr__(self) -> str:
        return f"<UrlMatcher of {len(self._lists)} lists>"


_NOT_LISTED: Final = UrlAnswer(outcome="not-listed")
