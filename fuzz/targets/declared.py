"""Deliveries by a mapping, signals of threatexchange, our own NDJSON; plain and packed.

Law: every line becomes a row, is refused by a reason that shows nothing, or was not asked for, or a typed error stops
the file; line numbers never fall; nothing is made of what is packed beyond its limits; no mapping file is half read.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import gzip
import importlib
import io
import json
import random
import zipfile
from typing import Final

from fuzz.engine import Case, Wrong, check_message
from fuzz.mutate import mutated
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists.formats import (
    FORMATS,
    ColumnMapping,
    Delivery,
    HashColumn,
    LeftOut,
    Refused,
    Upsert,
    mapping_from_toml,
    reader_of,
    recognised,
)
from hashmatch.lists.formats.unpacking import MAX_RATIO, RATIO_FREE, beginning, unpacked
from support.list_makers import made_up

__all__ = ["DESCRIPTION", "case_runner"]

DESCRIPTION = "mapped tables and JSON, tx-csv, tx-local, ndjson, packed -> their readers, unpacked, mapping_from_toml"

_MAPPING: Final = ColumnMapping(
    hashes={"md5": "md5", "h.pdq": HashColumn(algorithm="pdq", encoding="base64"), "s": HashColumn(algorithm="sha1")},
    classes={"grade": "uk"},
    quality="q",
    source_column="who",
    role_column="role",
    roles={"good": "benign", "": "alarm"},
    where={"kind": "image"},
    comments=("#",),
)
_TOML: Final = b"""source = "x"
where = {kind = "image"}
comments = ["#"]
delimiter = ";"
[hashes]
md5 = "md5"
pdq = {algorithm = "pdq", encoding = "base64"}
[classes]
grade = "uk"
"""


def _known() -> dict[str, list[bytes]]:
    pdq = [made_up(k) for k in range(6)]
    base64s = [base64.b64encode(value.data).decode() for value in pdq]
    md5 = [made_up(k, "md5").hex() for k in range(6)]
    sha1 = [made_up(k, "sha1").hex() for k in range(6)]
    columns = ("md5", "h.pdq", "s", "grade", "q", "who", "role", "kind")
    rows = [
        (md5[k], base64s[k], sha1[k], "A", str(k * 9), f"who {k}", "good" if k % 2 else "", "image") for k in range(6)
    ]
    own = [
        {
            "hashmatch": 1,
            "id": f"a-{k}",
            "listings": [
                {
                    "source": "s",
                    "role": "alarm",
                    "labels": {"uk": "A"},
                    "hashes": [{"algorithm": "pdq", "hash": value.hex(), "quality": k}],
                }
            ],
        }
        for k, value in enumerate(pdq)
    ]
    signals = "signal_type,signal_str,collab,category,tags\r\n" + "".join(
        f'{name},"{value}",c,{category},a uk:A\r\n'
        for name, value, category in (
            ("pdq", pdq[0].hex(), "POSITIVE_CLASS"),
            ("video_md5", md5[0], "NEGATIVE_CLASS"),
            ("raw_text", "x\ny", "DISPUTED"),
        )
    )
    local = f"pdq {pdq[0].hex()}\nvideo_md5 {md5[0]}\nurl x\n"
    return {
        "csv": ["\n".join(";".join(row) for row in (columns, *rows)).encode()],
        "mapped": ["".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows).encode()],
        "ndjson": ["".join(json.dumps(record) + "\n" for record in own).encode()],
        "tx-csv": [signals.encode()],
        "tx-local": [local.encode()],
    }


def _zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", data)
    return file.getvalue()


_PIECES: Final = (
    b'{"a":',
    b"[",
    b'"',
    b"\\u",
    b"\0",
    b"null",
    b"true",
    b"1e999",
    b"@perception",
    b"\n",
    b"{}",
    b",",
    b";",
)


def _insert_piece(data: bytearray, rng: random.Random, _: object) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.choice(_PIECES) * rng.choice((1, 1, 2, 2_000))


def case_runner(options: argparse.Namespace) -> Case:  # noqa: ARG001
    """Read one mutated delivery, or its mutated packing, or a mutated mapping file."""
    known = _known()
    packers = [None, None, gzip.compress, _zipped]
    with contextlib.suppress(ImportError):
        packers.append(importlib.import_module("backports.zstd").compress)
    special = (_insert_piece,)

    def case(rng: random.Random, number: int) -> str:
        if number % 16 == 0:
            return _mapping(mutated(_TOML, rng, [_TOML], special, most=20_000))
        kind = rng.choice(list(known))
        base = known[kind][0]
        packing = rng.choice(packers)
        if packing is None:
            data = mutated(base, rng, known[kind], special, most=200_000)
        else:
            packed = packing(base)
            data = mutated(packed, rng, [packed], (), most=200_000)
        return _read(kind, data)

    return case


def _mapping(data: bytes) -> str:
    try:
        mapping_from_toml(data.decode("utf-8", "replace"))
    except ReferenceListError as error:
        if len(str(error)) > 2_000:
            raise Wrong("a message without end") from None
        return "mapping refused"
    return "mapping read"


def _read(kind: str, data: bytes) -> str:
    mapping = _MAPPING if kind in ("csv", "mapped") else None
    good = last = 0
    try:
        recognised(beginning(unpacked(io.BytesIO(data))))
        whole = len(unpacked(io.BytesIO(data)).read())
        if whole > max(RATIO_FREE, MAX_RATIO * len(data)) + 65_536:
            raise Wrong("more came out of a packing than its limits allow")
        for item in reader_of(
            FORMATS["ndjson" if kind == "mapped" else kind], io.BytesIO(data), Delivery(mapping=mapping)
        ):
            if not isinstance(item, Upsert | Refused | LeftOut) or item.line < last:
                raise Wrong("no row, or line numbers that fall")
            last = item.line
            if isinstance(item, Refused):
                check_message(ReferenceListError(item.reason))
            elif isinstance(item, Upsert):
                good += 1
                for flaw in item.flaws:
                    check_message(ReferenceListError(str(flaw)))
                for listing in item.entry.listings:
                    for listed in listing.hashes:
                        if HashValue.parse(str(listed.value)) != listed.value:
                            raise Wrong("an accepted hash does not read back")
    except (ReferenceListError, HashFormatError) as error:
        check_message(error)
        return "file refused"
    return f"{kind}: rows" if good else "nothing accepted"
