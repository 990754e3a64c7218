"""Hashing: time from pixels and from a file's bytes to a hash, ours beside others, on one thread, with agreement.

Run ``python -m benchmarks hashing`` from the project's root. Pictures are seeded and photo-like (noise of power
falling with frequency, some sensor noise); files are JPEG of quality 90, 4:2:0. Each contender is a fresh process, the
processes take turns for three rounds. A time is CPU time, so that a busy machine disturbs it little: the median over
the rounds of the median over the pictures and repeats. Agreement counts the bits
that differ from the reference package's hashes of the same pictures.
"""

from __future__ import annotations

import hashlib
import io
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.frame import runner
from benchmarks.frame.options import drawn, keep, options_of

SEED = 20_261_123
CONTENDERS = (
    "hashing_hashmatch",
    "hashing_reduced",
    "hashing_twins",
    "hashing_pdqhash",
    "hashing_imagehash",
    "hashing_perception",
    "hashing_imagededup",
    "hashing_threatexchange",
    "hashing_sum",
    "hashing_pillow",
)
FROM_PIXELS_ONLY = ("hashing_imagehash", "hashing_perception", "hashing_imagededup", "hashing_sum")
FROM_FILES_ONLY = ("hashing_pillow", "hashing_threatexchange", "hashing_reduced")
REFERENCES = ("pdqhash", "imagehash")
LIMITS = {"pixels": "NumPy, sum of the bytes", "file": "Pillow, decode alone"}  # what every way has to do as well
COLOURS = {
    "hashmatch": "#d62728",
    "hashmatch, reduced decode": "#e377c2",
    "hashmatch, NumPy kernels": "#ff9e4a",
    "pdqhash": "#1f77b4",
    **dict.fromkeys(LIMITS.values(), "#7f7f7f"),
}
# height, width, pictures, repeats of each
SIZES = ((256, 256, 12, 5), (768, 1024, 6, 3), (3000, 4000, 2, 2))


def make_picture(height: int, width: int, seed: int) -> np.ndarray:
    """Make one (H, W, 3) uint8 picture: six octaves of colour noise and the noise of a sensor."""
    rng = np.random.default_rng(seed)
    base = (min(height, 768), min(width, 1024))
    total = np.zeros((*base, 3), np.float32)
    for octave in range(2, 8):
        cells = (min(base[0], 2**octave * 3), min(base[1], 2**octave * 4))
        grey = rng.standard_normal(cells, np.float32)
        for channel in range(3):
            plane = grey + rng.standard_normal(cells, np.float32) * np.float32(0.3)
            total[..., channel] += _stretched(plane, *base) * np.float32(0.62 ** (octave - 2))
    total = (total - total.mean()) / total.std() * 51 + 128
    noise = rng.standard_normal((height, width), np.float32) * np.float32(4)
    picture = np.empty((height, width, 3), np.uint8)
    for channel in range(3):
        picture[..., channel] = (_stretched(total[..., channel], height, width) + noise).round().clip(0, 255)
    return picture


def _stretched(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC))


