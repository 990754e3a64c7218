"""Digests: MD5, SHA-1 and SHA-256 of a file's bytes, for exact copies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from hashmatch.algorithms import algorithm_named
from hashmatch.errors import HashFormatError
from hashmatch.hashers.base import refuse_opaque
from hashmatch.hashes import HashValue

__all__ = ["DIGEST_ALGORITHMS", "Digester", "digest", "digests"]

DIGEST_ALGORITHMS: Final = ("md5", "sha1", "sha256")
"""Names of the digests, in the order they are computed."""


class Digester:
    """Several digests of bytes that arrive in parts, in one pass.

    Parameters
    ----------
    algorithms : iterable of str
        Names of digests.

    Raises
    ------
    HashFormatError
        If one is unknown or is not a digest.
    """

    __slots__ = ("_states",)

    def __init__(self, algorithms: Iterable[str]) -> None:
        self._states = [(name, hashlib.new(name, usedforsecurity=False)) for name in map(_checked, algorithms)]

    def __bool__(self) -> bool:
        return bool(self._states)

    def update(self, part: bytes | bytearray | memoryview) -> None:
        """Add the next bytes; TypeError for anything else. Large parts are digested outside the interpreter's lock."""
        for _, state in self._states:
            state.update(part)

    def values(self) -> tuple[HashValue, ...]:
        """Return the digests of all bytes so far, in the order of ``algorithms``."""
        return tuple(HashValue(name, state.digest()) for name, state in self._states)


def _checked(algorithm: str) -> str:
    found = algorithm_named(algorithm)
    refuse_opaque(found)
    if found.name not in DIGEST_ALGORITHMS:
        raise HashFormatError(f"{found.name} is not a digest of bytes; digests are: {', '.join(DIGEST_ALGORITHMS)}")
    return found.name


def digest(data: bytes, algorithm: str) -> HashValue:
    """Digest a file's bytes.

    Parameters
    ----------
    data : bytes-like
        The whole file.
    algorithm : str
        ``"md5"``, ``"sha1"`` or ``"sha256"``.

    Raises
    ------
    HashFormatError
        If the algorithm is unknown or is not a digest.
    TypeError
        If ``data`` is not bytes-like.

    Notes
    -----
    Cost: one pass over the bytes. MD5 and SHA-1 can be forged; they are for lists that hold no other digests.

    Examples
    --------
    >>> digest(b"", "md5").hex()
    'd41d8cd98f00b204e9800998ecf8427e'
    """
    one = Digester((algorithm,))
    one.update(data)
    return one.values()[0]


def digests(data: bytes, algorithms: Iterable[str] = DIGEST_ALGORITHMS) -> tuple[HashValue, ...]:
    """Digest a file's bytes in several ways.

    Parameters
    ----------
    data : bytes-like
        The whole file.
    algorithms : iterable of str
        Names of digests.

    Returns
    -------
    tuple of HashValue
        Digests in the order of ``algorithms``.

    Raises
    ------
    HashFormatError, TypeError
        As `digest`; also TypeError for a single name in place of a sequence.
    """
    if isinstance(algorithms, str):
        raise TypeError('algorithms is a sequence of names: write ("sha256",), not "sha256"')
    return tuple(digest(data, algorithm) for algorithm in algorithms)
