"""What a second hash that must agree costs in recall and saves in false reports: ``python -m benchmarks confirm``.

Recall: photographs are listed with PDQ, dHash and pHash, and every edit of the ladder of each is looked up. False
reports: documents, screens, memes, comics and cards are listed, and others of the same templates are looked up, which
resemble them most; and patterned and plain pictures that state a quality of 100. Every picture is looked up as it is,
by PDQ alone and by PDQ that one of the others must confirm, each at the radius of the presets. Hashes that no list
takes are left out.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmarks.errors.strangers import upper_bound
from benchmarks.frame import runner
from benchmarks.frame.options import keep, options_of
from hashmatch import HashValue, Matcher, MatchPolicy, ReferenceList, fingerprint, profiles
from hashmatch.errors import HashFormatError
from hashmatch.lists import Entry
from hashmatch.lists.admission import check_hash
from hashmatch.synthetic import LADDER, PATTERN_KINDS, TEMPLATE_KINDS, pattern, picture, same_template

SEED: Final = 14_000_000
ALGORITHMS: Final = ("pdq", "dhash", "phash")
WAYS: Final = {"PDQ alone": (), "dHash agrees": ("dhash",), "pHash agrees": ("phash",), "either": ("dhash", "phash")}
_RULES: Final = {rule.algorithm: rule for rule in profiles.FAST.rules if rule.algorithm in ALGORITHMS}


def policies() -> dict[str, MatchPolicy]:
    """Make a policy for each way of confirming."""
    made = {}
    for name, by in WAYS.items():
        rules = (replace(_RULES["pdq"], confirm_by=by), *(_RULES[other] for other in by))
        made[name] = MatchPolicy(name=name, rules=rules, max_matches=1_000)
    return made


def looked_up(path: Path, queries: Iterable[tuple[str, str, Any]]) -> dict[str, dict[str, Counter[str]]]:
    """Count by group of queries: how many there were, and how many each way reports right and wrong."""
    found: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    with ExitStack() as opened:
        matchers = {name: opened.enter_context(Matcher.open(path, policy=rules)) for name, rules in policies().items()}
        for group, own, pixels in queries:
            looked = fingerprint(pixels, ALGORITHMS)
            found[group]["queries"]["all"] += 1
            for name, matcher in matchers.items():
                named = {item.entry_id for item in matcher.match_fingerprint(looked).matches if item.algorithm == "pdq"}
                found[group]["right"][name] += own in named
                found[group]["wrong"][name] += bool(named - {own})
    return {group: dict(counts) for group, counts in found.items()}


def recall(folder: Path, count: int) -> dict[str, dict[str, Counter[str]]]:
    """Look edits of listed photographs up, by the family of the edit."""
    photos = [picture("photo", SEED + number, (300, 400)) for number in range(count)]
    with ReferenceList.create(folder / "photos", name="photos") as ref:
        ref.add_many(Entry.of(f"{n}", fingerprint=fingerprint(item, ALGORITHMS)) for n, item in enumerate(photos))
    edited = ((edit.family, f"{n}", edit(item, n)) for edit in LADDER for n, item in enumerate(photos))
    return looked_up(folder / "photos", edited)


def false_reports(folder: Path, count: int) -> dict[str, dict[str, Counter[str]]]:
    """Look unlike pictures up that resemble listed ones."""
    with ReferenceList.create(folder / "alike", name="alike") as ref:
        ref.add_many(_alike(count, 0))
    unlike = ((name.partition(" ")[0], "", pixels) for name, pixels in _pictures(count, 1))
    return looked_up(folder / "alike", unlike)


def _alike(count: int, part: int) -> Iterator[Entry]:
    for name, pixels in _pictures(count, part):
        hashes = [value for value in fingerprint(pixels, ALGORITHMS).hashes if _is_taken(value)]
        if hashes:
            yield Entry.of(name, hashes=hashes, quality=100)


def _is_taken(value: HashValue) -> bool:
    try:
        check_hash(value)
    except HashFormatError:
        return False
    return True


def _pictures(count: int, part: int) -> Iterator[tuple[str, Any]]:
    for number in range(count):
        kind, template = TEMPLATE_KINDS[number % len(TEMPLATE_KINDS)], SEED + number // 20
        yield f"{kind} {number}", same_template(kind, template, SEED + 2 * number + part, (300, 400))
        kind = PATTERN_KINDS[number % len(PATTERN_KINDS)]
        yield f"pattern {number}", pattern(kind, SEED + 2 * number + part, (300, 400))


def table(counts: dict[str, dict[str, Counter[str]]], which: str) -> str:
    """Make one row for each group and one for all."""
    rows = []
    total: dict[str, Counter[str]] = defaultdict(Counter)
    for group, found in counts.items():
        if which == "wrong" or found["right"]["PDQ alone"]:
            rows.append([group, *_cells(found, which)])
        for name, counter in found.items():
            total[name] += counter
    rows.append(["all", *_cells(total, which)])
    return runner.markdown_table(["pictures", "queries", *WAYS], rows)


def _cells(found: dict[str, Counter[str]], which: str) -> list[str]:
    queries = found["queries"]["all"]
    if which == "right":
        return [f"{queries:,}", *(f"{100 * found['right'][name] / queries:.1f} %" for name in WAYS)]
    return [
        f"{queries:,}",
        *(f"{found['wrong'][name]} (< {upper_bound(found['wrong'][name], queries):.1e})" for name in WAYS),
    ]


def main() -> None:
    """Measure, print the tables and write the files asked for."""
    parser = options_of(__doc__, "few pictures: does it run?")
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument(
        "--alike", type=int, default=2_000, help="listed templates and patterns, and as many queries each"
    )
    args = parser.parse_args()
    photos, alike = (1, 12) if args.quick else (args.photos, args.alike)
    with tempfile.TemporaryDirectory() as folder:
        right, wrong = recall(Path(folder), photos), false_reports(Path(folder), alike)
    facts = runner.machine()
    text = (
        "## A second hash that confirms\n\n"
        + runner.stated(facts)
        + f"; seeds from {SEED}; {photos} photographs by {len(LADDER)} edits, {2 * alike} listed pictures that "
        + "resemble the queries.\nCommand: `python -m benchmarks confirm`. All pictures are synthetic. Radius: PDQ "
        + f"{_RULES['pdq'].threshold}, dHash {_RULES['dhash'].threshold}, pHash {_RULES['phash'].threshold}.\n\n"
        + "Recall of the picture as it is, by family of the edit; families of which PDQ finds none are left out, and "
        + "count in the last row:\n\n"
        + table(right, "right")
        + "\n\nQueries with a false report, and the 95 % upper bound of their share:\n\n"
        + table(wrong, "wrong")
        + "\n"
    )
    keep(args, {"machine": facts, "photos": photos, "alike": alike, "recall": right, "false": wrong}, text)
