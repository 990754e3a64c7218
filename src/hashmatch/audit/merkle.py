"""Merkle tree arithmetic of RFC 6962: roots of a growing tree, proofs that a leaf is in it.

Floor: audit. A leaf is hashed behind a zero byte, a node behind a one, so that neither can stand for the other. Node
``n`` of level ``l`` is the root of the leaves ``n * 2**l`` to ``(n + 1) * 2**l - 1``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

__all__ = ["HASH_BYTES", "Frontier", "hash_leaf", "inclusion_path", "root_of", "root_through"]

HASH_BYTES = 32

Node = Callable[[int, int], bytes]
"""Gives the hash of a complete node by its level and its number."""


def hash_leaf(data: bytes) -> bytes:
    """Hash one leaf's data."""
    return hashlib.sha256(b"\0" + data).digest()


def _join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


class Frontier:
    """The complete subtrees of a growing tree, the largest first: what is needed to add a leaf and to give the root.

    Parameters
    ----------
    size : int
        Number of leaves.
    hashes : iterable of bytes
        Roots of the subtrees, one for each bit of ``size`` that is set.
    """

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)

    @classmethod
    def at(cls, size: int, node: Node) -> Frontier:
        """Give that of the first leaves of a tree whose nodes are known."""
        return cls(size, _parts(0, size, node))

    def copy(self) -> Frontier:
        """Give an independent one."""
        return Frontier(self.size, self.hashes)

    def add(self, leaf: bytes) -> list[bytes]:
        """Add a leaf's hash; gives it and the nodes that it completes, from level 0 upwards."""
        made = [leaf]
        rest = self.size
        while rest & 1:
            leaf = _join(self.hashes.pop(), leaf)
            made.append(leaf)
            rest >>= 1
        self.hashes.append(leaf)
        self.size += 1
        return made

    def root(self) -> bytes:
        """Root of the tree, 32 bytes."""
        return _folded(self.hashes)


def _parts(start: int, end: int, node: Node) -> list[bytes]:
    """Roots of the complete subtrees of a range of leaves, the largest first; ``start`` is a multiple of the first."""
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append(node(level, start >> level))
        start += 1 << level
    return found


def _folded(parts: Sequence[bytes]) -> bytes:
    if not parts:
        return hashlib.sha256().digest()
    found = parts[-1]
    for part in reversed(parts[:-1]):
        found = _join(part, found)
    return found


def root_of(size: int, node: Node) -> bytes:
    """Root of the first ``size`` leaves; cost: one node for each set bit of ``size``."""
    return _folded(_parts(0, size, node))


def inclusion_path(index: int, size: int, node: Node) -> list[bytes]:
    """Give the proof that a leaf is in the tree of the first ``size`` leaves (RFC 6962, 2.1.1), the sibling first.

    Raises
    ------
    IndexError
        If the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise IndexError("the tree has no such leaf")
    start, end, path = 0, size, []
    while end - start > 1:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        if index < middle:
            path.append(_folded(_parts(middle, end, node)))
            end = middle
        else:
            path.append(_folded(_parts(start, middle, node)))
            start = middle
    return path[::-1]


def root_through(leaf: bytes, index: int, size: int, path: Iterable[bytes]) -> bytes | None:
    """Root that a leaf's hash and its proof lead to (RFC 9162, 2.1.3.2); None where the proof is of another length."""
    if not 0 <= index < size:
        return None
    last = size - 1
    for sibling in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            leaf = _join(sibling, leaf)
            while index and not index & 1:
                index >>= 1
                last >>= 1
        else:
            leaf = _join(leaf, sibling)
        index >>= 1
        last >>= 1
    return leaf if last == 0 else None
