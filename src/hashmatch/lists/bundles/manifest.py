"""What a bundle says of itself, signed: `Manifest`; and the frame of the file.

Floor: lists. A bundle is a line of text with the length of its note, the signed note whose one line is the manifest in
canonical JSON, and the chunks that the manifest names by length and SHA-256. Nothing follows them. With the ideas of
The Update Framework (theupdateframework.github.io): versions that only grow, an expiry, pinned keys and hand-overs; in
one file, for one list.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hashmatch.errors import BundleError
from hashmatch.lists.entry import MAX_LIST_NAME, MAX_SOURCE, MAX_TERMS, is_name
from hashmatch.lists.file.sql_tables import ALGORITHM_NUMBERS
from hashmatch.signing import Note, SigningKey, read_statement, sign_statement
from hashmatch.signing.note import read_note

__all__ = ["Chunk", "Manifest", "Reader", "Sink", "VersionBase", "canonical", "read_chunks", "read_head", "write_head"]

MAGIC: Final = b"hashmatch bundle 1 "
_MAX_NOTE: Final = 64 << 20
_MAX_CHUNK: Final = 80 << 20
_HEAD: Final = re.compile(rb"hashmatch bundle 1 ([1-9][0-9]{0,8})\n")
_LONGEST_HEAD: Final = 40
_HEX_32: Final = re.compile(r"[0-9a-f]{32}")
_HEX_64: Final = re.compile(r"[0-9a-f]{64}")


class Reader(Protocol):
    """A stream that gives ``size`` bytes, or fewer at its end."""

    def read(self, size: int, /) -> bytes:
        """Read."""


class Sink(Protocol):
    """A stream that takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Write."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a bundle: its length, bytes, and its SHA-256, 64 hexadecimal digits."""

    n_bytes: int
    digest: str


@dataclass(frozen=True, slots=True)
class VersionBase:
    """The version that a difference is to.

    Parameters
    ----------
    version : int
        Its number.
    digest : str
        Its content digest, 64 hexadecimal digits.
    seal_sum : int
        Sum of the check values of its entries, signed 64 bits.
    """

    version: int
    digest: str
    seal_sum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bundle says of itself.

    Parameters
    ----------
    list_id, name : str
        Of the list: its uuid, 32 hexadecimal digits, and its name.
    version, digest, seal_sum
        Of the version that the list has after it is taken, as in `VersionBase`.
    previous : VersionBase or None
        The version that it is a difference to; None for a whole list.
    entries : int
        Number of entries of the version.
    hashes : mapping of str to int
        Number of its hash rows by algorithm.
    terms : mapping of str to str
        What the owners of its sources allow, by source; those that state nothing are left out.
    issued, expires : int
        When it was made, and when it is not taken any more; seconds since 1970.
    chunks : tuple of Chunk
        What follows.
    rotations : tuple of bytes
        Hand-overs that lead to the key that signs, oldest first.
    """

    list_id: str
    name: str
    version: int
    digest: str
    seal_sum: int
    previous: VersionBase | None
    entries: int
    hashes: Mapping[str, int]
    terms: Mapping[str, str]
    issued: int
    expires: int
    chunks: tuple[Chunk, ...]
    rotations: tuple[bytes, ...]

    def to_json(self) -> str:
        """Write it as one line of canonical JSON: sorted keys, no blanks, ASCII."""
        base = self.previous
        return canonical(
            {
                "list_id": self.list_id,
                "name": self.name,
                "version": self.version,
                "digest": self.digest,
                "seal_sum": self.seal_sum,
                "previous": base and {"version": base.version, "digest": base.digest, "seal_sum": base.seal_sum},
                "entries": self.entries,
                "hashes": dict(self.hashes),
                "terms": dict(self.terms),
                "issued": self.issued,
                "expires": self.expires,
                "chunks": [[chunk.n_bytes, chunk.digest] for chunk in self.chunks],
                "rotations": [base64.b64encode(note).decode() for note in self.rotations],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read what `to_json` wrote.

        Raises
        ------
        BundleError
            If it is anything else.
        """
        try:
            said = json.loads(text)
            base = said["previous"]
            made = cls(
                **said
                | {
                    "previous": None if base is None else VersionBase(**base),
                    "chunks": tuple(Chunk(*pair) for pair in said["chunks"]),
                    "rotations": tuple(base64.b64decode(note, validate=True) for note in said["rotations"]),
                }
            )
            if not made._fits() or made.to_json() != text:
                raise ValueError
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error):
            raise BundleError("what the bundle says of itself is malformed", reason="malformed") from None
        return made

    def _fits(self) -> bool:
        marks = [mark for mark in (self, self.previous) if mark is not None]
        counts = [self.entries, self.issued, self.expires, *self.hashes.values(), *(mark.version for mark in marks)]
        counts += [chunk.n_bytes for chunk in self.chunks]
        return (
            all(type(count) is int and 0 <= count < 2**62 for count in counts)
            and all(type(mark.seal_sum) is int and -(2**63) <= mark.seal_sum < 2**63 for mark in marks)
            and all(_HEX_64.fullmatch(mark.digest) for mark in (*marks, *self.chunks))
            and _HEX_32.fullmatch(self.list_id) is not None
            and is_name(self.name, MAX_LIST_NAME)
            and set(self.hashes) <= set(ALGORITHM_NUMBERS)
            and all(is_name(name, MAX_SOURCE) and is_name(said, MAX_TERMS) for name, said in self.terms.items())
            and all(0 < chunk.n_bytes <= _MAX_CHUNK for chunk in self.chunks)
            and (self.previous is None or self.previous.version < self.version)
        )


