"""What a delivery is that is neither a table nor plain text, told by its first bytes, so that it can be named.

Floor: lists. Without this a JSON file would be thousands of refused rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from hashmatch.errors import HashFormatError
from hashmatch.lists.file.sql_tables import APPLICATION_ID
from hashmatch.picture.sniff import sniff

__all__ = ["is_json", "refuse_foreign", "refuse_table"]

_SQLITE: Final = b"SQLite format 3\0"
_MAGIC: Final[Mapping[bytes, str]] = MappingProxyType(
    {
        b"%PDF-": "a PDF document",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Office document, such as an .xls workbook: export it as CSV",
        b"PAR1": "a Parquet file: export it as CSV",
        b"{\\rtf": "an RTF document: export it as plain text",
    }
)
_PICTURES: Final = frozenset({"AVIF", "BMP", "GIF", "HEIF", "JPEG", "PNG", "TIFF", "WEBP"})
_HTML: Final = re.compile(r"<(!doctype\s+html|html|head|body|table)\b", re.IGNORECASE)
_XML: Final = re.compile(r"<\?xml\b|<!DOCTYPE\b|<!--|<[A-Za-z_][\w:.-]*(\s[^<>]*)?>\s*<")
_A_JSON: Final = (
    "a JSON delivery: name its format with --format, as vics, nist-caid, stopncii, threatexchange, tat or ndjson"
)
_JSON: Final = re.compile(r'\{\s*(["\'}]|$)|\[\s*([\[{"\]]|$)')
_CONTROLS: Final = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1a\x1b")) + b"\x7f"
_MOST_LINES: Final = 20
_FIELDS: Final = re.compile(r"[A-Za-z\"] *[,;\t|] *[\"A-Za-z]")
_HASH: Final = re.compile("[0-9A-Fa-f]{16}|[A-Za-z0-9+/]{22}")
_MOST_CONTROLS: Final = 0.02
_FEWEST_CONTROLS: Final = 4
_WIDE: Final = 0.3


def refuse_foreign(head: bytes, encoding: str | None, *, json: bool = False) -> None:
    """Refuse what is known to be neither a table nor plain text.

    Parameters
    ----------
    head : bytes
        The first 4,096 bytes of the delivery, or all of it.
    encoding : str, optional
        The encoding that the caller names; None where it is found out.
    json : bool
        Whether JSON is what is expected.

    Raises
    ------
    HashFormatError
        The message says what the delivery is, and nothing of what it holds.
    """
    what = _binary(head) or _marked_up(head, encoding) or (None if encoding else _no_text(head))
    if what is not None and not (json and what == _A_JSON):
        raise HashFormatError(f"this is {what}; hashmatch list formats shows what can be imported")


def is_json(head: bytes) -> bool:
    """Whether a delivery that begins so is JSON."""
    return _marked_up(head, None) == _A_JSON


def refuse_table(head: bytes) -> None:
    """Refuse what has names of columns in its first line, where plain text is to be read.

    Raises
    ------
    HashFormatError
        If the first line has no hash and several fields, and the next has a hash: nothing says which column is what.
    """
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    lines = head.decode("utf-16" if wide else "utf-8-sig", "replace").split("\n")
    lines = [line for line in lines[:_MOST_LINES] if line.strip() and not line.lstrip().startswith(("#", "%"))]
    if len(lines) > 1 and _FIELDS.search(lines[0]) and not _HASH.search(lines[0]) and _HASH.search(lines[1]):
        raise HashFormatError(
            "this looks like a table whose first line names its columns: say what they mean with --mapping or --hash, "
            "or name its format with --format, as csv, icse, nsrl2 or tx-csv"
        )


def _binary(head: bytes) -> str | None:
    """Name what begins with a mark that no text begins with."""
    if head.startswith(_SQLITE):
        if head[68:72] == APPLICATION_ID.to_bytes(4, "big"):
            return "a hashmatch list itself: match against it, or copy its entries with ReferenceList.add_many"
        return "an SQLite database: name its format, kdb or nsrl3, or export its table as CSV"
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            return what
    picture = sniff(head)
    if picture is not None and picture.container in _PICTURES:
        return f"a {picture.container} picture: hashmatch list add takes pictures"
    return None


def _marked_up(head: bytes, encoding: str | None) -> str | None:
    """Name the formats that are text themselves."""
    name = encoding or ("utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    try:
        text = head.decode(name, "replace").lstrip("\ufeff \t\r\n")
    except UnicodeError:
        return None
    if _HTML.match(text) or (_XML.match(text) and "<html" in text.lower()):
        return "an HTML page"
    if _XML.match(text):
        return "an XML delivery: name its format with --format, as ncmec"
    return _A_JSON if _JSON.match(text) else None


def _no_text(head: bytes) -> str | None:
    """Name text of an encoding that has to be told, and bytes that are no text."""
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "text in UTF-32: name the encoding utf-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    zeros = head[0::2].count(0), head[1::2].count(0)
    if len(head) > 1 and max(zeros) > _WIDE * len(head) and min(zeros) < max(zeros) / 8:
        name = "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
        return f"text in UTF-16 without a byte order mark: name the encoding {name}"
    n_controls = len(head) - len(head.translate(None, _CONTROLS))
    if n_controls >= max(_FEWEST_CONTROLS, _MOST_CONTROLS * len(head)):
        return "binary, no text: export it as text"
    return None
