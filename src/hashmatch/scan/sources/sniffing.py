"""What the first bytes of a file are: a picture, a video, a container of a form that is read or not, or none of these.

Names play no part. Sources: the formats' own descriptions (PKWARE APPNOTE, POSIX ustar, RFC 5322 and 4155, ISO 32000).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from hashmatch.packing import packing_of
from hashmatch.picture.header import format_of
from hashmatch.scan.items import Content
from hashmatch.scan.sources.streams import TAIL
from hashmatch.scan.sources.tar import is_tar_header

__all__ = ["HEAD", "READ", "TAIL", "content_of", "form_of", "has_zip_end"]

HEAD: Final = 65_536
"""Bytes at the beginning of a file that tell what it is."""

READ: Final = frozenset({"zip", "tar", "mail", "pdf", "7z", "gzip", "zstd", "bzip2", "xz"})
"""Forms of containers that are followed."""

_FORMS: Final = MappingProxyType(
    {
        b"PK\x03\x04": "zip",
        b"PK\x05\x06": "zip",
        b"PK00PK\x03\x04": "zip",
        b"7z\xbc\xaf\x27\x1c": "7z",
        b"Rar!\x1a\x07": "rar",
        b"MSCF\0\0\0\0": "cab",
        b"ISc(": "cab",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "ole2",
        b"!BDN": "pst",
        b"\x78\x9f\x3e\x22": "tnef",
        b"!<arch>\n": "ar",
        b"070701": "cpio",
        b"070702": "cpio",
        b"070707": "cpio",
        b"\xc7\x71": "cpio",
        b"\x60\xea": "arj",
        b"LZIP": "lzip",
        b"\x1f\x9d": "compress",
        b"\x04\x22\x4d\x18": "lz4",
        b"\xff\x06\0\0sNaPpY": "snappy",
        b"xar!": "xar",
        b"MSWIM\0\0\0": "wim",
        b"hsqs": "squashfs",
        b"sqsh": "squashfs",
        b"EVF\x09\x0d\x0a\xff\0": "ewf",
        b"EVF2\r\n\x81\0": "ewf",
        b"LVF\x09\x0d\x0a\xff\0": "ewf",
        b"AFF10": "aff",
        b"KDMV": "vmdk",
        b"vhdxfile": "vhdx",
        b"conectix": "vhd",
        b"QFI\xfb": "qcow",
        b"SQLite format 3\0": "sqlite",
        b"PAR1": "parquet",
        b"ARROW1\0\0": "arrow",
        b"Obj\x01": "avro",
        b"ORC": "orc",
        b"\x89HDF\r\n\x1a\n": "hdf5",
        b"AES\x02": "aescrypt",
        b"LUKS\xba\xbe": "luks",
        b"age-encryption.org/": "age",
        b"ANDROID BACKUP\n": "android-backup",
    }
)
_MAGIC: Final = tuple(_FORMS)
_VIDEO_BOXES: Final = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"skip", b"pnot"})
_VIDEOS: Final = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
    b"FLV\x01",
    b".RMF",
    b"\0\0\x01\xba",  # MPEG program stream
    b"\0\0\x01\xb3",
    b"\0\0\0\x01\x67",  # H.264
    b"\0\0\0\x01\x09",
    b"\0\0\0\x01\x40\x01",  # H.265
    b"OggS",
    b"DKIF\0\0",
    b"YUV4MPEG2",
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01",  # MXF
)
_AUDIO_BRANDS: Final = frozenset({b"M4A ", b"M4B ", b"M4P "})
_MAIL_LINE: Final = re.compile(rb"([A-Za-z][A-Za-z0-9-]{0,70}):")
_MAIL_NAMES: Final = frozenset(
    b"from to cc bcc subject date mime-version received message-id return-path content-type delivered-to reply-to"
    b" sender content-transfer-encoding x-mailer references in-reply-to dkim-signature user-agent x-received list-id"
    b" envelope-to authentication-results content-disposition x-original-to x-apparently-to x-gmail-labels".split()
)
_MBOX: Final = re.compile(rb"From [^\r\n]{1,998}\r?\n")
_COUNT: Final = re.compile(rb"\d{1,10}[ \t]*\r?\n")
_PDF: Final = re.compile(rb"%PDF-\d")
_ZIP_END: Final = 22


def form_of(head: bytes) -> str | None:
    """Name the form of a container that begins so; one of `READ`, or one that is recognised and not read."""
    packing = packing_of(head)
    if packing is not None:
        return packing
    if head.startswith(_MAGIC):
        return next(form for magic, form in _FORMS.items() if head.startswith(magic))
    if head[32_769:32_774] in (b"CD001", b"BEA01"):
        return "iso9660"
    if head[2:7] in (b"-lh0-", b"-lh1-", b"-lh4-", b"-lh5-", b"-lh6-", b"-lh7-", b"-lz5-", b"-pm2-"):
        return "lha"
    if is_tar_header(head[:512]):
        return "tar"
    if _PDF.search(head, 0, 1024) is not None:
        return "pdf"
    return "mail" if _is_mail(head) else None


def content_of(head: bytes, forms: Sequence[str] = ()) -> Content:
    """Tell what a file that begins so is; a picture that is a container too, such as a layered one, is a picture."""
    if not head:
        return "empty"
    if format_of(head) is not None:
        return "picture"
    if forms:
        return "container"
    return "video" if _is_video(head) else "other"


def has_zip_end(tail: bytes) -> bool:
    """Tell whether a file ends as a ZIP archive does, as one behind a picture or a program."""
    at = tail.rfind(b"PK\5\6")
    return at >= 0 and at + _ZIP_END <= len(tail) and at + _ZIP_END + tail[at + 20] + 256 * tail[at + 21] == len(tail)


def _is_mail(head: bytes) -> bool:
    """Tell whether a text begins with the header of a message: two fields that mail has, and no line that is none."""
    at = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    start = _MBOX.match(head, at) or _COUNT.match(head, at)
    at = at if start is None else start.end()
    known = 0
    for line in head[at : at + 16_384].split(b"\n")[:200]:
        if line[:1] in (b" ", b"\t"):
            continue
        field = _MAIL_LINE.match(line)
        if field is None:
            break
        known += field[1].lower() in _MAIL_NAMES
        if known == 2:
            return True
    return False


def _is_video(head: bytes) -> bool:
    if head.startswith(_VIDEOS):
        return True
    if head[4:8] in _VIDEO_BOXES:
        return head[8:12] not in _AUDIO_BRANDS
    if head.startswith(b"RIFF"):
        return head[8:12] in (b"AVI ", b"AMV ")
    return any(  # MPEG transport streams, plain and with times
        len(head) > 4 * step and all(head[k * step + step - 188] == 0x47 for k in range(4)) for step in (188, 192)
    )
