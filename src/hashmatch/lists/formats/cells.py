"""What one cell of a delivered list says: a hash, a quality, a label, an id; or nothing; or what is wrong with it.

Floor: lists. No message shows what a cell said.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import re
from typing import Final, Literal

from hashmatch.algorithms import ALGORITHMS, algorithm_named
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists.admission import check_hash
from hashmatch.lists.entry import MAX_LABEL_VALUE, NOT_IN_LABELS

__all__ = [
    "HashEncoding",
    "default_entry_id",
    "flag_from",
    "id_from",
    "is_nothing",
    "label_from",
    "parse_cell",
    "quality_from",
    "visible",
]

HashEncoding = Literal["hex", "base64", "base32"]
"""How a hash is written as text."""

_BASE64_PHOTODNA: Final = re.compile("[A-Za-z0-9+/]{192}")
_DECIMAL_PHOTODNA: Final = re.compile(r"[0-9]{1,3}(?: ?, ?[0-9]{1,3}){143}")
_BASE64: Final = re.compile("[A-Za-z0-9+/]+={0,2}")
_BASE32: Final = re.compile("[A-Za-z2-7]+={0,6}")
_PLAIN_DIGITS: Final = {algorithm.name: 2 * algorithm.n_bytes for algorithm in ALGORITHMS.values() if algorithm.n_bits}
_NOTHING: Final = frozenset(
    {
        *("-", "--", "-1", "?", ".", "n/a", "na", "<na>", "nan", "-nan", "nil", "null", "(null)", "<null>", "[null]"),
        *("none", r"\n", "#n/a", "#na", "#null!", "#value!", "#ref!", "#name?"),
    }
)
"""Marks of a missing value, in lower case: of people, databases, spreadsheets and programs."""
_INVISIBLE: Final = re.compile("[\xad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")
_WRAPPED: Final = re.compile('="([^"]*)"|\'([^\']*)\'?|"([^"]*)"')
_QUALITY: Final = re.compile(r"\+?([0-9]{1,3})(?:[.,]0*)?")
_MARK: Final = "\N{HORIZONTAL ELLIPSIS}"
_STRANGE: Final = "\N{REPLACEMENT CHARACTER}"
_ENCODED: Final = re.compile("[!-~]{40}|[\0-\x08\x0e-\x1f\x7f-\x9f\ufffd]")
_BLANKS: Final = " \t"


def default_entry_id(value: HashValue) -> str:
    """Name an entry after its hash without showing the hash.

    The algorithm and the first 24 hexadecimal digits of the SHA-256 of the hash's byte form: the same hash gets the
    same name in every import, so importing a file twice changes nothing.
    """
    return f"{value.algorithm}-{hashlib.sha256(value.to_bytes()).hexdigest()[:24]}"


def visible(text: str) -> str:
    """Text without white space at its ends and without characters that show nothing, such as U+200B."""
    return text.strip() if text.isascii() else _INVISIBLE.sub("", text).strip()


def is_nothing(text: str) -> bool:
    r"""Whether a cell of hashes, qualities or ids is empty or a mark of a missing value, as ``N/A``, ``-1``, ``\N``."""
    text = visible(text)
    return not text or (len(text) <= 7 and text.casefold() in _NOTHING)


def parse_cell(text: str, algorithm: str | None, encoding: HashEncoding = "hex") -> HashValue:
    """Read a hash as delivered lists write it.

    Parameters
    ----------
    text : str
        ``<algorithm>:<hex>``; or bare hex of any case, or for ``photodna`` also 192 characters of base64 or 144 decimal
        numbers between commas, where the algorithm is given. It is never guessed: 64 hexadecimal digits may be PDQ or
        SHA-256. White space around, invisible characters, ``0x``, ``hash=`` and the quotes by which spreadsheets keep
        text as text do not count.
    algorithm : str, optional
        Name the hash must have, in lower case.
    encoding : {"hex", "base64", "base32"}
        How the hash is written, where the algorithm is given; base64 and base32 with or without padding.

    Raises
    ------
    HashFormatError
        If it is no hash of that algorithm, or one that `hashmatch.lists.admission.check_hash` refuses. The message
        never shows the text.
    """
    data = None
    if algorithm is not None and encoding != "hex":
        data = _decoded(text, algorithm, encoding)
    elif algorithm is not None and len(text) == _PLAIN_DIGITS.get(algorithm):
        try:
            data = bytes.fromhex(text)
        except ValueError:
            data = None
        if data is not None and 2 * len(data) != len(text):  # blanks between digits are skipped
            data = None
    value = _parsed(text, algorithm) if data is None or algorithm is None else HashValue.of_own(algorithm, data)
    check_hash(value)
    return value


def _decoded(text: str, algorithm: str, encoding: HashEncoding) -> bytes:
    """Read base64 or base32; it is never put into lower case, and has no bits that say nothing."""
    text = _unwrapped(text)
    found = (_BASE64 if encoding == "base64" else _BASE32).fullmatch(text)
    data, digits = b"", text.rstrip("=")
    if found is not None:
        with contextlib.suppress(binascii.Error):
            if encoding == "base64":
                data = base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
                digits = "" if base64.b64encode(data).decode().rstrip("=") != digits else digits
            else:
                digits = digits.upper()
                data = base64.b32decode(digits + "=" * (-len(digits) % 8))
                digits = "" if base64.b32encode(data).decode().rstrip("=") != digits else digits
    if not data or not digits or not ALGORITHMS[algorithm].fits(len(data)):
        raise HashFormatError(f"this is no {algorithm} hash in {encoding}")
    return data


def _unwrapped(text: str) -> str:
    """Text without what shows nothing and the quotes by which spreadsheets keep text as text."""
    text = visible(text)
    wrapped = _WRAPPED.fullmatch(text)
    return text if wrapped is None else visible(next(part for part in wrapped.groups() if part is not None))


def _parsed(text: str, algorithm: str | None) -> HashValue:
    """Read what is not just the digits."""
    text = _unwrapped(text)
    if text[:5].lower() == "hash=":
        text = text[5:]
    name, colon, digits = text.partition(":")
    if colon and "@" in name:
        name = algorithm_named(name).name
        text = f"{name}:{digits}"
    elif colon and name.lower() not in ALGORITHMS:
        raise HashFormatError("what stands before the colon is not a known algorithm")
    if algorithm == "photodna" and _BASE64_PHOTODNA.fullmatch(text):
        return HashValue("photodna", base64.b64decode(text, validate=True))
    if algorithm == "photodna" and _DECIMAL_PHOTODNA.fullmatch(text):
        numbers = [int(number) for number in text.split(",")]
        if max(numbers) > 255:
            raise HashFormatError("a number of the photodna hash is above 255")
        return HashValue("photodna", bytes(numbers))
    digits = digits if colon else text
    if digits[:2] in ("0x", "0X"):
        text = name + colon + digits[2:] if colon else digits[2:]
    return HashValue.parse(text, algorithm=algorithm)


def quality_from(text: str) -> int | None:
    """Read a quality; None where it is not known.

    Raises
    ------
    ReferenceListError
        If it is no whole number from 0 to 100, which may be written ``87.0``.
    """
    if text.isascii() and text.isdigit() and len(text) < 3:
        return int(text)
    if is_nothing(text):
        return None
    found = _QUALITY.fullmatch(visible(text).strip("\"'"))
    if found is None or int(found[1]) > 100:
        raise ReferenceListError("quality must be a whole number from 0 to 100")
    return int(found[1])


_FLAG: Final = {
    **dict.fromkeys(("true", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "no", "n", "0"), False),
}


def flag_from(said: object) -> bool | None:
    """Read a flag, which lists write as ``true``, ``"True"``, ``Y``, ``Yes`` or 1; None where it is not told.

    Raises
    ------
    ReferenceListError
        If it is something else.
    """
    if said is None or isinstance(said, bool):
        return said
    if isinstance(said, int) and said in (0, 1):
        return bool(said)
    if isinstance(said, str):
        found = _FLAG.get(said.strip().lower()) if len(said) < 16 else None
        if found is not None or is_nothing(said):
            return found
    raise ReferenceListError("it says neither yes nor no")


def id_from(text: str, what: str = "the entry id") -> str:
    """Read an entry id or a source, a key that stays as it is but for blanks at its ends; `Entry` checks it.

    Raises
    ------
    ReferenceListError
        If it is missing, or has bytes that are not of the file's encoding: two ids could become one.
    """
    if is_nothing(text):
        raise ReferenceListError(f"{what} is missing")
    if _STRANGE in text:
        raise ReferenceListError(f"{what} has bytes that are not of the file's encoding: name the encoding")
    return text.strip(_BLANKS)


def label_from(text: str) -> tuple[str | None, Literal["left out", "cut", "cleaned"] | None, str]:
    """Read the value of a label, which is taken as far as it is text.

    Returns
    -------
    (value, kind, reason) : (str or None, str or None, str)
        None where there is no label; what was done to it, a kind of `Flaw`, None where nothing was; and why.

    Notes
    -----
    A list must not become a store of pictures: too long a value is cut only if it reads as words, and left out if it
    may be a picture written as text: 40 characters without a blank, or many digits.
    """
    text = text.strip()
    if not text:
        return None, None, ""
    if not text.isprintable():
        text = NOT_IN_LABELS.sub(_STRANGE, text)
    if len(text) > MAX_LABEL_VALUE:
        kept = text[: MAX_LABEL_VALUE - 1].rstrip()
        if _ENCODED.search(kept) or 4 * sum(map(str.isdigit, kept)) > len(kept):
            return None, "left out", f"it has more than {MAX_LABEL_VALUE} characters and does not read as words"
        return kept + _MARK, "cut", f"it has more than {MAX_LABEL_VALUE} characters"
    if _STRANGE in text:
        return text, "cleaned", "it has bytes that are not of the file's encoding: name the encoding"
    return text, None, ""
