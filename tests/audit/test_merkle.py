"""Merkle trees: RFC 6962's own vectors, and a plain recursion as the judge."""

from __future__ import annotations

import hashlib

import pytest

from hashmatch.audit.layout import block_at, node_at
from hashmatch.audit.merkle import Frontier, hash_leaf, inclusion_path, root_of, root_through

# leaves and roots of the tests of google/certificate-transparency
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def judge(leaves: list[bytes]) -> bytes:
    """Root by the definition."""
    if len(leaves) <= 1:
        return hash_leaf(leaves[0]) if leaves else hashlib.sha256().digest()
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\1" + judge(leaves[:k]) + judge(leaves[k:])).digest()


def grown(leaves: list[bytes]) -> tuple[Frontier, bytes]:
    """Make a tree, and its nodes as they stand in the file."""
    frontier, stored = Frontier(), b""
    for leaf in leaves:
        stored += bytes(8) + b"".join(frontier.add(hash_leaf(leaf)))
    return frontier, stored


@pytest.mark.parametrize("size", list(ROOTS))
def test_roots_of_the_vectors(size: int) -> None:
    """The published roots."""
    assert grown(LEAVES[:size])[0].root().hex() == ROOTS[size]


def test_every_small_tree_against_the_definition() -> None:
    """Roots of every earlier size from the stored nodes, and every proof; a proof of another place leads elsewhere."""
    leaves = [bytes([number]) * 5 for number in range(70)]
    _, stored = grown(leaves)

    def node(level: int, number: int) -> bytes:
        at = node_at(level, number)
        return stored[at : at + 32]

    for size in range(1, 71):
        root = judge(leaves[:size])
        assert root_of(size, node) == root
        assert Frontier.at(size, node).root() == root
        for place in range(size):
            path = inclusion_path(place, size, node)
            assert root_through(hash_leaf(leaves[place]), place, size, path) == root
            assert root_through(hash_leaf(leaves[place]), place + 1, size, path) != root
            assert root_through(hash_leaf(b"x"), place, size, path) != root
            assert root_through(hash_leaf(leaves[place]), place, size, [*path, root]) is None
            if path:
                assert root_through(hash_leaf(leaves[place]), place, size, path[:-1]) != root
    assert block_at(70) == len(stored)


def test_places_that_no_tree_has() -> None:
    """A proof is refused, and none is made."""
    assert root_through(bytes(32), 3, 3, []) is None
    with pytest.raises(IndexError):
        inclusion_path(3, 3, lambda *_: bytes(32))
