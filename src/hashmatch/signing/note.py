"""Signed notes: a text, and under it the signatures of those who vouch for it (c2sp.org/signed-note).

Floor: signing. A **statement** is a note in the form of a checkpoint (c2sp.org/tlog-checkpoint) over a tree of one
leaf: its origin, the size 1, the leaf's hash, and the leaf itself, one line of text. So it can be signed by ML-DSA-44,
whose signature (c2sp.org/tlog-cosignature) covers origin, size and root, and read by the tools of others.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from hashmatch.errors import SignatureError
from hashmatch.signing.keys import MAX_KEYS, SigningKey, VerifierKey, checked_name
from hashmatch.signing.primitives import COSIGNED_ED25519, ML_DSA_44

__all__ = [
    "Note",
    "Signature",
    "cosign",
    "read_note",
    "read_statement",
    "sign_statement",
    "sign_text",
    "verify_note",
]

_MAX_SIGNATURES: Final = 4 * MAX_KEYS
_DASH: Final = "— "
_LINE: Final = re.compile(r"— ([^\s+]{1,200}) ([A-Za-z0-9+/]{8,8000}={0,2})")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_LABEL: Final = b"subtree/v1\n\0"


class Signature(NamedTuple):
    """One signature line: name and id of the key, and what follows."""

    name: str
    key_id: bytes
    data: bytes

    @property
    def time(self) -> int:
        """Seconds since 1970 of a cosignature, 0 if it states none; means nothing for a signature without time."""
        return int(struct.unpack(">Q", self.data[:8])[0]) if len(self.data) >= 8 else 0


class Note(NamedTuple):
    """A text that ends in a line feed, and its signatures. Not trusted before `verify_note`."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """Bytes of the whole note."""
        lines = [f"{_DASH}{s.name} {base64.b64encode(s.key_id + s.data).decode()}\n" for s in self.signatures]
        return (self.text + "\n" + "".join(lines)).encode()


def read_note(data: bytes) -> Note:
    """Take a note apart.

    Parameters
    ----------
    data : bytes
        UTF-8; the caller bounds its length.

    Raises
    ------
    SignatureError
        If it is no note: other than one text, one empty line and 1 to 64 signature lines, each in its one spelling.
    """
    bad = SignatureError("this is no signed note", reason="bad-note")
    try:
        text, blank, lines = data.decode().rpartition("\n\n")
    except UnicodeDecodeError:
        raise bad from None
    if not blank or not text or not lines.endswith("\n") or _CONTROL.search(text) or _CONTROL.search(lines):
        raise bad
    rows = lines[:-1].split("\n")
    if len(rows) > _MAX_SIGNATURES:
        raise bad
    signatures = []
    for row in rows:
        found = _LINE.fullmatch(row)
        if found is None:
            raise bad
        try:
            raw = base64.b64decode(found[2], validate=True)
        except (ValueError, binascii.Error):
            raise bad from None
        if len(raw) < 5:
            raise bad
        signatures.append(Signature(found[1], raw[:4], raw[4:]))
    note = Note(text + "\n", tuple(signatures))
    if note.encode() != data:
        raise bad
    return note


def verify_note(note: Note, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
    """Check every signature by a known key.

    Parameters
    ----------
    note : Note
        As read.
    keys : iterable of VerifierKey
        The known keys.

    Returns
    -------
    tuple of VerifierKey
        Those that signed, at least one, in the order in which they were given. Whether they are enough is the caller's
        question.

    Raises
    ------
    SignatureError
        ``"bad-signature"`` if a known key's signature is wrong; ``"unknown-key"`` if no known key signed.
    """
    known = {(key.name, key.key_id): key for key in keys}
    signed = set()
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue
        timed = key.scheme.timed
        data = signature.data[8:] if timed else signature.data
        time = signature.time if timed else 0
        if len(data) != key.scheme.signature_bytes or time >= 2**63:
            raise SignatureError("the signature of a known key is wrong", reason="bad-signature")
        if not key.scheme.verifies(key.public, data, _message(key, note.text, time)):
            raise SignatureError("the signature of a known key is wrong", reason="bad-signature")
        signed.add(key)
    if not signed:
        raise SignatureError("no key that is trusted here signed this", reason="unknown-key")
    return tuple(key for key in dict.fromkeys(known.values()) if key in signed)


def sign_text(text: str, key: SigningKey, *, time: int = 0) -> Note:
    """Sign a text by all secrets of a key.

    Parameters
    ----------
    text : str
        Not empty, ends in a line feed, without other control characters. ML-DSA-44 and cosignatures take a checkpoint.
    key : SigningKey
        Who signs.
    time : int
        Seconds since 1970, stated by the signatures that carry a time; 0 states none.

    Raises
    ------
    SignatureError
        If the text cannot be signed so.
    """
    if not text.endswith("\n") or len(text) < 2 or _CONTROL.search(text):
        raise SignatureError("a note ends in a line feed and has no control characters", reason="bad-note")
    return cosign(Note(text, ()), key, time=time)


def cosign(note: Note, key: SigningKey, *, time: int = 0) -> Note:
    """Add the signatures of a further key to a note; parameters and errors as `sign_text`."""
    if not 0 <= time < 2**63:
        raise SignatureError("the time of a signature is 0 to 2**63 - 1", reason="bad-note")
    added = []
    for one in key.verifiers:
        data = key.sign(one, _message(one, note.text, time))
        added.append(Signature(one.name, one.key_id, struct.pack(">Q", time) + data if one.scheme.timed else data))
    return Note(note.text, (*note.signatures, *added))


def sign_statement(origin: str, body: str, key: SigningKey) -> Note:
    """Sign one line of text as a statement.

    Parameters
    ----------
    origin : str
        What the statement is about, as `hashmatch.signing.keys.checked_name`: it keeps statements of one kind from
        being taken for those of another.
    body : str
        One line without control characters, not empty.
    key : SigningKey
        Who signs.
    """
    if not body or "\n" in body:
        raise SignatureError("a statement is one line of text", reason="bad-note")
    return sign_text(f"{checked_name(origin)}\n1\n{_leaf(body)}\n{body}\n", key)


def read_statement(note: Note, origin: str) -> str:
    """Give the line that a statement states; the caller verifies the note.

    Raises
    ------
    SignatureError
        ``"bad-note"`` if the note is no statement of that origin, or its root is not that of its line.
    """
    lines = note.text.split("\n")
    if len(lines) != 5 or lines[:3] != [origin, "1", _leaf(lines[3])] or lines[4]:
        raise SignatureError("this is no statement of the expected kind", reason="bad-note")
    return lines[3]


def _leaf(body: str) -> str:
    return base64.b64encode(hashlib.sha256(b"\0" + body.encode()).digest()).decode()


def _message(key: VerifierKey, text: str, time: int) -> bytes:
    """Make what a key signs of a text: the text, or what a cosignature makes of a checkpoint."""
    if key.kind == COSIGNED_ED25519:
        return f"cosignature/v1\ntime {time}\n{text}".encode()
    if key.kind != ML_DSA_44:
        return text.encode()
    lines = text.split("\n", 3)
    try:
        root = base64.b64decode(lines[2], validate=True)
        if len(root) != 32 or not _SIZE.fullmatch(lines[1]) or not 1 <= len(lines[0].encode()) <= 255:
            raise ValueError
        if base64.b64encode(root).decode() != lines[2]:
            raise ValueError
        name, origin = key.name.encode(), lines[0].encode()
        head = _LABEL + bytes([len(name)]) + name + struct.pack(">Q", time) + bytes([len(origin)]) + origin
        return head + struct.pack(">QQ", 0, int(lines[1])) + root
    except (IndexError, ValueError, binascii.Error):
        raise SignatureError("ML-DSA-44 signs checkpoints only", reason="bad-note") from None
