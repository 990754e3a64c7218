"""NumPy's kernels of the search for borders: the slow twins that judge the compiled ones.

Lines are seen from one side of a picture inwards, line 0 the outermost, in the colours of
`hashmatch.kernels.numpy.pixels.opponent_cells`. Everything is counted in whole numbers, so that sums are exact in
any order; what is divided then is float64. What the numbers mean for a border is said in `hashmatch.views`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "Cells",
    "Floats",
    "border_rises",
    "line_colour",
    "line_textures",
    "median_away",
    "off_middle",
    "ramp_rest",
    "seam_strengths",
    "step_profile",
]

Cells = npt.NDArray[np.int16]
Floats = npt.NDArray[np.float64]

DUST: Final = 0.05  # share of a plain border's line that may differ
GROUND: Final = 0.6  # share of a band that is not text
CAP: Final = 24  # grey levels; a step counts no more, or one object would make a seam
FAR: Final = 24  # lines looked at inside of a seam
SMOOTH: Final = 3.0  # mean second difference, grey levels
SHARPER: Final = 1.25
DULL: Final = 0.35
DIM: Final = 0.03  # what an unseen seam counts, so that the opposite one is not lost
BACK: Final = (2, 3, 4, 5, 8, 16)  # lines back; steps of JPEG's blocks repeat after eight
MOST_CHANGE: Final = 40  # grey levels; a change counts no more, or one object would be the edge

# a step stands out by (step - 2.5 usual steps - 0.75) / 2 grey levels, from 0 to 1; in eighths, which are whole numbers
_STEP, _USUAL, _NOISE, _WHOLE = 4, 10, 3, 8
FINE: Final = 1 << 20  # parts of a grey level to which distances from a ramp are rounded
PART: Final = 64  # parts of a sixteenth to which limits of a profile are rounded


def line_colour(line: Cells) -> tuple[Cells, int]:
    """Say what colour a line has, and how far its own samples lie from that.

    Parameters
    ----------
    line : (n, m) int16 array
        Samples of each channel, -512 to 511.

    Returns
    -------
    colour : (n,) int16 array
        Median of each channel, the upper of two.
    spread : int
        What 95 in 100 samples differ by at most, in the channel where they differ most; grey levels.
    """
    colour: Cells = np.ascontiguousarray(np.sort(line, axis=1)[:, line.shape[1] // 2])
    spreads = np.sort(np.abs(line - colour[:, None]).max(axis=0))
    return colour, int(spreads[int(0.95 * (len(spreads) - 1))])


def median_away(line: Cells, colour: Cells) -> float:
    """Median difference between a line and a colour, in the channel where each sample differs most; grey levels."""
    return float(np.median(np.abs(line - colour[:, None]).max(axis=0)))


def border_rises(
    lines: Cells, colour: Cells, tolerances: tuple[float, ...], skip: int, least: int, deepest: int, text: int
) -> tuple[Floats, Floats]:
    """Say for each line how much of it is content where the two before it are border, and all outside mostly is.

    Parameters
    ----------
    lines : (channels, n, m) int16 array
        At least 5 lines, of fewer than 32,768 samples.
    colour : (channels,) int16 array
        Of the border.
    tolerances : tuple of float
        How far the border's own samples may lie from that, grey levels.
    skip : int
        Samples left out at both ends of a line where content is looked for.
    least, deepest : int
        First and last line at which content may begin.
    text : int
        How many lines outside may hold anything else at all.

    Returns
    -------
    differs : (tolerances, n) float64 array
        Share of each line that is not of the colour.
    rises : (tolerances, n) float64 array
        Up to 1.
    """
    n, m = lines.shape[1:]
    away = np.abs(lines - colour[:, None, None]).max(axis=0)
    change = np.zeros_like(away)
    change[2:-1] = np.abs(lines[:, 3:] - lines[:, :-3]).max(axis=0)
    full, rises = np.empty((len(tolerances), n)), np.zeros((len(tolerances), n))
    middle = slice(skip, m - skip)
    for tolerance, share, rise in zip(tolerances, full, rises, strict=True):
        differs = away > tolerance
        share[:] = differs.mean(axis=1)
        # the change must be sudden, as a gradient leaves any colour too
        inside = (differs[1:, middle] & (change[:-1, middle] > max(5.0, tolerance))).mean(axis=1)
        rise[2:-1] = inside[2:] - 0.5 * (share[1:-2] + share[:-3])
        ground = np.cumsum(1.0 - share) / np.arange(1, n + 1)
        rise[1:][ground[:-1] < GROUND] = 0.0
        rise[1:][np.cumsum(share > DUST)[:-1] > text] = 0.0
        rise[deepest + 1 :] = 0.0
        rise[:least] = 0.0
    return full, rises


def line_textures(luma: Cells) -> Floats:
    """Mean second difference of brightness along each line of an (n, m) array, capped; m is 3 or more."""
    curve = np.abs(luma[:, 2:] - 2 * luma[:, 1:-1] + luma[:, :-2])
    means: Floats = np.minimum(curve, 2 * CAP).sum(axis=1, dtype=np.int64) / (luma.shape[1] - 2)
    return means


def seam_strengths(lines: Cells, skip: int) -> Floats:
    """Say for each line along how much of it a step stands out from those outside; 0 where the outside is rough.

    Parameters
    ----------
    lines : (channels, n, m) int16 array
        At least 5 lines of at least 3 samples.
    skip : int
        Samples left out at both ends of a line where steps are looked for.

    Returns
    -------
    (n,) float64 array
        0 to 1.
    """
    length, m = lines.shape[1:]
    place = np.arange(length)
    sums = np.cumsum(line_textures(lines[0]))
    outside = sums / (place + 1)
    ahead = np.minimum(length - 1, place + FAR)
    inside = (sums[ahead] - sums) / np.maximum(1, ahead - place)
    middle = lines[:, :, skip : m - skip]
    single = np.zeros(middle.shape[1:], np.int64)
    single[1:] = np.abs(np.diff(middle, axis=1)).max(axis=0)
    double = np.zeros_like(single)
    double[1:-1] = np.abs(middle[:, 2:] - middle[:, :-2]).max(axis=0)
    usual = np.zeros_like(single)
    for back in [lag for lag in BACK if lag < length]:
        usual[back:] = np.maximum(usual[back:], single[: length - back])
    seams = np.full(length, DIM)
    for steps in (single, double):
        eighths = np.clip(_STEP * steps - _USUAL * usual - _NOISE, 0, _WHOLE).sum(axis=1)
        clear = (eighths / (_WHOLE * middle.shape[2])).astype(np.float32)
        seams[3:-1] = np.maximum(seams[3:-1], clear[3:-1])
    # content in focus is sharper than a blurred border, which edges of out-of-focus things are not
    seams[2:][inside[2:] < SHARPER * outside[:-2]] *= DULL
    seams[2:][outside[1:-1] > SMOOTH] = 0.0
    seams[:3] = 0.0
    return seams


def ramp_rest(luma: Cells) -> float:
    """Mean distance of lines' samples from the straight ramps that fit them best.

    Parameters
    ----------
    luma : (n, m) int16 array
        At least one line of at least 2 samples.

    Returns
    -------
    float
        Grey levels.
    """
    count = luma.shape[1]
    ramp = 2 * np.arange(count, dtype=np.int64) - (count - 1)
    values = luma.astype(np.int64)
    slope = (values * ramp).sum(axis=1) / float(count * (count * count - 1) // 3)
    rest = (luma - (values.sum(axis=1) / count)[:, None]) - slope[:, None] * ramp
    return float(np.rint(np.abs(rest) * FINE).astype(np.int64).sum()) / FINE / luma.size


def step_profile(strip: npt.NDArray[Any], colour: Cells | None, tolerance: float, tail: int) -> npt.NDArray[np.int64]:
    """Say how far each line of full pixels lies from a border's colour; without one, how far from the line before.

    Parameters
    ----------
    strip : (channels, n, m) array
        RGB or grey; uint8, or float from 0 to 255. Any strides; m is at most 2,048.
    colour : (channels,) int16 array, optional
        The border's, in the colours of the cells.
    tolerance : float
        Grey levels. A sample counts up to this, or up to 0.7 times what its place has in the content.
    tail : int
        First line that is surely content.

    Returns
    -------
    (n,) or without a colour (n - 1,) int64 array
        Sums over the lines, in 1,024ths of a grey level or sixteenths of it.
    """
    values = _opponent(strip)
    most: npt.NDArray[Any]
    if colour is None:
        counted, most = np.abs(np.diff(values, axis=1)).max(axis=0), np.array(16 * MOST_CHANGE)
    else:
        away = np.abs(values - 16 * colour.astype(np.int64)[:, None, None]).max(axis=0)
        content = away[tail:]
        most = np.maximum(round(16 * PART * tolerance), content.sum(axis=0) * (7 * PART) // (10 * len(content)))
        counted = PART * away
    profile: npt.NDArray[np.int64] = np.minimum(counted, most).sum(axis=1)
    return profile


def _opponent(strip: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Brightness and two halved colour differences, in sixteenths; whole ones where the samples are."""
    if len(strip) == 1:
        return _whole(16 * strip.astype(np.float64))
    red, green, blue = strip.astype(np.float64)
    luma = 2 * red + 5 * green + blue
    return _whole(np.stack([2 * luma, 8 * red - luma, 8 * blue - luma]))


def _whole(values: Floats) -> npt.NDArray[np.int64]:
    return np.rint(values).astype(np.int64)


def off_middle(cells: Cells, tolerance: int) -> int:
    """Count cells of a (channels, h, w) array that lie further from the median in any channel, the upper of two."""
    flat = cells.reshape(len(cells), -1)
    middle = np.sort(flat, axis=1)[:, flat.shape[1] // 2]
    return int(np.count_nonzero((np.abs(flat - middle[:, None]) > tolerance).any(axis=0)))
