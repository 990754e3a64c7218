"""Sealed files: what only the holder of one key can read, in the age format, which ``age`` and ``rage`` read too.

Floor: signing. A file key is wrapped for each recipient by X25519 and HKDF-SHA256; the content is ChaCha20-Poly1305 in
chunks of 64 KiB whose nonces count and mark the last, so a changed, cut, longer or reordered file is found. Reading and
writing hold one chunk. Source: age-encryption.org/v1 (c2sp.org/age); key texts: BIP 173 (Bech32).

A seal says who can read a file, not who made it: that is what the signature inside says.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO, Final

from hashmatch.errors import SignatureError
from hashmatch.signing.primitives import module, new_seed
from hashmatch.signing.private_files import read_private_file, write_private_file

__all__ = ["MAGIC", "Identity", "SealedWriter", "UnsealedReader", "check_recipient"]

MAGIC: Final = b"age-encryption.org/v1\n"
"""How a sealed file begins."""

_CHUNK: Final = 1 << 16
_TAG: Final = 16
_MAX_RECIPIENTS: Final = 20
_MAX_LINE: Final = 4_096
_LETTERS: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_RECIPIENT: Final = "age"
_IDENTITY: Final = "age-secret-key-"
_ARGUMENT: Final = re.compile(rb"[!-~]+")


class Identity:
    """Secret that opens sealed files; ``recipient`` is what others seal for.

    Parameters
    ----------
    secret : bytes
        32 bytes.

    Examples
    --------
    >>> identity = Identity.make()
    >>> identity.recipient[:4], identity
    ('age1', <Identity>)
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._share = bytes(_x25519(secret).public_key().public_bytes_raw())
        self.recipient = _encode(_RECIPIENT, self._share)

    @classmethod
    def make(cls) -> Identity:
        """Draw a new one."""
        return cls(new_seed())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Identity:
        """Read a file of one identity, as ``age-keygen`` writes it.

        Raises
        ------
        SignatureError
            If others than the owner can read the file, or it holds no identity, or several.
        """
        lines = [line.strip() for line in read_private_file(path).splitlines()]
        secrets = [line for line in lines if line and not line.startswith("#")]
        if len(secrets) != 1 or not secrets[0].isupper():
            raise SignatureError("the file is no identity: AGE-SECRET-KEY-1… is expected", reason="bad-key")
        return cls(_decode(_IDENTITY, secrets[0].lower()))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file that only its owner can read; a file that exists is never written over."""
        write_private_file(path, f"# public key: {self.recipient}\n{_encode(_IDENTITY, self._secret).upper()}\n")

    def unwrap(self, share: bytes, body: bytes) -> bytes | None:
        """Take the file key out of a stanza that is for this identity; None if it is for another."""
        if len(body) != 16 + _TAG:
            raise _bad()
        try:
            key = _wrap_key(_x25519(self._secret), share, share + self._share)
            return bytes(_aead(key).decrypt(bytes(12), body, None))
        except ValueError:  # a share of low order
            raise _bad() from None
        except _invalid_tag():
            return None

    def __repr__(self) -> str:
        return "<Identity>"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("an identity is not pickled: it stays in its file")


def check_recipient(text: str) -> str:
    """Return the text of a recipient, ``age1…``; SignatureError if it is none."""
    _decode(_RECIPIENT, text)
    return text


class SealedWriter:
    """A binary stream whose content only the recipients can read; `close` writes the end, without which it is refused.

    Parameters
    ----------
    stream : binary file
        Where the sealed file goes.
    recipients : sequence of str
        1 to 20, ``age1…``.

    Raises
    ------
    SignatureError
        If one is no recipient.
    """

    def __init__(self, stream: BinaryIO, recipients: Sequence[str]) -> None:
        if not 1 <= len(recipients) <= _MAX_RECIPIENTS:
            raise SignatureError(f"a file is sealed for 1 to {_MAX_RECIPIENTS} recipients", reason="bad-key")
        key, nonce = os.urandom(16), os.urandom(16)
        header = bytearray(MAGIC)
        for recipient in recipients:
            public, once = _decode(_RECIPIENT, recipient), _x25519(new_seed())
            share = bytes(once.public_key().public_bytes_raw())
            try:
                wrap = _wrap_key(once, public, share + public)
            except ValueError:
                raise SignatureError("this is no recipient", reason="bad-key") from None
            body = _aead(wrap).encrypt(bytes(12), key, None)
            header += b"-> X25519 " + _bare(share) + b"\n" + _bare(body) + b"\n"
        header += b"---"
        stream.write(bytes(header) + b" " + _bare(_header_mac(key, bytes(header))) + b"\n" + nonce)
        self._stream, self._aead = stream, _aead(_hkdf(key, nonce, b"payload"))
        self._count = 0
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        """Write; a full chunk waits until it is known whether it is the last."""
        self._held += data
        while len(self._held) > _CHUNK:
            self._put(bytes(self._held[:_CHUNK]), last=False)
            del self._held[:_CHUNK]
        return len(data)

    def close(self) -> None:
        """Write the last chunk; the stream below stays open."""
        self._put(bytes(self._held), last=True)

    def _put(self, chunk: bytes, *, last: bool) -> None:
        self._stream.write(self._aead.encrypt(_nonce(self._count, last), chunk, None))
        self._count += 1


class UnsealedReader:
    """Reads what a sealed file holds, from its beginning on.

    Parameters
    ----------
    stream : binary file
        At its beginning.
    identity : Identity
        Of a recipient.

    Raises
    ------
    SignatureError
        ``"not-for-this-key"`` if it is sealed for others; ``"bad-seal"``, here or from `read`, if it is damaged, cut
        or no sealed file.
    """

    def __init__(self, stream: BinaryIO, identity: Identity) -> None:
        key = _open_header(stream, identity)
        nonce = stream.read(16)
        self._ahead = stream.read(_CHUNK + _TAG)
        if not self._ahead:  # even nothing has a last chunk
            raise _bad()
        self._stream, self._aead = stream, _aead(_hkdf(key, nonce, b"payload"))
        self._count = 0
        self._held = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Read ``size`` bytes, 0 or more; fewer only at the end."""
        parts = []
        while size and (self._held or self._next()):
            part = self._held[:size]
            parts.append(part)
            self._held = self._held[len(part) :]
            size -= len(part)
        return b"".join(parts)

    def _next(self) -> bool:
        """Open the next chunk; False at the end. Only the chunk that is marked as the last ends a file."""
        chunk, self._ahead = self._ahead, b""
        if not chunk:
            return False
        if len(chunk) == _CHUNK + _TAG:
            self._ahead = self._stream.read(_CHUNK + _TAG)
        try:
            plain = self._aead.decrypt(_nonce(self._count, not self._ahead), chunk, None)
        except _invalid_tag():
            raise _bad() from None
        if not plain and self._count:
            raise _bad()
        self._count += 1
        self._held = memoryview(plain)
        return bool(plain)


