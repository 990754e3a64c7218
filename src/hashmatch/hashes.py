"""Values: `HashValue`, `View`, `Fingerprint` and the distance between two hashes.

Bit and byte order, stated once: ``data[0]`` is the first byte of the published hexadecimal form and its most
significant bit is bit 0 of the hash. So ``pdq:8000…`` has exactly bit 0 set, and a packed code of an index is
``numpy.frombuffer(value.data, numpy.uint8)`` with no reordering.

Standard library only: matching hash against hash needs no image code.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import Final

from hashmatch.algorithms import ALGORITHMS, Algorithm, Metric, algorithm_named, ceil_sqrt
from hashmatch.errors import AlgorithmMismatchError, HashFormatError

__all__ = [
    "Background",
    "Fingerprint",
    "HashValue",
    "Turn",
    "View",
    "ViewHash",
    "distance",
]

_VALUE_FORM: Final = 1
_FINGERPRINT_MAGIC: Final = b"HMF\x01"
_NO_QUALITY: Final = 255
_MAX_FRAME: Final = 2**32 - 1


@dataclass(frozen=True, slots=True, order=True, repr=False)
class HashValue:
    """One hash of one picture by one algorithm, compared and ordered exactly.

    Equal means: same algorithm and same bits. Nearness is `distance`, never ``==``. ``repr`` never shows the bits.

    Parameters
    ----------
    algorithm : str
        A name of `ALGORITHMS`.
    data : bytes
        ``n_bits // 8`` bytes, in the order of the published hexadecimal form.

    Raises
    ------
    HashFormatError
        If the algorithm is unknown or ``data`` has another length.

    Examples
    --------
    >>> value = HashValue.parse("dhash:00FF00FF00FF00FF")
    >>> value
    <HashValue dhash, 64 bits>
    >>> str(value)
    'dhash:00ff00ff00ff00ff'
    >>> distance(value, HashValue.parse("00ff00ff00ff00fe", algorithm="dhash"))
    1
    """

    algorithm: str
    data: bytes

    def __post_init__(self) -> None:
        algorithm = algorithm_named(self.algorithm)
        if not isinstance(self.data, bytes):
            raise HashFormatError(f"a {algorithm.name} hash is made from bytes, not {type(self.data).__name__}")
        if len(self.data) != algorithm.n_bytes:
            raise HashFormatError(
                f"a {algorithm.name} hash has {algorithm.n_bytes} bytes, not {len(self.data)}"
                + _other_length_hint(algorithm, 8 * len(self.data))
            )
        object.__setattr__(self, "algorithm", algorithm.name)

    @classmethod
    def parse(cls, text: str, *, algorithm: str | None = None) -> HashValue:
        """Read the text form.

        Parameters
        ----------
        text : str
            ``"<algorithm>:<hex>"``, or bare hex where ``algorithm`` is given. Upper case and surrounding white
            space are accepted.
        algorithm : str, optional
            Name the text must have (or need not repeat).

        Raises
        ------
        HashFormatError
            If the text is not a hash of that algorithm. The message says where, without repeating the text.
        """
        if not isinstance(text, str):
            raise HashFormatError(f"a hash is parsed from str, not {type(text).__name__}")
        name, colon, digits = text.strip().rpartition(":")
        if not colon and algorithm is None:
            raise HashFormatError('no algorithm is given: write "<algorithm>:<hex>", for example "pdq:…"')
        found = algorithm_named(name if colon else str(algorithm))
        if algorithm is not None and found.name != algorithm_named(algorithm).name:
            raise HashFormatError(f"the text is a {found.name} hash, not a {algorithm_named(algorithm).name} hash")
        if len(digits) != 2 * found.n_bytes:
            raise HashFormatError(
                f"a {found.name} hash has {2 * found.n_bytes} hexadecimal digits, not {len(digits)}"
                + _other_length_hint(found, 4 * len(digits))
            )
        bad = next((i for i, c in enumerate(digits) if c not in "0123456789abcdefABCDEF"), None)
        if bad is not None:
            raise HashFormatError(f"character {bad + 1} of the {found.name} hash is not a hexadecimal digit")
        return cls(found.name, bytes.fromhex(digits))

    @property
    def n_bits(self) -> int:
        """Length in bits."""
        return 8 * len(self.data)

    def hex(self) -> str:
        """Lower-case hexadecimal digits in the published order, without the algorithm."""
        return self.data.hex()

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.data.hex()}"

    def __repr__(self) -> str:
        return f"<HashValue {self.algorithm}, {self.n_bits} bits>"

    def to_bytes(self) -> bytes:
        """Byte form, version 1: version byte, length of the name, name in ASCII, data."""
        name = self.algorithm.encode("ascii")
        return bytes((_VALUE_FORM, len(name))) + name + self.data

    @classmethod
    def from_bytes(cls, data: bytes) -> HashValue:
        """Read the byte form.

        Raises
        ------
        HashFormatError
            If the bytes are not a whole hash in a byte form this version knows.
        """
        if len(data) < 2 or data[0] != _VALUE_FORM:
            raise HashFormatError("these bytes are not a hash in byte form 1")
        end = 2 + data[1]
        value = cls(_ascii(data[2:end]), bytes(data[end:]))
        if value.to_bytes() != bytes(data):
            raise HashFormatError("the name of the algorithm is not written as byte form 1 writes it")
        return value


def _other_length_hint(algorithm: Algorithm, n_bits: int) -> str:
    """Name the algorithm of the same family that has ``n_bits``, for an error message."""
    family = algorithm.name.partition("-")[0]
    for other in ALGORITHMS.values():
        if other.name.partition("-")[0] == family and other.n_bits == n_bits:
            return f"; for {n_bits} bits the algorithm is {other.name!r}"
    return ""


def _ascii(data: bytes) -> str:
    try:
        return bytes(data).decode("ascii")
    except UnicodeDecodeError:
        raise HashFormatError("the name of the algorithm is not ASCII") from None


def distance(a: HashValue, b: HashValue) -> int:
    """Distance between two hashes of one algorithm.

    Parameters
    ----------
    a, b : HashValue
        Hashes of the same algorithm.

    Returns
    -------
    int
        Differing bits, 0 to ``n_bits``, for perceptual hashes; for ``photodna`` the Euclidean distance of the bytes
        rounded up; for digests 0 (equal) or 1.

    Raises
    ------
    AlgorithmMismatchError
        If the algorithms differ.
    TypeError
        If one is not a `HashValue`.

    Notes
    -----
    Cost: one XOR and one population count of ``n_bits``.
    """
    if not isinstance(a, HashValue) or not isinstance(b, HashValue):
        raise TypeError("a distance is between two HashValue; HashValue.parse reads one from text")
    if a.algorithm != b.algorithm:
        raise AlgorithmMismatchError(f"a {a.algorithm} hash cannot be compared with a {b.algorithm} hash")
    metric = ALGORITHMS[a.algorithm].metric
    if metric is Metric.HAMMING:
        return (int.from_bytes(a.data) ^ int.from_bytes(b.data)).bit_count()
    if metric is Metric.EXACT:
        return int(a.data != b.data)
    return ceil_sqrt(sum((x - y) ** 2 for x, y in zip(a.data, b.data, strict=True)))


class Turn(Enum):
    """The eight turns of a picture: what was done to the query before it was hashed.

    On an array of rows: ``ROTATE_90`` is ``numpy.rot90(x)`` (a quarter to the left), ``MIRROR`` swaps left and
    right, ``FLIP`` swaps top and bottom, ``TRANSPOSE`` swaps rows and columns, ``TRANSVERSE`` does so along the other
    diagonal. The member's position is part of the byte form of a `Fingerprint`.
    """

    NONE = "none"
    ROTATE_90 = "rotated 90"
    ROTATE_180 = "rotated 180"
    ROTATE_270 = "rotated 270"
    MIRROR = "mirrored"
    FLIP = "flipped"
    TRANSPOSE = "transposed"
    TRANSVERSE = "transversed"


class Background(Enum):
    """The colour that transparent pixels were composited on."""

    WHITE = "white"
    BLACK = "black"


_TURNS: Final = tuple(Turn)
_BACKGROUNDS: Final = tuple(Background)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One way of looking at a picture; ``str`` says it in words.

    Parameters
    ----------
    frame : int
        Position of the frame in a multi-frame file, from 0.
    background : Background
        What transparency was composited on.
    turn : Turn
        What was done to the picture before hashing.
    """

    frame: int = 0
    background: Background = Background.WHITE
    turn: Turn = Turn.NONE

    def __post_init__(self) -> None:
        if not 0 <= self.frame <= _MAX_FRAME:
            raise ValueError(f"frame must be 0 to {_MAX_FRAME}, not {self.frame}")

    def __str__(self) -> str:
        parts = []
        if self.frame:
            parts.append(f"frame {self.frame}")
        if self.background is not Background.WHITE:
            parts.append(f"on {self.background.value}")
        if self.turn is not Turn.NONE:
            parts.append(self.turn.value)
        return ", ".join(parts) or "original"


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewHash:
    """The hash of one view, with its quality.

    Parameters
    ----------
    value : HashValue
        The hash.
    quality : int, optional
        How much there was to hash, 0 to 100; None for algorithms that do not measure it.
    view : View
        How the picture was looked at.
    """

    value: HashValue
    quality: int | None = None
    view: View = View()

    def __post_init__(self) -> None:
        if not isinstance(self.value, HashValue):
            raise TypeError(f"value must be a HashValue, not {type(self.value).__name__}")
        if self.quality is None:
            return
        if isinstance(self.quality, bool) or not isinstance(self.quality, int) or not 0 <= self.quality <= 100:
            raise ValueError(f"quality must be an integer from 0 to 100, not {self.quality}")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Everything computed from one picture: the hashes of all its views.

    Parameters
    ----------
    view_hashes : tuple of ViewHash
        Digests carry the plain `View`.
    """

    view_hashes: tuple[ViewHash, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "view_hashes", tuple(self.view_hashes))
        if not all(isinstance(item, ViewHash) for item in self.view_hashes):
            raise TypeError("a fingerprint is made of ViewHash; hashmatch.fingerprint makes one from a picture")

    @property
    def hashes(self) -> tuple[HashValue, ...]:
        """The hashes of all views, in order, each once."""
        return tuple(dict.fromkeys(item.value for item in self.view_hashes))

    @property
    def quality(self) -> int | None:
        """Quality of the first view that has one, 0 to 100; None when no algorithm measures it."""
        return next((item.quality for item in self.view_hashes if item.quality is not None), None)

    def to_bytes(self) -> bytes:
        """Byte form, version 1; see `from_bytes`."""
        parts = [_FINGERPRINT_MAGIC, struct.pack("<I", len(self.view_hashes))]
        for item in self.view_hashes:
            view, value = item.view, item.value.to_bytes()
            quality = _NO_QUALITY if item.quality is None else item.quality
            header = (
                view.frame,
                _BACKGROUNDS.index(view.background),
                _TURNS.index(view.turn),
                quality,
                len(value),
            )
            parts += [struct.pack("<IBBBH", *header), value]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Fingerprint:
        """Read the byte form.

        Parameters
        ----------
        data : bytes
            Magic ``HMF`` and version 1, count (uint32), then per view: frame (uint32), background, turn, quality
            (a byte each; 255 is no quality), length (uint16) and byte form of the hash. Little-endian.

        Raises
        ------
        HashFormatError
            If the bytes are not a whole fingerprint in a byte form this version knows.
        """
        view_hashes = []
        try:
            if bytes(data[:4]) != _FINGERPRINT_MAGIC:
                raise HashFormatError("these bytes are not a fingerprint in byte form 1")
            (count,) = struct.unpack_from("<I", data, 4)
            at = 8
            for _ in range(count):
                frame, background, turn, quality, length = struct.unpack_from("<IBBBH", data, at)
                at += 9
                view = View(frame=frame, background=_BACKGROUNDS[background], turn=_TURNS[turn])
                value = HashValue.from_bytes(data[at : at + length])
                view_hashes.append(
                    ViewHash(value=value, quality=None if quality == _NO_QUALITY else quality, view=view)
                )
                at += length
        except (struct.error, IndexError) as error:
            raise HashFormatError("the fingerprint is cut short or holds an unknown view") from error
        except HashFormatError:
            raise
        except ValueError as error:
            raise HashFormatError(f"the fingerprint holds an impossible value: {error}") from error
        if at != len(data):
            raise HashFormatError("the fingerprint has bytes left over after its last view")
        return cls(tuple(view_hashes))
