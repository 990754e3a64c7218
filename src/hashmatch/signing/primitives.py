"""The signature schemes, by the type byte that C2SP gives them. The only file of the room that knows ``cryptography``.

Floor: signing. Sources: RFC 8032 (Ed25519), FIPS 204 (ML-DSA-44); type bytes of c2sp.org/signed-note and
c2sp.org/tlog-cosignature.
"""

from __future__ import annotations

import importlib
import os
from typing import Any, Final, NamedTuple

from hashmatch.errors import SignatureError

__all__ = ["COSIGNED_ED25519", "ED25519", "ML_DSA_44", "SCHEMES", "SEED_BYTES", "Scheme", "module", "new_seed"]

SEED_BYTES: Final = 32
"""Length of the secret of every scheme, bytes."""

_PACKAGE: Final = "cryptography.hazmat.primitives."


def module(name: str) -> Any:
    """Import a module of ``cryptography``'s primitives.

    Raises
    ------
    SignatureError
        If the package is missing, or too old to have the module.
    """
    try:
        return importlib.import_module(_PACKAGE + name)
    except ImportError:
        raise SignatureError("signing needs: pip install 'hashmatch[evidence]'", reason="no-cryptography") from None


class Scheme(NamedTuple):
    """A way to sign.

    Parameters
    ----------
    name : str
        For people.
    home, prefix : str
        Module and beginning of the class names in ``cryptography``.
    seed_reader : str
        Name of the class method that takes a seed.
    public_bytes, signature_bytes : int
        Lengths, bytes.
    timed : bool
        Whether the signature begins with its time, 8 bytes.
    """

    name: str
    home: str
    prefix: str
    seed_reader: str
    public_bytes: int
    signature_bytes: int
    timed: bool

    def _private(self, seed: bytes) -> Any:
        return getattr(getattr(module(self.home), f"{self.prefix}PrivateKey"), self.seed_reader)(seed)

    def public_of(self, seed: bytes) -> bytes:
        """Work out the public key of a secret."""
        return bytes(self._private(seed).public_key().public_bytes_raw())

    def sign(self, seed: bytes, message: bytes) -> bytes:
        """Sign a message; cost: 0.03 ms by Ed25519, 0.6 ms by ML-DSA-44."""
        return bytes(self._private(seed).sign(message))

    def verifies(self, public: bytes, signature: bytes, message: bytes) -> bool:
        """Whether a signature is that of the message; cost: about 0.1 ms."""
        kind = getattr(module(self.home), f"{self.prefix}PublicKey")
        refused = importlib.import_module("cryptography.exceptions").InvalidSignature
        try:
            kind.from_public_bytes(public).verify(signature, message)
        except (refused, ValueError):  # not every string of bytes is a key
            return False
        return True


ED25519: Final = 0x01
COSIGNED_ED25519: Final = 0x04
ML_DSA_44: Final = 0x06

_ED25519: Final = Scheme("Ed25519", "asymmetric.ed25519", "Ed25519", "from_private_bytes", 32, 64, False)
SCHEMES: Final = {
    ED25519: _ED25519,
    COSIGNED_ED25519: _ED25519._replace(name="Ed25519 cosignature", timed=True),
    ML_DSA_44: Scheme("ML-DSA-44", "asymmetric.mldsa", "MLDSA44", "from_seed_bytes", 1312, 2420, True),
}


def new_seed() -> bytes:
    """Draw a secret from the operating system."""
    return os.urandom(SEED_BYTES)
