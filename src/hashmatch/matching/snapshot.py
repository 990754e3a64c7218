"""One version of one list, ready to be searched; what a `Matcher` swaps when a list has changed."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import ReferenceListError
from hashmatch.lists import Changes, ReferenceList
from hashmatch.matching.layer import Layer
from hashmatch.matching.report import ComparedList
from hashmatch.policy import KeypointRule, MatchPolicy

if TYPE_CHECKING:
    from hashmatch.lists import RecordStream
    from hashmatch.matching.keypoints import KeypointLayer

__all__ = ["ListSnapshot"]

RECORD_ALGORITHMS: Final = {name for name, algorithm in ALGORITHMS.items() if not algorithm.n_bits}


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
    keypoints : KeypointLayer or None
        Searchable keypoint records, if the list has any and the policy has a rule for them.
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
    keypoints: KeypointLayer | None
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
        try:
            for name, rows in whole.rows.items():
                rule = policy.rule_for(name)
                if rule is None:
                    unsearched[name] = len(rows)
                    continue
                file = _index_file(index_folder, whole.list_id, name)
                crops = name == "pdq" and policy.crops is not None
                layers[name] = Layer.build(ALGORITHMS[name], rows, rule.threshold, file, crops=crops)
            keypoints = None
            for name, records in whole.records.items():
                if policy.keypoints is None:
                    unsearched[name] = len(records)
                else:
                    keypoints = _build_keypoints(
                        policy.keypoints, records, _index_file(index_folder, whole.list_id, name)
                    )
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
            keypoints=keypoints,
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
        keypoints = self.keypoints
        for name in sorted(changes.records.keys() | changes.withdrawn.keys() & RECORD_ALGORITHMS):
            records, gone = changes.records.get(name), changes.withdrawn.get(name, np.empty(0, np.int64))
            if policy.keypoints is None:
                more = 0 if records is None else len(records)
                unsearched[name] = unsearched.get(name, 0) + more - gone.size
                continue
            keypoints = None if keypoints is None else keypoints.updated(records, gone)
            if keypoints is None:
                return None
        for name in sorted(changes.added.keys() | changes.withdrawn.keys() - RECORD_ALGORITHMS):
            rows, gone = changes.added.get(name), changes.withdrawn.get(name, np.empty(0, np.int64))
            rule = policy.rule_for(name)
            if rule is None:
                more = 0 if rows is None else len(rows)
                unsearched[name] = unsearched.get(name, 0) + more - gone.size
                continue
            if name not in layers:
                if rows is not None:
                    crops = name == "pdq" and policy.crops is not None
                    layers[name] = Layer.build(ALGORITHMS[name], rows, rule.threshold, crops=crops)
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
            keypoints=keypoints,
            unsearched=MappingProxyType(unsearched),
        )

    @property
    def sizes(self) -> dict[str, int]:
        """Hashes that can be searched, by algorithm."""
        sizes = {name: len(layer) for name, layer in self.layers.items() if len(layer)}
        if self.keypoints is not None and len(self.keypoints):
            sizes["keypoint"] = len(self.keypoints)
        return sizes

    def compared(self, searched: Set[str]) -> ComparedList:
        """Say what of the list a picture was compared with, by the algorithms that were searched."""
        left_out = {name: n for name, n in self.unsearched.items() if n}
        if self.keypoints is not None and self.keypoints.n_left_out:
            left_out["keypoint"] = self.keypoints.n_left_out
        for name, n in self.sizes.items():
            if name not in searched:
                left_out[name] = left_out.get(name, 0) + n
        return ComparedList(
            name=self.reference.name,
            list_id=self.list_id,
            version=self.version,
            n_entries=self.n_entries,
            compared={name: n for name, n in self.sizes.items() if name in searched},
            not_compared=left_out,
        )


def _index_file(folder: Path | None, list_id: str, name: str) -> Path | None:
    return None if folder is None else folder / f"{list_id}.{name}.index"


def _build_keypoints(rule: KeypointRule, records: RecordStream, file: Path | None) -> KeypointLayer:
    """Index keypoint records; only a policy that searches them loads the code for it."""
    from hashmatch.matching.keypoints import KeypointLayer

    return KeypointLayer.build(rule, records, file)
