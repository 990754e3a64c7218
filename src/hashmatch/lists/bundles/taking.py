"""A signed bundle, taken into a list: `take_bundle`.

Floor: lists. First who signed, then which list, until when, and which version: nothing of a bundle's rows is read
before all of that was found right. Then one transaction writes the rows, the version and the trust.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hashmatch.errors import BundleError, ReferenceListError, SignatureError
from hashmatch.lists.bundles.applying import apply_chunks
from hashmatch.lists.bundles.manifest import Manifest, Reader, read_chunks, read_head
from hashmatch.lists.earlier import make_file
from hashmatch.lists.file.entries import State, load_state, store_state
from hashmatch.lists.file.trust import Trust, load_trust, store_trust
from hashmatch.lists.reference import ListInfo, ReferenceList, write_empty_list
from hashmatch.signing import Note, VerifierKey, follow_rotations, verify_note
from hashmatch.signing.sealing import MAGIC, Identity, UnsealedReader

__all__ = ["TakeReport", "opened_bundle", "take_bundle", "verified_keys"]

_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeReport:
    """What came of a bundle.

    Parameters
    ----------
    changed : bool
        Whether the list has a new version; False where it had it already, and only the expiry moved.
    rotated : bool
        Whether the list now trusts other keys than before, because those handed over.
    manifest : Manifest
        What the bundle says.
    info : ListInfo
        Figures of the list.
    """

    changed: bool
    rotated: bool
    manifest: Manifest
    info: ListInfo


def take_bundle(
    path: str | os.PathLike[str],
    bundle: str | os.PathLike[str],
    *,
    trust: Sequence[VerifierKey] = (),
    identity: Identity | None = None,
    keep_history: bool = False,
    now: int | None = None,
    timeout: float = _TIMEOUT,
) -> TakeReport:
    """Bring a list to the version of a bundle, or make the list of it.

    Parameters
    ----------
    path : path
        Of the list. Where no file stands, a bundle of a whole list makes it.
    bundle : path
        The bundle.
    trust : sequence of VerifierKey
        The keys that must all sign: needed when the list is made, and kept in it. Given again, they must be those that
        the list trusts.
    identity : Identity, optional
        Opens a sealed bundle.
    keep_history : bool
        Of a list that is made: as `ReferenceList.create`.
    now : int, optional
        Seconds since 1970, for the expiry; by default the present time.
    timeout : float
        Seconds to wait for others that use the list.

    Returns
    -------
    TakeReport
        The list then has the id, version, digest and rows of its owner's.

    Raises
    ------
    SignatureError
        If the bundle is not signed by all keys that are trusted, or by keys that they handed over to; or its seal is
        broken, or for another identity.
    BundleError
        If it is damaged, expired, of another list, of an earlier version or a difference to another version than the
        list has; or if the list was changed here. See its ``reason``.
    ReferenceListError
        If the list is damaged, busy, or cannot be written.

    Notes
    -----
    On every error, also a kill, the list and what it trusts stay as they were. Cost: about 15 seconds for a million
    entries of one hash; memory does not grow with the list.
    """
    when = int(time.time()) if now is None else now
    with opened_bundle(bundle, identity) as stream:
        note, manifest = read_head(stream)
        if os.path.lexists(path):
            with ReferenceList.open(path, writable=True, check="none", timeout=timeout) as ref:
                return _take_into(ref, stream, note, manifest, tuple(trust), when)
        if not trust:
            raise BundleError(
                "a list that is made of a bundle needs the key of its owner: name it with --trust", reason="no-trust"
            )
        keys = verified_keys(note, manifest, trust)
        _check_time(manifest, when)
        if manifest.previous is not None:
            raise BundleError(
                f"the bundle is a difference to version {manifest.previous.version}, and there is no list yet: take a "
                "bundle of the whole list first",
                reason="wrong-base",
            )

        def fill(part: Path) -> None:
            list_id = bytes.fromhex(manifest.list_id)
            write_empty_list(part, list_id, manifest.name, keep_history=keep_history, newest=True, timeout=timeout)
            with ReferenceList.open(part, writable=True, check="none") as made, made.rewriting() as connection:
                _write(connection, load_state(connection), stream, manifest, keys)

        make_file(Path(path), fill)
    with ReferenceList.open(path, check="none", timeout=timeout) as ref:
        rotated = set(keys) != set(trust)
        return TakeReport(changed=True, rotated=rotated, manifest=manifest, info=ref.info())


@contextlib.contextmanager
def opened_bundle(path: str | os.PathLike[str], identity: Identity | None) -> Iterator[Reader]:
    """Open a bundle, through its seal if it has one.

    Raises
    ------
    BundleError
        If it cannot be read, or is sealed and no identity is given.
    SignatureError
        If its seal is broken, or for another identity.
    """
    try:
        with open(path, "rb") as file:
            sealed = file.read(len(MAGIC)) == MAGIC
            file.seek(0)
            if sealed and identity is None:
                raise BundleError("the bundle is sealed: open it with --identity", reason="sealed")
            yield UnsealedReader(file, identity) if sealed and identity is not None else file
    except OSError as error:
        if error.errno is None:
            raise
        raise BundleError("the bundle cannot be read: check its path and permissions", reason="no-bundle") from None


def verified_keys(note: Note, manifest: Manifest, trusted: Sequence[VerifierKey]) -> tuple[VerifierKey, ...]:
    """Give the keys that signed a bundle, if those that are trusted lead to them.

    Raises
    ------
    SignatureError
        If a signature is wrong or missing, or no trusted key signed.
    """
    keys = follow_rotations(trusted, manifest.rotations)
    if set(verify_note(note, keys)) != set(keys):
        raise SignatureError(
            "not all keys that are trusted here signed the bundle, only some of them", reason="missing-signature"
        )
    return keys


def _take_into(
    ref: ReferenceList, stream: Reader, note: Note, manifest: Manifest, trust: tuple[VerifierKey, ...], now: int
) -> TakeReport:
    with ref.rewriting() as connection:
        state = load_state(connection)
        old = load_trust(connection, state)
        if old is None:
            raise BundleError(
                "the list was not taken from bundles, so it trusts nobody to change it: take the bundle into a new one",
                reason="no-trust",
            )
        if trust and set(trust) != set(old.keys):
            raise BundleError(
                "the list trusts other keys than these: leave --trust out, or take the bundle into a new list",
                reason="other-trust",
            )
        keys = verified_keys(note, manifest, old.keys)
        if manifest.list_id != state.uuid.hex():
            raise BundleError("the bundle is of another list than this", reason="another-list")
        _check_time(manifest, now)
        changed = _check_version(state, old, manifest)
        if changed:
            _write(connection, state, stream, manifest, keys)
        elif manifest.issued >= old.issued:
            for _ in read_chunks(stream, manifest):
                pass
            for source in state.sources.values():  # terms are no content, and change without a version
                source.terms = manifest.terms.get(source.name, "")
            store_state(connection, state)
            store_trust(connection, state, _trust(manifest, keys))
    return TakeReport(changed=changed, rotated=set(keys) != set(old.keys), manifest=manifest, info=ref.info())


def _check_time(manifest: Manifest, now: int) -> None:
    if manifest.expires <= now:
        raise BundleError(
            "the bundle has expired: get a new one; somebody may be holding later versions back", reason="expired"
        )


def _check_version(state: State, old: Trust, manifest: Manifest) -> bool:
    """Check that the bundle goes on from what the list has; whether it brings a new version."""
    if manifest.version < state.version:
        raise BundleError(
            f"the bundle has version {manifest.version} of the list, which already has version {state.version}",
            reason="old-version",
        )
    if (state.version, state.seal_sum) != (old.version, old.seal_sum):
        raise BundleError(
            "the list was changed here since it was taken, and the bundle would undo that: take it into a new list",
            reason="changed-here",
        )
    if manifest.version == state.version:
        if (manifest.digest, manifest.seal_sum) != (state.digest, state.seal_sum):
            raise BundleError(
                f"the bundle has another version {manifest.version} of the list than the one that is here: its owner "
                "signed two; ask which of them stands",
                reason="forked",
            )
        return False
    base = manifest.previous
    if base is not None and (base.version, base.digest, base.seal_sum) != (state.version, state.digest, state.seal_sum):
        raise BundleError(
            f"the bundle is a difference to version {base.version}, and the list has version {state.version}: take "
            "the bundles between first, or one of the whole list",
            reason="wrong-base",
        )
    return True


def _write(
    connection: sqlite3.Connection, state: State, stream: Reader, manifest: Manifest, keys: Sequence[VerifierKey]
) -> None:
    try:
        made = apply_chunks(connection, state, manifest, read_chunks(stream, manifest))
    except OSError as error:
        raise ReferenceListError("the bundle cannot be read: nothing of it was taken") from error
    store_trust(connection, made, _trust(manifest, keys))


def _trust(manifest: Manifest, keys: Sequence[VerifierKey]) -> Trust:
    return Trust(
        keys=tuple(keys),
        version=manifest.version,
        seal_sum=manifest.seal_sum,
        issued=manifest.issued,
        expires=manifest.expires,
    )
