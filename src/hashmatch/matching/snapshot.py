"""One version of one list, ready to be searched; what a `Matcher` swaps when a list has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from hashmatch.hashes import ALGORITHMS
from hashmatch.lists import Changes, Entry, ReferenceList
from hashmatch.matching.layer import Layer
from hashmatch.policy import MatchPolicy

__all__ = ["ListSnapshot"]


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
    """

    reference: ReferenceList
    version: int
    n_entries: int
    layers: Mapping[str, Layer]
    unsearched: Mapping[str, int]
    index_folder: Path | None = None

    @classmethod
    def of(cls, reference: ReferenceList, policy: MatchPolicy, index_folder: Path | None = None) -> ListSnapshot:
        """Read a whole list and index it."""
        whole = reference.snapshot()
        layers, unsearched = {}, {}
        for name, rows in whole.rows.items():
            rule = policy.rule_for(name)
            if rule is None:
                unsearched[name] = len(rows)
            else:
                file = None if index_folder is None else index_folder / f"{reference.list_id}.{name}.index"
                layers[name] = Layer.build(ALGORITHMS[name], rows, rule.threshold, file)
        return cls(
            reference=reference,
            version=whole.version,
            n_entries=whole.n_entries,
            layers=MappingProxyType(layers),
            unsearched=MappingProxyType(unsearched),
            index_folder=index_folder,
        )

    def refreshed(self, policy: MatchPolicy) -> ListSnapshot:
        """Return the list's present version: this object when nothing changed, else a new one.

        Small changes are laid over the existing indexes; large ones, and those the list no longer remembers, are
        read and indexed anew.
        """
        if self.reference.version == self.version:
            return self
        changes = self.reference.changes_since(self.version)
        return (None if changes is None else self._with(changes, policy)) or self.of(
            self.reference, policy, self.index_folder
        )

    def _with(self, changes: Changes, policy: MatchPolicy) -> ListSnapshot | None:
        layers, unsearched = dict(self.layers), dict(self.unsearched)
        for name in changes.added.keys() | changes.withdrawn.keys():
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
        return ListSnapshot(
            reference=self.reference,
            version=changes.version,
            n_entries=changes.n_entries,
            layers=MappingProxyType(layers),
            unsearched=MappingProxyType(unsearched),
            index_folder=self.index_folder,
        )

    def entry(self, key: int) -> Entry | None:
        """Return what the list says of an entry now; None when it has been withdrawn since."""
        return self.reference.entry_by_key(key)
