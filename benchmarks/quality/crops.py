"""Crops against a list of PDQ hashes: recall by edit, cost by number of views, evidence between unrelated pictures.

How many crops the guided search misses is measured by itself, against every entry under every view of the grid.

Pictures are synthetic photographs; the list holds the hashes of others in their eight turns. Every query is looked up
in the whole list, and what its best entries say is kept, so that a list thinned out at random is worked out from the
same run. ``python -m benchmarks crops --pictures 400 --references 126 --unrelated 20500 --json FILE`` takes some three
hours on one core, twenty minutes of it for the list.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.errors import evidence
from benchmarks.errors.evidence import LOWEST, Look, counted, joined, kept
from benchmarks.frame import runner
from benchmarks.frame.options import keep, options_of
from hashmatch.hashers.base import Pixels
from hashmatch.hashers.pdq import PDQHasher
from hashmatch.index.probing import GuidedIndex
from hashmatch.profiles import THOROUGH
from hashmatch.synthetic import edits, picture
from hashmatch.view import Turn
from hashmatch.views.crops import CropSearch, guided_index, is_rare
from hashmatch.views.evidence.bit_odds import COARSE, certainties, flat_bits
from hashmatch.views.evidence.candidates import Proposals
from hashmatch.views.evidence.cohort import kin_of, rivals_of
from hashmatch.views.evidence.crop_views import CutGrid, unseen_share, view_coefficients
from hashmatch.views.evidence.likelihood import support
from hashmatch.views.evidence.refine import climb
from hashmatch.views.small import Floats, small_luma

HASHER = PDQHasher()
RIVALS = CropSearch().rivals
SIZES = ((384, 512), (512, 384), (448, 448))
UNRELATED_SIZES = ((288, 384), (384, 288), (320, 320))
REFERENCE_SEED, TARGET_SEED, UNRELATED_SEEDS = 1_000_000, 9_950_000, (9_500_000, 9_900_000)
MOST_LISTED = 1_000_000
TEMPLATE_REFERENCE_SEED, TEMPLATE_SEED = 3_000_000, 9_700_000
ROWS: dict[str, tuple[tuple[float, float, float, float] | None, float]] = {
    "5 % off one side": ((0.05, 0, 0, 0), 99),
    "10 % off one side": ((0.1, 0, 0, 0), 97),
    "20 % off one side": ((0.2, 0, 0, 0), 85),
    "2.5 % off every side": ((0.025,) * 4, 99),
    "5 % off every side": ((0.05,) * 4, 95),
    "10 % off every side": ((0.1,) * 4, 75),
    "each side its own share up to 10 %": (None, 92),
}
LEVELS = (0.0, 10.0, 15.0, 20.0, 24.0, 30.0, 36.0, 42.0, 50.0, 60.0)
GRIDS = {
    "coarse": CutGrid(both=(0, 50, 100), one=(160, 210)),
    "thorough": CropSearch().grid,
    "fine": CutGrid(both=(0, 25, 50, 75, 100), one=(125, 150, 180, 210)),
}


def code_of(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Hash as bytes."""
    return np.frombuffer(HASHER.hash_pixels(pixels)[0].data, np.uint8)


def references(blocks: int) -> npt.NDArray[np.uint8]:
    """Hashes of 1000 synthetic photographs a block, each in its eight turns."""
    codes = []
    for block in range(blocks):
        for seed in range(REFERENCE_SEED + 2000 * block, REFERENCE_SEED + 2000 * block + 1000):
            turns = HASHER.hash_turns(picture("photo", seed))
            codes += [value.data for value, quality in turns.values() if quality >= 50]
    return np.frombuffer(b"".join(codes), np.uint8).reshape(-1, 32)


def listed(blocks: int) -> npt.NDArray[np.uint8]:
    """Make the list: a million hashes at most of photographs, or codes of no picture where none are asked for."""
    if not blocks:
        return np.random.default_rng(4).integers(0, 256, (2_000, 32), dtype=np.uint8)
    return references(blocks)[:MOST_LISTED]


def template_codes(count: int) -> npt.NDArray[np.uint8]:
    """Hashes of documents, screenshots, memes and cards, each in its eight turns."""
    kinds = ("document", "screenshot", "meme", "card")
    codes = []
    for number in range(count):
        turns = HASHER.hash_turns(picture(kinds[number % 4], TEMPLATE_REFERENCE_SEED + number, (256, 256)))
        codes += [value.data for value, _ in turns.values()]
    return np.frombuffer(b"".join(codes), np.uint8).reshape(-1, 32)


