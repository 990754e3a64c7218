"""Forensic hash sets: EnCase, HashKeeper, Autopsy, NIST's of both versions; and our own CSV.

Law: every record becomes an upsert or is refused by a reason that shows nothing, or a typed error stops the file; no
more records come than the file has room for, databases stay as they were, and no file is made beside them.
"""

from __future__ import annotations

import argparse
import io
import random
import tempfile
from pathlib import Path
from typing import Final

from fuzz.engine import Case, Wrong, check_message
from fuzz.mutate import mutated
from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists.entry import ROLES
from hashmatch.lists.formats import FORMATS, Delivery, Upsert, reader_of
from support.list_makers import made_up
from support.set_makers import encase_set, hashkeeper_set, kdb_set, nsrl2_set, nsrl3_set

__all__ = ["DESCRIPTION", "case_runner"]

DESCRIPTION = "forensic hash sets -> encase, hashkeeper, kdb, nsrl2, nsrl3, hashmatch-csv"

_LEAST_RECORD: Final = {"encase": 18, "hashkeeper": 1, "nsrl2": 1, "hashmatch-csv": 1, "kdb": 4, "nsrl3": 4}


_OWN: Final = "\n".join(
    [
        "entry_id,source,role,hash,quality,labels",
        *(f'\'=e-{k},x,{role},{made_up(k)},{k * 9},"{{""a"": ""b;\'+{k}""}}"' for k, role in enumerate(ROLES)),
        *(f"e-{k},y,alarm,{made_up(k, name)},," for k, name in enumerate(ALGORITHMS)),
    ]
).encode()


def _write_number(data: bytearray, rng: random.Random, _: object) -> None:
    """Set a big-endian number of a page: a pointer, a count, a length."""
    at = rng.randrange(max(len(data) - 4, 1))
    size = rng.choice((1, 2, 4))
    data[at : at + size] = rng.choice((0, 1, 2, 5, 13, rng.randrange(256 ** min(size, 2)), 256**size - 1)).to_bytes(
        size, "big"
    )


def _copy_page(data: bytearray, rng: random.Random, _: object) -> None:
    """Put one page in the place of another."""
    n_pages = len(data) // 512
    if n_pages > 1:
        one, other = rng.randrange(n_pages), rng.randrange(n_pages)
        data[512 * one : 512 * one + 512] = data[512 * other : 512 * other + 512]


def case_runner(options: argparse.Namespace) -> Case:  # noqa: ARG001
    """Read one mutated set."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set"
        databases = [
            ("kdb", kdb_set(path, range(60)).read_bytes()),
            ("nsrl3", nsrl3_set(path, range(9), times=2).read_bytes()),
            ("nsrl3", nsrl3_set(path, range(9), full=True).read_bytes()),
        ]
    others = [
        ("encase", encase_set(range(9))),
        ("encase", encase_set(range(9), counted=False)),
        ("hashkeeper", hashkeeper_set(range(9))),
        ("nsrl2", nsrl2_set(range(9))),
        ("nsrl2", nsrl2_set(range(9), first=True)),
        ("hashmatch-csv", _OWN),
    ]
    known = {kind: [data for name, data in databases + others if name == kind] for kind in _LEAST_RECORD}

    def case(rng: random.Random, number: int) -> str:
        kind, base = rng.choice(databases if number % 2 else others)
        data = mutated(base, rng, known[kind], (_write_number, _write_number, _copy_page), most=200_000)
        return _read_database(kind, data) if kind in ("kdb", "nsrl3") else _read(kind, io.BytesIO(data), len(data))

    return case


def _read_database(kind: str, data: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set"
        path.write_bytes(data)
        with path.open("rb") as stream:
            outcome = _read(kind, stream, len(data))
        if path.read_bytes() != data or [item.name for item in path.parent.iterdir()] != ["set"]:
            raise Wrong("a database was changed, or a file was made beside it")
    return outcome


def _read(kind: str, stream: io.BufferedIOBase, size: int) -> str:
    items = []
    try:
        for item in reader_of(FORMATS[kind], stream, Delivery(source="fuzz")):  # type: ignore[arg-type]
            items.append(item)
            if len(items) > size // _LEAST_RECORD[kind] + 1:
                raise Wrong("more records than the file has room for")
    except (HashFormatError, ReferenceListError) as error:
        check_message(error)
        return f"{kind} refused"
    for item in items:
        if isinstance(item, Upsert):
            for flaw in item.flaws:
                check_message(ReferenceListError(str(flaw)))
            (listing,) = item.entry.listings
            if kind != "hashmatch-csv" and (listing.role == "benign") != kind.startswith("nsrl"):
                raise Wrong("an entry is listed for something else")
            if any(HashValue.parse(str(listed.value)) != listed.value for listed in listing.hashes):
                raise Wrong("an accepted hash does not read back")
        else:
            check_message(ReferenceListError(item.reason))  # type: ignore[union-attr]
    return f"{kind} read"
