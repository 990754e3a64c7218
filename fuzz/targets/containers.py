"""Containers: ZIP, tar, mail and packed streams, one within another.

Law: every case ends with items and flaws of the closed set, in bounded work; the readers raise nothing but a reason,
keys are unique, a container comes after its members, and a second run gives the same.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import io
import lzma
import random
import struct
import zipfile
from collections.abc import Iterator, Sequence
from typing import Final

from fuzz.engine import Case, Wrong
from fuzz.mutate import INTERESTING, mutated
from hashmatch.errors import UnreadableImageError
from hashmatch.scan.items import CONTENTS, REASONS, Flaw, Found
from hashmatch.scan.sources import Limits, SourceCounts
from hashmatch.scan.sources.expand import Expander, Named
from hashmatch.scan.sources.jailed import JailedReaders
from hashmatch.scan.sources.limits import Spending
from hashmatch.scan.sources.mail import mail_members
from hashmatch.scan.sources.members import Fault, Member
from hashmatch.scan.sources.streams import Medium
from hashmatch.scan.sources.tar import tar_members
from hashmatch.scan.sources.zip import zip_members
from support.containers import a_picture, mail_of, raw_zip, tar_of, zip_of

__all__ = ["DESCRIPTION", "case_runner"]

DESCRIPTION = "ZIP, tar, mail, gzip, bzip2, xz and what is nested -> the readers, and everything of a source"

_LIMITS: Final = Limits(depth=4, members=500, unpacked=2**22, held=2**18)
_PIECES: Final = (
    *(b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"ustar\x0000"),
    *(
        b"--b\n",
        b"--b--\n",
        b"\nFrom x\n",
        b"Content-Type: message/rfc822\n\n",
        b"begin 644 x\n",
        b"=\n",
        b"=0",
        b"====",
    ),
    *(b"Content-Type: multipart/mixed; boundary=b\n\n", b"Content-Transfer-Encoding: base64\n", b"From: a\nTo: b\n"),
    *(b"\0" * 512, b"\0" * 1024, b"-0000000001\0", b"77777777777\0", b"9999 path=x\n", b"11 size=-5\n", b"\xff" * 12),
)


def _insert_piece(data: bytearray, rng: random.Random, _: object) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.choice(_PIECES) * rng.choice((1, 1, 1, 2, 40))


def _change_zip_number(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """Put a number at an edge into a header of a ZIP archive."""
    places = [
        at for mark in (b"PK\1\2", b"PK\3\4", b"PK\5\6") if (at := data.find(mark, rng.randrange(len(data) + 1))) >= 0
    ]
    if places:
        at, width = rng.choice(places) + rng.randrange(4, 46), rng.choice((2, 4))
        if at + width <= len(data):
            data[at : at + width] = (rng.choice(INTERESTING) % 2 ** (8 * width)).to_bytes(width, "little")


def _fix_tar_sums(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """Change a field of a tar header, and make its checksum right again."""
    at = data.find(b"ustar", rng.randrange(len(data) + 1)) - 257
    if at >= 0 and at + 512 <= len(data):
        place, width = rng.choice(((0, 100), (124, 12), (156, 1), (345, 155), (482, 1)))
        data[at + place : at + place + width] = rng.choice(
            (bytes(width), b"\xff" * width, b"7" * width, rng.choice(b"xgLKSD5120").to_bytes(1, "big") * width)
        )
        data[at + 148 : at + 156] = b" " * 8
        data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])


def _seeds() -> list[bytes]:
    files = {str(k): a_picture(k) for k in range(3)} | {"t": b"text", "e": b""}
    mail = bytes(mail_of(*files.items()))
    packed = zip_of(files)
    plain = tar_of(files)
    return [
        packed,
        *(zip_of(files, method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)),
        raw_zip([{"name": b"n%d" % k, "data": b"x" * k} for k in range(6)], before=b"MZ", comment=b"c"),
        plain,
        tar_of({"d/" * 70 + "x": a_picture()}, format=1),
        tar_of({"é/" * 70 + "x": a_picture()}, format=2),
        *(pack(plain) for pack in (gzip.compress, bz2.compress, lzma.compress)),
        gzip.compress(packed),
        mail,
        b"From x\n" + mail + b"\nFrom y\n" + mail,
        bytes(mail_of(("z.zip", packed), ("t.tgz", gzip.compress(plain)))),
        tar_of({"z": packed, "m": mail}),
        a_picture() + packed,
        zip_of({"a": zip_of({"b": zip_of({"c": zip_of({"d": zip_of(files)})})})}),
        gzip.compress(bytes(2**20)),
        struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, 0, 0, 0),
    ]


def case_runner(options: argparse.Namespace) -> Case:  # noqa: ARG001
    """Read one mutated container."""
    known = _seeds()
    special = (_insert_piece, _insert_piece, _change_zip_number, _change_zip_number, _fix_tar_sums)

    def case(rng: random.Random, _: int) -> str:
        data = mutated(rng.choice(known), rng, known, special, most=300_000)
        _read_by_itself(data)
        first, second = _everything(data), _everything(data)
        if [(found.key, type(found)) for found in first] != [(found.key, type(found)) for found in second]:
            raise Wrong("a second run gives something else")
        flaws = {found.reason for found in first if isinstance(found, Flaw)}
        return ", ".join(sorted(flaws)[:2]) or ("items only" if len(first) > 1 else "one item")

    return case


def _read_by_itself(data: bytes) -> None:
    """Give the bytes to every reader, without what catches its faults: it raises a reason, or nothing."""
    for read in (_zip, tar_members, mail_members):
        medium = Medium(io.BytesIO(data), len(data))
        try:
            for number, found in enumerate(read(medium)):
                if isinstance(found, Fault):
                    if found.reason not in REASONS:
                        raise Wrong("a fault of another reason")
                    continue
                try:
                    while found.stream.some(1000):
                        pass
                except UnreadableImageError as error:
                    if error.reason not in REASONS:
                        raise Wrong("a member of another reason") from None
                if number > 5_000:
                    break
        except UnreadableImageError as error:
            if error.reason not in REASONS:
                raise Wrong("a container of another reason") from None


def _zip(medium: Medium) -> Iterator[Member | Fault]:
    return zip_members(medium, Spending(_LIMITS, medium.size))


def _everything(data: bytes) -> list[Found]:
    counts = SourceCounts()
    expander = Expander(_LIMITS, counts, JailedReaders(_LIMITS))
    found: list[Found] = []
    read = 0
    for item in expander.file(Named("top", b"top", "folder"), io.BytesIO(data), len(data)):
        found.append(item)
        if isinstance(item, Flaw):
            if item.reason not in REASONS:
                raise Wrong("a flaw of another reason")
            continue
        if item.content not in CONTENTS:
            raise Wrong("an item of another content")
        stream = item.open()
        try:
            while part := stream.read(65_536):
                read += len(part)
        except UnreadableImageError as error:
            if error.reason not in REASONS:
                raise Wrong("an item that cannot be read for another reason") from None
    keys = [item.key for item in found if not isinstance(item, Flaw)]
    if len(set(keys)) != len(keys):
        raise Wrong("two items have one key")
    if not keys or keys[-1] != b"top":
        raise Wrong("the file itself is not the last item")
    if read > 20 * _LIMITS.unpacked + 20 * len(data):
        raise Wrong("more was read than the limits allow")
    return found
