"""What ties cost PDQ: time of a hash on smooth pictures of 1920x1080, median, mean and 99th percentile.

Run ``python -m benchmarks ties`` from the project's root. Where the reference's rounding noise decides a bit or the
quality, its float32 arithmetic is repeated, which costs several times as much as the hash; smooth and plain pictures
need that most. Every picture is another, made from a seed; its time is processor time, the best of three. How many were
judged by that arithmetic is counted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from benchmarks.frame import runner
from benchmarks.frame.options import keep, options_of
from hashmatch.hashers import pdq

SEED: Final = 20_261_130
SIZE: Final = (1080, 1920)
_Pixels = npt.NDArray[np.uint8]


def stretched(cells: int, channels: int, how: Image.Resampling) -> Callable[[np.random.Generator, int, int], _Pixels]:
    """Noise of so many cells down, stretched over the picture."""

    def make(rng: np.random.Generator, height: int, width: int) -> _Pixels:
        small = rng.integers(0, 256, (cells, cells * width // height, channels), dtype=np.uint8)
        return np.asarray(Image.fromarray(np.repeat(small, 3 // channels, axis=2)).resize((width, height), how))

    return make


def blurred(rng: np.random.Generator, height: int, width: int) -> _Pixels:
    """Make noise blurred over a fiftieth of the height, the levels stretched to the whole range."""
    small = Image.fromarray(rng.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8))
    soft = np.asarray(small.filter(ImageFilter.GaussianBlur(height / 200)), np.float32)
    soft = (soft - soft.min()) / np.ptp(soft) * 255
    return np.asarray(Image.fromarray(soft.astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC))


def spectrum(power: float) -> Callable[[np.random.Generator, int, int], _Pixels]:
    """Noise whose power falls with a power of the frequency, tinted: 2.5 is a photograph's, 4 far softer."""

    def make(rng: np.random.Generator, height: int, width: int) -> _Pixels:
        radius = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width)[None] * width)
        radius[0, 0] = 1
        waves = np.fft.rfft2(rng.standard_normal((height, width), np.float32)) * radius ** (-power / 2)
        grey = np.fft.irfft2(waves, (height, width))
        grey = (grey - grey.mean()) / grey.std() * 45 + 128
        return (grey[..., None] + rng.normal(0, 12, 3)).round().clip(0, 255).astype(np.uint8)

    return make


def sky(rng: np.random.Generator, height: int, width: int) -> _Pixels:
    """Make a slope of colours from top to bottom, with the noise of a sensor."""
    top, bottom = rng.uniform(30, 225, (2, 3))
    slope = top + (bottom - top) * np.linspace(0, 1, height)[:, None, None]
    noise = rng.standard_normal((height, width, 1), np.float32) * np.float32(1.5)
    return (slope + noise).round().clip(0, 255).astype(np.uint8)


def ramp(rng: np.random.Generator, height: int, width: int) -> _Pixels:
    """Make a slope of grey across the picture and nothing else: all but a few coefficients tie."""
    down, along = rng.uniform(10, 120, 2)
    grey = np.add.outer(np.linspace(0, down, height), np.linspace(0, along, width))
    return np.repeat(grey[..., None].astype(np.uint8), 3, axis=2)


SMOOTH: Final = {
    "noise of 32 cells, stretched": stretched(32, 3, Image.Resampling.BICUBIC),
    "noise of 16 cells, stretched": stretched(16, 3, Image.Resampling.BICUBIC),
    "noise of 8 cells, stretched": stretched(8, 3, Image.Resampling.BICUBIC),
    "grey noise of 16 cells, stretched": stretched(16, 1, Image.Resampling.BILINEAR),
    "blurred noise": blurred,
    "spectrum of a photograph": spectrum(2.5),
    "soft spectrum": spectrum(4.0),
}
PLAIN: Final = {
    "slope of colours with noise": sky,
    "ramp": ramp,
}


def timed(make: Callable[[np.random.Generator, int, int], _Pixels], pictures: int, size: tuple[int, int]) -> list[Any]:
    """Milliseconds of every picture, and whether it was judged."""
    hasher, found = pdq.PDQHasher(), []
    for number in range(pictures):
        pixels = make(np.random.default_rng(SEED + number), *size)
        spent = []
        for _ in range(3):
            began = time.process_time()
            hasher.hash_pixels(pixels)
            spent.append(1000 * (time.process_time() - began))
        found.append((min(spent), is_judged(hasher, pixels)))
    return found


def is_judged(hasher: pdq.PDQHasher, pixels: _Pixels) -> bool:
    """Whether the hash asks for the reference's own averages."""
    asked, own = [], pdq.downsample_float32
    pdq.downsample_float32 = lambda given: asked.append(None) or own(given)  # type: ignore[assignment, func-returns-value]
    try:
        hasher.hash_pixels(pixels)
    finally:
        pdq.downsample_float32 = own
    return bool(asked)


def summary(found: list[tuple[float, bool]]) -> dict[str, float]:
    """Median, mean and 99th percentile, their ratios, and the share that was judged."""
    times = [spent for spent, _ in found]
    median, mean, late = statistics.median(times), statistics.fmean(times), float(np.quantile(times, 0.99))
    judged = sum(judged for _, judged in found) / len(found)
    row = {"median_ms": median, "mean_ms": mean, "p99_ms": late, "judged": judged}
    return {**row, "mean_ratio": mean / median, "p99_ratio": late / median, "pictures": len(found)}


def report(result: dict[str, Any]) -> str:
    """Write the table."""
    header = [
        "pictures of 1920x1080",
        "number",
        "judged",
        "median, ms",
        "mean, ms",
        "99 %, ms",
        "mean / median",
        "99 % / median",
    ]
    rows = [
        [
            name,
            f"{row['pictures']}",
            f"{row['judged']:.1%}",
            *(f"{row[key]:.2f}" for key in ("median_ms", "mean_ms", "p99_ms", "mean_ratio", "p99_ratio")),
        ]
        for name, row in result["rows"].items()
    ]
    machine = runner.stated(result["machine"])
    return (
        f"## Ties of PDQ\n\nPictures of {result['size']}. {machine}; seed {SEED}.\n"
        "One thread, processor time, the best of three for each picture. Command: `python -m benchmarks ties`. Judged "
        "are\npictures for which the reference's own arithmetic is repeated.\n\n"
        f"{runner.markdown_table(header, rows)}\n"
    )


def main() -> None:
    """Measure, print the table and write the files asked for."""
    parser = options_of(__doc__, "few and small pictures: does it run?")
    parser.add_argument("--pictures", type=int, default=100, help="of each kind")
    args = parser.parse_args()
    pictures, size = (3, (270, 480)) if args.quick else (args.pictures, SIZE)
    smooth = {name: timed(make, pictures, size) for name, make in SMOOTH.items()}
    plain = {name: timed(make, pictures, size) for name, make in PLAIN.items()}
    every = [row for rows in smooth.values() for row in rows]
    kinds = {"**smooth: the next seven together**": every, **smooth, **plain}
    result = {
        "machine": runner.machine(),
        "size": f"{size[1]}x{size[0]}",
        "rows": {name: summary(rows) for name, rows in kinds.items()},
    }
    text = report(result)
    keep(args, result, text)
