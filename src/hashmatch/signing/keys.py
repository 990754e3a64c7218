"""Keys: `VerifierKey`, which may be shown to all, and `SigningKey`, which stays with its owner.

Floor: signing. The texts are those of C2SP: ``NAME+ID+BASE64`` for a verifier key (c2sp.org/signed-note), the same with
``PRIVATE+KEY+`` before it for a secret, as Go's ``golang.org/x/mod/sumdb/note`` writes it. Nothing here shows a secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from hashmatch.errors import SignatureError
from hashmatch.signing.primitives import COSIGNED_ED25519, ED25519, ML_DSA_44, SCHEMES, SEED_BYTES, Scheme, new_seed
from hashmatch.signing.private_files import read_private_file, write_private_file

__all__ = ["MAX_KEYS", "SigningKey", "VerifierKey", "checked_name", "key_id", "parse_verifier_keys"]

MAX_KEYS: Final = 16
"""Keys that one statement is signed or checked by, at most."""

_NAME: Final = re.compile(r"[!-*,-~]{1,200}")
_KEY: Final = re.compile(r"([!-*,-~]{1,200})\+([0-9a-f]{8})\+([A-Za-z0-9+/]{4,2000}={0,2})")
_PRIVATE: Final = "PRIVATE+KEY+"
_ROTATION: Final = "ROTATION+"


def checked_name(name: str) -> str:
    """Check the name of a key: 1 to 200 visible ASCII characters without ``+``, best as ``example.org/lists``."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SignatureError(
            "the name of a key is 1 to 200 visible ASCII characters without '+', as in 'example.org/lists'",
            reason="bad-key",
        )
    return name


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Short number of a key, 4 bytes: it tells keys apart and proves nothing."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def _parse(text: str) -> tuple[str, bytes, int, bytes]:
    """Name, id, type and key bytes of a key's text."""
    found = _KEY.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        data = base64.b64decode(found[3], validate=True)
        if base64.b64encode(data).decode() != found[3]:  # bits that nobody reads must not stand for another text
            raise ValueError
    except (ValueError, binascii.Error):
        raise SignatureError("this is no key: NAME+ID+BASE64 is expected", reason="bad-key") from None
    if data[0] not in SCHEMES:
        raise SignatureError("the key is of a type that this version does not know", reason="bad-key")
    return found[1], bytes.fromhex(found[2]), data[0], data[1:]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Public half of one key of one type; ``str`` gives the text that is handed round.

    Parameters
    ----------
    name : str
        Who the key belongs to, as `checked_name`.
    kind : int
        Type byte of C2SP: 1 Ed25519, 4 Ed25519 cosignature, 6 ML-DSA-44.
    public : bytes
        Public key: 32 bytes, or 1,312 of ML-DSA-44.

    Raises
    ------
    SignatureError
        If the three do not make a key.
    """

    name: str
    kind: int
    public: bytes

    def __post_init__(self) -> None:
        checked_name(self.name)
        if self.kind not in SCHEMES or len(self.public) != self.scheme.public_bytes:
            raise SignatureError("the key is not of the length that its type has", reason="bad-key")

    @property
    def scheme(self) -> Scheme:
        """How it signs."""
        return SCHEMES[self.kind]

    @property
    def key_id(self) -> bytes:
        """Its short number, 4 bytes."""
        return key_id(self.name, self.kind, self.public)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a verifier key.

        Raises
        ------
        SignatureError
            If it is none, or its id is not that of its key.
        """
        name, number, kind, public = _parse(text.strip())
        key = cls(name, kind, public)
        if key.key_id != number:
            raise SignatureError("the key's id is not that of its bytes: it was copied wrongly", reason="bad-key")
        return key

    def __str__(self) -> str:
        data = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{data}"

    def __repr__(self) -> str:
        return f"<VerifierKey {self.name}+{self.key_id.hex()}, {self.scheme.name}>"


def parse_verifier_keys(text: str) -> tuple[VerifierKey, ...]:
    """Read verifier keys, one a line; empty lines and those that begin with ``#`` are left out.

    Returns
    -------
    tuple of VerifierKey
        1 to 16 keys, each once.

    Raises
    ------
    SignatureError
        If a line is no key, or there are none or too many.
    """
    lines = (line.strip() for line in text.splitlines())
    keys = tuple(dict.fromkeys(VerifierKey.parse(line) for line in lines if line and not line.startswith("#")))
    if not 1 <= len(keys) <= MAX_KEYS:
        raise SignatureError(f"1 to {MAX_KEYS} verifier keys are expected", reason="bad-key")
    return keys


