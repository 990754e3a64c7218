"""What a keypoint record alone shows of its picture: grey sketches made from it, beside sketches from a PDQ hash.

Nothing is trained. The surface is the least-squares surface of the field's signs. Pasting lays the inverted codes over
it: signs back through the rotation and the cosines, each coefficient as large as it usually is in pictures whose
amplitude falls as 1 / frequency ** 1.25. The fit looks for the likeliest picture of that sort for all signs at once.
A key is also worked out, from the keyed records of pictures that are at hand, other ones than those sketched.
Sketches are compared with the true luma and thrown away; the results hold figures only. Run with
``python -m benchmarks privacy``; some minutes on one core.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.fft import dctn, idctn
from scipy.ndimage import gaussian_filter, zoom
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from benchmarks.frame.options import keep, options_of
from benchmarks.frame.runner import machine, markdown_table
from hashmatch.hashers.keypoint import KeypointHasher
from hashmatch.hashers.pdq import PDQHasher
from hashmatch.keypoints import describe
from hashmatch.keypoints.field import Field
from hashmatch.keypoints.frame import normal_luma
from hashmatch.keypoints.points import FRAME_SIDE, Keypoints
from hashmatch.keypoints.record import Record
from hashmatch.synthetic import picture

SEED: Final = 9_700_000
KINDS: Final = ("photo", "portrait")
SIZES: Final = ((480, 640), (640, 480), (512, 512))
KEY: Final = b"a key of the benchmark, not a secret"
SIDE: Final = 192  # of the sketches: root of their area
FINE: Final = 14.0 / FRAME_SIDE  # a cell of the field; what is finer, the field cannot show
FALL: Final = 1.25
NOISE: Final = 0.15
STEPS: Final = 60
SAMPLES: Final = 16
KNOWN: Final = 1  # pictures of which both the pixels and a keyed record are at hand
STOLEN: Final = 60  # keyed records of which nothing else is known

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Signs:
    """Some bits of a record as +1 and -1, the linear measure of a picture they are signs of, and its transpose."""

    signs: Floats
    measure: Callable[[Floats], Floats]
    back: Callable[[Floats], Floats]


def shape_of(width: float) -> tuple[int, int]:
    """Rows and columns of the sketch of a frame."""
    return round(SIDE * FRAME_SIDE / width), round(SIDE * width / FRAME_SIDE)


def usual(shape: tuple[int, int]) -> Floats:
    """Amplitude of each cosine of a picture that nothing is known about; none of the mean."""
    down, across = (np.arange(size) / size for size in shape)
    frequency = np.hypot(down[:, None], across)
    frequency[0, 0] = np.inf
    amplitude = frequency**-FALL
    return np.asarray(amplitude / math.sqrt(float(np.mean(amplitude**2))), np.float64)


def field_signs(field: Field, shape: tuple[int, int]) -> Signs:
    """Take the steps between the cells of the field."""
    down, across = averages(field.rows, shape[0]), averages(field.columns, shape[1])
    n = (field.columns - 1) * field.rows

    def measure(image: Floats) -> Floats:
        cells = down @ image @ across.T
        return np.concatenate([np.diff(cells, axis=1).ravel(), np.diff(cells, axis=0).ravel()])

    def back(weights: Floats) -> Floats:
        right = weights[:n].reshape(field.rows, field.columns - 1)
        lower = weights[n:].reshape(field.rows - 1, field.columns)
        cells = -np.diff(right, axis=1, prepend=0.0, append=0.0) - np.diff(lower, axis=0, prepend=0.0, append=0.0)
        return np.asarray(down.T @ cells @ across, np.float64)

    return Signs(np.where(field.signs, 1.0, -1.0), measure, back)


def averages(cells: int, size: int) -> Floats:
    """Means over equal cells as a matrix, (cells, size)."""
    edges = np.arange(cells + 1) * (size / cells)
    pixel = np.arange(size)
    share = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.asarray(np.maximum(share, 0.0) * (cells / size), np.float64)


def samples(points: Keypoints, window: float, shape: tuple[int, int]) -> csr_matrix:
    """Read the turned patches of all points from the sketch, (points x 256, pixels)."""
    scale = SIDE / FRAME_SIDE
    grid = ((np.arange(SAMPLES) + 0.5) / SAMPLES * 2 - 1) * window
    cos, sin = np.cos(points.angle) * points.sigma, np.sin(points.angle) * points.sigma
    c, s = cos[:, None, None], sin[:, None, None]
    x = (points.x[:, None, None] + c * grid - s * grid[:, None]) * scale - 0.5
    y = (points.y[:, None, None] + s * grid + c * grid[:, None]) * scale - 0.5
    x, y = np.clip(x.ravel(), 0, shape[1] - 1), np.clip(y.ravel(), 0, shape[0] - 1)
    left, top = np.minimum(x.astype(int), shape[1] - 2), np.minimum(y.astype(int), shape[0] - 2)
    u, v = x - left, y - top
    at = top * shape[1] + left
    columns = np.stack([at, at + 1, at + shape[1], at + shape[1] + 1], axis=1)
    weights = np.stack([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v], axis=1)
    rows = np.arange(len(at) + 1) * 4
    return csr_matrix((weights.ravel(), columns.ravel(), rows), shape=(len(at), shape[0] * shape[1]))


def public_turn() -> Floats:
    """Rotation of the coefficients without a key."""
    return np.asarray(describe._rotation(describe._PUBLIC) / describe._TURN, np.float64)


def turn_of_known(pictures: Iterable[npt.NDArray[np.uint8]]) -> Floats:
    """Work out a secret rotation from pictures that are at hand and their keyed records."""
    public, known, bits = public_turn(), [], []
    for pixels in pictures:
        plain = describe.extract(normal_luma(pixels), 185, margins=True)
        assert plain.margins is not None
        known.append((code_bits(plain) * plain.margins) @ public)
        bits.append(code_bits(keyed_record(pixels).points))
    return fitted_turn(np.concatenate(known), np.concatenate(bits))


def turn_of_stolen(records: Iterable[Record], steps: int) -> Floats:
    """Work out a secret rotation from keyed records alone: what their fields show stands in for their pictures."""
    known, bits = [], []
    for record in records:
        points, shape = record.points, shape_of(record.points.width)
        parts = [field_signs(Field.from_bytes(record.field), shape), direction_signs(points, shape)]
        plain = code_signs(points, shape, np.eye(128)).measure(fit(parts, shape, steps)).reshape(-1, 128)
        known.append(plain / np.sqrt(np.mean(plain**2, axis=1, keepdims=True)))
        bits.append(code_bits(points))
    return fitted_turn(np.concatenate(known), np.concatenate(bits))


def keyed_record(pixels: npt.NDArray[np.uint8]) -> Record:
    """Make a record with the key."""
    return Record.from_bytes(KeypointHasher(key=KEY).hash_pixels(pixels)[0].data)


def fitted_turn(values: Floats, signs: Floats) -> Floats:
    """Find the rotation by least squares, group by group."""
    public = public_turn()
    found = np.zeros_like(public)
    for group in {tuple(np.flatnonzero(row).tolist()) for row in public}:
        known, size = values[:, group], values[:, group].std(axis=0)
        slopes = np.linalg.lstsq(known / size, signs[:, group], rcond=None)[0].T / size
        left, _, right = np.linalg.svd(slopes / np.linalg.norm(slopes, axis=1, keepdims=True))
        found[np.ix_(group, group)] = left @ right
    return found


def code_signs(points: Keypoints, shape: tuple[int, int], turn: Floats) -> Signs:
    """Codes, read by a rotation that may be the right one."""
    read = samples(points, 6.0, shape)
    cosines = describe._COSINES / describe._COSINE
    i, j = describe._ORDER.T
    n = len(points)

    def measure(image: Floats) -> Floats:
        patches = (read @ image.ravel()).reshape(n, SAMPLES, SAMPLES)
        return np.asarray(((cosines @ patches @ cosines.T)[:, i, j] @ turn.T).ravel(), np.float64)

    def back(weights: Floats) -> Floats:
        values = np.zeros((n, len(cosines), len(cosines)))
        values[:, i, j] = weights.reshape(n, -1) @ turn
        return np.asarray((read.T @ (cosines.T @ values @ cosines).ravel()).reshape(shape), np.float64)

    return Signs(code_bits(points).ravel(), measure, back)


def direction_signs(points: Keypoints, shape: tuple[int, int]) -> Signs:
    """Directions: along its own a point grows brighter. No key hides them."""
    grid = (np.arange(SAMPLES) + 0.5) / SAMPLES * 2 - 1
    ramp = (grid * np.exp(-2 * (grid**2 + grid[:, None] ** 2))).ravel()
    n = len(points)
    rows = csr_matrix((np.tile(ramp, n), np.arange(n * ramp.size), np.arange(n + 1) * ramp.size))
    read = rows @ samples(points, 3.0, shape)
    return Signs(
        np.ones(n),
        lambda image: np.asarray(read @ image.ravel(), np.float64),
        lambda weights: np.asarray((read.T @ weights).reshape(shape), np.float64),
    )


def pdq_signs(data: bytes, shape: tuple[int, int]) -> Signs:
    """Bits of a PDQ hash; its median is taken for 0."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8))[::-1]
    down, across = (
        np.cos(np.pi / size * np.arange(1, 17)[:, None] * (np.arange(size) + 0.5)) / math.sqrt(size) for size in shape
    )
    return Signs(
        np.where(bits, 1.0, -1.0),
        lambda image: (down @ image @ across.T).ravel(),
        lambda weights: down.T @ weights.reshape(16, 16) @ across,
    )


