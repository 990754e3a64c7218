"""How photo-like the synthetic photos are: the PDQ crop ladder and the statistics of real pictures, beside ours.

Run ``python -m benchmarks synthetic_ladder`` from the project's root. The targets are medians and percentiles of 91
real photographs and drawings that are not part of the project. Local extrema are those of differences of Gaussians
(first sigma 1.6, two levels an octave, four octaves) on the grey picture resampled to an area of 512 x 512 px, with a
contrast over 0.6 and no edge.
"""

from __future__ import annotations

import math
import time
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.ndimage

from benchmarks.frame import runner
from benchmarks.frame.options import keep, options_of
from hashmatch.hashers import PDQHasher
from hashmatch.hashes import distance
from hashmatch.picture import encode
from hashmatch.synthetic import KINDS, edits, picture

SEED = 3_000_000
LADDER_SIZES = ((256, 256), (256, 384), (384, 256), (300, 400), (400, 300), (288, 360), (320, 320))
STATISTIC_SIZES = ((512, 512), (480, 640), (640, 480), (600, 800), (384, 512), (768, 512), (512, 768))
CUTS = {0.01: 14, 0.02: 24, 0.03: 36, 0.05: 60, 0.08: 88, 0.10: 102}
TARGETS = {
    "extrema a picture, 5th percentile": 110,
    "extrema a picture, 25th percentile": 320,
    "extrema a picture, median": 515,
    "extrema a picture, 75th percentile": 705,
    "extrema a picture, 95th percentile": 910,
    "sigma of extrema, median, px": 3.1,
    "sigma of extrema, 90th percentile, px": 6.7,
    "contrast of extrema, median": 6.8,
    "exponent of power over frequency, median": -2.5,
    "grey standard deviation, least": 25,
    "grey standard deviation, median": 51,
    "grey standard deviation, greatest": 97,
}


def crop_ladder(count: int, seed: int) -> list[dict[str, Any]]:
    """Measure the median PDQ distance after cutting a share off one side, the four sides in turn."""
    hasher = PDQHasher()
    found: dict[float, list[int]] = {cut: [] for cut in CUTS}
    for number in range(count):
        pixels = picture("photo", seed + number, LADDER_SIZES[number % len(LADDER_SIZES)])
        whole, _ = hasher.hash_pixels(pixels)
        side = ("left", "right", "top", "bottom")[number % 4]
        for cut, distances in found.items():
            distances.append(distance(whole, hasher.hash_pixels(edits.crop_sides(pixels, **{side: cut}))[0]))
    return [
        {"cut": cut, "target": CUTS[cut], "measured": float(np.median(distances)), "pictures": count}
        for cut, distances in found.items()
    ]


def extrema(grey: np.ndarray) -> np.ndarray:
    """Find local extrema of differences of Gaussians.

    Returns
    -------
    (n, 2) float array
        Sigma in px and contrast in grey levels of each.
    """
    found, now, have, step = [np.empty((0, 2))], grey, 0.5, 1
    for _ in range(4):
        sigmas = [1.6 * 2 ** (i / 2) for i in range(5)]
        stack = np.stack([scipy.ndimage.gaussian_filter(now, math.sqrt(s * s - have * have)) for s in sigmas])
        d = stack[1:] - stack[:-1]
        size = np.abs(d)
        top = (size == scipy.ndimage.maximum_filter(size, size=3, mode="nearest")) & (size > 0.6)
        top[[0, -1]] = top[:, :3] = top[:, -3:] = top[:, :, :3] = top[:, :, -3:] = False
        z, y, x = np.nonzero(top)
        c = d[z, y, x]
        dxx, dyy = d[z, y, x + 1] + d[z, y, x - 1] - 2 * c, d[z, y + 1, x] + d[z, y - 1, x] - 2 * c
        dxy = (d[z, y + 1, x + 1] - d[z, y + 1, x - 1] - d[z, y - 1, x + 1] + d[z, y - 1, x - 1]) / 4
        determinant = dxx * dyy - dxy * dxy
        blob = (determinant > 0) & ((dxx + dyy) ** 2 < 12.1 * np.maximum(determinant, 1e-9))
        z, y, x, c = z[blob], y[blob], x[blob], c[blob]
        curve = d[z + 1, y, x] + d[z - 1, y, x] - 2 * c
        slope = (d[z + 1, y, x] - d[z - 1, y, x]) / 2
        lift = np.clip(np.divide(-slope, curve, out=np.zeros_like(c), where=curve != 0), -0.5, 0.5)
        found.append(np.stack([1.6 * 2 ** ((z + lift) / 2) * step, np.abs(c)], axis=1))
        now, have, step = stack[2][::2, ::2], 1.6, step * 2
        if min(now.shape) < 20:
            break
    return np.concatenate(found)


