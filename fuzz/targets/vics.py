"""Deliveries in VICS: `read` of the formats ``vics`` and ``nist-caid``.

Law: every record becomes an operation or a refused record, numbered in order, that shows nothing; what is taken stands
in the file; where nothing is refused the file is JSON, and where the file is JSON its records are all there.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import random
from pathlib import Path
from typing import Any, Final

from fuzz.engine import Case, Wrong, check_message
from fuzz.mutate import mutated
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists.formats import Delivery, Refused, format_named, json_records, reader_of
from hashmatch.lists.formats.cells import visible

__all__ = ["DESCRIPTION", "case_runner"]

DESCRIPTION = "deliveries in VICS -> json_records, the formats vics and nist-caid"

_SAMPLES: Final = Path(__file__).parents[2] / "tests" / "golden" / "formats"
_PIECES: Final = (
    *(bytes([letter]) for letter in b'\n"\\{}[]:,\0\xff'),
    *(b"{}", b"[]", b'\\"', b"\\\\", b"null", b"true", b"-1", b"1e999", b"NaN", b"\\u0000", b"\\ud800", b"[" * 40),
    *(b'"value":[', b'"Media":[', b'"Miniature":"', b'"MD5":', b'"Category":0,', b'},{"MediaID":', b"\xef\xbb\xbf"),
)


def _insert_piece(data: bytearray, rng: random.Random, _: object) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.choice(_PIECES) * rng.choice((1, 1, 1, 2, 40))


def _change_token(data: bytearray, rng: random.Random, _: object) -> None:
    """Drop or double a piece between two marks of JSON, or put it somewhere else."""
    places = [place for place, letter in enumerate(data) if letter in b'",:{}[]']
    if len(places) > 2:
        start, end = sorted(rng.sample(places, 2))
        piece = bytes(data[start : min(end, start + 300)])
        if rng.random() < 0.5:
            del data[start : start + len(piece)]
        if rng.random() < 0.7:
            at = rng.choice(places)
            data[at:at] = piece


def case_runner(options: argparse.Namespace) -> Case:  # noqa: ARG001
    """Read one mutated file."""
    known = [
        (_SAMPLES / name).read_bytes() for name in ("vics-2.0-media.json", "vics-1.3-cases.json", "nist-caid.json")
    ]
    known += [json.dumps(json.loads(data.decode("utf-8-sig"))).encode() for data in known]
    known.append(known[3].decode().encode("utf-16"))
    deliveries = [
        (format_named("vics"), Delivery(category_profile=name)) for name in ("vics-us", "vics-us-old", "nist")
    ]
    deliveries.append((format_named("nist-caid"), Delivery()))
    chunk = json_records._CHUNK

    def case(rng: random.Random, _: int) -> str:
        data = mutated(rng.choice(known), rng, known, (_insert_piece, _change_token, _change_token), most=100_000)
        if rng.random() < 0.05:
            data = bytes(data[: rng.randrange(len(data) + 1)])
        kind, delivery = rng.choice(deliveries)
        json_records._CHUNK = chunk if rng.random() < 0.8 else rng.randrange(8, 600)
        try:
            items = list(reader_of(kind, io.BytesIO(data), delivery))
        except (ReferenceListError, HashFormatError) as error:
            check_message(error)
            return "file refused"
        whole = _whole(data)
        if whole is not None and len(items) != _count(whole):
            raise Wrong("not every record of the file is told of")
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "replace")
        seen: str | None = None
        n_taken = 0
        for number, item in enumerate(items, 1):
            if isinstance(item, Refused):
                check_message(ReferenceListError(item.reason))
            else:
                n_taken += 1
                for flaw in item.flaws:
                    check_message(ReferenceListError(str(flaw)))
                for value in item.entry.hashes:
                    seen = seen or visible(text)  # what shows nothing may stand within a hash
                    if (
                        value.hex() not in seen.lower()
                        and base64.b64encode(value.data).decode() not in seen
                        and "\\" not in seen
                    ):
                        raise Wrong("a hash was taken that does not stand in the file")
            if item.line != number:
                raise Wrong("the records are not numbered in order")
        if n_taken == len(items) and whole is None:
            raise Wrong("a file that is no JSON was taken as a whole")
        return f"records {'and refused' if n_taken < len(items) else 'only'}" if n_taken else "nothing accepted"

    return case


def _whole(data: bytes) -> Any:
    """Parse the file as a whole; None if it is no JSON."""
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        return json.loads(
            data.decode("utf-16" if wide else "utf-8-sig", "replace"), strict=False, object_pairs_hook=_pairs
        )
    except (ValueError, RecursionError):
        return None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object; arrays of one key are one array, as the reader reads them."""
    made: dict[str, Any] = {}
    for key, value in pairs:
        old = made.get(key)
        made[key] = old + value if isinstance(old, list) and isinstance(value, list) else value
        if isinstance(old, list) and not isinstance(value, list):
            made[key] = old
    return made


def _count(whole: Any) -> int:
    """Count the records of a file."""
    total = 0
    for item in whole["value"]:
        media = item.get("Media") if isinstance(item, dict) else None
        total += len(media) if isinstance(media, list) else 1
    return total
