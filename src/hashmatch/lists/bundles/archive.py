"""An earlier version of a list out of the bundles that were kept: `list_from_bundles`.

Floor: lists.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from hashmatch.errors import BundleError
from hashmatch.lists.bundles.manifest import Manifest, read_head
from hashmatch.lists.bundles.taking import opened_bundle, take_bundle
from hashmatch.lists.earlier import make_file
from hashmatch.lists.file.past import missing_version
from hashmatch.lists.reference import ReferenceList
from hashmatch.signing import VerifierKey
from hashmatch.signing.sealing import Identity

__all__ = ["list_from_bundles"]


def list_from_bundles(
    path: str | os.PathLike[str],
    bundles: Iterable[str | os.PathLike[str]],
    *,
    version: int,
    trust: Sequence[VerifierKey],
    identity: Identity | None = None,
) -> ReferenceList:
    """Make what a list was at a version out of bundles of it: a whole one, and the differences that follow it.

    Parameters
    ----------
    path : path
        Where no file may be.
    bundles : iterable of path
        Bundles of one list, in any order. Expired ones serve too: each is taken as at its own time.
    version : int
        The version.
    trust : sequence of VerifierKey
        The keys of the owner, as `take_bundle`.
    identity : Identity, optional
        Opens sealed bundles.

    Returns
    -------
    ReferenceList
        Open for reading.

    Raises
    ------
    MissingVersionError
        If the bundles do not lead to the version; the error names those that they lead to.
    BundleError, SignatureError
        As `take_bundle`; BundleError also if the bundles are of several lists. No file is left then.
    """
    found = []
    for bundle in bundles:
        with opened_bundle(bundle, identity) as stream:
            found.append((Path(bundle), read_head(stream)[1]))
    if len({manifest.list_id for _, manifest in found}) > 1:
        raise BundleError("the bundles are of several lists: name those of one", reason="another-list")
    chains = _chains(found)
    if version not in chains:
        raise missing_version(version, sorted(chains))

    def fill(part: Path) -> None:
        part.unlink()
        for bundle, manifest in chains[version]:
            trusted = trust if manifest.previous is None else ()
            take_bundle(part, bundle, trust=trusted, identity=identity, now=manifest.issued)

    make_file(Path(path), fill)
    return ReferenceList.open(path, check="none")


def _chains(found: Sequence[tuple[Path, Manifest]]) -> dict[int, list[tuple[Path, Manifest]]]:
    """Give for each version that can be reached the bundles that lead to it; a whole one goes before differences."""
    chains: dict[int, list[tuple[Path, Manifest]]] = {}
    for item in sorted(found, key=lambda pair: (pair[1].version, pair[1].previous is not None)):
        base = item[1].previous
        before = [] if base is None else chains.get(base.version)
        if before is not None:
            chains.setdefault(item[1].version, [*before, item])
    return chains