def power_exponent(grey: np.ndarray) -> float:
    """Fit the exponent of power over frequency, 4 to 128 cycles a side, under a Hann window, rings weighing alike."""
    height, width = grey.shape
    window = np.hanning(height)[:, None] * np.hanning(width)[None]
    power = np.abs(np.fft.rfft2((grey - grey.mean()) * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    edges = np.geomspace(4 / 512, 0.25, 13)
    rings = [power[(frequency >= a) & (frequency < b)].mean() for a, b in pairwise(edges)]
    return float(np.polyfit(np.log(np.sqrt(edges[:-1] * edges[1:])), np.log(np.array(rings) + 1e-9), 1)[0])


def statistics(count: int, seed: int) -> list[dict[str, Any]]:
    """Measure what `TARGETS` lists on photos of about 512 px."""
    points, counts, exponents, spreads = [], [], [], []
    for number in range(count):
        pixels = picture("photo", seed + number, STATISTIC_SIZES[number % len(STATISTIC_SIZES)])
        scale = 512 / math.sqrt(pixels.shape[0] * pixels.shape[1])
        size = (round(pixels.shape[0] * scale), round(pixels.shape[1] * scale))
        grey = encode.resize(pixels, size, filter="lanczos" if scale < 1 else "bicubic") @ np.array(
            [0.299, 0.587, 0.114]
        )
        points.append(extrema(grey))
        counts.append(len(points[-1]))
        exponents.append(power_exponent(grey))
        spreads.append(grey.std())
    every = np.concatenate(points)
    values = [
        *np.percentile(counts, (5, 25, 50, 75, 95)),
        *np.percentile(every[:, 0], (50, 90)),
        np.median(every[:, 1]),
        np.median(exponents),
        min(spreads),
        np.median(spreads),
        max(spreads),
    ]
    return [
        {"statistic": name, "target": target, "measured": float(value), "pictures": count}
        for (name, target), value in zip(TARGETS.items(), values, strict=True)
    ]


def speed(seconds: float) -> list[dict[str, Any]]:
    """Count pictures made in a second of processor time, each kind at 256 and 1024 px, for ``seconds`` each."""
    out = []
    for kind in KINDS:
        for side in (256, 1024):
            picture(kind, 0, (side, side))
            began, made = time.process_time(), 0
            while made < 50 and time.process_time() - began < seconds:
                made += 1
                picture(kind, made, (side, side))
            out.append({"kind": kind, "side": side, "per_second": made / (time.process_time() - began)})
    return out


def tables(results: dict[str, Any]) -> str:
    """All three tables as Markdown."""
    ladder = [
        [f"{r['cut']:.0%}", str(r["target"]), f"{r['measured']:.0f}", f"{r['measured'] / r['target'] - 1:+.0%}"]
        for r in results["ladder"]
    ]
    rows = [[r["statistic"], f"{r['target']:g}", f"{r['measured']:.3g}"] for r in results["statistics"]]
    speeds: dict[str, list[str]] = {}
    for r in results["speed"]:
        speeds.setdefault(r["kind"], []).append(f"{r['per_second']:.0f}")
    return "\n\n".join(
        [
            f"### PDQ distance after a cut of one side, medians of {results['ladder'][0]['pictures']} photos",
            runner.markdown_table(["cut", "real pictures, bits", "synthetic, bits", "difference"], ladder),
            f"### Statistics of {results['statistics'][0]['pictures']} photos",
            runner.markdown_table(["statistic", "real pictures", "synthetic"], rows),
            "### Pictures a second on one core",
            runner.markdown_table(
                ["kind", "256 x 256", "1024 x 1024"], [[kind, *pair] for kind, pair in speeds.items()]
            ),
        ]
    )


def main() -> None:
    """Measure, print the tables and write the files asked for."""
    parser = options_of(__doc__, "few pictures: does it run?")
    parser.add_argument("--pictures", type=int, default=210, help="photos for the ladder; half as many for statistics")
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    count = 8 if args.quick else max(8, args.pictures)
    results: dict[str, Any] = {
        "ladder": crop_ladder(count, args.seed),
        "statistics": statistics(count // 2, args.seed + count),
        "speed": speed(0.1 if args.quick else 2.0),
    }
    facts = runner.machine()
    text = (
        "## Synthetic photos beside real pictures\n\n"
        + runner.stated(facts)
        + f"; seed {args.seed}.\nCommand: `python -m benchmarks synthetic_ladder`.\n\n"
        + tables(results)
        + "\n"
    )
    keep(args, {"machine": facts, **results}, text)
