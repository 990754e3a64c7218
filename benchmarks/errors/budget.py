"""Make the tables of false reports from the latest results: ``python -m benchmarks budget --write``.

Measures nothing: ``views --tails``, ``crops``, ``rotations`` and ``keypoints`` do, and their results hold the seeds.
The file is ``src/hashmatch/budget/measured.json``; without ``--write`` it is only compared.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.frame.options import options_of, save
from benchmarks.frame.runner import ROOT

FILE: Final = ROOT / "src" / "hashmatch" / "budget" / "measured.json"
KINDS: Final = ("photo", "low-texture", "template")
DISTANCES: Final = {
    "pdq": (16, 20, 24, 28, 31, 34, 38, 42, 46, 50, 54, 58, 62, 66),
    "phash": (6, 7, 8, 9, 10, 11, 12),
    "dhash": (4, 5, 6, 7, 8, 9, 10),
    "whash": (1, 2, 3, 4, 5, 6, 7),
    "ahash": (1, 2, 3, 4, 5, 6, 7),
    "phash-256": (31, 35, 39, 43, 47, 51, 55),
    "dhash-256": (20, 24, 28, 32, 36, 40, 44),
    "whash-256": (8, 12, 16, 20, 24, 28, 32),
    "ahash-256": (8, 12, 16, 20, 24, 28, 32),
}
"""Distances whose counts are kept: round the thresholds of the presets."""
N_VIEWS: Final = {"plain": 1.0, "turns": 7.0}
SHRUNK_AT: Final = {"photo": 64, "template": 37}
"""Bits at which the pairs of shrunk views are counted: few, and near the threshold; low texture is taken for photo."""
LEVELS: Final = ("-20.0", "-10.0", *(f"{level}.0" for level in range(0, 81, 10)))
"""Levels of evidence at which shorter lists are kept, nats."""
PHOTO_ROTATION_FALL: Final = 20.0
"""Nats; chosen by hand, as that by which the one largest, of 62 nats, would be expected."""


def rounded(value: float, digits: int) -> float:
    """Round to significant digits."""
    return float(f"{value:.{digits}g}")


def distance_tail(algorithm: str, views: str, kind: str, found: dict[str, Any], pairs: Sequence[int]) -> dict[str, Any]:
    """Keep the counts of one tail at the distances of its algorithm that were measured."""
    return {
        "algorithm": algorithm,
        "views": views,
        "pictures": kind,
        "queries": found["queries"],
        "entries": found["entries"],
        "n_views": N_VIEWS[views] if views in N_VIEWS else rounded(found["views"], 4),
        "within": [[at, pairs[at]] for at in DISTANCES[algorithm] if at < len(pairs)],
    }


def tails(views: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the distance tails: PDQ by kind of view, its negatives in eight turns, then the others."""
    found = []
    for kind in KINDS:
        for view in ("plain", "turns", "trims"):
            row = views["tails"][f"{kind}|{view}"]
            found.append(distance_tail("pdq", view, kind, row, row["pairs"]))
    # light and dark screens; of photographs fewer come near than by the turns, and the turns are charged
    row = views["negatives"]["template"] | {"views": 8.0}
    tail = distance_tail("pdq", "negatives", "template", row, row["pairs"]["turned"])
    found.append(tail | {"within": [pair for pair in tail["within"] if pair[0] >= 31]})
    for algorithm in list(DISTANCES)[1:]:
        for kind in KINDS:
            for view in ("plain", "turns"):
                row = views["classic"][f"{algorithm}|{kind}|{view}"]
                found.append(distance_tail(algorithm, view, kind, row, row["pairs"]))
    return found


def evidence_tail(samples: Sequence[dict[str, Any]], fall: float, *, thinned: bool = False) -> dict[str, Any]:
    """Give a tail of evidence of some samples together; ``thinned`` where shorter lists spend more."""
    counts = {level: sum(found["over"][level] for found in samples) for level in samples[0]["over"]}
    tail: dict[str, Any] = {
        "queries": sum(found["queries"] for found in samples),
        "entries": samples[0]["entries"],
        "over": [[float(level), count] for level, count in counts.items() if count],
        "fall": round(fall, 1),
    }
    if thinned:
        (found,) = samples
        worst = {level: max(rates[level] for rates in found["thinned"].values()) for level in LEVELS}
        last, end = worst[LEVELS[-2]], worst[LEVELS[-1]]
        tail["thinned"] = [[float(level), rounded(rate, 2)] for level, rate in worst.items()]
        tail["thinned_fall"] = round((float(LEVELS[-1]) - float(LEVELS[-2])) / math.log(last / end), 1)
    return tail