def code_bits(points: Keypoints) -> Floats:
    """Bits of the codes as +1 and -1, (points, 128)."""
    return np.where(np.unpackbits(points.codes, axis=1), 1.0, -1.0)


def fit(parts: Iterable[Signs], shape: tuple[int, int], steps: int) -> Floats:
    """Find the likeliest picture whose measures have these signs, in at most so many steps."""
    parts, prior = list(parts), usual(shape)
    random = np.random.default_rng(1)
    draws = [idctn(prior * random.standard_normal(shape), norm="ortho") for _ in range(8)]
    sharp = [
        part.signs / (NOISE * np.sqrt(np.mean([part.measure(draw) ** 2 for draw in draws], axis=0) + 1e-12))
        for part in parts
    ]

    def cost(flat: Floats) -> tuple[float, Floats]:
        z = flat.reshape(shape)
        image = idctn(prior * z, norm="ortho")
        total, slope = 0.5 * float(flat @ flat), np.zeros(shape)
        for part, weight in zip(parts, sharp, strict=True):
            sure = weight * part.measure(image)
            total += float(np.logaddexp(0.0, -sure).sum())
            slope -= part.back(weight * np.exp(-np.logaddexp(0.0, sure)))
        return total, (z + prior * dctn(slope, norm="ortho")).ravel()

    found = minimize(cost, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": steps})
    return np.asarray(idctn(prior * found.x.reshape(shape), norm="ortho"), np.float64)


def surface(field: Field, shape: tuple[int, int]) -> Floats:
    """Enlarge the surface of the field's signs."""
    return enlarge(field.surface().astype(np.float64), shape)


def enlarge(small: Floats, shape: tuple[int, int]) -> Floats:
    """Interpolate between cells."""
    factors = [new / old for new, old in zip(shape, small.shape, strict=True)]
    return np.asarray(zoom(small, factors, order=1, mode="nearest", grid_mode=True)[: shape[0], : shape[1]], np.float64)


def paste(ground: Floats, points: Keypoints) -> Floats:
    """Lay the inverted codes over a sketch, the coarse ones first, each as strong as what lies under it."""
    out, turn = ground / ground.std(), public_turn()
    cosines = describe._COSINES / describe._COSINE
    i, j = describe._ORDER.T
    values = np.zeros((len(points), len(cosines), len(cosines)))
    values[:, i, j] = code_bits(points) @ turn * np.hypot(i, j) ** -FALL
    patches = cosines.T @ values @ cosines
    patches /= patches.std(axis=(1, 2), keepdims=True)
    scale = SIDE / FRAME_SIDE
    for number in np.argsort(-points.sigma, kind="stable"):
        half = 6.0 * float(points.sigma[number]) * scale
        x, y = float(points.x[number]) * scale - 0.5, float(points.y[number]) * scale - 0.5
        top, left = max(0, math.floor(y - half)), max(0, math.floor(x - half))
        part = out[top : math.ceil(y + half) + 1, left : math.ceil(x + half) + 1]
        right, lower = np.meshgrid(np.arange(part.shape[1]) + left - x, np.arange(part.shape[0]) + top - y)
        cos, sin = math.cos(float(points.angle[number])), math.sin(float(points.angle[number]))
        u, v = (cos * right + sin * lower) / half, (cos * lower - sin * right) / half
        column, row = (np.clip(((w + 1) * SAMPLES / 2).astype(int), 0, SAMPLES - 1) for w in (u, v))
        weight = np.exp(-2 * (u * u + v * v)) * (np.maximum(abs(u), abs(v)) < 1)
        mass = float(weight.sum()) + 1e-9
        mean = float((weight * part).sum()) / mass
        spread = math.sqrt(float((weight * (part - mean) ** 2).sum()) / mass)
        part += weight * (mean + max(spread, 0.1) * patches[number][row, column] - part)
    return np.asarray(out, np.float64)


def sketches(
    pixels: npt.NDArray[np.uint8], stranger: Field, guesses: dict[str, Floats], steps: int
) -> Iterable[tuple[str, Floats]]:
    """Make each sketch of a picture, by name."""
    full, few, fewest, keyed = (
        Record.from_bytes(KeypointHasher(points, key=key).hash_pixels(pixels)[0].data)
        for points, key in ((185, None), (60, None), (16, None), (185, KEY))
    )
    shape, public = shape_of(full.points.width), public_turn()
    field = Field.from_bytes(full.field)
    surfaces, directions = field_signs(field, shape), direction_signs(full.points, shape)
    pdq = PDQHasher().hash_pixels(pixels)[0]
    yield "the field of another picture: surface", surface(stranger, shape)
    yield "PDQ hash, 256 bits: fit", fit([pdq_signs(pdq.data, shape)], shape, steps)
    yield "field alone: surface", surface(field, shape)
    yield "field alone: fit", fit([surfaces], shape, steps)
    yield "185 points: surface, codes pasted", paste(surface(field, shape), full.points)
    for record in (full, few, fewest):
        points = record.points
        parts = [surfaces, direction_signs(points, shape), code_signs(points, shape, public)]
        yield f"{len(points)} points: fit", fit(parts, shape, steps)
    parts = [directions, code_signs(full.points, shape, public)]
    yield "185 points, without the field: fit", fit(parts, shape, steps)
    yield "keyed, key unknown: surface, codes pasted", paste(surface(field, shape), keyed.points)
    yield "keyed, key unknown: fit of all but the codes", fit([surfaces, directions], shape, steps)
    for source, turn in guesses.items():
        parts = [surfaces, directions, code_signs(keyed.points, shape, turn)]
        yield f"keyed, key worked out from {source}: fit", fit(parts, shape, steps)
    truth = normal_luma(pixels).astype(np.float64)
    for cells in (16, 36):
        yield f"the picture itself at {cells}x{cells}", enlarge(shrink(truth, (cells, cells)), shape)


def shrink(image: Floats, shape: tuple[int, int]) -> Floats:
    """Average over equal cells."""
    return averages(shape[0], image.shape[0]) @ image @ averages(shape[1], image.shape[1]).T


def correlation(one: Floats, other: Floats) -> float:
    """Pearson's, of all pixels."""
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def likeness(sketch: Floats, truth: Floats) -> float:
    """SSIM (Wang et al. 2004), Gaussian window of 1.5 px; the sketch is first given the truth's mean and spread."""
    sketch = np.clip((sketch - sketch.mean()) / sketch.std() * truth.std() + truth.mean(), 0, 255)

    def blur(image: Floats) -> Floats:
        return np.asarray(gaussian_filter(image, 1.5, truncate=3.5), np.float64)

    one, other = blur(sketch), blur(truth)
    both = blur(sketch * truth) - one * other
    spread = blur(sketch**2) - one**2 + blur(truth**2) - other**2
    low, high = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ssim = (2 * one * other + low) * (2 * both + high) / ((one**2 + other**2 + low) * (spread + high))
    return float(ssim.mean())


def figures(sketch: Floats, luma: Floats) -> dict[str, float]:
    """Compare a sketch with the true luma."""
    truth = shrink(luma, (sketch.shape[0], sketch.shape[1]))
    fine, true_fine = (image - gaussian_filter(image, FINE * SIDE) for image in (sketch, truth))
    return {
        "coarse": correlation(shrink(sketch, (36, 36)), shrink(luma, (36, 36))),
        "whole": correlation(enlarge(sketch, (luma.shape[0], luma.shape[1])), luma),
        "fine": correlation(fine, true_fine),
        "ssim": likeness(shrink(sketch, (64, 64)), shrink(luma, (64, 64))),
    }


def guesses_of(seed: int, stolen: int, steps: int) -> dict[str, Floats]:
    """Work the key out in two ways, the second from so many records; the pictures are others than those sketched."""
    others = [picture(KINDS[i % 2], seed + 60_000 + i, SIZES[i % 3]) for i in range(stolen)]
    return {
        "1 known picture": turn_of_known(others[:KNOWN]),
        f"{stolen} records alone": turn_of_stolen(map(keyed_record, others), steps),
    }


def measure(
    kind: str, pictures: int, seed: int, guesses: dict[str, Floats], steps: int
) -> dict[str, list[dict[str, float]]]:
    """Sketch pictures of one kind; figures by sketch, one a picture."""
    found: dict[str, list[dict[str, float]]] = {}
    for number in range(pictures):
        pixels = picture(kind, seed + number, SIZES[number % len(SIZES)])
        other = picture(kind, seed + 50_000 + number, SIZES[number % len(SIZES)])
        stranger = Field.from_bytes(Record.from_bytes(KeypointHasher(16).hash_pixels(other)[0].data).field)
        luma = normal_luma(pixels).astype(np.float64)
        for name, sketch in sketches(pixels, stranger, guesses, steps):
            found.setdefault(name, []).append(figures(sketch, luma))
    return found


def report(result: dict[str, Any]) -> str:
    """Write the tables."""
    key = "; ".join(f"{name}: {cosine:.2f}" for name, cosine in result["key"].items())
    parts = [
        "# What a keypoint record shows",
        f"`{json.dumps(result['machine'])}`",
        (__doc__ or "").partition("\n\n")[2],
        f"Seeds {result['seed']:,} on, {result['pictures']} pictures of each kind; the fit's one constant was "
        f"set on seeds 9,800,000 on. {result['cpu_seconds']:.0f} s of CPU time. Means; in brackets the least and the "
        "greatest. Coarse: correlation of luma at 36x36; whole: in the normal frame; fine: of what is left without a "
        "blur of one cell of the field, 14 px of the frame; SSIM: at 64x64, the sketch given the true mean and spread.",
        f"Rows of the secret rotation as worked out, cosine with the true ones, mean: {key}. Chance: 0.00.",
    ]
    header = ["made from", "coarse", "whole", "fine", "SSIM"]
    for kind, found in result["sketches"].items():
        table = []
        for name, rows in found.items():
            line = []
            for key in ("coarse", "whole", "fine", "ssim"):
                values = [row[key] for row in rows]
                line.append(f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})")
            table.append([name, *line])
        parts += [f"## {kind}", markdown_table(header, table)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def main() -> None:
    """Measure everything and keep the figures."""
    parser = options_of(__doc__, "one picture of each kind, few records, few steps")
    parser.add_argument("--pictures", type=int, default=12, help="pictures of each kind")
    parser.add_argument("--seed", type=int, default=SEED, help="of the first picture")
    options = parser.parse_args()
    pictures, steps = (1, 2) if options.quick else (options.pictures, STEPS)
    start = time.process_time()
    guesses = guesses_of(options.seed, 4 if options.quick else STOLEN, steps)
    true = describe._rotation(b"key" + KEY) / describe._TURN
    found = {kind: measure(kind, pictures, options.seed, guesses, steps) for kind in KINDS}
    result = {
        "machine": machine(),
        "seed": options.seed,
        "pictures": pictures,
        "cpu_seconds": time.process_time() - start,
        "key": {name: float((turn * true).sum(axis=1).mean()) for name, turn in guesses.items()},
        "sketches": found,
    }
    keep(options, result, report(result))
