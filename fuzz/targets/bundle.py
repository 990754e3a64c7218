"""Signed lists.

Law: a bundle of which one byte differs, sealed or not, is refused by a typed error, before it makes a list. Where the
owner himself signed strange columns, a take gives a typed error and leaves the list as it was, or a list that passes
the full check; and notes, hand-overs and keys that anybody wrote give typed errors and nothing else.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import io
import json
import os
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from fuzz.engine import Case, Wrong, check_message
from fuzz.mutate import INTERESTING, mutated
from fuzz.targets.indexes import QuickFolder
from hashmatch.errors import BundleError, ReferenceListError, SignatureError
from hashmatch.lists import ReferenceList
from hashmatch.lists.bundles import take_bundle, write_bundle
from hashmatch.lists.bundles.manifest import Chunk, canonical, read_chunks, read_head
from hashmatch.lists.bundles.rows import pack, unpack
from hashmatch.lists.bundles.taking import verified_keys
from hashmatch.signing import follow_rotations, parse_verifier_keys, rotate, sign_statement
from hashmatch.signing.note import read_note
from hashmatch.signing.sealing import Identity, UnsealedReader
from support.bundle_makers import NOW, change, key_of
from support.list_makers import made_up

__all__ = ["DESCRIPTION", "case_runner"]

DESCRIPTION = "signed lists -> read, take; changed, signed again by their owner, sealed; notes, hand-overs, keys"

_KEY: Final = key_of(5)
_IDENTITY: Final = Identity(bytes([7]) * 32)
_ODD: Final = (
    None,
    True,
    -1,
    0,
    1,
    2,
    3,
    2**31,
    2**63,
    2**70,
    1.5,
    "",
    "a",
    "x" * 300,
    "\ud800",
    "00" * 32,
    [],
    [0],
    [[]],
    {},
)
_Parts = list[tuple[str, dict[str, Any], bytes]]


class _Seed:
    """A bundle, and the list that it is taken into, if it is a difference."""

    def __init__(self, path: Path, base: Path | None) -> None:
        self.data, self.base = path.read_bytes(), base
        stream = io.BytesIO(self.data)
        self.manifest = read_head(stream)[1]
        self.parts: _Parts = [unpack(data) for data in read_chunks(stream, self.manifest)]


def _made(folder: Path) -> list[_Seed]:
    """Make whole bundles and differences of a list on which much happened."""
    rng, seeds = random.Random(5), []
    with ReferenceList.create(folder / "owner", name="fuzz") as ref:
        ref.add("first", hashes=[made_up(1), made_up(1, "keypoint")], labels={"a": "b"}, quality=9)
        for step in range(4):
            since = ref.version
            write_bundle(ref, folder / f"whole-{step}", _KEY, now=NOW, despite_terms="abc")
            take_bundle(folder / f"base-{step}", folder / f"whole-{step}", trust=_KEY.verifiers, now=NOW)
            seeds.append(_Seed(folder / f"whole-{step}", None))
            for _ in range(9):
                change(ref, rng)
            ref.withdraw("entry-1", source="a")
            write_bundle(ref, folder / f"part-{step}", _KEY, since=since, now=NOW, despite_terms="abc")
            seeds.append(_Seed(folder / f"part-{step}", folder / f"base-{step}"))
        write_bundle(ref, folder / "sealed", _KEY, now=NOW, despite_terms="abc", recipients=[_IDENTITY.recipient])
    return seeds


def case_runner(options: argparse.Namespace) -> Case:  # noqa: ARG001
    """Read or take one bundle."""
    holder = QuickFolder()
    folder = Path(holder.name)
    seeds = _made(folder)
    whole = [seed.data for seed in seeds]
    sealed = (folder / "sealed").read_bytes()
    texts = [b"\n".join(str(key).encode() for key in _KEY.verifiers), rotate(_KEY).rotations[0]]

    def case(rng: random.Random, number: int) -> str:
        _ = holder
        if number % 8 == 0:
            return "signed again: " + _take(folder / "work", *_signed_again(rng.choice(seeds), rng))
        if number % 8 == 1:
            return "sealed " + _unseal(mutated(sealed, rng, [sealed]), sealed)
        if number % 8 == 2:
            return _trust(mutated(rng.choice(texts), rng, texts))
        data = mutated(rng.choice(whole), rng, whole)
        return "same" if data in whole else "changed " + _read(data)

    return case


def _read(data: bytes) -> str:
    try:
        stream = io.BytesIO(data)
        note, manifest = read_head(stream)
        verified_keys(note, manifest, _KEY.verifiers)
        for chunk in read_chunks(stream, manifest):
            unpack(chunk)
    except (BundleError, SignatureError) as error:
        check_message(error)
        return error.reason
    raise Wrong("a changed bundle was read to its end")


def _unseal(data: bytes, original: bytes) -> str:
    if data == original:
        return "same"
    try:
        reader = UnsealedReader(io.BytesIO(data), _IDENTITY)
        while reader.read(1 << 16):
            pass
    except SignatureError as error:
        check_message(error)
        return error.reason
    raise Wrong("a changed sealed file was opened to its end")


def _trust(data: bytes) -> str:
    """Read what may be keys, a note or a hand-over."""
    said = []
    for read in (
        lambda: parse_verifier_keys(data.decode("utf-8", "replace")),
        lambda: read_note(data),
        lambda: follow_rotations(_KEY.verifiers, [data]),
    ):
        try:
            read()
        except SignatureError as error:
            check_message(error)
            said.append(error.reason)
        else:
            said.append("read")
    return f"trust {said}"


def _signed_again(seed: _Seed, rng: random.Random) -> tuple[_Seed, bytes]:
    """Change what a bundle says, and sign it as its owner."""
    parts = copy.deepcopy(seed.parts)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _change(parts, rng)
    chunks = [pack(*part) for part in parts]
    if rng.random() < 0.1:
        place = rng.randrange(len(chunks)) if chunks else 0
        chunks[place : place + 1] = [mutated(chunks[place], rng) or b"x"] if chunks else []
    digests = tuple(Chunk(len(data), hashlib.sha256(data).hexdigest()) for data in chunks)
    said = json.loads(replace(seed.manifest, chunks=digests).to_json())
    if rng.random() < 0.2:
        _change_value(said, rng)
    note = sign_statement(f"hashmatch/bundle/{seed.manifest.list_id}", canonical(said), _KEY).encode()
    return seed, b"hashmatch bundle 1 %d\n" % len(note) + note + b"".join(chunks)


def _change(parts: _Parts, rng: random.Random) -> None:
    if not parts:
        return
    place = rng.randrange(len(parts))
    kind, columns, codes = parts[place]
    way = rng.randrange(10)
    if way == 0:
        rng.choice((lambda: parts.pop(place), lambda: parts.append(parts[place]), lambda: rng.shuffle(parts)))()
    elif way == 1:
        parts[place] = (kind, columns, mutated(codes, rng))
    elif way == 2:
        parts[place] = (rng.choice(("state", "entries", "gone", "change", "withdrawn", "digest", "x")), columns, codes)
    else:
        _change_value(columns, rng)


def _change_value(holder: Any, rng: random.Random) -> None:
    """Put something else somewhere within columns."""
    while True:
        places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not places:
            return
        at = rng.choice(places)
        if isinstance(holder[at], (dict, list)) and holder[at] and rng.random() < 0.9:
            holder = holder[at]
            continue
        value = holder[at]
        near = [value + rng.choice((-1, 1))] if type(value) is int else []
        holder[at] = copy.deepcopy(rng.choice((*_ODD, rng.choice(INTERESTING), *near, *near, *near)))
        return


def _take(work: Path, seed: _Seed, data: bytes) -> str:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    path, before = work / "taker", b""
    if seed.base is not None:
        before = shutil.copyfile(seed.base, path).read_bytes()
    (work / "bundle").write_bytes(data)
    try:
        report = take_bundle(path, work / "bundle", trust=_KEY.verifiers, now=NOW)
    except (BundleError, SignatureError) as error:
        check_message(error)
        if sorted(os.listdir(work)) != ["bundle", *(["taker"] if seed.base else [])]:
            raise Wrong(f"a refused bundle left {sorted(os.listdir(work))}") from error
        if seed.base is not None:
            with ReferenceList.open(path, check="full") as ref, ReferenceList.open(seed.base) as old:
                if (ref.version, ref.digest, ref.trust()) != (old.version, old.digest, old.trust()) or not before:
                    raise Wrong("a refused bundle changed the list") from None
        return error.reason
    try:
        with ReferenceList.open(path, check="full") as ref:
            if ref.digest != report.manifest.digest:
                raise Wrong("the list is not what was signed")
    except ReferenceListError as error:
        raise Wrong(f"a list was taken that does not pass its check: {error}") from error
    return "taken"
