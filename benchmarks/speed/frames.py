"""What animations cost by each policy: files to verdicts against a large list, on one core.

The list holds random PDQ hashes; the frames are windows that move over synthetic photographs, a new photograph every 25
frames, and none is listed. Run with ``python -m benchmarks frames --json FILE --markdown FILE``, which keeps every
library to one thread.
"""

from __future__ import annotations

import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.contenders._endtoend import entries
from benchmarks.frame.options import keep, options_of
from benchmarks.frame.runner import machine, markdown_table
from hashmatch import Matcher, ReferenceList, profiles
from hashmatch.picture import iter_rasters
from hashmatch.synthetic import picture

SEED = 9_980_000
HEIGHT, WIDTH = 480, 640
SCENE = 25
FORMATS = ("GIF", "WEBP", "PNG")
POLICIES = {"FAST": profiles.FAST, "STANDARD": profiles.STANDARD, "THOROUGH": profiles.THOROUGH}


def animation(format: str, n: int) -> bytes:
    """Write ``n`` frames of moving windows."""
    frames = []
    for scene in range(-(-n // SCENE)):
        whole = picture("photo", SEED + scene, (HEIGHT + SCENE, WIDTH + 2 * SCENE))
        frames += [
            Image.fromarray(whole[step : step + HEIGHT, 2 * step : 2 * step + WIDTH])
            for step in range(min(SCENE, n - scene * SCENE))
        ]
    stream = io.BytesIO()
    frames[0].save(stream, format, save_all=True, append_images=frames[1:], duration=40)
    return stream.getvalue()


def decode(data: bytes) -> int:
    """Decode every frame; how many there are."""
    return sum(1 for _ in iter_rasters(data, profiles.STANDARD.decode))


def timed(work: Callable[[], object], repeats: int) -> float:
    """Median processor time, seconds: what else the machine does hardly counts."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def measure(n: int, n_frames: int, repeats: int) -> list[dict[str, Any]]:
    """Time the decode and each policy on one animation of each format."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.hashmatch"
        with ReferenceList.create(path, name="random") as ref:
            ref.add_many(entries(n, 0, SEED))
        for format in FORMATS:
            data = animation(format, n_frames)
            seconds = timed(partial(decode, data), repeats)
            rows.append({"format": format, "what": "decode of every frame", "seconds": seconds})
        for name, policy in POLICIES.items():
            with Matcher.open(path, policy=policy) as matcher:
                for format in FORMATS:
                    data = animation(format, n_frames)
                    report = matcher.match(data)
                    seconds = timed(partial(matcher.match, data), repeats)
                    frames = None if report.frames is None else report.frames.to_dict()
                    rows.append({"format": format, "what": name, "seconds": seconds, "frames": frames})
                    print(json.dumps(rows[-1]), flush=True)
    return rows


def report(result: dict[str, Any]) -> str:
    """Write the table."""
    names = dict.fromkeys(row["what"] for row in result["rows"])
    table = []
    for name in names:
        rows = [row for row in result["rows"] if row["what"] == name]
        frames = next((row["frames"] for row in rows if row.get("frames")), None)
        seen = "" if frames is None else f"{frames['seen']}, {frames['in_full']} of them in full"
        table.append([name, *(f"{row['seconds']:.2f}" for row in rows), seen])
    parts = [
        "# What an animation costs",
        f"`{json.dumps(result['machine'])}`",
        f"Processor seconds to look up a file of {result['frames']} frames of {WIDTH} x {HEIGHT} px in"
        f" {result['entries']:,} PDQ hashes, decode included; median of {result['repeats']}. Seed {SEED}."
        " Command: `python -m benchmarks frames`.",
        markdown_table(["seconds", *FORMATS, "frames seen"], table),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure everything and keep the result."""
    parser = options_of(__doc__, "a small list: does it run?")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    sizes = {name: getattr(options, name) for name in ("entries", "frames", "repeats")}
    if options.quick:
        sizes = {"entries": 1_000, "frames": 4, "repeats": 1}
    rows = measure(sizes["entries"], sizes["frames"], sizes["repeats"])
    result = {"machine": machine(), **sizes, "rows": rows}
    keep(options, result, report(result))