def _open_header(stream: BinaryIO, identity: Identity) -> bytes:
    """Read the header and give the file key."""
    if stream.read(len(MAGIC)) != MAGIC:
        raise SignatureError("this is no sealed file", reason="bad-seal")
    header, found = bytearray(MAGIC), None
    for _ in range(_MAX_RECIPIENTS + 1):
        line = _line(stream)
        if line.startswith(b"--- "):
            break
        arguments = line.split(b" ")
        if arguments[0] != b"->" or len(arguments) < 2 or not all(map(_ARGUMENT.fullmatch, arguments[1:])):
            raise _bad()
        body = _line(stream)
        lines = [body]
        while len(lines[-1]) == 64:
            lines.append(_line(stream))
            if len(lines) > _MAX_LINE // 64:
                raise _bad()
        header += b"".join(part + b"\n" for part in (line, *lines))
        if arguments[1] == b"X25519":
            if len(arguments) != 3 or len(share := _unbare(arguments[2])) != 32:
                raise _bad()
            found = found or identity.unwrap(share, _unbare(b"".join(lines)))
    else:
        raise _bad()
    if found is None:
        raise SignatureError("the file is sealed for other keys than this", reason="not-for-this-key")
    if not hmac.compare_digest(_header_mac(found, bytes(header) + b"---"), _unbare(line[4:])):
        raise _bad()
    return found


def _line(stream: BinaryIO) -> bytes:
    line = stream.readline(_MAX_LINE)
    if not line.endswith(b"\n"):
        raise _bad()
    return line[:-1]


def _bad() -> SignatureError:
    return SignatureError("the sealed file is damaged or cut short", reason="bad-seal")


def _bare(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _unbare(text: bytes) -> bytes:
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise _bad() from None
    if _bare(data) != text:
        raise _bad()
    return data


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF of RFC 5869 with SHA-256, 32 bytes."""
    return hmac.digest(hmac.digest(salt or bytes(32), secret, "sha256"), info + b"\x01", "sha256")


def _header_mac(key: bytes, header: bytes) -> bytes:
    return hmac.digest(_hkdf(key, b"", b"header"), header, "sha256")


def _nonce(count: int, last: bool) -> bytes:
    return count.to_bytes(11, "big") + bytes([last])


def _x25519(secret: bytes) -> Any:
    return module("asymmetric.x25519").X25519PrivateKey.from_private_bytes(secret)


def _wrap_key(own: Any, other: bytes, salt: bytes) -> bytes:
    public = module("asymmetric.x25519").X25519PublicKey.from_public_bytes(other)
    return _hkdf(own.exchange(public), salt, b"age-encryption.org/v1/X25519")


def _aead(key: bytes) -> Any:
    return module("ciphers.aead").ChaCha20Poly1305(key)


def _invalid_tag() -> type[Exception]:
    import cryptography.exceptions

    return cryptography.exceptions.InvalidTag


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> place & 1 else 0
    return check


def _expanded(prefix: str) -> list[int]:
    return [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]


def _encode(prefix: str, data: bytes) -> str:
    """Bech32 of 32 bytes."""
    number = int.from_bytes(data, "big") << 4  # 256 bits in 52 letters of 5
    values = [number >> 5 * place & 31 for place in range(51, -1, -1)]
    check = _polymod([*_expanded(prefix), *values, 0, 0, 0, 0, 0, 0]) ^ 1
    values += [check >> 5 * place & 31 for place in range(5, -1, -1)]
    return f"{prefix}1" + "".join(_LETTERS[value] for value in values)


def _decode(prefix: str, text: str) -> bytes:
    """Read what `_encode` wrote."""
    bad = SignatureError(f"this is no key of sealed files: {prefix}1… is expected", reason="bad-key")
    head, letters = text[: len(prefix) + 1], text[len(prefix) + 1 :]
    if head != f"{prefix}1" or len(letters) != 58 or not set(letters) <= set(_LETTERS):
        raise bad
    values = [_LETTERS.index(letter) for letter in letters]
    if _polymod([*_expanded(prefix), *values]) != 1 or values[51] & 15:
        raise bad
    number = 0
    for value in values[:52]:
        number = number << 5 | value
    return (number >> 4).to_bytes(32, "big")
