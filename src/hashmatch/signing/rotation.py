"""Rotation of keys: the old key states which key comes after it, and a reader who trusts the old one follows.

Floor: signing. The statement is signed by the old key and by the new one, which so shows that its secret exists.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from hashmatch.errors import SignatureError
from hashmatch.signing.keys import SigningKey, VerifierKey, parse_verifier_keys
from hashmatch.signing.note import cosign, read_note, read_statement, sign_statement, verify_note
from hashmatch.signing.primitives import COSIGNED_ED25519, ML_DSA_44

__all__ = ["MAX_ROTATIONS", "follow_rotations", "rotate"]

MAX_ROTATIONS: Final = 64
_ORIGIN: Final = "hashmatch/key-rotation"
_MAX_BYTES: Final = 200_000


def rotate(old: SigningKey, *, post_quantum: bool | None = None) -> SigningKey:
    """Draw a key of the same name that takes the place of another.

    Parameters
    ----------
    old : SigningKey
        The key that hands over.
    post_quantum : bool, optional
        As `SigningKey.make`; by default as the old key signs. A key of a witness gives one of a witness.

    Returns
    -------
    SigningKey
        The new key, with the statements of all hand-overs so far; everything it signs carries them.

    Raises
    ------
    SignatureError
        If there were 64 hand-overs already.
    """
    if len(old.rotations) >= MAX_ROTATIONS:
        raise SignatureError("the key was rotated 64 times: make a new one, and have it trusted", reason="bad-key")
    kinds = {key.kind for key in old.verifiers}
    new = SigningKey.make(
        old.name,
        post_quantum=ML_DSA_44 in kinds if post_quantum is None else post_quantum,
        witness=COSIGNED_ED25519 in kinds,
    )
    body = json.dumps({"new": _texts(new.verifiers), "old": _texts(old.verifiers)}, sort_keys=True)
    statement = cosign(sign_statement(_ORIGIN, body, old), new).encode()
    return new.with_rotations((*old.rotations, statement))


def follow_rotations(trusted: Iterable[VerifierKey], statements: Iterable[bytes]) -> tuple[VerifierKey, ...]:
    """Walk from the keys that are trusted to those that came after them.

    Parameters
    ----------
    trusted : iterable of VerifierKey
        The keys of one signer.
    statements : iterable of bytes
        Hand-overs, oldest first. Those of keys that are not trusted say nothing and are passed over.

    Returns
    -------
    tuple of VerifierKey
        The last keys of the chain; ``trusted`` itself where no hand-over begins there.

    Raises
    ------
    SignatureError
        ``"bad-rotation"`` if a hand-over of trusted keys is not signed by each of them and by each of its new keys;
        ``"bad-note"`` if something is no hand-over.
    """
    keys = tuple(trusted)
    for place, data in enumerate(statements):
        if place >= MAX_ROTATIONS or len(data) > _MAX_BYTES:
            raise SignatureError("there are more hand-overs than a key may have", reason="bad-note")
        note = read_note(data)
        try:
            body = json.loads(read_statement(note, _ORIGIN))
            old, new = (parse_verifier_keys("\n".join(body[field])) for field in ("old", "new"))
        except (ValueError, TypeError, KeyError, RecursionError):
            raise SignatureError("this is no hand-over of a key", reason="bad-note") from None
        if set(old) != set(keys):
            continue
        try:
            signed = set(verify_note(note, (*old, *new)))
        except SignatureError:
            signed = set()
        if not {*old, *new} <= signed:
            raise SignatureError(
                "a key was replaced without the signature of the key before it: do not trust it", reason="bad-rotation"
            )
        keys = new
    return keys


def _texts(keys: Iterable[VerifierKey]) -> list[str]:
    return [str(key) for key in keys]
