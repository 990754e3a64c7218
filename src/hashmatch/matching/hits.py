"""Hits: what the indexes answer for one query, and how each is explained by the version that was searched.

Over 400 lines because the ways in which an entry can be hit stand beside each other, under one protocol.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from hashmatch.deadline import NO_DEADLINE, Deadline
from hashmatch.errors import ReferenceListError
from hashmatch.hashes import HashValue, ViewHash, distance
from hashmatch.keypoints.geometry import Pairs
from hashmatch.keypoints.record import Record
from hashmatch.matching.report import Placement
from hashmatch.policy import CropRule, KeypointRule, MatchPolicy, Rule
from hashmatch.view import Margins, View
from hashmatch.views.evidence.bit_odds import flat_bits
from hashmatch.views.patterned import patterned

if TYPE_CHECKING:
    from hashmatch.features.extract import KeypointLook, SmallLook
    from hashmatch.features.query import Query
    from hashmatch.index import Candidate
    from hashmatch.keypoints.judge import Alignment
    from hashmatch.keypoints.points import Keypoints
    from hashmatch.lists import Entry, Listing
    from hashmatch.policy.selections import Judging
    from hashmatch.store.keypoint_rows import SearchableRecords
    from hashmatch.store.state import ListState
    from hashmatch.views.crops import CropHit

__all__ = ["Agreement", "EvidenceHit", "Hit", "PlainHit", "find_hits", "judge_records", "judging_of", "named"]

Order = tuple[int, float, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A listing that holds a hash which agrees with the query by the rule that applies to the listing.

    Parameters
    ----------
    listing : Listing
        What a source says of the entry.
    judging : Judging
        The selection that applies.
    order : tuple
        As of the hit, by the rule of that selection.
    nearness : float
        How near, less is nearer: distance; evidence below 0; the logarithm of the chance.
    rule : Rule or None
        The rule of a comparison by distance.
    said : mapping
        What the match says of the comparison.
    """

    listing: Listing
    judging: Judging
    order: Order
    nearness: float
    rule: Rule | None
    said: dict[str, Any]


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

    @property
    def view(self) -> View:
        """View of the query."""

    def agreements(self, entry: Entry, policy: MatchPolicy) -> Iterator[Agreement]:
        """Give the listings of the entry that agree.

        Raises ReferenceListError where the entry does not hold what was found.
        """


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
    def view(self) -> View:
        """View of the query."""
        return self.query.view

    @property
    def order(self) -> Order:
        """Digests first, then by distance relative to the threshold; what tells little comes last."""
        return self._order(self.rule, self.distance, told=self.tells_little)

    def _order(self, rule: Rule, distance: int, *, told: bool) -> Order:
        return 4 if told else int(not rule.is_digest), distance / max(1, rule.threshold), self.place

    def agreements(self, entry: Entry, policy: MatchPolicy) -> Iterator[Agreement]:
        """Give the listings with a hash within the threshold of the rule that applies to them, each by its nearest."""
        holds = False
        names = self.snapshot.name, self.snapshot.list_id
        value, view, quality = self.query.value, self.query.view, self.query.quality
        widest, algorithm = self.rule.threshold_of(view), self.algorithm
        for listing in entry.listings:
            judging = judging_of(names, listing, policy)
            rule = None if judging is None else judging.rules.get(algorithm)
            nearest = None
            for item in listing.hashes:
                if item.value.algorithm != algorithm or not _is_good(item.quality, self.rule.min_quality):
                    continue
                apart = distance(value, item.value)
                holds = holds or apart <= widest
                if (
                    rule is not None
                    and (nearest is None or apart < nearest)
                    and _is_good(item.quality, rule.min_quality)
                ):
                    nearest = apart
            if judging is None or rule is None or nearest is None or not _is_good(quality, rule.min_quality):
                continue
            threshold = widest if rule is self.rule else rule.threshold_of(view)
            if nearest > threshold:
                continue
            yield Agreement(
                listing=listing,
                judging=judging,
                order=self._order(rule, nearest, told=self.tells_little),
                nearness=nearest,
                rule=rule,
                said={"distance": nearest, "threshold": threshold, "quality": quality, "view": view},
            )
        if not holds:
            raise self.snapshot.spoilt()


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
    kind: Literal["crop_evidence", "rotation_evidence"]

    @property
    def algorithm(self) -> str:
        """Algorithm of the entry's hash."""
        return self.value.algorithm

    @property
    def order(self) -> Order:
        """After the plain comparisons, the most evidence first."""
        return 2, -self.evidence, 0

    def agreements(self, entry: Entry, policy: MatchPolicy) -> Iterator[Agreement]:
        """Give the listings with the hash, if the cut or the tilt that fits best has the evidence they ask for."""
        if self.value not in entry.hashes:
            raise self.snapshot.spoilt()
        names = self.snapshot.name, self.snapshot.list_id
        for listing in entry.listings:
            judging = judging_of(names, listing, policy)
            least = None if judging is None else getattr(judging, self.kind)
            if judging is None or least is None or self.evidence < least or not _has(listing, self.value):
                continue
            yield Agreement(
                listing=listing,
                judging=judging,
                order=self.order,
                nearness=-self.evidence,
                rule=None,
                said={
                    "distance": self.distance,
                    "threshold": None,
                    "quality": self.quality,
                    "view": self.view,
                    "evidence": self.evidence,
                    "min_evidence": least,
                },
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeypointHit:
    """An entry of whose picture the query shows a part."""

    tells_little: ClassVar[bool] = False
    snapshot: ListState
    key: int
    value: HashValue
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

    def agreements(self, entry: Entry, policy: MatchPolicy) -> Iterator[Agreement]:
        """Give the listings with the record, if the chance is as small as they ask for."""
        if self.value not in entry.hashes:
            raise self.snapshot.spoilt()
        names = self.snapshot.name, self.snapshot.list_id
        found = self.alignment
        placement = Placement(
            crop=found.crop_box,
            overlap=found.overlap,
            scale=1 / found.transform.scale,
            angle=math.degrees(found.transform.angle),
            mirrored=found.transform.mirrored,
            inliers=found.inliers,
            agreement=found.agreement,
            n_compared=round(found.bits),
            chance=found.chance,
        )
        for listing in entry.listings:
            judging = judging_of(names, listing, policy)
            most = None if judging is None else judging.keypoint_chance
            if judging is None or most is None or found.chance > most or not _has(listing, self.value):
                continue
            yield Agreement(
                listing=listing,
                judging=judging,
                order=self.order,
                nearness=found.chance,
                rule=None,
                said={
                    "distance": None,
                    "threshold": None,
                    "quality": None,
                    "view": self.view,
                    "placement": placement,
                },
            )


def judging_of(names: tuple[str, str], listing: Listing, policy: MatchPolicy) -> Judging | None:
    """Say how a listing of a list, by its name and identifier, is judged; None where no selection holds for it."""
    if not policy.selections:
        return policy.judgings[0]
    return policy.judging_of(names, listing.source, frozenset(listing.classes))


def _is_good(quality: int | None, least: int) -> bool:
    return quality is None or quality >= least


def _has(listing: Listing, value: HashValue) -> bool:
    return any(item.value == value for item in listing.hashes)


def find_hits(
    snapshots: Sequence[ListState],
    query: Query,
    good: tuple[ViewHash, ...],
    policy: MatchPolicy,
    deadline: Deadline = NO_DEADLINE,
    *,
    every: bool = False,
) -> tuple[list[Hit], list[ReferenceListError]]:
    """Search all lists: the best hit for each list, entry and algorithm, in the order of the report.

    ``good`` is what the query's `searched_hashes` gives. With ``every`` all hits are given, one for each hash of the
    query that is near an entry.

    The second of the two is what went wrong in a list that could not be searched to its end.
    """
    best: dict[tuple[Any, ...], tuple[int, Hit]] = {}
    failures: list[ReferenceListError] = []
    for number, snapshot in enumerate(snapshots):
        try:
            # views come plainest first, so that the plainest wins a tie
            for hit in _hits_in(snapshot, query, good, policy, deadline, every=every):
                deadline.check()
                slot = (number, hit.algorithm, hit.key, *((len(best),) if every else ()))
                if slot not in best or hit.order < best[slot][1].order:
                    best[slot] = number, hit
        except ReferenceListError as error:
            failures.append(named(snapshot, error))
    found = sorted(best.values(), key=lambda item: (item[1].order, item[0], item[1].key))
    return [hit for _, hit in found], failures


def named(snapshot: ListState, error: ReferenceListError) -> ReferenceListError:
    """Make the error that names the list it is about."""
    return ReferenceListError(f"the list {snapshot.name!r}: {error}")


def _hits_in(
    snapshot: ListState,
    query: Query,
    good: tuple[ViewHash, ...],
    policy: MatchPolicy,
    deadline: Deadline,
    *,
    every: bool,
) -> Iterator[Hit]:
    deadline.check()
    yield from _plain_hits(snapshot, good, policy, seen=query.by_policy, every=every)
    tilts = policy.rotation_search if query.smalls else None
    if tilts is not None:
        for small in query.smalls:
            deadline.check()
            yield from _rotated_hits(snapshot, (small,), policy, tilts)
    crops = policy.crop_search if query.smalls else None
    if crops is not None:
        for small in query.smalls:
            deadline.check()
            yield from _crop_hits(snapshot, (small,), crops)
    keypoints = policy.keypoint_search if query.keypoints else None
    if keypoints is not None and snapshot.keypoints is not None:
        for look in query.keypoints:
            deadline.check()
            yield from _keypoint_hits(snapshot, snapshot.keypoints, look, keypoints)


def _plain_hits(
    snapshot: ListState, hashes: tuple[ViewHash, ...], policy: MatchPolicy, *, seen: bool, every: bool = False
) -> Iterator[PlainHit]:
    made = {item.value.algorithm for item in hashes}
    for place, rule in enumerate(policy.searches):
        layer = snapshot.hashes(rule.algorithm) if rule.algorithm in made else None
        if layer is None:
            continue
        queries = _distinct(rule, [item for item in hashes if item.value.algorithm == rule.algorithm])
        codes = np.frombuffer(b"".join(item.value.data for item, _ in queries), np.uint8).reshape(len(queries), -1)
        # a hash that is given is looked up for what it is; a picture is only near what its hash can tell from others
        tell = _of_few_signs if seen and rule.algorithm == "pdq" and rule.min_quality else None
        best: dict[tuple[int, int], tuple[bool, int, int]] = {}
        for row, key, found, told in layer.search(codes, rule.threshold, tell):
            if found <= queries[row][1]:
                slot = key, row if every else 0
                known = best.get(slot)
                if known is None or (told, found, row) < known:
                    best[slot] = told, found, row
        for (key, _), (told, found, row) in best.items():
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


def _rotated_hits(
    snapshot: ListState, looks: tuple[SmallLook, ...], policy: MatchPolicy, min_evidence: float
) -> Iterator[EvidenceHit]:
    from hashmatch.views.small_rotations import TiltedSearch

    layer, rule = snapshot.hashes("pdq"), policy.rule_for("pdq")
    if layer is None or rule is None:
        return
    search = TiltedSearch(min_evidence=min_evidence, min_quality=rule.min_quality)
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
                kind="rotation_evidence",
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
                kind="crop_evidence",
            )


