"""What hits mean: which entries alarm, what a benign entry suppresses, what is for comparison only, what is held back.

The order of the rules, each applied to what the one before left:

1. A listing counts if its own hash agrees by the rule of the first selection that holds for it.
2. A match by a rule that asks for a second hash counts if one of those algorithms agrees in the same entry.
3. An entry is what its agreeing listings say: alarm before comparison before benign, by each algorithm; and an entry
   that alarms by any algorithm suppresses nothing.
4. A benign entry suppresses a match of another entry that it explains at least as well. The digest of a benign file
   suppresses all but digests; a digest is suppressed by a benign digest of an algorithm at least as strong. Else both
   must agree by one algorithm and one way of comparing in the same look at the picture (frame, rendering, background
   and trim), the benign one as near or nearer, and so in every look in which the other agrees. A crop or a rotation is
   also explained by a benign entry that is as near or nearer without either.
5. A match of an entry in quarantine is held back, if the policy says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from hashmatch.deadline import NO_DEADLINE, Deadline
from hashmatch.errors import ReferenceListError
from hashmatch.matching.hits import Agreement, Hit, judging_of, named
from hashmatch.matching.report import Match, Suppressed

if TYPE_CHECKING:
    from hashmatch.lists import Entry
    from hashmatch.lists.entry import Role
    from hashmatch.matching.hits import Order
    from hashmatch.policy import MatchPolicy, Rule
    from hashmatch.policy.selections import Judging
    from hashmatch.view import Background, Margins, Rendering, View

__all__ = ["Findings", "find_plainly", "judge"]

_DIGEST: Final = 0
_PLAIN: Final = 1
_EVIDENCE: Final = 2
_TOLD: Final = 4
_STRENGTH: Final[Mapping[str, int]] = {"md5": 0, "sha1": 1, "sha256": 2}
_RANKS: Final[Mapping[Role, int]] = {"alarm": 0, "comparison": 1, "benign": 2}

Look: TypeAlias = "tuple[int, Rendering, Background, Margins]"
"""What part of the file is seen, and how: frame, rendering, background, trim."""
InQuarantine: TypeAlias = "Callable[[str, str], bool]"


@dataclass(slots=True)
class Findings:
    """What was found for one picture, each kind with its number before it was cut to the policy's ``max_matches``.

    ``doubts`` are reasons why nothing that alarms may not mean that nothing is there: ``"too-plain"``,
    ``"unconfirmed"``.
    """

    matches: list[Match] = field(default_factory=list)
    suppressed: list[Suppressed] = field(default_factory=list)
    comparisons: list[Match] = field(default_factory=list)
    held: list[Match] = field(default_factory=list)
    n_matches: int = 0
    n_suppressed: int = 0
    n_comparisons: int = 0
    n_held: int = 0
    doubts: set[str] = field(default_factory=set)

    def keep(self, match: Match, policy: MatchPolicy, quarantined: InQuarantine | None) -> None:
        """Take a match that counts, marked or held back where its entry is in quarantine."""
        if quarantined is not None and quarantined(match.list_id, match.entry_id):
            match = replace(match, quarantined=True)
            if policy.flood is not None and policy.flood.hold:
                self.n_held += 1
                if len(self.held) < policy.max_matches:
                    self.held.append(match)
                return
        self.n_matches += 1
        if len(self.matches) < policy.max_matches:
            self.matches.append(match)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """How one entry is judged by one algorithm and one way of comparing, and what agrees in its role."""

    role: Role
    order: Order
    judging: Judging
    rule: Rule | None
    match: Match
    found: Sequence[tuple[Hit, Agreement]]

    @property
    def looks(self) -> dict[Look, tuple[float, int | None]]:
        """How near the nearest of each look is: by the measure of the comparison, and its distance."""
        looks: dict[Look, tuple[float, int | None]] = {}
        for hit, item in self.found:
            look = _look(hit.view)
            if look not in looks or item.nearness < looks[look][0]:
                looks[look] = item.nearness, item.said["distance"]
        return looks

    @property
    def kind(self) -> int:
        return self.order[0]

    @property
    def algorithm(self) -> str:
        return self.match.algorithm

    @property
    def rank(self) -> tuple[int, int, Order]:
        return _RANKS[self.role], self.judging.place, self.order


def find_plainly(
    hits: Iterable[Hit],
    policy: MatchPolicy,
    quarantined: InQuarantine | None,
    failures: list[ReferenceListError],
    deadline: Deadline = NO_DEADLINE,
) -> Findings:
    """Explain the best hits, where every listing is for alarm, no rule asks for another hash, and there is one for all.

    An entry that cannot be read costs no other list its matches. Explaining reads the list, so it stops at the bound
    however many near duplicates, or bad entries, a list holds.
    """
    found = Findings()
    bad = Counter[int]()
    for hit in hits:
        deadline.check()
        if hit.tells_little:
            found.doubts.add("too-plain")
            continue
        if len(found.matches) == policy.max_matches or bad[id(hit.snapshot)] == policy.max_matches:
            found.n_matches += 1
            continue
        try:
            verdict = _verdict([hit], hit.snapshot.entry(hit.key), policy)
        except ReferenceListError as error:
            bad[id(hit.snapshot)] += 1
            failures.append(named(hit.snapshot, error))
            found.n_matches += 1
            continue
        if verdict is not None:
            found.keep(verdict.match, policy, quarantined)
    return found


def judge(
    hits: Iterable[Hit],
    searched: Set[str],
    policy: MatchPolicy,
    quarantined: InQuarantine | None,
    failures: list[ReferenceListError],
    deadline: Deadline = NO_DEADLINE,
) -> Findings:
    """Judge every hit by the rules that stand above.

    Parameters
    ----------
    hits : iterable of Hit
        All of them, in the order of the report.
    searched : set of str
        Algorithms that the query was searched with.
    policy : MatchPolicy
        What counts.
    quarantined : callable or None
        Whether the entry of a list's identifier and its own is in quarantine.
    failures : list of ReferenceListError
        Takes what went wrong.
    deadline : Deadline
        When to give up.

    Notes
    -----
    Cost: every entry that was found is read, about 60 microseconds each.
    """
    found = Findings()
    groups: dict[tuple[int, int], list[Hit]] = {}
    for hit in hits:
        groups.setdefault((id(hit.snapshot), hit.key), []).append(hit)
    entries: list[list[_Verdict]] = []
    bad = Counter[int]()
    for group in groups.values():
        deadline.check()
        snapshot = group[0].snapshot
        if bad[id(snapshot)] == policy.max_matches:
            continue
        try:
            entries.append(_judge_entry(group, snapshot.entry(group[0].key), searched, policy, found.doubts))
        except ReferenceListError as error:
            bad[id(snapshot)] += 1
            failures.append(named(snapshot, error))
    benign = _benign_looks(verdict for own in entries for verdict in own)
    alarms: list[_Verdict] = []
    suppressed: list[tuple[_Verdict, Match]] = []
    comparisons: list[_Verdict] = []
    for own in entries:
        by_algorithm: dict[str, list[_Verdict]] = {}
        for verdict in own:
            by_algorithm.setdefault(verdict.algorithm, []).append(verdict)
        for verdicts in by_algorithm.values():
            wanted = [verdict for verdict in verdicts if verdict.role == "alarm"]
            explained = [(verdict, _suppressor(verdict, benign)) for verdict in wanted]
            counting = [verdict for verdict, by in explained if by is None]
            if counting:
                alarms.append(min(counting, key=lambda item: item.rank))
            elif wanted:
                first, by = min(explained, key=lambda item: item[0].rank)
                if by is not None:
                    suppressed.append((first, by))
            else:
                apart = [verdict for verdict in verdicts if verdict.role == "comparison"]
                comparisons += [min(apart, key=lambda item: item.rank)] if apart else []
    for verdict in sorted(alarms, key=lambda item: item.order):
        found.keep(verdict.match, policy, quarantined)
    suppressed.sort(key=lambda item: item[0].order)
    comparisons.sort(key=lambda item: item.order)
    found.n_suppressed, found.n_comparisons = len(suppressed), len(comparisons)
    found.suppressed = [Suppressed(match=item.match, by=by) for item, by in suppressed[: policy.max_matches]]
    found.comparisons = [item.match for item in comparisons[: policy.max_matches]]
    return found


def _judge_entry(
    group: Sequence[Hit], entry: Entry, searched: Set[str], policy: MatchPolicy, doubts: set[str]
) -> list[_Verdict]:
    """Judge one entry by each algorithm and way of comparing: rules 1 to 3."""
    ways: dict[tuple[str, type[Hit]], list[Hit]] = {}
    for hit in group:
        ways.setdefault((hit.algorithm, type(hit)), []).append(hit)
    found = [verdict for hits in ways.values() if (verdict := _verdict(hits, entry, policy)) is not None]
    told = [verdict for verdict in found if verdict.kind == _TOLD]
    if any(verdict.role == "alarm" for verdict in told):
        doubts.add("too-plain")
    agreeing = {verdict.algorithm for verdict in found if verdict.kind != _TOLD}
    confirmed = []
    for verdict in found:
        if verdict.kind != _TOLD:
            kept = _confirmed(verdict, agreeing, entry, searched, policy)
            if kept is not None:
                confirmed.append(kept)
            elif verdict.role == "alarm" and not _contradicted(verdict, entry, searched, policy):
                doubts.add("unconfirmed")
    if any(verdict.role == "alarm" for verdict in confirmed):
        return [verdict for verdict in confirmed if verdict.role != "benign"]
    return confirmed


def _verdict(hits: Sequence[Hit], entry: Entry, policy: MatchPolicy) -> _Verdict | None:
    """Judge an entry by hits of one algorithm and way of comparing; None where no listing agrees by its own rule."""
    found = [(hit, agreement) for hit in hits for agreement in hit.agreements(entry, policy)]
    if not found:
        return None
    hit, best = min(found, key=lambda item: _rank(item[1]))
    same = found if len(found) == 1 else [item for item in found if item[1].listing.role == best.listing.role]
    match = Match(
        list_name=hit.snapshot.name,
        list_id=hit.snapshot.list_id,
        list_version=hit.snapshot.version,
        list_digest=hit.snapshot.mark.digest,
        entry_id=entry.entry_id,
        sources=entry.labels,
        algorithm=hit.algorithm,
        action=best.judging.action,
        classes=tuple(dict.fromkeys(name for _, item in same for name in item.listing.classes)),
        **best.said,
    )
    return _Verdict(
        role=best.listing.role, order=best.order, judging=best.judging, rule=best.rule, match=match, found=same
    )


def _rank(agreement: Agreement) -> tuple[int, int, Order]:
    return _RANKS[agreement.listing.role], agreement.judging.place, agreement.order


def _look(view: View) -> Look:
    return view.frame, view.rendering, view.background, view.trim


def _confirmed(
    verdict: _Verdict, agreeing: Set[str], entry: Entry, searched: Set[str], policy: MatchPolicy
) -> _Verdict | None:
    """Give the verdict with what confirms it; None where it does not count."""
    rule = verdict.rule
    if rule is None or not rule.confirm_by:
        return verdict
    by = tuple(name for name in rule.confirm_by if name in agreeing)
    if by:
        return replace(verdict, match=replace(verdict.match, confirmed_by=by))
    if not rule.keep_unconfirmed or _contradicted(verdict, entry, searched, policy):
        return None
    return replace(verdict, match=replace(verdict.match, unconfirmed=True))


def _contradicted(verdict: _Verdict, entry: Entry, searched: Set[str], policy: MatchPolicy) -> bool:
    """Whether a hash that could have confirmed the verdict was compared, and did not."""
    rule = verdict.rule
    wanted = searched & set(() if rule is None else rule.confirm_by)
    if not wanted:
        return False
    names = verdict.match.list_name, verdict.match.list_id
    for listing in entry.listings:
        judging = judging_of(names, listing, policy)
        for item in listing.hashes:
            name = item.value.algorithm
            if name not in wanted or judging is None or not judging.compares(name):
                continue
            own = judging.rules.get(name)
            if own is None or item.quality is None or item.quality >= own.min_quality:
                return True
    return False


_Benign = dict[tuple[str, int], dict[Look, tuple[float, Match]]]


def _benign_looks(verdicts: Iterable[_Verdict]) -> _Benign:
    """Collect what benign entries explain: the nearest of each algorithm, way of comparing and look."""
    found: _Benign = {}
    for verdict in verdicts:
        if verdict.role != "benign":
            continue
        table = found.setdefault((verdict.algorithm, verdict.kind), {})
        for look, (nearness, _) in verdict.looks.items():
            if look not in table or nearness < table[look][0]:
                table[look] = nearness, verdict.match
    return found


def _suppressor(verdict: _Verdict, benign: _Benign) -> Match | None:
    """Find the benign match that explains the picture at least as well: rule 4; None where none does."""
    if not benign:
        return None
    for (algorithm, kind), table in benign.items():
        if kind == _DIGEST and (verdict.kind != _DIGEST or _STRENGTH[algorithm] >= _STRENGTH[verdict.algorithm]):
            return next(iter(table.values()))[1]
    if verdict.kind == _DIGEST:
        return None
    by: Match | None = None
    plain, alike = (benign.get((verdict.algorithm, kind), {}) for kind in (_PLAIN, verdict.kind))
    for look, (nearness, distance) in verdict.looks.items():
        known = alike.get(look)
        if known is None or known[0] > nearness:
            known = plain.get(look) if verdict.kind == _EVIDENCE else None
            if known is None or distance is None or known[0] > distance:
                return None
        by = known[1] if by is None or look == _look(verdict.match.view) else by
    return by