def cut(pixels: Pixels, row: tuple[float, ...] | None, number: int, rng: np.random.Generator) -> Pixels:
    """Crop by a row of the table; one-sided crops take the four sides in turn."""
    shares = tuple(rng.uniform(0, 0.1, 4)) if row is None else row
    if row is not None and sum(share > 0 for share in row) == 1:
        shares = tuple(np.roll(row, number % 4))
    left, top, right, bottom = (float(share) for share in shares)
    return edits.crop_sides(pixels, left=left, top=top, right=right, bottom=bottom)


def recall(codes: npt.NDArray[np.uint8], pictures: int, seed: int) -> dict[str, Any]:
    """Find cropped photographs, as they are, and resized to 70 % and saved as JPEG 60."""
    rng = np.random.default_rng(seed)
    whole = [picture("photo", seed + i, SIZES[i % 3]) for i in range(pictures)]
    listed = np.concatenate([np.stack([code_of(p) for p in whole]), codes])
    search, index, table = CropSearch(min_evidence=LEVELS[0]), guided_index(listed), {}
    evidence: dict[str, list[float]] = {name: [] for name in ROWS}
    plain: dict[str, list[int]] = {name: [] for name in ROWS}
    most = dict.fromkeys(ROWS, -np.inf)
    for number, pixels in enumerate(whole):
        for name, (row, _) in ROWS.items():
            query = cut(pixels, row, number, rng)
            for seen in (query, edits.jpeg(edits.resize(query, 0.7), 60)):
                found = search.search(small_luma(seen), index)
                own = [item.evidence for item in found if item.position == number]
                evidence[name].append(max(own, default=-np.inf))
                most[name] = max([most[name], *(item.evidence for item in found if item.position != number)])
                plain[name].append(int(np.bitwise_count(code_of(seen) ^ listed[number]).sum()))
    for name, (_, goal) in ROWS.items():
        table[name] = {
            "goal": goal,
            "recall": {level: 100 * float(np.mean(np.array(evidence[name]) >= level)) for level in LEVELS},
            "most_evidence_of_another_entry": most[name] if np.isfinite(most[name]) else None,
            "pdq_31": 100 * float(np.mean(np.array(plain[name]) <= 31)),
        }
    return {"pictures": pictures, "queries_a_row": 2 * pictures, "seed": seed, "entries": len(listed), "rows": table}


class Exhaustive(CropSearch):
    """The same search, but that every entry is scored under every view of the grid."""

    def proposals(
        self, small: Floats, index: GuidedIndex, *, withdrawn: npt.NDArray[np.bool_] | None = None
    ) -> Proposals:
        """Propose entries, as `CropSearch.proposals` does; none of this list is withdrawn."""
        del withdrawn
        cuts = self.grid.axis_cuts
        odds = certainties(view_coefficients(small, cuts, cuts), unseen_share(cuts, cuts), COARSE).reshape(-1, 256)
        chance = 2 * COARSE.lapse + (2 - 4 * COARSE.lapse) / (1 + np.exp(-np.clip(odds, -30, 30)))
        ones, zeros = np.log(chance), np.log(2 - chance)
        listed = flat_bits(np.ascontiguousarray(index.words).view(np.uint8))
        bits = listed.astype(np.float32)
        best, views = np.full(len(bits), -np.inf, np.float32), np.zeros(len(bits), np.int64)
        for low in range(0, len(bits), 2000):
            scores = (ones - zeros) @ bits[low : low + 2000].T + zeros.sum(axis=1, keepdims=True)
            best[low : low + 2000], views[low : low + 2000] = scores.max(axis=0), scores.argmax(axis=0)
        order = np.argsort(-best, kind="stable")
        order = order[best[order] >= self.proposer.min_rival]
        return Proposals(positions=np.arange(len(best)), views=views, scores=best, bits=listed).at(order)


