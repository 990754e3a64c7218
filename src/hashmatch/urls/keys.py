"""`UrlKey`: the secret without which a list of addresses can neither be asked nor guessed.

Floor: urls. Plain hashes of addresses are no secret: who knows many addresses finds almost all that are listed. So an
address is listed by its HMAC-SHA-256, and the key stays apart from the list. **Who holds both can try addresses.**
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from typing import Final, Self

from hashmatch.errors import SignatureError
from hashmatch.signing.private_files import read_private_file, write_private_file

__all__ = ["MAC_BYTES", "UrlKey"]

MAC_BYTES: Final = 12
"""Bytes that are kept of a MAC: of 10^20 other addresses ten million entries answer one."""

_HEAD: Final = "hashmatch-url-key-1+"
_SEED_BYTES: Final = 32
_BLOCK: Final = 64


class UrlKey:
    """Secret key of lists of addresses.

    Parameters
    ----------
    secret : bytes
        32 random bytes, as a store of secrets may hold them.

    Attributes
    ----------
    key_id : str
        Tells keys apart, 16 hexadecimal digits; it is no secret and stands in the lists.

    Raises
    ------
    SignatureError
        If the secret has another length.

    Examples
    --------
    >>> UrlKey(bytes(32))
    <UrlKey 4e8fc4c49adc1de4>
    """

    __slots__ = ("_inner", "_outer", "_secret", "key_id")

    def __init__(self, secret: bytes) -> None:
        if not isinstance(secret, bytes) or len(secret) != _SEED_BYTES:
            raise SignatureError(f"a key of addresses has {_SEED_BYTES} bytes", reason="bad-key")
        self._secret = secret
        padded = secret.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))
        self.key_id = self.mac(b"hashmatch/urls/key-id").hex()[:16]

    @classmethod
    def make(cls) -> Self:
        """Draw a new key."""
        return cls(secrets.token_bytes(_SEED_BYTES))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a key file.

        Raises
        ------
        SignatureError
            If others than the owner can read the file, or it holds no such key.
        """
        text = read_private_file(path).strip()
        key_id, _, data = text.removeprefix(_HEAD).partition("+")
        try:
            key = cls(base64.b64decode(data, validate=True)) if text.startswith(_HEAD) else None
        except (ValueError, binascii.Error):
            key = None
        if key is None or key.key_id != key_id:
            raise SignatureError("the file holds no key of addresses, or is damaged", reason="bad-key")
        return key

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a key file that only its owner can read; a file that exists is never written over.

        Raises
        ------
        SignatureError
            If the file exists or cannot be written.
        """
        write_private_file(path, f"{_HEAD}{self.key_id}+{base64.b64encode(self._secret).decode()}\n")

    def mac(self, message: bytes) -> bytes:
        """Make the HMAC-SHA-256 of a message, 32 bytes; the hashed key is kept, which halves the time."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()

    def __repr__(self) -> str:
        return f"<UrlKey {self.key_id}>"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a key of addresses is not pickled: it stays in its file")
