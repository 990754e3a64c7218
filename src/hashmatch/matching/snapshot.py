"""One version of one list, ready to be searched; what a `Matcher` swaps when a list has changed."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import ReferenceListError
from hashmatch.hashes import ViewHash, distance
from hashmatch.lists import Changes, ReferenceList
from hashmatch.matching.layer import Layer
from hashmatch.matching.report import ComparedList, Match
from hashmatch.policy import MatchPolicy, Rule

__all__ = ["ListSnapshot"]


class _Use:
    """Held by all snapshots that read from one open file; gone when the last of them is."""

    __slots__ = ("__weakref__",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSnapshot:
    """A list at one version; immutable.

    Parameters
    ----------
    reference : ReferenceList
        The open list, read-only; entries are looked up in it when they match.
    version : int
        Version that the layers hold.
    n_entries : int
        Entries at that version.
    layers : mapping of str to Layer
        Searchable hashes, by algorithm; those that the policy has a rule for.
    unsearched : mapping of str to int
        Hashes of algorithms that the policy has no rule for.
    index_folder : Path or None
        Where index files are kept between runs; None to keep none.
    list_id : str
        Identifier of the list that the layers hold.
    use : _Use
        Shared by the snapshots of one open file.
    """

    reference: ReferenceList
    version: int
    n_entries: int
    layers: Mapping[str, Layer]
    unsearched: Mapping[str, int]
    index_folder: Path | None
    list_id: str
    use: _Use = field(default_factory=_Use, compare=False, repr=False)

    @classmethod
    def of(cls, reference: ReferenceList, policy: MatchPolicy, index_folder: Path | None = None) -> ListSnapshot:
        """Read a whole list and index it.

        Raises
        ------
        ReferenceListError
            If the list cannot be read, or the index folder cannot be used.
        """
        whole = reference.snapshot()
        layers, unsearched = {}, {}
        for name, rows in whole.rows.items():
            rule = policy.rule_for(name)
            if rule is None:
                unsearched[name] = len(rows)
            else:
                file = None if index_folder is None else index_folder / f"{whole.list_id}.{name}.index"
                try:
                    layers[name] = Layer.build(ALGORITHMS[name], rows, rule.threshold, file)
                except OSError as error:
                    raise ReferenceListError(
                        f"the index folder cannot be used: {error.strerror or 'input/output error'};"
                        " name an existing folder that can be written"
                    ) from error
        return cls(
            reference=reference,
            version=whole.version,
            n_entries=whole.n_entries,
            layers=MappingProxyType(layers),
            unsearched=MappingProxyType(unsearched),
            index_folder=index_folder,
            list_id=whole.list_id,
        )

    def refreshed(self, policy: MatchPolicy) -> ListSnapshot:
        """Return the list's present version: this object when nothing changed, else a new one.

        Small changes are laid over the existing indexes; large ones, and those the list no longer remembers, are
        read and indexed anew. So is a list whose file was replaced by another: the new one is opened, the old one
        stays open until `close_after_use`.
        """
        if self.reference.replaced:
            return self._reopened(policy)
        version = self.reference.version
        same = self.reference.list_id == self.list_id  # not so when another list was copied into the file
        if same and version == self.version:
            return self
        changes = self.reference.changes_since(self.version) if same else None
        found = None if changes is None else self._with(changes, policy)
        return found or replace(self.of(self.reference, policy, self.index_folder), use=self.use)

    def _reopened(self, policy: MatchPolicy) -> ListSnapshot:
        reference = ReferenceList.open(self.reference.path)
        try:
            return self.of(reference, policy, self.index_folder)
        except BaseException:
            reference.close()
            raise

    def close_after_use(self) -> None:
        """Close the list once no snapshot of it is left, so that searches that run in it end well."""
        weakref.finalize(self.use, self.reference.close).atexit = False

    def _with(self, changes: Changes, policy: MatchPolicy) -> ListSnapshot | None:
        layers, unsearched = dict(self.layers), dict(self.unsearched)
        for name in sorted(changes.added.keys() | changes.withdrawn.keys()):
            rows, gone = changes.added.get(name), changes.withdrawn.get(name, np.empty(0, np.int64))
            rule = policy.rule_for(name)
            if rule is None:
                more = 0 if rows is None else len(rows)
                unsearched[name] = unsearched.get(name, 0) + more - gone.size
                continue
            if name not in layers:
                if rows is not None:
                    layers[name] = Layer.build(ALGORITHMS[name], rows, rule.threshold)
                continue
            updated = layers[name].updated(rows, gone)
            if updated is None:
                return None
            layers[name] = updated
        return replace(
            self,
            version=changes.version,
            n_entries=changes.n_entries,
            layers=MappingProxyType(layers),
            unsearched=MappingProxyType(unsearched),
        )

    def explained(self, rule: Rule, key: int, query: ViewHash) -> Match | None:
        """Explain one hit from what the list says now; None when the hash was withdrawn since it was indexed."""
        entry = self.reference.entry_by_key(key)
        values = () if entry is None else (value for value in entry.hashes if value.algorithm == rule.algorithm)
        nearest = min((distance(query.value, value) for value in values), default=None)
        if entry is None or nearest is None or nearest > rule.threshold:
            return None
        return Match(
            list_name=self.reference.name,
            list_id=self.list_id,
            list_version=self.version,
            entry_id=entry.entry_id,
            sources=entry.labels,
            algorithm=rule.algorithm,
            distance=nearest,
            threshold=rule.threshold,
            quality=query.quality,
            view=query.view,
        )

    def compared(self, searched: Set[str]) -> ComparedList:
        """Say what of the list a picture was compared with, by the algorithms that were searched."""
        sizes = {name: len(layer) for name, layer in self.layers.items() if len(layer)}
        return ComparedList(
            name=self.reference.name,
            list_id=self.list_id,
            version=self.version,
            n_entries=self.n_entries,
            compared={name: n for name, n in sizes.items() if name in searched},
            not_compared={name: n for name, n in sizes.items() if name not in searched}
            | {name: n for name, n in self.unsearched.items() if n},
        )
