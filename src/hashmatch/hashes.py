"""Values: `HashValue`, `Fingerprint` and the distance between two hashes.

Bit and byte order, stated once: ``data[0]`` is the first byte of the published hexadecimal form and its most
significant bit is bit 0 of the hash. So ``pdq:8000…`` has exactly bit 0 set, and a packed code of an index is
``numpy.frombuffer(value.data, numpy.uint8)`` with no reordering.

Standard library only: matching hash against hash needs no image code.

Over 400 lines because the byte forms of a fingerprint stand beside the values that they are of.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from typing import Final

from hashmatch.algorithms import ALGORITHMS, Algorithm, Metric, algorithm_named, ceil_sqrt
from hashmatch.errors import AlgorithmMismatchError, HashFormatError
from hashmatch.view import PLAIN_VIEW, VIEW_KINDS, Background, FrameCount, Margins, Rendering, Shrink, Turn, View

__all__ = [
    "Fingerprint",
    "HashValue",
    "Looked",
    "ViewHash",
    "distance",
]

_VALUE_FORM: Final = 1
_PLAIN_FORM: Final = b"HMF\x01"
_VIEW_FORM: Final = b"HMF\x02"
_LOOKED_FORM: Final = b"HMF\x03"
_COLOUR_FORM: Final = b"HMF\x04"
_FORMS: Final = (_PLAIN_FORM, _VIEW_FORM, _LOOKED_FORM, _COLOUR_FORM)
_NO_QUALITY: Final = 255
_TILTS: Final = 100
_PLAIN: Final = struct.Struct("<IBBB")
_MORE: Final = struct.Struct("<B9h")
_COLOURS: Final = struct.Struct("<BB")
_LENGTH: Final = struct.Struct("<H")
_LOOKED: Final = struct.Struct("<HBIIIBB")
_FORMAT: Final = re.compile(r"[ -~]{1,64}")
_REASON: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")
_TURNS: Final = tuple(Turn)
_BACKGROUNDS: Final = tuple(Background)
_SHRINKS: Final = tuple(Shrink)
_RENDERINGS: Final = tuple(Rendering)


@dataclass(frozen=True, slots=True, order=True, repr=False)
class HashValue:
    """One hash of one picture by one algorithm, compared and ordered exactly.

    Two values are equal if algorithm and bits are equal. `distance` measures nearness. ``repr`` never shows the bits.

    Parameters
    ----------
    algorithm : str
        A name of `ALGORITHMS`.
    data : bytes
        ``n_bits // 8`` bytes, in the order of the published hexadecimal form; 1 to 4096 for ``keypoint``.

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
        if not algorithm.fits(len(self.data)):
            raise HashFormatError(
                f"a {algorithm.name} hash has {_lengths(algorithm, 1)} bytes, not {len(self.data)}"
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
            Name of the algorithm, which the text may repeat but not contradict.

        Raises
        ------
        HashFormatError
            If the text is not a hash of that algorithm. The message says where, and does not repeat the text.
        """
        if not isinstance(text, str):
            raise HashFormatError(f"a hash is parsed from str, not {type(text).__name__}")
        name, colon, digits = text.strip().rpartition(":")
        if not colon and algorithm is None:
            raise HashFormatError('no algorithm is given: write "<algorithm>:<hex>", for example "pdq:…"')
        found = algorithm_named(name if colon else str(algorithm))
        if algorithm is not None and found.name != algorithm_named(algorithm).name:
            raise HashFormatError(f"the text is a {found.name} hash, not a {algorithm_named(algorithm).name} hash")
        if len(digits) % 2 or not found.fits(len(digits) // 2):
            raise HashFormatError(
                f"a {found.name} hash has {_lengths(found, 2)} hexadecimal digits, not {len(digits)}"
                + _other_length_hint(found, 4 * len(digits))
            )
        try:
            data = bytes.fromhex(digits)
        except ValueError:
            data = b""
        if 2 * len(data) != len(digits):  # it skips blanks
            bad = next(i for i, c in enumerate(digits) if c not in "0123456789abcdefABCDEF")
            raise HashFormatError(f"character {bad + 1} of the {found.name} hash is not a hexadecimal digit")
        return cls(found.name, data)

    @classmethod
    def of_own(cls, algorithm: str, data: bytes) -> HashValue:
        """Make one of what a hasher has computed, unchecked: a known name, and bytes of its length."""
        made = object.__new__(cls)
        object.__setattr__(made, "algorithm", algorithm)
        object.__setattr__(made, "data", data)
        return made

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
        """Write the byte form, version 1: version byte, length of the name, name in ASCII, data.

        If hashes of the algorithm vary in length, the data's length (uint16, little-endian) stands before the data.
        """
        name = self.algorithm.encode("ascii")
        length = b"" if ALGORITHMS[self.algorithm].n_bits else _LENGTH.pack(len(self.data))
        return bytes((_VALUE_FORM, len(name))) + name + length + self.data

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
        name = _ascii(data[2:end])
        value = cls(name, bytes(data[end if algorithm_named(name).n_bits else end + _LENGTH.size :]))
        if value.to_bytes() != bytes(data):
            raise HashFormatError("the name or the length of the hash is not written as byte form 1 writes it")
        return value


def _lengths(algorithm: Algorithm, a_byte: int) -> str:
    """Lengths a hash may have, in units of which a byte has ``a_byte``, for an error message."""
    if algorithm.n_bits:
        return str(a_byte * algorithm.n_bytes)
    return f"{a_byte} to {a_byte * algorithm.max_bytes}"


def _other_length_hint(algorithm: Algorithm, n_bits: int) -> str:
    """Name the algorithm of the same family that has ``n_bits``, for an error message."""
    family = algorithm.name.partition("-")[0]
    for other in ALGORITHMS.values():
        if other.name.partition("-")[0] == family and other.n_bits == n_bits > 0:
            return f"; for {n_bits} bits the algorithm is {other.name!r}"
    return ""


def _ascii(data: bytes) -> str:
    try:
        return bytes(data).decode("ascii")
    except UnicodeDecodeError:
        raise HashFormatError("the name of the algorithm is not ASCII") from None


def distance(a: HashValue, b: HashValue) -> int:
    """Compute the distance between two hashes of one algorithm.

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
        If the algorithms differ, or have no distance: a `Matcher` compares ``keypoint`` records.
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
    if metric is Metric.ALIGNMENT:
        raise AlgorithmMismatchError(f"{a.algorithm} records have no distance; Matcher.match_hash compares them")
    if metric is Metric.HAMMING:
        return (int.from_bytes(a.data) ^ int.from_bytes(b.data)).bit_count()
    if metric is Metric.EXACT:
        return int(a.data != b.data)
    return ceil_sqrt(sum((x - y) ** 2 for x, y in zip(a.data, b.data, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewHash:
    """The hash of one view, with its quality.

    Parameters
    ----------
    value : HashValue
        The hash.
    quality : int, optional
        Detail that the hash rests on, 0 to 100; None for algorithms that do not measure it.
    view : View
        View of the picture that was hashed.
    """

    value: HashValue
    quality: int | None = None
    view: View = PLAIN_VIEW

    def __post_init__(self) -> None:
        if not isinstance(self.value, HashValue):
            raise TypeError(f"value must be a HashValue, not {type(self.value).__name__}")
        if self.quality is None:
            return
        if isinstance(self.quality, bool) or not isinstance(self.quality, int) or not 0 <= self.quality <= 100:
            raise ValueError(f"quality must be an integer from 0 to 100, not {self.quality}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """How a picture was looked at when its fingerprint was made for a query, by a policy.

    Parameters
    ----------
    views : tuple of str
        What was done of what the policy asked for, names of `hashmatch.view.VIEW_KINDS`.
    frames : FrameCount or None
        Frames seen and unseen; None where nothing was decoded.
    failure : str or None
        Why the picture could not be read to its end.
    format : str or None
        Name of its file format where it could not, if the bytes tell.
    """

    views: tuple[str, ...] = ()
    frames: FrameCount | None = None
    failure: str | None = None
    format: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "views", tuple(kind for kind in VIEW_KINDS if kind in self.views))
        if self.failure is not None and not _REASON.fullmatch(self.failure):
            raise ValueError("the reason of a failure is a lower-case word")
        if self.format is not None and not _FORMAT.fullmatch(self.format):
            raise ValueError("the name of a format is short, printable and ASCII")

    def to_bytes(self) -> bytes:
        """Byte form; see `Fingerprint.from_bytes`."""
        mask = sum(1 << VIEW_KINDS.index(kind) for kind in self.views)
        count, reason = self.frames or FrameCount(seen=0, in_full=0, unseen=0), (self.failure or "").encode("ascii")
        name = (self.format or "").encode("ascii")
        state = (self.frames is not None) + 2 * count.at_least
        return (
            _LOOKED.pack(mask, state, count.seen, count.in_full, count.unseen, len(name), len(reason)) + name + reason
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Looked:
        """Read the byte form; ValueError or struct.error if it is none."""
        mask, state, seen, in_full, unseen, of_name, of_reason = _LOOKED.unpack_from(data)
        views = tuple(kind for bit, kind in enumerate(VIEW_KINDS) if mask >> bit & 1)
        frames = FrameCount(seen=seen, in_full=in_full, unseen=unseen, at_least=state == 3) if state & 1 else None
        text = _ascii(data[_LOOKED.size :])
        name, failure = text[:of_name] or None, text[of_name : of_name + of_reason] or None
        found = cls(views=views, frames=frames, failure=failure, format=name)
        if found.to_bytes() != bytes(data):
            raise ValueError("how the picture was looked at is not written as byte form 3 writes it")
        return found


class _Carrier:
    """Has room for what a fingerprint carries in memory only.

    No field of the dataclass: it is in no byte form, pickle, copy, comparison or ``repr``.
    """

    __slots__ = ("_memory",)


@dataclass(frozen=True, slots=True)
class Fingerprint(_Carrier):
    """Everything computed from one picture: the hashes of all its views.

    Parameters
    ----------
    view_hashes : tuple of ViewHash
        The hashes; digests have the plain `View`.
    looked : Looked, optional
        For queries made by a policy: how the picture was looked at. None for fingerprints of lists.

    Notes
    -----
    A fingerprint that a policy made (``hashmatch.fingerprint(source, policy=...)``) also carries the small pictures
    with which crops, small rotations and keypoints are searched. They stay in memory: bytes, pickles and copies
    lack them, and a report for such a fingerprint names those views as not compared.
    """

    view_hashes: tuple[ViewHash, ...]
    looked: Looked | None = None

    @classmethod
    def carrying(cls, view_hashes: tuple[ViewHash, ...], looked: Looked, memory: object) -> Fingerprint:
        """Make one that carries something in memory only; for `hashmatch.matching`."""
        made = cls(view_hashes, looked)
        object.__setattr__(made, "_memory", memory)
        return made

    @property
    def memory(self) -> object:
        """What is carried in memory only; None after the fingerprint went through bytes, a pickle or a copy."""
        return getattr(self, "_memory", None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "view_hashes", tuple(self.view_hashes))
        if not all(isinstance(item, ViewHash) for item in self.view_hashes):
            raise TypeError("a fingerprint is made of ViewHash; hashmatch.fingerprint makes one from a picture")
        if not isinstance(self.looked, Looked | None):
            raise TypeError(f"looked must be a Looked or None, not {type(self.looked).__name__}")

    @property
    def hashes(self) -> tuple[HashValue, ...]:
        """The hashes of all views, in order, each once."""
        return tuple(dict.fromkeys(item.value for item in self.view_hashes))

    @property
    def quality(self) -> int | None:
        """Quality of the first view that has one, 0 to 100; None if no algorithm measures it."""
        return next((item.quality for item in self.view_hashes if item.quality is not None), None)

    def to_bytes(self) -> bytes:
        """Byte form; see `from_bytes`."""
        form = max((_form_of(item.view) for item in self.view_hashes), key=_FORMS.index, default=_PLAIN_FORM)
        if self.looked is not None and form != _COLOUR_FORM:
            form = _LOOKED_FORM
        parts = [form, struct.pack("<I", len(self.view_hashes))]
        for item in self.view_hashes:
            view, value = item.view, item.value.to_bytes()
            quality = _NO_QUALITY if item.quality is None else item.quality
            parts.append(_PLAIN.pack(view.frame, _BACKGROUNDS.index(view.background), _TURNS.index(view.turn), quality))
            if form != _PLAIN_FORM:
                tilt = round(view.tilt * _TILTS)
                parts.append(_MORE.pack(_SHRINKS.index(view.shrink), tilt, *view.trim.shares, *view.cut.shares))
            if form == _COLOUR_FORM:
                parts.append(_COLOURS.pack(_RENDERINGS.index(view.rendering), view.negative))
            parts += [_LENGTH.pack(len(value)), value]
        if form == _COLOUR_FORM:
            parts.append(bytes((self.looked is not None,)))
        if self.looked is not None:
            parts.append(self.looked.to_bytes())
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Fingerprint:
        """Read the byte form.

        Parameters
        ----------
        data : bytes
            Magic ``HMF``, form 1 to 4 (a byte), count (uint32), then per view: frame (uint32), background, turn,
            quality (a byte each; 255 is no quality); from form 2 on shrink (a byte), tilt in hundredths of a degree
            and the shares of trim and cut in thousandths, left, top, right, bottom (nine int16); in form 4 rendering
            and negative (a byte each); in all the length (uint16) and the byte form of the hash. Little-endian. The
            lowest form that can say everything is written.
            Form 3 is form 2 and how the picture was looked at: kinds of views (uint16, a bit for each of `VIEW_KINDS`),
            whether frames were counted (1) and there may be more (2) (a byte), frames seen, in full and unseen (uint32
            each), lengths (a byte each) and ASCII of a format's name and of the reason of a failure. Form 4 has a byte
            after its views, and the same where that is 1.

        Raises
        ------
        HashFormatError
            If the bytes are not a whole fingerprint in a byte form this version knows.
        """
        view_hashes = []
        try:
            form = bytes(data[:4])
            if form not in _FORMS:
                raise HashFormatError("these bytes are not a fingerprint in byte form 1, 2, 3 or 4")
            (count,) = struct.unpack_from("<I", data, 4)
            at = 8
            for _ in range(count):
                frame, background, turn, quality = _PLAIN.unpack_from(data, at)
                at += _PLAIN.size
                view = View(frame=frame, background=_BACKGROUNDS[background], turn=_TURNS[turn])
                if form != _PLAIN_FORM:
                    shrink, tilt, *shares = _MORE.unpack_from(data, at)
                    at += _MORE.size
                    trim, cut = Margins.of(shares[:4]), Margins.of(shares[4:])
                    view = replace(view, shrink=_SHRINKS[shrink], tilt=tilt / _TILTS, trim=trim, cut=cut)
                if form == _COLOUR_FORM:
                    rendering, negative = _COLOURS.unpack_from(data, at)
                    at += _COLOURS.size
                    view = replace(view, rendering=_RENDERINGS[rendering], negative=(False, True)[negative])
                (length,) = _LENGTH.unpack_from(data, at)
                at += _LENGTH.size
                value = HashValue.from_bytes(data[at : at + length])
                view_hashes.append(
                    ViewHash(value=value, quality=None if quality == _NO_QUALITY else quality, view=view)
                )
                at += length
            looked, has_looked = None, form == _LOOKED_FORM
            if form == _COLOUR_FORM:
                has_looked = (False, True)[data[at]]
                at += 1
            if has_looked:
                looked, at = Looked.from_bytes(data[at:]), len(data)
        except (struct.error, IndexError) as error:
            raise HashFormatError("the fingerprint is cut short or holds an unknown view") from error
        except HashFormatError:
            raise
        except ValueError as error:
            raise HashFormatError(f"the fingerprint holds an impossible value: {error}") from error
        if at != len(data):
            raise HashFormatError("the fingerprint has bytes left over after its last view")
        found = cls(tuple(view_hashes), looked)
        if found.to_bytes()[:4] != form:
            raise HashFormatError(f"the fingerprint is in byte form {form[3]}, but none of its views needs it")
        return found


def _form_of(view: View) -> bytes:
    if view.negative or view.rendering is not Rendering.AS_STORED:
        return _COLOUR_FORM
    return _PLAIN_FORM if view == view.plain else _VIEW_FORM
