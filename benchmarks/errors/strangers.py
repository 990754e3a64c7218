"""How near unrelated pictures come, for every algorithm: ``python -m benchmarks strangers``.

Every pair of unrelated pictures of quality 50 or more is compared, photo-like ones and ones that share a template
apart. Shows how many pairs lie within the threshold of `hashmatch.profiles.RULES` and the largest radius with none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.frame import runner
from benchmarks.frame.options import keep, options_of
from hashmatch import fingerprint, profiles
from hashmatch.hashers.facade import PICTURE_HASHERS
from hashmatch.synthetic import TEMPLATE_KINDS, picture, same_template

SEED = 4_000_000
SETS = {"photo-like": ("photo", "portrait", "comic"), "template-heavy": TEMPLATE_KINDS}
SIZES = ((224, 288), (288, 224), (256, 256))
A_TEMPLATE = 40


def pixels_of(group: str, number: int, seed: int) -> Any:
    """Make one picture; template-heavy ones come in runs that share a template."""
    kinds, size = SETS[group], SIZES[number % len(SIZES)]
    if group == "photo-like":
        return picture(kinds[number % len(kinds)], seed + number, size=size)
    run = number // A_TEMPLATE
    return same_template(kinds[run % len(kinds)], seed + run, seed + number, size=SIZES[run % len(SIZES)])


def histograms(group: str, count: int, seed: int) -> dict[str, Any]:
    """Hash the pictures and count the pairs at each distance."""
    codes: dict[str, list[bytes]] = {name: [] for name in PICTURE_HASHERS}
    for number in range(count):
        found = fingerprint(pixels_of(group, number, seed), PICTURE_HASHERS)
        if found.quality is None or found.quality < 50:
            continue
        for item in found.view_hashes:
            codes[item.value.algorithm].append(item.value.data)
    return {name: {"sources": len(items), "pairs": pairs(items)} for name, items in codes.items()}


def pairs(items: list[bytes]) -> list[int]:
    """Count pairs by distance."""
    array = np.frombuffer(b"".join(items), np.uint8).reshape(len(items), -1)
    counts = np.zeros(8 * array.shape[1] + 1, np.int64)
    for number in range(len(array) - 1):
        distances = np.bitwise_count(array[number + 1 :] ^ array[number]).sum(1, dtype=np.int64)
        counts += np.bincount(distances, minlength=len(counts))
    return [int(n) for n in counts]


def upper_bound(events: int, trials: int) -> float:
    """95 % upper bound of a rate, exact (Clopper-Pearson, one-sided)."""
    from scipy.stats import beta

    return 1.0 if events >= trials else float(beta.ppf(0.95, events + 1, trials - events))


def table(results: dict[str, Any]) -> str:
    """One row an algorithm and set."""
    rows = []
    for group, by_name in results.items():
        for name, found in by_name.items():
            rule = next(rule for rule in profiles.RULES if rule.algorithm == name)
            counts = np.cumsum(found["pairs"])
            near, total = int(counts[rule.threshold]), int(counts[-1])
            clear = int(np.argmax(counts > 0)) - 1
            bound = f"{upper_bound(near, total):.1e}"
            row = [f"{name}, {group}", str(rule.threshold), str(found["sources"]), f"{total:,}", str(near), bound]
            rows.append([*row, "none" if clear < 0 else str(clear)])
    header = [
        "algorithm, pictures",
        "threshold",
        "sources",
        "pairs",
        "within",
        "95 % upper bound",
        "largest radius with none",
    ]
    return runner.markdown_table(header, rows)


def main() -> None:
    """Measure, print the table and write the files asked for."""
    parser = options_of(__doc__, "few pictures: does it run?")
    parser.add_argument("--pictures", type=int, default=3000, help="pictures of each set, at least 8")
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    count = 16 if args.quick else max(8, args.pictures)
    results = {group: histograms(group, count, args.seed) for group in SETS}
    facts = runner.machine()
    text = (
        "## Strangers\n\n"
        + runner.stated(facts)
        + f"; seed {args.seed}, {count} pictures a set, {A_TEMPLATE} a template.\n"
        + "Command: `python -m benchmarks strangers`. All pictures are synthetic. Bounds take pairs as independent.\n\n"
        + table(results)
        + "\n"
    )
    keep(args, {"machine": facts, "seed": args.seed, **results}, text)
