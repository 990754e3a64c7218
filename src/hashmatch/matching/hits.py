"""Hits: what the indexes answer for one query, and how each is explained by the version that was searched."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from hashmatch.deadline import NO_DEADLINE, Deadline
from hashmatch.errors import ReferenceListError
from hashmatch.hashes import HashValue, ViewHash, distance
from hashmatch.keypoints.geometry import Pairs
from hashmatch.keypoints.record import Record
from hashmatch.matching.report import Match, Placement
from hashmatch.policy import CropRule, KeypointRule, MatchPolicy, Rule
from hashmatch.view import Margins, View
from hashmatch.views.evidence.bit_odds import flat_bits
from hashmatch.views.patterned import patterned

if TYPE_CHECKING:
    from hashmatch.features.extract import KeypointLook, SmallLook
    from hashmatch.features.query import Query
    from hashmatch.keypoints.judge import Alignment
    from hashmatch.keypoints.points import Keypoints
    from hashmatch.lists import Entry, ListedHash
    from hashmatch.store.keypoint_rows import SearchableRecords
    from hashmatch.store.state import ListState
    from hashmatch.views.crops import CropHit

__all__ = ["Hit", "find_hits", "named"]

Order = tuple[int, float, int]


class Hit(Protocol):
    """An entry of a list that may match."""

    @property
    def snapshot(self) -> ListState:
        """The list."""

    @property
    def algorithm(self) -> str:
        """Algorithm of the entry's hash."""

    @property
    def key(self) -> int:
        """Key of the entry in the list."""

    @property
    def order(self) -> Order:
        """What stands before what: digests, plain comparisons by distance, then by evidence, keypoints by chance."""

    @property
    def tells_little(self) -> bool:
        """Whether the entry's hash is of a kind that other pictures have too: no match, and no "no match" either."""

    def explained(self) -> Match:
        """Explain the hit; `MovedOn` when the list has changed there since it was indexed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainHit:
    """An entry within the threshold of one hash of the query."""

    snapshot: ListState
    rule: Rule
    place: int
    key: int
    query: ViewHash
    distance: int
    tells_little: bool = False

    @property
    def algorithm(self) -> str:
        """Algorithm of both hashes."""
        return self.rule.algorithm

    @property
    def order(self) -> Order:
        """Digests first, then by distance relative to the threshold; what tells little comes last."""
        return (
            4 if self.tells_little else int(not self.rule.is_digest),
            self.distance / max(1, self.rule.threshold),
            self.place,
        )

    @property
    def threshold(self) -> int:
        """Largest distance that counts for this view."""
        return self.rule.threshold_of(self.query.view)

    def explained(self) -> Match:
        """Explain the hit by the entry's nearest hash."""
        entry = self.snapshot.entry(self.key)
        listed = (item for listing in entry.listings for item in listing.hashes if self._is_compared(item))
        nearest = min((distance(self.query.value, item.value) for item in listed), default=None)
        if nearest is None or nearest > self.threshold:
            raise self.snapshot.spoilt()
        return _match(self, entry)(
            distance=nearest,
            threshold=self.threshold,
            quality=self.query.quality,
            view=self.query.view,
        )

    def _is_compared(self, item: ListedHash) -> bool:
        is_plain = item.quality is not None and item.quality < self.rule.min_quality
        return item.value.algorithm == self.algorithm and not is_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceHit:
    """An entry that the query seems to have been cut from, or to be a rotated copy of."""

    tells_little: ClassVar[bool] = False
    snapshot: ListState
    key: int
    value: HashValue
    view: View
    quality: int
    distance: int
    evidence: float
    min_evidence: float

    @property
    def algorithm(self) -> str:
        """Algorithm of the entry's hash."""
        return self.value.algorithm

    @property
    def order(self) -> Order:
        """After the plain comparisons, the most evidence first."""
        return 2, -self.evidence, 0

    def explained(self) -> Match:
        """Explain the hit by the cut or the tilt that fits best."""
        entry = self.snapshot.entry(self.key)
        if self.value not in entry.hashes:
            raise self.snapshot.spoilt()
        return _match(self, entry)(
            distance=self.distance,
            threshold=None,
            quality=self.quality,
            view=self.view,
            evidence=self.evidence,
            min_evidence=self.min_evidence,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeypointHit:
    """An entry of whose picture the query shows a part."""

    tells_little: ClassVar[bool] = False
    snapshot: ListState
    key: int
    view: View
    alignment: Alignment

    @property
    def algorithm(self) -> str:
        """Algorithm of the entry's record."""
        return "keypoint"

    @property
    def order(self) -> Order:
        """After what evidence decides, the least likely to be chance first."""
        return 3, self.alignment.chance, 0

    def explained(self) -> Match:
        """Explain the hit by where the query lies on the entry's picture."""
        entry = self.snapshot.entry(self.key)
        found = self.alignment
        return _match(self, entry)(
            distance=None,
            threshold=None,
            quality=None,
            view=self.view,
            placement=Placement(
                crop=found.crop_box,
                overlap=found.overlap,
                scale=1 / found.transform.scale,
                angle=math.degrees(found.transform.angle),
                mirrored=found.transform.mirrored,
                inliers=found.inliers,
                agreement=found.agreement,
                n_compared=round(found.bits),
                chance=found.chance,
            ),
        )


def _match(hit: Hit, entry: Entry) -> partial[Match]:
    """Begin a match with what every one says of its list and entry."""
    return partial(
        Match,
        list_name=hit.snapshot.name,
        list_id=hit.snapshot.list_id,
        list_version=hit.snapshot.version,
        list_digest=hit.snapshot.mark.digest,
        entry_id=entry.entry_id,
        sources=entry.labels,
        algorithm=hit.algorithm,
    )


def find_hits(
    snapshots: Sequence[ListState],
    query: Query,
    good: tuple[ViewHash, ...],
    policy: MatchPolicy,
    deadline: Deadline = NO_DEADLINE,
) -> tuple[list[Hit], list[ReferenceListError]]:
    """Search all lists: the best hit for each list, entry and algorithm, in the order of the report.

    ``good`` is what the query's `searched_hashes` gives.

    The second of the two is what went wrong in a list that could not be searched to its end.
    """
    best: dict[tuple[int, str, int], Hit] = {}
    failures: list[ReferenceListError] = []
    for number, snapshot in enumerate(snapshots):
        try:
            # views come plainest first, so that the plainest wins a tie
            for hit in _hits_in(snapshot, query, good, policy, deadline):
                deadline.check()
                slot = number, hit.algorithm, hit.key
                if slot not in best or hit.order < best[slot].order:
                    best[slot] = hit
        except ReferenceListError as error:
            failures.append(named(snapshot, error))
    return [best[slot] for slot in sorted(best, key=lambda slot: (best[slot].order, slot[0], slot[2]))], failures


def named(snapshot: ListState, error: ReferenceListError) -> ReferenceListError:
    """Make the error that names the list it is about."""
    return ReferenceListError(f"the list {snapshot.name!r}: {error}")


def _hits_in(
    snapshot: ListState, query: Query, good: tuple[ViewHash, ...], policy: MatchPolicy, deadline: Deadline
) -> Iterator[Hit]:
    deadline.check()
    yield from _plain_hits(snapshot, good, policy, seen=query.by_policy)
    if policy.rotations and query.smalls:
        for small in query.smalls:
            deadline.check()
            yield from _rotated_hits(snapshot, (small,), policy)
    if policy.crops is not None and query.smalls:
        for small in query.smalls:
            deadline.check()
            yield from _crop_hits(snapshot, (small,), policy.crops)
    if policy.keypoints is not None and snapshot.keypoints is not None:
        for look in query.keypoints:
            deadline.check()
            yield from _keypoint_hits(snapshot, snapshot.keypoints, look, policy.keypoints)


def _plain_hits(
    snapshot: ListState, hashes: tuple[ViewHash, ...], policy: MatchPolicy, *, seen: bool
) -> Iterator[PlainHit]:
    made = {item.value.algorithm for item in hashes}
    for place, rule in enumerate(policy.rules):
        layer = snapshot.hashes(rule.algorithm) if rule.algorithm in made else None
        if layer is None:
            continue
        queries = _distinct(rule, [item for item in hashes if item.value.algorithm == rule.algorithm])
        codes = np.frombuffer(b"".join(item.value.data for item, _ in queries), np.uint8).reshape(len(queries), -1)
        # a hash that is given is looked up for what it is; a picture is only near what its hash can tell from others
        tell = _of_few_signs if seen and rule.algorithm == "pdq" and rule.min_quality else None
        best: dict[int, tuple[bool, int, int]] = {}
        for row, key, found, told in layer.search(codes, rule.threshold, tell):
            if found <= queries[row][1]:
                known = best.get(key)
                if known is None or (told, found, row) < known:
                    best[key] = told, found, row
        for key, (told, found, row) in best.items():
            yield PlainHit(
                snapshot=snapshot,
                rule=rule,
                place=place,
                key=key,
                query=queries[row][0],
                distance=found,
                tells_little=told,
            )


def _distinct(rule: Rule, hashes: list[ViewHash]) -> list[tuple[ViewHash, int]]:
    """Give the hashes and their thresholds without those that a plainer view has too: they would find the same."""
    first: dict[tuple[bytes, int], ViewHash] = {}
    for item in hashes:
        threshold = rule.threshold if rule.view_threshold is None else rule.threshold_of(item.view)
        first.setdefault((item.value.data, threshold), item)
    return [(item, threshold) for (_, threshold), item in first.items()]


def _of_few_signs(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    return patterned(flat_bits(codes))


def _rotated_hits(snapshot: ListState, looks: tuple[SmallLook, ...], policy: MatchPolicy) -> Iterator[EvidenceHit]:
    from hashmatch.views.small_rotations import TiltedSearch

    layer, rule = snapshot.hashes("pdq"), policy.rule_for("pdq")
    if layer is None or rule is None:
        return
    search = TiltedSearch(min_evidence=policy.rotation_evidence, min_quality=rule.min_quality)
    for look in looks:
        if look.view.trim:
            continue
        searched = partial(search.search, look.small, look.size)
        for found, key, code in layer.search_guided(searched):
            yield EvidenceHit(
                snapshot=snapshot,
                key=key,
                value=HashValue("pdq", code),
                view=replace(look.view, tilt=found.tilt.angle),
                quality=look.quality,
                distance=found.distance,
                evidence=found.evidence,
                min_evidence=policy.rotation_evidence,
            )


def _crop_hits(snapshot: ListState, looks: tuple[SmallLook, ...], rule: CropRule) -> Iterator[EvidenceHit]:
    from hashmatch.views.crops import CropSearch

    layer = snapshot.hashes("pdq")
    if layer is None:
        return
    search = CropSearch(min_evidence=rule.min_evidence, turns=rule.turns)
    for look in looks:
        if look.quality < rule.min_quality:
            continue
        for found, key, code in layer.search_guided(partial(search.search, look.small), rule.min_quality):
            yield EvidenceHit(
                snapshot=snapshot,
                key=key,
                value=HashValue("pdq", code),
                view=_cut_view(look.view, found),
                quality=look.quality,
                distance=found.distance,
                evidence=found.evidence,
                min_evidence=rule.min_evidence,
            )


def _keypoint_hits(
    snapshot: ListState, layer: SearchableRecords, look: KeypointLook, rule: KeypointRule
) -> Iterator[KeypointHit]:
    from hashmatch.keypoints.judge import Judge

    cases: list[tuple[Keypoints, bytes, Pairs]] = []
    candidates = list(layer.candidates(look))
    values = snapshot.records(hash_id for hash_id, _, _ in candidates)
    for value, (_, _, candidate) in zip(values, candidates, strict=True):
        record = Record.from_bytes(value.data)
        mirrored = np.full(len(candidate.query_points), candidate.mirrored)
        pairs = Pairs(
            candidate.query_points, candidate.reference_points, candidate.distances.astype(np.int64), mirrored
        )
        cases.append((record.points, record.field, pairs))
    judge = Judge(look.points, look.luma, field=look.field)
    for (_, key, _), found in zip(candidates, judge.verify_many(cases), strict=True):
        if found is not None and found.accepted and found.chance <= rule.max_chance:
            yield KeypointHit(snapshot=snapshot, key=key, view=look.view, alignment=found)


def _cut_view(view: View, found: CropHit) -> View:
    """View of the query with the cut that was found: shares of the entry's picture."""
    (left, right), (top, bottom) = found.fit.columns, found.fit.rows
    return replace(view, turn=found.turn, cut=Margins(left=left, top=top, right=right, bottom=bottom))