class SigningKey:
    """Secrets of one signer: one, or several that all sign, such as Ed25519 and ML-DSA-44 side by side.

    Parameters
    ----------
    name : str
        Of all of them, as `checked_name`.
    seeds : iterable of (kind, seed)
        Type byte, and 32 secret bytes.
    rotations : iterable of bytes
        Statements by which earlier keys of this signer handed over, oldest first; public.

    Examples
    --------
    >>> key = SigningKey.make("example.org/lists")
    >>> key
    <SigningKey example.org/lists, Ed25519>
    """

    def __init__(self, name: str, seeds: Iterable[tuple[int, bytes]], rotations: Iterable[bytes] = ()) -> None:
        self.name = checked_name(name)
        self._seeds = tuple(seeds)
        self.rotations = tuple(rotations)
        if not 1 <= len(self._seeds) <= MAX_KEYS or any(len(seed) != SEED_BYTES for _, seed in self._seeds):
            raise SignatureError("a signing key has 1 to 16 secrets of 32 bytes", reason="bad-key")
        self.verifiers = tuple(VerifierKey(name, kind, SCHEMES[kind].public_of(seed)) for kind, seed in self._seeds)

    @classmethod
    def make(cls, name: str, *, post_quantum: bool = False, witness: bool = False) -> Self:
        """Draw a new key.

        Parameters
        ----------
        name : str
            As `checked_name`.
        post_quantum : bool
            Sign by ML-DSA-44 too, which a quantum computer does not break; 2.4 KB more a signature.
        witness : bool
            For cosigning the logs of others: the Ed25519 signature carries its time.

        Raises
        ------
        SignatureError
            If the name is not acceptable, or ``cryptography`` is missing.
        """
        first = COSIGNED_ED25519 if witness else ED25519
        return cls(name, [(kind, new_seed()) for kind in ((first, ML_DSA_44) if post_quantum else (first,))])

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a key file.

        Raises
        ------
        SignatureError
            If others than the owner can read the file, or it holds no key.
        """
        seeds, names, rotations = [], set(), []
        for line in filter(None, map(str.strip, read_private_file(path).splitlines())):
            if line.startswith(_ROTATION):
                try:
                    rotations.append(base64.b64decode(line.removeprefix(_ROTATION), validate=True))
                except (ValueError, binascii.Error):
                    raise SignatureError("the key file is damaged", reason="bad-key") from None
            elif line.startswith(_PRIVATE):
                name, number, kind, seed = _parse(line.removeprefix(_PRIVATE))
                if len(seed) != SEED_BYTES or key_id(name, kind, SCHEMES[kind].public_of(seed)) != number:
                    raise SignatureError("the key file is damaged", reason="bad-key")
                seeds.append((kind, seed))
                names.add(name)
            elif not line.startswith("#"):
                raise SignatureError("the file is no signing key of hashmatch", reason="bad-key")
        if len(names) != 1:
            raise SignatureError("the file is no signing key of hashmatch", reason="bad-key")
        return cls(names.pop(), seeds, rotations)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a key file that only its owner can read; a file that exists is never written over.

        Raises
        ------
        SignatureError
            If the file exists or cannot be written.
        """
        lines = []
        for key, (kind, seed) in zip(self.verifiers, self._seeds, strict=True):
            secret = base64.b64encode(bytes([kind]) + seed).decode()
            lines.append(f"{_PRIVATE}{self.name}+{key.key_id.hex()}+{secret}\n")
        lines += [f"{_ROTATION}{base64.b64encode(note).decode()}\n" for note in self.rotations]
        write_private_file(path, "".join(lines))

    def with_rotations(self, rotations: Iterable[bytes]) -> Self:
        """Give the same key with other statements of hand-overs."""
        return type(self)(self.name, self._seeds, rotations)

    def sign(self, verifier: VerifierKey, message: bytes) -> bytes:
        """Sign a message by the secret of one of `verifiers`; `hashmatch.signing.note` says what the message is."""
        kind, seed = self._seeds[self.verifiers.index(verifier)]
        return SCHEMES[kind].sign(seed, message)

    def __repr__(self) -> str:
        return f"<SigningKey {self.name}, {', '.join(key.scheme.name for key in self.verifiers)}>"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a signing key is not pickled: it stays in its file")