def guided(codes: npt.NDArray[np.uint8], pictures: int) -> dict[str, Any]:
    """Count the crops that guided and exhaustive search find, in a small list."""
    rng = np.random.default_rng(6)
    whole = [picture("photo", TARGET_SEED + i, SIZES[i % 3]) for i in range(pictures)]
    listed = np.concatenate([np.stack([code_of(p) for p in whole]), codes])
    index, table = guided_index(listed), {}
    searches = {"guided": CropSearch(), "exhaustive": Exhaustive()}
    for name, (row, _) in ROWS.items():
        queries = [small_luma(cut(pixels, row, number, rng)) for number, pixels in enumerate(whole)]
        found = {
            kind: [
                any(item.position == number for item in search.search(small, index))
                for number, small in enumerate(queries)
            ]
            for kind, search in searches.items()
        }
        table[name] = {kind: int(np.sum(hits)) for kind, hits in found.items()} | {
            "both": int(np.sum(np.logical_and(found["guided"], found["exhaustive"])))
        }
    return {"pictures": pictures, "entries": len(listed), "rows": table}


def costs(codes: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """Time one search by number of views and turns, on one picture of a megapixel that is not listed."""
    index, small = guided_index(codes), small_luma(picture("photo", 5, (1000, 1000)))
    table = {}
    searches = {name: CropSearch(grid=grid) for name, grid in GRIDS.items()}
    searches["thorough, two turns"] = CropSearch(turns=(Turn.NONE, Turn.MIRROR))
    searches["thorough, eight turns"] = CropSearch(turns=tuple(Turn))
    for name, search in searches.items():
        times = []
        for _ in range(6):
            start = time.process_time()
            search.search(small, index)
            times.append(1000 * (time.process_time() - start))
        table[name] = {"views": len(search.grid) * len(search.turns), "cpu_ms": float(np.median(times[1:]))}
    return table


def looked_up(kind: str, codes: npt.NDArray[np.uint8], seed: int, count: int) -> Look:
    """Look unrelated pictures up, those too plain to hash left out, by the steps of `CropSearch` one by one."""
    index, search, cuts = guided_index(codes), CropSearch(), CropSearch().grid.axis_cuts
    rows, queries = [], 0
    for number in range(count):
        pixels = picture(kind, seed + number, UNRELATED_SIZES[number % 3])
        if HASHER.hash_pixels(pixels)[1] < 50:
            continue
        small = small_luma(pixels)
        proposed = search.proposals(small, index)
        bits = proposed.bits
        for place in range(min(search.proposer.max_tried, search.proposer.able(proposed.scores))):
            row, column = divmod(int(proposed.views[place]), len(cuts))
            fit = climb(small, bits[place], cuts[column], cuts[row])
            if fit.score < search.min_score:
                continue
            seen = view_coefficients(small, [fit.columns], [fit.rows])[0, 0]
            nats = support(seen, bits[place], fit.columns, fit.rows).nats - search.rare_cost * is_rare(fit)
            if nats >= LOWEST:
                kin = kin_of(index, int(proposed.positions[place]), RIVALS.kin)
                rows.append((queries, nats, rivals_of(bits, place), kin))
        queries += 1
    of, nats, rivals, kin = np.array(rows, float).reshape(-1, 4).T
    return Look(queries=queries, of=of.astype(np.int64), support=nats, rivals=rivals, kin=kin)


def looked(kind: str, codes: npt.NDArray[np.uint8], seed: int, options: argparse.Namespace) -> Look:
    """Look unrelated pictures up, or take what was kept of it; of screenshots a twentieth as many."""
    count = options.unrelated if kind == "photo" else max(3, options.unrelated // 20)
    return Look.of_arrays(kept(options.cache, f"look-{seed}", lambda: asdict(looked_up(kind, codes, seed, count))))


def markdown(result: dict[str, Any]) -> str:
    """Write the tables."""
    found = result["recall"]
    asked = f"{THOROUGH.crops.min_evidence:g}" if THOROUGH.crops else ""
    parts = [
        "# Crops against PDQ lists",
        f"{result['date']}; {found['pictures']} synthetic photographs (seeds from {found['seed']:,}, not tuned on), "
        "each cropped, and the crop resized to 70 % and saved as JPEG 60: "
        f"{found['queries_a_row']} queries a row, two of each picture. List of {found['entries']:,}: the photographs' "
        "own hashes, and those of others in their eight turns. One turn is searched. `profiles.THOROUGH` asks for "
        f"{asked} nats. Command: `python -m benchmarks crops`.",
    ]
    levels = [level for level in LEVELS if level >= 10]
    header = ["edit", "goal", "plain PDQ, 31 bits", *(f"{level:g}" for level in levels), "most of another entry"]
    body = []
    for name, row in found["rows"].items():
        most = row["most_evidence_of_another_entry"]
        shares = [f"{row['recall'][str(level)]:.1f}" for level in levels]
        body.append(
            [name, f"{row['goal']}", f"{row['pdq_31']:.1f}", *shares, "none" if most is None else f"{most:.1f}"]
        )
    parts += ["## Recall, %, by least evidence, nats", runner.markdown_table(header, body)]
    header = ["search", "views", "CPU ms"]
    body = [[name, f"{row['views']:,}", f"{row['cpu_ms']:.0f}"] for name, row in result["cost"].items()]
    parts += ["## Cost for one photograph of a megapixel that is not listed", runner.markdown_table(header, body)]
    if "guided" in result:
        pictures, entries = result["guided"]["pictures"], result["guided"]["entries"]
        parts.append(f"## Guided search against every entry under every view, {pictures} crops a row of {entries:,}")
        searches = ("guided", "exhaustive", "both")
        body = [[name, *(str(row[kind]) for kind in searches)] for name, row in result["guided"]["rows"].items()]
        parts.append(runner.markdown_table(["edit", *searches], body))
    if "unrelated" in result:
        parts += ["## Most evidence of unrelated pictures", *_unrelated_tables(result["unrelated"])]
    return "\n\n".join(parts) + "\n"


def _unrelated_tables(unrelated: dict[str, Any]) -> list[str]:
    """Tables of how many queries reach a level, and of what is expected by length of the list."""
    header = ["at least so many nats", "queries", "entries", *(f"{level:g}" for level in evidence.LEVELS), "largest"]
    body = []
    for kind, row in unrelated.items():
        counts = [f"{count:,}" for count in row["over"].values()]
        most = "" if row["most"] is None else f"{row['most']:.1f}"
        body.append([kind, f"{row['queries']:,}", f"{row['entries']:,}", *counts, most])
    seen = runner.markdown_table(header, body)
    shown = [level for level in evidence.LEVELS if level >= 0]
    body = [
        [kind, f"{int(size):,}", *(f"{rates[str(level)]:.1e}" for level in shown)]
        for kind, row in unrelated.items()
        for size, rates in [(row["entries"], row["rates"]), *row["thinned"].items()]
    ]
    expected = runner.markdown_table(["queries", "entries", *(f"{level:g}" for level in shown)], body)
    said = (
        "Reports expected for one unrelated picture in one turn, by the length of the list, which is thinned out at "
        "random: counted where ten queries reach a level, beyond drawn out by the mean excess of the largest 10, 20, "
        "30 and 60, the geometric mean of the four."
    )
    return [seen, said, expected]


def main() -> None:
    """Run and keep the results."""
    parser = options_of(__doc__, "few pictures, a small list: does it run?")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--references", type=int, default=20, help="thousands of photographs in the list")
    parser.add_argument("--unrelated", type=int, default=0, help="photographs looked up, of each of two samples")
    parser.add_argument("--guided", type=int, default=0, help="pictures looked for exhaustively too")
    parser.add_argument("--cache", type=Path, help="folder for the list and what was looked up, between runs")
    options = parser.parse_args()
    if options.quick:
        options.pictures, options.references, options.unrelated, options.guided = 2, 0, 3, 2
    codes = kept(options.cache, "list-photographs", lambda: {"codes": listed(options.references)})["codes"]
    result: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "recall": recall(codes, options.pictures, TARGET_SEED),
        "cost": costs(codes),
    }
    if options.guided:
        result["guided"] = guided(codes[:20_000], options.guided)
    if options.unrelated:
        looks = [looked("photo", codes, seed, options) for seed in UNRELATED_SEEDS]
        result["unrelated"] = {"photo": counted(joined(looks), len(codes), RIVALS)}
        templates = kept(
            options.cache, "list-templates", lambda: {"codes": template_codes(min(6_000, options.unrelated))}
        )["codes"]
        shots = looked("screenshot", templates, TEMPLATE_SEED, options)
        result["unrelated"]["screenshot"] = counted(shots, len(templates), RIVALS)
    result = json.loads(json.dumps(result))
    text = markdown(result)
    keep(options, result, text)