def canonical(value: Any) -> str:
    """Write JSON in the one form that is signed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _origin(list_id: str) -> str:
    return f"hashmatch/bundle/{list_id}"


def write_head(stream: Sink, manifest: Manifest, key: SigningKey) -> None:
    """Write everything that stands before the chunks."""
    note = sign_statement(_origin(manifest.list_id), manifest.to_json(), key).encode()
    if len(note) > _MAX_NOTE:
        raise BundleError("the list is too large for a bundle", reason="too-large")
    stream.write(MAGIC + b"%d\n" % len(note) + note)


def read_head(stream: Reader) -> tuple[Note, Manifest]:
    """Read everything that stands before the chunks; nothing of it is trusted before the note is verified.

    Raises
    ------
    BundleError
        If it is no bundle, cut short or malformed.
    SignatureError
        If the note is none.
    """
    head = b""
    while not head.endswith(b"\n") and len(head) < _LONGEST_HEAD:
        letter = stream.read(1)
        if not letter:
            break
        head += letter
    found = _HEAD.fullmatch(head)
    if found is None or int(found[1]) > _MAX_NOTE:
        raise BundleError("this is no bundle of a list", reason="no-bundle")
    note = read_note(_exactly(stream, int(found[1])))
    lines = note.text.split("\n")
    manifest = Manifest.from_json(lines[3] if len(lines) == 5 else "")
    read_statement(note, _origin(manifest.list_id))
    return note, manifest


def read_chunks(stream: Reader, manifest: Manifest) -> Iterator[bytes]:
    """Read the chunks, each after its digest was found right; at the end nothing may follow.

    Raises
    ------
    BundleError
        If the file ends early, goes on, or a chunk is not the one that was signed.
    """
    for chunk in manifest.chunks:
        data = _exactly(stream, chunk.n_bytes)
        if hashlib.sha256(data).hexdigest() != chunk.digest:
            raise BundleError("the bundle is damaged: get it again", reason="damaged")
        yield data
    if stream.read(1):
        raise BundleError("the bundle goes on after its end: get it again", reason="damaged")


def _exactly(stream: Reader, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise BundleError("the bundle is cut short: get it again", reason="truncated")
    return data
