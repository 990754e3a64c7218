"""The aligned check: signs of brightness steps between neighbouring cells of a coarse grid over the reference.

The field of a reference has one bit for each two neighbouring cells: which of them is brighter. It holds no levels and
no sizes of steps; it still shows large shapes, see ``docs/explanation/privacy.md``. A query is aligned with the grid by
a transform, its cells are averaged, and the signs of its steps are compared. The weight of a bit depends on the query:
a small step is unsure. Only signs of steps are compared, so brightness, contrast, gamma and colour hardly matter.

Over 400 lines because making, reading and aligning share one grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.errors import HashFormatError
from hashmatch.kernels.laying import Grid, lay
from hashmatch.keypoints.geometry import Transform
from hashmatch.keypoints.points import FRAME_SIDE

__all__ = ["ENOUGH", "HOPELESS", "MAX_FIELD_BYTES", "FieldAgreement", "Canvas", "Field", "make_field"]

Luma = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]

# Tuned constants. Chosen by hand where no line says otherwise: no seeds and no command are recorded.
MAX_CELLS: Final = 1296  # of a field; of the format
MAX_FIELD_BYTES: Final = 2 + 2 * MAX_CELLS // 8  # sizes, and two signs a cell

_LONGEST: Final = 255  # cells a side; a byte
_LEAST_WEIGHT: Final = 4.0  # full steps; a flat query has less
_ZONES: Final = 6  # a side, of the place that was compared
_KEPT: Final = 0.75  # share of the weight that stays when the worst zones are left out
_USUAL_NOISE: Final = 1.7  # of unrelated pairs, median; few bits say little about their own
_USUAL_BITS: Final = 150.0  # bits at which a pair's own noise counts as much as the usual
_HILL: Final = 16.0  # well above the least step that counts
_FAR: Final = 3  # cells, from which on a lag is far
_ROUNDS: Final = 9  # of a climb, at most
_STEP: Final = 8.0  # px, first step of a climb
_LARGEST_STEP: Final = 0.06  # radians and shares, likewise
ENOUGH: Final = 0.95  # agreement at which a climb ends
HOPELESS: Final = 0.7  # true places start at 0.89 and more, squashed documents at 0.71, most unrelated ones below
_WORTH: Final = 0.8  # what agrees less is never a match: its noise need not be known
_MIDDLE: Final = np.zeros((1, 2))  # for the climb, on the level where a cell is 1 to 2 px wide
_QUARTERS: Final = np.array([[-0.25, -0.25], [0.25, -0.25], [-0.25, 0.25], [0.25, 0.25]])  # on that of 2 to 4 px


def make_field(luma: Luma) -> bytes:
    """Make the field of a reference.

    Parameters
    ----------
    luma : (h, w) float32 array, 0.0 to 255.0
        Its normal frame.

    Returns
    -------
    bytes
        Columns and rows, a byte each; then the steps to the right-hand neighbour row by row, then those to the lower
        neighbour row by row, the first in the highest bit, 1 where it is brighter; bits left over are 0. At most 326
        bytes: at most 1296 cells, about square.

    Notes
    -----
    A cell is the mean of the luma over its area, in float64. Cost: 4 ms.
    """
    height, width = luma.shape
    columns, rows = _grid(width, height)
    cells = _means(_means(luma.astype(np.float64), rows).T, columns).T
    bits = np.concatenate([(np.diff(cells, axis=1) > 0.0).ravel(), (np.diff(cells, axis=0) > 0.0).ravel()])
    return bytes((columns, rows)) + np.packbits(bits).tobytes()


def _grid(width: int, height: int) -> tuple[int, int]:
    columns = min(max(1, round(math.sqrt(MAX_CELLS * width / height))), _LONGEST)
    return columns, max(1, min(_LONGEST, MAX_CELLS // columns))


def _means(values: Floats, cells: int) -> Floats:
    """Average the rows under each of ``cells`` equal cells; running sums, the same on every processor."""
    size = len(values)
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    edges = np.arange(cells + 1) * (size / cells)
    whole = np.minimum(edges.astype(np.intp), size - 1)
    at = sums[whole] + (edges - whole)[:, None] * values[whole]
    return np.asarray(np.diff(at, axis=0) * (cells / size), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """The signs of a reference, read from `make_field`'s bytes.

    Parameters
    ----------
    columns, rows : int
        Of the grid, 1 to 255.
    signs : (steps,) bool array
        Signs of the steps to the right-hand neighbours, then to the lower neighbours.
    """

    columns: int
    rows: int
    signs: Flags

    def __repr__(self) -> str:
        return f"<Field, {self.columns} x {self.rows} cells>"

    @classmethod
    def from_bytes(cls, data: bytes) -> Field:
        """Read a field.

        Raises
        ------
        HashFormatError
            If the bytes are not a field.
        """
        if not 2 <= len(data) <= MAX_FIELD_BYTES:
            raise HashFormatError(f"a field has 2 to {MAX_FIELD_BYTES} bytes, not {len(data)}")
        columns, rows = data[0], data[1]
        if not columns or not rows or columns * rows > MAX_CELLS:
            raise HashFormatError("this field has an impossible grid")
        steps = (columns - 1) * rows + columns * (rows - 1)
        if len(data) != 2 + (steps + 7) // 8:
            raise HashFormatError(f"this field has {len(data)} bytes, which its grid does not fill")
        return cls(columns, rows, np.unpackbits(np.frombuffer(data, np.uint8, offset=2), count=steps).astype(np.bool_))

    def surface(self) -> Luma:
        """Make the surface, (rows, columns), whose steps come nearest to these signs, for a query without luma.

        Notes
        -----
        Least squares with every step of size 1. The levels have no meaning; the signs of their steps have.
        """
        across = (self.columns - 1) * self.rows
        right = np.where(self.signs[:across], 1.0, -1.0).reshape(self.rows, self.columns - 1)
        lower = np.where(self.signs[across:], 1.0, -1.0).reshape(self.rows - 1, self.columns)
        pull = -np.diff(right, axis=1, prepend=0.0, append=0.0) - np.diff(lower, axis=0, prepend=0.0, append=0.0)
        one, two = _cosines(self.rows), _cosines(self.columns)
        stiff = (2 - 2 * np.cos(np.pi * np.arange(self.rows) / self.rows))[:, None] + (
            2 - 2 * np.cos(np.pi * np.arange(self.columns) / self.columns)
        )
        stiff[0, 0] = 1.0
        return np.asarray(one.T @ ((one @ pull @ two.T) / stiff) @ two * _HILL, np.float32)


def _cosines(size: int) -> Floats:
    place, wave = np.arange(size) + 0.5, np.arange(size)[:, None]
    basis = np.cos(np.pi / size * wave * place) * math.sqrt(2.0 / size)
    basis[0] = math.sqrt(1.0 / size)
    return np.asarray(basis, np.float64)


@dataclass(frozen=True, slots=True)
class FieldAgreement:
    """Agreement of a query, aligned with a reference by a transform, with the field of the reference.

    Parameters
    ----------
    transform : Transform
        The refined transform.
    overlap : float
        Share of the reference's area under the query, 0 to 1.
    bits : float
        Effective number of compared bits: the number of bits of equal weight.
    agreement : float
        Weighted share of them that agree, 0 to 1; 0.5 is chance.
    noise : float
        Root mean square of the scores with the query shifted by three cells or more; 1 if the bits were independent.
        If under four fifths agree, which is never a match, the usual value of 1.7.
    trimmed : float
        Agreement without the worst quarter of the zones; a zone is a sixth of the width by a sixth of the height of the
        overlap. A sticker or a caption leaves the other zones unchanged.
    """

    transform: Transform
    overlap: float
    bits: float
    agreement: float
    noise: float
    trimmed: float

    @property
    def score(self) -> float:
        """Standard deviations above chance, 0 to about 40; with few bits the noise is moved towards the usual value."""
        own = self.bits / (self.bits + _USUAL_BITS)
        noise = math.sqrt(own * self.noise**2 + (1.0 - own) * _USUAL_NOISE**2)
        return (2.0 * self.agreement - 1.0) * math.sqrt(self.bits) / max(1.0, noise)


class Canvas:
    """Luma of a query at repeatedly halved sizes, to read the means of turned cells from.

    Parameters
    ----------
    luma : (h, w) float32 array, 0.0 to 255.0
        Its normal frame.

    Notes
    -----
    Cost: 1 ms and a third more memory than the luma.
    """

    __slots__ = ("_levels", "_size", "_unit")

    def __init__(self, luma: Luma) -> None:
        self._levels = [np.ascontiguousarray(luma, np.float32)]
        while min(self._levels[-1].shape) >= 8:
            large = self._levels[-1]
            large = large[: large.shape[0] // 2 * 2, : large.shape[1] // 2 * 2]
            self._levels.append(
                (large[::2, ::2] + large[1::2, ::2] + large[::2, 1::2] + large[1::2, 1::2]) * np.float32(0.25)
            )
        self._size = luma.shape[1], luma.shape[0]
        self._unit = FRAME_SIDE / math.sqrt(luma.shape[0] * luma.shape[1])

    def __repr__(self) -> str:
        return f"<Canvas, {self._size[0]} x {self._size[1]} px>"

    def compare(self, field: Field, width: float, transform: Transform, *, refine: bool = True) -> FieldAgreement:
        """Align the query with a reference and compare.

        Parameters
        ----------
        field : Field
            Of the reference.
        width : float
            Width of the reference's normal frame, px.
        transform : Transform
            From the query's normal frame to the reference's.
        refine : bool
            Whether a local search improves the place, scale, direction and aspect.

        Returns
        -------
        FieldAgreement
            Agreement with 0 bits if fewer than 12 steps lie under the query. With ``refine``, it has no overlap either
            if under 70 % of the bits agree at the start.

        Notes
        -----
        Cost: 0.4 ms; refined 0.1 ms where the start is hopeless, else about 3 ms, less the nearer the start; in NumPy
        four times as much.
        """
        laid = _Laid(self._levels, self._size, self._unit, field, width, transform)
        return laid.climb() if refine else laid.judge(np.zeros(5))

    def share(self, field: Field, width: float, transform: Transform) -> float:
        """Return the share of bits that agree here, 0 if there are too few; arguments as for `compare`."""
        laid = _Laid(self._levels, self._size, self._unit, field, width, transform)
        return laid.summed(np.zeros(5))[0]


class _Laid:
    """One query over one field; a move is (x px, y px, log scale, turn, log of the root of the aspect)."""

    __slots__ = ("_back", "_centre", "_coarse", "_field", "_fine", "_grid", "_radius", "_size", "_unit")

    def __init__(
        self, levels: list[Luma], size: tuple[int, int], unit: float, field: Field, width: float, transform: Transform
    ) -> None:
        back = transform.inverse()
        # a sample of the luma is nearly 1 px of the frame, but for the rounding of its sides
        self._back = Transform(back.matrix / unit, back.shift / unit)
        self._field, self._size, self._unit = field, size, unit
        wide, tall = width / field.columns, FRAME_SIDE * FRAME_SIDE / width / field.rows
        self._grid = Grid(field.columns, field.rows, wide, tall, field.signs)
        self._centre, self._radius = np.zeros(2), max(wide, tall)
        side = math.sqrt(wide * tall) * self._back.scale
        level = math.floor(math.log2(max(side, 1e-9) / 2.0))
        fine, coarse = (min(max(0, i), len(levels) - 1) for i in (level, level + 1))
        self._fine, self._coarse = (levels[fine], 2.0**fine), (levels[coarse], 2.0**coarse)

    def climb(self) -> FieldAgreement:
        """Try steps along each axis, take those that improve the score, and halve the steps if none does."""
        move = np.zeros(5)
        share, score = self.summed(move)
        if share < HOPELESS:
            return FieldAgreement(self._transform(move), 0.0, 0.0, share, 1.0, share)
        if share >= ENOUGH:
            return self.judge(move)
        self._turn_about_the_middle()
        turn = min(_STEP / self._radius, _LARGEST_STEP)
        step = np.array([_STEP, _STEP, turn, turn, turn])
        best = float(self._scores(move[None])[0])
        for _ in range(_ROUNDS):
            tries = np.concatenate([move + np.diag(step), move - np.diag(step)])
            scores = self._scores(tries)
            up, down = scores[:5], scores[5:]
            way = np.where((up > best) & (up >= down), 1.0, np.where(down > best, -1.0, 0.0))
            if not way.any():
                step *= 0.5
                continue
            single = int(np.argmax(scores))
            joint = move + way * step
            reached = float(self._scores(joint[None])[0])
            move, best = (joint, reached) if reached >= scores[single] else (tries[single], float(scores[single]))
        return self.judge(move if self.summed(move)[1] > score else np.zeros(5))

    def judge(self, move: Floats) -> FieldAgreement:
        """Compare zone by zone."""
        transform, overlap = self._transform(move), self._overlap(move)
        weights, agree, steps = self._compare(move[None], self._fine, _QUARTERS)
        weight = weights[0]
        total = float(weight.sum())
        if total < _LEAST_WEIGHT:
            return FieldAgreement(transform, overlap, 0.0, 0.0, 1.0, 0.0)
        right = weight * agree[0]
        bits = total**2 / float((weight * weight).sum())
        zone = self._zones(steps)
        mass, good = np.bincount(zone, weight, _ZONES**2), np.bincount(zone, right, _ZONES**2)
        # a zone of few bits is drawn to the whole, so that it neither proves nor refutes
        share = float(right.sum()) / total
        own = (good + 2.0 * share) / (mass + 2.0)
        worst_last = np.argsort(-own, kind="stable")
        kept = np.minimum(
            mass[worst_last], np.maximum(0.0, _KEPT * total - (np.cumsum(mass[worst_last]) - mass[worst_last]))
        )
        trimmed = float((kept * own[worst_last]).sum() / kept.sum())
        noise = _USUAL_NOISE
        if share >= _WORTH:
            rising = agree[0] == self._field.signs[steps]
            noise = self._noise(np.where(rising, weight, -weight), steps)
        return FieldAgreement(transform, overlap, bits, share, noise, trimmed)

    def summed(self, move: Floats) -> tuple[float, float]:
        """Weighted share of the bits that agree, and its score above chance; 0 if there are too few."""
        weights, agree, _ = self._compare(move[None], self._fine, _QUARTERS)
        total = float(weights.sum())
        if total < _LEAST_WEIGHT:
            return 0.0, 0.0
        share = float((weights * agree).sum()) / total
        return share, (2.0 * share - 1.0) * total / math.sqrt(float((weights * weights).sum()))

    def _turn_about_the_middle(self) -> None:
        """Let moves turn and scale about the middle of what the query covers, not about the corner."""
        places = self._places()
        there = self._back.matrix @ places + self._back.shift[:, None]
        seen = places[:, ((there >= 0) & (there <= np.array(self._size)[:, None])).all(axis=0)]
        if seen.shape[1]:
            low, high = seen.min(axis=1), seen.max(axis=1)
            self._centre, self._radius = (low + high) / 2, max(float((high - low).max()) / 2, self._radius)

    def _places(self) -> Floats:
        """Middles of all cells, (2, cells), px of the reference."""
        grid = self._grid
        x, y = (np.arange(grid.columns) + 0.5) * grid.wide, (np.arange(grid.rows) + 0.5) * grid.tall
        return np.stack([np.tile(x, grid.rows), np.repeat(y, grid.columns)])

    def _transform(self, move: Floats) -> Transform:
        matrix, shift = self._moved(move[None])
        return Transform(matrix[0] * self._unit, shift[0] * self._unit).inverse()

    def _overlap(self, move: Floats) -> float:
        matrix, shift = self._moved(move[None])
        there = matrix[0] @ self._places() + shift[0][:, None]
        return float(np.mean(((there >= 0) & (there <= np.array(self._size)[:, None])).all(axis=0)))

    def _noise(self, signed: Luma, steps: Numbers) -> float:
        """Root mean square of the scores of the same steps shifted by some cells: what a wrong place would score."""
        columns, rows = self._field.columns, self._field.rows
        across = (columns - 1) * rows
        tall, wide = 2 * rows, 2 * columns
        total, mass = np.zeros((tall, wide)), np.zeros((tall, wide))
        for part, shape in ((steps < across, (rows, columns - 1)), (steps >= across, (rows - 1, columns))):
            ours = np.zeros(shape[0] * shape[1])
            first = 0 if shape[0] == rows else across
            ours[steps[part] - first] = signed[part]
            ours = ours.reshape(shape)
            theirs = np.where(self._field.signs[first : first + ours.size].reshape(shape), 1.0, -1.0)
            for image, other, into in ((ours, theirs, total), (ours * ours, np.ones(shape), mass)):
                one, two = np.fft.rfft2(image, (tall, wide)), np.fft.rfft2(other, (tall, wide))
                into += np.fft.irfft2(one.conj() * two, (tall, wide))
        down, along = np.fft.fftfreq(tall, 1 / tall)[:, None], np.fft.fftfreq(wide, 1 / wide)
        far = (np.maximum(np.abs(down), np.abs(along)) >= _FAR) & (mass >= 0.5 * mass[0, 0])
        return math.sqrt(float(np.mean(total[far] ** 2 / mass[far]))) if far.any() else 1.0

    def _zones(self, steps: Numbers) -> Numbers:
        """Give each step the number of the sixth of the width and of the height it lies in."""
        columns, rows = self._field.columns, self._field.rows
        across = (columns - 1) * rows
        first = np.where(
            steps < across, steps // max(columns - 1, 1) * columns + steps % max(columns - 1, 1), steps - across
        )
        place = np.stack([first % columns, first // columns])
        low, high = place.min(axis=1, keepdims=True), place.max(axis=1, keepdims=True)
        sixth = (place - low) * _ZONES // (high - low + 1)
        return np.asarray(sixth[1] * _ZONES + sixth[0], np.int64)

    def _scores(self, moves: Floats) -> Floats:
        weights, agree, _ = self._compare(moves, self._coarse, _MIDDLE)
        signed = np.where(agree, weights, -weights).sum(axis=1)
        return np.asarray(signed / np.sqrt(np.maximum((weights * weights).sum(axis=1), 1e-9)), np.float64)

    def _moved(self, moves: Floats) -> tuple[Floats, Floats]:
        """Give the maps, (k, 2, 2) and (k, 2), from the reference to the query after each move."""
        if len(moves) == 1 and not moves.any():
            return self._back.matrix[None], self._back.shift[None]
        size, aspect = np.exp(moves[:, 2]), np.exp(moves[:, 4])
        cosine, sine = np.cos(moves[:, 3]), np.sin(moves[:, 3])
        own = np.empty((len(moves), 2, 2))
        own[:, 0, 0], own[:, 0, 1] = size * aspect * cosine, -size * sine
        own[:, 1, 0], own[:, 1, 1] = size * sine, size / aspect * cosine
        shift = self._centre + moves[:, :2] - own @ self._centre
        return self._back.matrix @ own, shift @ self._back.matrix.T + self._back.shift

    def _compare(self, moves: Floats, image: tuple[Luma, float], probes: Floats) -> tuple[Luma, Flags, Numbers]:
        """Weigh and compare the steps whose cells lie under the query in every map."""
        matrices, shifts = self._moved(moves)
        level, step = image
        found: tuple[Luma, Flags, Numbers] = lay(
            level, step, self._size, self._grid, np.ascontiguousarray(matrices), np.ascontiguousarray(shifts), probes
        )
        return found
