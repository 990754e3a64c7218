"""Made-up containers: what is in them is drawn here, and each is small."""

from __future__ import annotations

import io
import mailbox
import struct
import tarfile
import zipfile
import zlib
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import numpy as np

from hashmatch.picture.encode import png
from hashmatch.scan import Flaw, Found, Item
from hashmatch.scan.sources import items

__all__ = [
    "a_picture",
    "looked_at",
    "mail_of",
    "mbox_of",
    "pdf_of",
    "raw_zip",
    "sevenzip_of",
    "summary",
    "tar_of",
    "zip_of",
]


def a_picture(seed: int = 0, side: int = 8) -> bytes:
    """Write a PNG of noise."""
    return png(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


def zip_of(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Write a ZIP archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def tar_of(files: dict[str, bytes], mode: str = "w", **options: Any) -> bytes:
    """Write a tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, **options) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def mail_of(*attached: tuple[str, bytes]) -> EmailMessage:
    """Write a message with attachments."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", "made up"
    message.set_content("text\n")
    for name, data in attached:
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message


def mbox_of(folder: Path, *messages: EmailMessage) -> bytes:
    """Write a mailbox."""
    box = mailbox.mbox(folder / "box")
    for message in messages:
        box.add(message)
    box.close()
    return (folder / "box").read_bytes()


def pdf_of(*objects: tuple[bytes, bytes]) -> bytes:
    """Write a PDF of streams, each with the inside of its dictionary."""
    bodies = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[]/Count 0>>",
        *(b"<<%s/Length %d>>stream\n%s\nendstream" % (words, len(data), data) for words, data in objects),
    ]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(bodies, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start, table = len(out), b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(places) + 1, table)
    return out + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(places) + 1, start)


def sevenzip_of(files: dict[str, bytes], **options: Any) -> bytes:
    """Write a 7z archive."""
    import py7zr

    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", **options) as archive:
        for name, data in files.items():
            archive.writestr(data, name)
    return out.getvalue()


def raw_zip(entries: list[dict[str, Any]], *, before: bytes = b"", comment: bytes = b"") -> bytes:
    """Write a ZIP archive whose every number can be wrong: see the keys below."""
    out, table = before, b""
    for entry in entries:
        data = entry.get("data", b"")
        packed = zlib.compress(data, 9)[2:-4]
        name = entry.get("name", b"x")
        crc = entry.get("crc", zlib.crc32(data))
        size, length = entry.get("size", len(data)), entry.get("packed", len(packed))
        flags, method, extra = entry.get("flags", 0), entry.get("method", 8), entry.get("extra", b"")
        place = entry.get("place", len(out) - len(before))
        table += struct.pack(
            *("<4s6H3L5H2L", b"PK\1\2", 20, 20, flags, method, 0, 0, crc, length, size, len(name), len(extra)),
            *(0, 0, 0, 0, place),
        )
        table += name + extra
        if "place" not in entry:
            out += struct.pack("<4s5H3L2H", b"PK\3\4", 20, flags, method, 0, 0, crc, length, size, len(name), 0)
            out += name + packed
    at = len(out) - len(before)
    return out + table + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, len(table), at, len(comment)) + comment


def looked_at(path: Path, **options: Any) -> list[Found]:
    """Everything that a source gives of a path, each item read to its end."""
    found: list[Found] = []
    for item in items([path], **options):
        if isinstance(item, Item):
            stream = item.open()
            data = stream.read()
            if item.size is not None and item.size != len(data):
                raise ValueError("an item has another length than it states")
        found.append(item)
    return found


def summary(path: Path, **options: Any) -> list[tuple[str, str]]:
    """Name below the path, and content or reason in capitals, of everything that a source gives."""
    return [
        (found.name.removeprefix(str(path)), found.reason.upper() if isinstance(found, Flaw) else found.content)
        for found in looked_at(path, **options)
    ]
