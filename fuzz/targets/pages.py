"""Pages of feeds: NCMEC, StopNCII, ThreatExchange and Tech Against Terrorism.

Law: a page gives operations, or one typed error and nothing; every upsert is of a hash that reads back, reasons show
nothing of the page, and a share goes into a list, which then verifies and does not change a second time.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import random
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

from fuzz.engine import Case, Wrong, check_message
from fuzz.mutate import mutated
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists import ReferenceList
from hashmatch.lists.formats import (
    Delivery,
    Operation,
    Refused,
    Upsert,
    format_named,
    import_into,
    reader_of,
    recognised,
)

__all__ = ["DESCRIPTION", "case_runner"]

DESCRIPTION = "pages of feeds -> ncmec, stopncii, threatexchange, tat, import_into"

_IMPORT_ONE_OF: Final = 200
_GOLDEN: Final = Path(__file__).parents[2] / "tests/golden/formats"
_NAMES: Final = ("ncmec", "stopncii", "threatexchange", "tat")
_PIECES: Final = (
    *(b"<", b">", b"</", b"/>", b"&", b"&lt;", b"&a;", b"<!DOCTYPE q [", b'<!ENTITY a "aaaa">', b"]>", b"<![CDATA["),
    *(b"]]>", b"<!--", b"-->", b"<?x?>", b'<?xml version="1.0" encoding="utf-16"?>', b"<md5>", b'<member id="1">'),
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"null", b"true", b"false", b"1", b"-1", b"1e999", b"NaN", b"{}"),
    *(b"[" * 3_000, b"<a>" * 40, b"9" * 5_000, b"a" * 5_000, b"\\ud800", b"\xff", b"\0", b"\xef\xbb\xbf", b"0" * 64),
)
_VALUES: Final = (
    None,
    True,
    False,
    0,
    2,
    1.5,
    "",
    "x",
    "Withdrawn",
    "\ud800",
    "a" * 5_000,
    "0" * 64,
    [],
    {},
    [[]],
    {"a": 1},
)

_TAGS: Final = ("{x}image", "deletedVideo", "{x}md5", "{x}pdq", "PDNA", "tmk-pdqf", "{x}feedback", "{x}next", "new")


def _insert_piece(data: bytearray, rng: random.Random, _: object) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.choice(_PIECES) * rng.choice((1, 1, 1, 2, 40))


def _changed_value(data: bytes, rng: random.Random) -> bytes:
    """Put another value in some places of a page of JSON, so that it stays one."""
    page = json.loads(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        node = page
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(node[key], (dict, list)) and rng.random() < 0.9:
                node = node[key]
                continue
            node[key] = copy.deepcopy(rng.choice(_VALUES))
            break
    return json.dumps(page).encode()


def _changed_element(data: bytes, rng: random.Random) -> bytes:
    """Change some elements of a page of XML, so that it stays one."""
    root = ET.fromstring(data)  # noqa: S314 - our own sample
    for _ in range(rng.choice((1, 1, 2, 5))):
        element = rng.choice(list(root.iter()))
        kind = rng.randrange(5)
        if kind == 0:
            element.text = rng.choice((None, "", "x", "a" * 5_000, "0" * 64, " ", "\ufffd"))
        elif kind == 1 and element is not root:
            element.tag = rng.choice((*_TAGS, rng.choice(list(root.iter())).tag))
        elif kind == 2:
            element.attrib = rng.choice(({}, {"id": "42"}, {"id": "a" * 5_000}, {"href": "/x"}, {"type": "Md5"}))
        elif kind == 3 and len(element):
            element.remove(rng.choice(list(element)))
        else:
            element.append(copy.deepcopy(rng.choice(list(root.iter())[1:])))
    return ET.tostring(root)


def case_runner(options: argparse.Namespace) -> Case:  # noqa: ARG001
    """Read one mutated page."""
    known = {name: next(_GOLDEN.glob(f"{name}-page.*")).read_bytes() for name in _NAMES}

    def case(rng: random.Random, number: int) -> str:
        name = _NAMES[number % len(_NAMES)]
        data = known[name]
        if rng.random() < 0.5:
            data = _changed_element(data, rng) if name == "ncmec" else _changed_value(data, rng)
        else:
            data = mutated(data, rng, list(known.values()), (_insert_piece, _insert_piece), most=200_000)
        recognised(data[:4096])
        delivery = Delivery(source="feed", members={"42": "apart"} if name == "ncmec" and rng.random() < 0.5 else {})
        try:
            found = list(reader_of(format_named(name), io.BytesIO(data), delivery))
        except (ReferenceListError, HashFormatError) as error:
            check_message(error)
            return f"{name}: file refused"
        _check(found)
        if rng.randrange(_IMPORT_ONE_OF) == 0:
            _import(found)
        return f"{name}: read"

    return case


def _check(found: list[Operation]) -> None:
    last = 0
    for item in found:
        line = getattr(item, "line", 0)
        if not last <= line <= last + 1:
            raise Wrong("the records are not numbered one by one")
        last = line
        if isinstance(item, Refused):
            check_message(ReferenceListError(item.reason))
        elif isinstance(item, Upsert):
            for flaw in item.flaws:
                check_message(ReferenceListError(str(flaw)))
            for value in item.entry.hashes:
                if HashValue.parse(str(value)) != value:
                    raise Wrong("an accepted hash does not read back")


def _import(found: list[Operation]) -> None:
    """Take the operations into a list: counts agree, it verifies, and a second time ends the same."""
    with tempfile.TemporaryDirectory() as folder:
        with ReferenceList.create(Path(folder) / "list", name="fuzz") as ref:
            report = import_into(ref, found)
            digest = ref.digest
            import_into(ref, found)
            if report.rows != len(found) or report.rows != report.accepted + report.duplicates + report.refused_count:
                raise Wrong("the counts of the import do not add up")
            if ref.digest != digest:
                raise Wrong("the second import changed the list")
        with ReferenceList.open(Path(folder) / "list", check="full") as ref:
            ref.verify()