def _keypoint_hits(
    snapshot: ListState, layer: SearchableRecords, look: KeypointLook, rule: KeypointRule
) -> Iterator[KeypointHit]:
    candidates = list(layer.candidates(look))
    values = snapshot.records(hash_id for hash_id, _, _ in candidates)
    judged = judge_records(look, [(value.data, item) for value, (_, _, item) in zip(values, candidates, strict=True)])
    for (_, key, _), value, found in zip(candidates, values, judged, strict=True):
        if found is not None and found.accepted and found.chance <= rule.max_chance:
            yield KeypointHit(snapshot=snapshot, key=key, value=value, view=look.view, alignment=found)


def judge_records(look: KeypointLook, candidates: Sequence[tuple[bytes, Candidate]]) -> list[Alignment | None]:
    """Lay stored records over a query.

    Parameters
    ----------
    look : KeypointLook
        The query.
    candidates : sequence of (bytes, Candidate)
        Bytes of a record, and which of its points agree.

    Returns
    -------
    list of (Alignment or None)
        As `hashmatch.keypoints.judge.Judge.verify_many` gives them.
    """
    from hashmatch.keypoints.judge import Judge

    cases: list[tuple[Keypoints, bytes, Pairs]] = []
    for data, candidate in candidates:
        record = Record.from_bytes(data)
        mirrored = np.full(len(candidate.query_points), candidate.mirrored)
        pairs = Pairs(
            candidate.query_points, candidate.reference_points, candidate.distances.astype(np.int64), mirrored
        )
        cases.append((record.points, record.field, pairs))
    return Judge(look.points, look.luma, field=look.field).verify_many(cases)


def _cut_view(view: View, found: CropHit) -> View:
    """View of the query with the cut that was found: shares of the entry's picture."""
    (left, right), (top, bottom) = found.fit.columns, found.fit.rows
    return replace(view, turn=found.turn, cut=Margins(left=left, top=top, right=right, bottom=bottom))
