"""A five-by-seven letter set and text painting, so that text needs no font file and has the same bytes everywhere."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hashmatch.synthetic._draw import Draw, Floats, area_resize

__all__ = ["WORDS", "block", "paint_text", "sentence", "text_mask"]

# Five columns a letter, two hexadecimal digits each; bit 0 is the top row.
_COLUMNS: Final = {
    "A": "7c1211127c", "B": "7f49494936", "C": "3e41414122", "D": "7f4141413e", "E": "7f49494941", "F": "7f09090901",
    "G": "3e4149497a", "H": "7f0808087f", "I": "00417f4100", "J": "2040413f01", "K": "7f08142241", "L": "7f40404040",
    "M": "7f020c027f", "N": "7f0408107f", "O": "3e4141413e", "P": "7f09090906", "Q": "3e4151215e", "R": "7f09192946",
    "S": "4649494931", "T": "01017f0101", "U": "3f4040403f", "V": "1f2040201f", "W": "3f4038403f", "X": "6314081463",
    "Y": "0708700807", "Z": "6151494543", "0": "3e5149453e", "1": "00427f4000", "2": "4261514946", "3": "2141454b31",
    "4": "1814127f10", "5": "2745454539", "6": "3c4a494930", "7": "0171090503", "8": "3649494936", "9": "064949291e",
    "a": "2054545478", "b": "7f48444438", "c": "3844444420", "d": "384444487f", "e": "3854545418", "f": "087e090102",
    "g": "0c5252523e", "h": "7f08040478", "i": "00447d4000", "j": "2040443d00", "k": "7f10284400", "l": "00417f4000",
    "m": "7c04180478", "n": "7c08040478", "o": "3844444438", "p": "7c14141408", "q": "081414187c", "r": "7c08040408",
    "s": "4854545420", "t": "043f444020", "u": "3c4040207c", "v": "1c2040201c", "w": "3c4030403c", "x": "4428102844",
    "y": "0c5050503c", "z": "4464544c44", ".": "0060600000", ",": "0050300000", ":": "0036360000", "!": "00005f0000",
    "?": "0201510906", "-": "0808080808", "/": "2010080402", " ": "0000000000",
}  # fmt: skip

_TEXT: Final = (
    "able about after again air all along also always and animal answer around ask away back because before below "
    "between big both boat book bring build but call came can carry change city close cold come could country cut "
    "day did different do does done door down draw each early earth east eat end even every eye face far farm "
    "father feet few field find fire first fish five food for form found four friend from garden gave get give go "
    "gold good great green ground group grow half hand hard have he head hear help here high hold home horse hot "
    "hour house how hundred idea if in inch island it just keep kind king know land large last late learn leave "
    "left less letter life light like line list little live long look made make man many map mark may mean measure "
    "might mile milk money month moon more morning most mother mountain move much music must name near need never "
    "new next night north note nothing notice now number of off often old on once "
)
WORDS: Final = tuple(_TEXT.split())
"""Plain words that synthetic text is made of."""


@lru_cache(maxsize=1)
def _letters() -> npt.NDArray[np.uint8]:
    """All letters as (128, 9, 6) bitmaps: seven rows and a space of two below, five columns and a space of one."""
    table = np.zeros((128, 9, 6), dtype=np.uint8)
    for letter, columns in _COLUMNS.items():
        bits = np.frombuffer(bytes.fromhex(columns), dtype=np.uint8)
        table[ord(letter), :7, :5] = (bits[None] >> np.arange(7, dtype=np.uint8)[:, None]) & 1
    table.flags.writeable = False
    return table


def sentence(draw: Draw, length: int) -> str:
    """Make words up to ``length`` letters in all; the first has a capital."""
    words, used = [], 0
    while used < length:
        words.append(draw.pick(WORDS))
        used += len(words[-1]) + 1
    return " ".join(words)[:length].strip().capitalize()


def block(lines: list[str]) -> Floats:
    """Set lines of text as one bitmap of 0 and 1, nine rows a line and six columns a letter."""
    columns = max((len(line) for line in lines), default=0)
    if columns == 0:
        return np.zeros((9, 6))
    if not all(line.isascii() for line in lines):
        raise ValueError("text must be ASCII")
    codes = np.array([[ord(c) for c in line.ljust(columns)] for line in lines])
    bits: Floats = _letters()[codes].transpose(0, 2, 1, 3).reshape(9 * len(lines), 6 * columns).astype(np.float64)
    return bits


def text_mask(lines: list[str], height: int, width: int | None = None) -> Floats:
    """Set text at a size: ``height`` px for all lines together, and as wide as the letters need unless told.

    Returns
    -------
    (height, width) float64 array, 0.0 to 1.0
        How much ink covers each pixel.
    """
    bits = block(lines)
    if width is None:
        width = max(1, round(bits.shape[1] * height / bits.shape[0]))
    return area_resize(bits, max(1, height), max(1, width))


def paint_text(image: Any, lines: list[str], top: int, left: int, height: int, colour: Any, mix: float = 1.0) -> int:
    """Paint lines of text in place and return how many pixels wide they would be; what sticks out is cut off."""
    ink = text_mask(lines, height)
    down, across = max(0, -top), max(0, -left)
    patch = image[max(0, top) : max(0, top + ink.shape[0]), max(0, left) : max(0, left + ink.shape[1])]
    cover = mix * ink[down : down + patch.shape[0], across : across + patch.shape[1], None]
    patch += (cover * (np.asarray(colour, dtype=np.float64) - patch)).astype(image.dtype)
    return int(ink.shape[1])