def mean(values: Sequence[float]) -> float:
    """Mean of the excesses of the largest 10 to 60."""
    return sum(values) / len(values)


def shrinks_add(shrunk: dict[str, Any]) -> dict[str, float]:
    """Pairs near by a shrunk view alone, for each that is near as it is."""
    added = {}
    for kind, at in SHRUNK_AT.items():
        pairs = shrunk[kind]["pairs"]
        added[kind] = round((pairs["either"][at] - pairs["plain"][at]) / pairs["plain"][at], 1)
    return {kind: added.get(kind, added["photo"]) for kind in KINDS}


def keypoints(contenders: Sequence[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Count reports between unrelated pictures; low texture was not asked for by itself, and is taken for photo."""
    rows = [row for part in contenders for row in part["pairs"] if row[0] == "unrelated pictures"]
    ranges = [part["workload"]["queries"] for part in contenders if part["workload"]["part"] == "unrelated"]
    asked = sum(end - first for first, end in ranges)
    entries = sum(row[2] for row in rows) // asked
    seen = {}
    for kind in KINDS:
        mine = [row for row in rows if (row[1] in {"photo", "portrait"}) == (kind != "template")]
        seen[kind] = {"false": sum(row[3] for row in mine), "pairs": sum(row[2] for row in mine), "entries": entries}
    return seen


def made(results: dict[str, Any]) -> dict[str, Any]:
    """Make the file's content of the results by area."""
    crops, rotations = results["crops"]["unrelated"], results["rotations"]["unrelated"]
    photos = [rotations[f"{kind}{sample}"] for kind in ("photo", "portrait") for sample in ("", ", second sample")]
    slowest = {kind: max(rotations[kind]["mean_excess"].values()) for kind in ("low-texture", "template")}
    return {
        "made_by": "python -m benchmarks budget --write",
        "tails": tails(results["views"]),
        "crops": {
            kind: evidence_tail([crops[name]], mean([*crops[name]["mean_excess"].values()]), thinned=True)
            for kind, name in (("photo", "photo"), ("template", "screenshot"))
        },
        "rotations": {
            "photo": evidence_tail(photos, PHOTO_ROTATION_FALL),
            "low-texture": evidence_tail([rotations["low-texture"]], slowest["low-texture"]),
            "template": evidence_tail([rotations["template"]], slowest["template"], thinned=True),
        },
        "shrinks_add": shrinks_add(results["views"]["shrunk"]),
        "keypoints": keypoints(results["keypoints"]["false"]),
    }


def text() -> str:
    """Write what the file is to hold: a line a tail."""
    areas = ("views", "crops", "rotations", "keypoints")
    folder = ROOT / "benchmarks" / "results"
    content = made({area: json.loads((folder / f"{area}.json").read_text(encoding="utf-8")) for area in areas})
    lines = []
    for name, value in content.items():
        if isinstance(value, list):
            inside = ",\n".join(f"  {json.dumps(item)}" for item in value)
            lines.append(f" {json.dumps(name)}: [\n{inside}\n ]")
        elif isinstance(value, dict):
            inside = ",\n".join(f"  {json.dumps(key)}: {json.dumps(item)}" for key, item in value.items())
            lines.append(f" {json.dumps(name)}: {{\n{inside}\n }}")
        else:
            lines.append(f" {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    """Write the file, or end with 1 if it is not what the results say."""
    parser = options_of(__doc__, "the same; it is quick", keeps=False)
    parser.add_argument("--write", action="store_true", help="write the file")
    args = parser.parse_args()
    if args.write:
        save(FILE, text())
    elif FILE.read_text(encoding="utf-8") != text():
        sys.exit(f"{FILE.name} is not what the results say: python -m benchmarks budget --write")