def make_file(height: int, width: int, seed: int) -> bytes:
    """Write one picture as JPEG."""
    stream = io.BytesIO()
    Image.fromarray(make_picture(height, width, seed)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def measure(contender: ModuleType, workload: dict[str, Any]) -> dict[str, Any]:
    """Time every algorithm of one contender; runs in its own process."""
    from_file = workload["source"] == "file"
    make: Callable[[int, int, int], Any] = make_file if from_file else make_picture
    seeds = range(workload["seed"], workload["seed"] + workload["pictures"])
    inputs = [make(workload["height"], workload["width"], seed) for seed in seeds]
    times, hashes = {}, {}
    for algorithm, work in (contender.FROM_FILE if from_file else contender.FROM_PIXELS).items():
        hashes[algorithm] = [work(item) for item in inputs]
        spent = []
        for _ in range(workload["repeats"]):
            for item in inputs:
                began = time.process_time()
                work(item)
                spent.append(time.process_time() - began)
        times[algorithm] = 1000 * statistics.median(spent)
    sizes = [len(item) for item in inputs] if from_file else [item.nbytes for item in inputs]
    return {"ms": times, "hashes": hashes, "mean_bytes": int(np.mean(sizes)), "inputs": _digest(inputs)}


def _digest(inputs: list[Any]) -> str:
    """Show that every contender had the same pictures."""
    state = hashlib.sha256()
    for item in inputs:
        state.update(item)
    return state.hexdigest()[:16]


def merge(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One record for each source, size, contender and algorithm, with the median over the rounds."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for line in lines:
        for algorithm in line.get("ms", {}):
            work = line["workload"]
            key = (work["source"], work["height"], work["width"], algorithm, line["contender"])
            groups.setdefault(key, []).append(line)
    records = []
    for (source, height, width, algorithm, contender), group in groups.items():
        rounds = [line["ms"][algorithm] for line in group]
        records.append(
            {
                "source": source,
                "height": height,
                "width": width,
                "algorithm": algorithm,
                "contender": contender,
                "version": group[0]["version"],
                "ms": statistics.median(rounds),
                "rounds_ms": rounds,
                "mean_bytes": group[0]["mean_bytes"],
                "inputs": group[0]["inputs"],
                "hashes": group[0]["hashes"][algorithm],
            }
        )
    for record in records:
        record["differing_bits"] = _differing_bits(record, records)
        record["speed_up"] = _speed_up(record, records)
        record["over_limit"] = _over_limit(record, records)
    for record in records:
        record["pictures"] = len(record.pop("hashes"))
    return records


def _peers(record: dict[str, Any], records: list[dict[str, Any]], names: tuple[str, ...]) -> list[dict[str, Any]]:
    same = ("source", "height", "width", "algorithm", "inputs")
    return [
        other for other in records if other["contender"] in names and all(other[key] == record[key] for key in same)
    ]


def _differing_bits(record: dict[str, Any], records: list[dict[str, Any]]) -> int | None:
    """Bits that differ from the reference package over all pictures; None where there is nothing to compare."""
    peers = _peers(record, records, REFERENCES)
    if not peers or not record["hashes"][0]:
        return None
    pairs = zip(record["hashes"], peers[0]["hashes"], strict=True)
    return sum((int(own, 16) ^ int(other, 16)).bit_count() for own, other in pairs)


def _speed_up(record: dict[str, Any], records: list[dict[str, Any]]) -> float | None:
    """How many times as fast as the reference package; None for what makes no hash."""
    peers = _peers(record, records, REFERENCES) if record["hashes"][0] else []
    return peers[0]["ms"] / record["ms"] if peers else None


def _over_limit(record: dict[str, Any], records: list[dict[str, Any]]) -> float | None:
    """Compare with the sum of the array's bytes, or for files with the decode alone: how many times the time."""
    limit = {**record, "algorithm": "pdq"}
    peers = _peers(limit, records, (LIMITS[record["source"]],))
    return record["ms"] / peers[0]["ms"] if peers else None


def tables(records: list[dict[str, Any]]) -> str:
    """All records as two Markdown tables: from pixels and from files."""
    parts = []
    for source, title, ratio in (
        ("pixels", "### From an array of pixels", "times the sum of the bytes"),
        ("file", "### From the bytes of a JPEG file", "times the decode alone"),
    ):
        rows = []
        for record in sorted(
            (r for r in records if r["source"] == source),
            key=lambda r: (r["height"], r["algorithm"], r["ms"]),
        ):
            bits, speed, limit = record["differing_bits"], record["speed_up"], record["over_limit"]
            rows.append(
                [
                    _work_name(record),
                    record["contender"],
                    f"{record['ms']:.3g}" if record["ms"] < 1 else f"{record['ms']:.2f}",
                    "" if speed is None else f"{speed:.1f}",
                    "" if limit is None else f"{limit:.2f}",
                    "" if bits is None else f"{bits} in {record['pictures']}",
                ]
            )
        header = [
            "size, algorithm",
            "contender",
            "ms",
            "times as fast as the package",
            ratio,
            "differing bits in pictures",
        ]
        parts.append(title + "\n\n" + runner.markdown_table(header, rows))
    return "\n\n".join(parts)


def _work_name(record: dict[str, Any]) -> str:
    file = f", {record['mean_bytes'] / 1e6:.1f} MB" if record["source"] == "file" else ""
    return f"{record['width']}x{record['height']}{file}, {record['algorithm']}"


def plot(records: list[dict[str, Any]], path: Path) -> None:
    """Draw milliseconds a picture: PDQ and keypoints from pixels against the size, and files against their decode."""
    from matplotlib import ticker

    with drawn(path, 1, 3, (16, 5.2), constrained_layout=True) as (_, axes):
        for axis, algorithms, title in (
            (axes[0], ("pdq", "pdq, eight turns"), "PDQ of an array"),
            (axes[1], ("keypoint record", "keypoints of a query"), "keypoints of an array"),
        ):
            lines: dict[tuple[str, str], list[tuple[float, float]]] = {}
            for record in records:
                if record["source"] == "pixels" and record["algorithm"] in algorithms:
                    point = (record["height"] * record["width"] / 1e6, record["ms"])
                    lines.setdefault((record["contender"], record["algorithm"]), []).append(point)
            for (contender, algorithm), points in sorted(lines.items()):
                axis.plot(
                    *zip(*sorted(points), strict=True),
                    ":" if contender in LIMITS.values() else "-" if algorithm == algorithms[0] else "--",
                    color=COLOURS.get(contender, "#2ca02c"),
                    marker="o",
                    label=contender if contender in LIMITS.values() else f"{contender}: {algorithm}",
                )
            axis.set(xscale="log", yscale="log", xlabel="megapixels", ylabel="ms a picture", title=title)
            for side in (axis.xaxis, axis.yaxis):
                side.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
            axis.grid(visible=True, which="both", alpha=0.3)
            axis.legend(fontsize=8)
        files = [record for record in records if record["source"] == "file"]
        largest = max((record["height"] for record in files), default=0)
        bars = sorted(((r["ms"], r["contender"]) for r in files if r["height"] == largest), reverse=True)
        colours = [COLOURS.get(name, "#2ca02c") for _, name in bars]
        bar = axes[2].barh([name for _, name in bars], [ms for ms, _ in bars], color=colours)
        axes[2].bar_label(bar, fmt="%.3g", padding=3)
        axes[2].margins(x=0.12)
        axes[2].set(xlabel="ms a picture", title=f"from a JPEG file, {largest} rows, to the PDQ hash")


def main() -> None:
    """Measure, print the tables and write the files asked for."""
    args = options_of(__doc__, "small pictures, one round: does it run?", plots=True).parse_args()
    lines = []
    for round_number in range(1 if args.quick else 3):
        for height, width, pictures, repeats in SIZES[:1] if args.quick else SIZES:
            for source in ("pixels", "file"):
                for contender in CONTENDERS:
                    if contender in (FROM_PIXELS_ONLY if source == "file" else FROM_FILES_ONLY):
                        continue
                    workload = {
                        "source": source,
                        "height": height,
                        "width": width,
                        "pictures": pictures,
                        "repeats": repeats,
                        "seed": SEED,
                    }
                    line = runner.run("benchmarks.speed.hashing", f"benchmarks.contenders.{contender}", workload)
                    lines.append(line)
                    shown = {key: value for key, value in line.items() if key not in ("hashes", "workload")}
                    print(json.dumps({"round": round_number, "size": [height, width], "source": source, **shown}))
    facts = runner.machine()
    records = merge(lines)
    versions = dict(sorted({record["contender"]: record["version"] for record in records}.items()))
    text = (
        "## Hashing\n\nOne thread, CPU time. "
        + runner.stated(facts)
        + f"; seed {SEED}.\nVersions: "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ".\nCommand: `python -m benchmarks hashing`. The package is pdqhash for PDQ and imagehash for the classic "
        + "hashes; the sum is one pass\nof NumPy over the array. Keypoints are timed on noise, which has as many as a "
        + "picture can. The eight turns of pdqhash change signs\nonly; those of hashmatch are the hashes of the turned "
        + "pixels (docs/reference/pdq.md), so bits of the mirrored picture differ.\n\n"
        + tables(records)
        + "\n"
    )
    keep(args, {"machine": facts, "results": records}, text, lambda path: plot(records, path))
    for line in {line["contender"]: line for line in lines if "error" in line or "skipped" in line}.values():
        print(f"{line['contender']}: {line.get('error') or 'skipped: ' + line['skipped']}")
