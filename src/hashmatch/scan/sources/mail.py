"""Messages and mailboxes: the decoded parts of MIME, in one pass, with a stack and no recursion.

Own code, because the standard library's parser recurses once a level, and holds a message whole. Sources: RFC 2045,
2046, 5322, 4155.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final

from hashmatch.packing import Filling
from hashmatch.scan.sources.members import Fault, Member
from hashmatch.scan.sources.streams import Some

__all__ = ["mail_members"]

_CHUNK: Final = 65_536
_LONGEST_LINE: Final = 65_536
_LONGEST_HEADER: Final = 2**20
_DEEPEST: Final = 100
_MAIL_START: Final = re.compile(rb"From [^\r\n]{1,998}\r?\n?\Z")
_BOUNDARY: Final = re.compile(rb'boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;]{1,200}))', re.IGNORECASE)
_NAME: Final = re.compile(rb'\b(?:file)?name\*?(?:0\*?)?\s*=\s*(?:"([^"]{0,500})"|([^\s;]{1,500}))', re.IGNORECASE)
_COUNT: Final = re.compile(rb"\d{1,10}[ \t]*\r?\n\Z")
_CODED: Final = (b"base64", b"quoted-printable")
_UU: Final = (b"x-uuencode", b"x-uue", b"uuencode", b"uue")
_NOT_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/]")


class _Lines:
    """Lines of a stream; a longer one comes in pieces."""

    def __init__(self, source: Some) -> None:
        self._source, self._data, self._at = source, b"", 0

    def next(self) -> bytes:
        while True:
            end = self._data.find(b"\n", self._at) + 1
            if end or len(self._data) - self._at >= _LONGEST_LINE:
                end = min(end, self._at + _LONGEST_LINE) if end else self._at + _LONGEST_LINE
                line, self._at = self._data[self._at : end], end
                return line
            more = self._source.some(_CHUNK)
            self._data, self._at = self._data[self._at :] + more, 0
            if not more:
                line, self._data = self._data, b""
                return line


class _Parts:
    """Where a reader of mail stands: the boundaries that are open, and the line that ended a part."""

    def __init__(self, source: Some) -> None:
        self._lines = _Lines(source)
        self._is_box, self._was_empty = False, True
        self._first: bytes | None = self._lines.next().removeprefix(b"\xef\xbb\xbf")
        self._stop: bytes | None = None
        self.boundaries: list[bytes] = []
        if _MAIL_START.match(self._first):
            self._is_box, self._first = True, None
        elif _COUNT.match(self._first):  # the length, as Apple's Mail writes it
            self._first = None

    def next(self) -> bytes | None:
        """Give the next line of this part; None at its end."""
        if self._stop is not None:
            return None
        line, self._first = self._lines.next() if self._first is None else self._first, None
        if not line or self._ends_a_part(line):
            self._stop = line
            return None
        self._was_empty = not line.strip()
        return line

    def go_on(self) -> bool:
        """Stand where the next part begins, behind all that is of no part; False at the end of all."""
        while True:
            while self.next() is not None:
                pass
            line, self._stop, self._was_empty = self._stop or b"", None, True
            if not line:
                return False
            text = line.strip()
            if not line.startswith(b"--"):
                self.boundaries.clear()
                return True
            while text not in (self.boundaries[-1], self.boundaries[-1] + b"--"):
                self.boundaries.pop()
            if text == self.boundaries[-1]:
                return True
            self.boundaries.pop()

    def _ends_a_part(self, line: bytes) -> bool:
        if line.startswith(b"--"):
            text = line.strip()
            return text in self.boundaries or (text.endswith(b"--") and text[:-2] in self.boundaries)
        return self._is_box and self._was_empty and _MAIL_START.match(line) is not None


def mail_members(source: Some) -> Iterator[Member | Fault]:
    """Read a message or a mailbox.

    Parameters
    ----------
    source : Some
        Read on while the members are gone through.

    Yields
    ------
    Member or Fault
        One for each part that is no container of parts, decoded. Parts of messages that are attached come among those
        of the message that they are attached to.
    """
    parts = _Parts(source)
    number = 0
    while True:
        kind, coding, name, boundary = _header(parts)
        if kind == b"message/rfc822" and coding not in _CODED:
            continue  # its header follows
        if kind.startswith(b"multipart/") and boundary:
            if len(parts.boundaries) < _DEEPEST:
                parts.boundaries.append(b"--" + boundary)
            else:
                yield Fault("too-deep", name or None)
        else:
            number += 1
            yield Member(name or b"part-%d" % number, None, _Body(parts, coding))
        if not parts.go_on():
            break
    if parts.boundaries:
        yield Fault("cut-short")


def _header(parts: _Parts) -> tuple[bytes, bytes, bytes, bytes]:
    """Read a header: kind of the content and its coding in lower case, name and boundary, each b"" if not stated."""
    fields: dict[bytes, bytes] = {}
    field, left = b"", _LONGEST_HEADER
    while (line := parts.next()) is not None and line.strip():
        left -= len(line)
        if left < 0:
            continue
        if line[:1] not in (b" ", b"\t"):
            field, _, line = line.partition(b":")
            field = field.strip().lower()
            if field in fields:  # the first one holds
                field = b""
        if field.startswith(b"content-"):
            fields[field] = fields.get(field, b"") + line
    kind = fields.get(b"content-type", b"text/plain")
    coding = fields.get(b"content-transfer-encoding", b"").split(b";")[0].strip().lower()
    boundary = _BOUNDARY.search(kind)
    name = _NAME.search(fields.get(b"content-disposition", b"")) or _NAME.search(kind)
    return (
        kind.split(b";")[0].strip().lower(),
        coding,
        b"" if name is None else name[1] or name[2] or b"",
        b"" if boundary is None else (boundary[1] or boundary[2]).rstrip(),
    )


class _Body(Filling):
    """The bytes of a part, decoded."""

    def __init__(self, parts: _Parts, coding: bytes) -> None:
        self._parts, self._coding = parts, coding
        self._ready, self._kept = b"", b""
        self._is_over = False
        self.flaw: str | None = None

    def some(self, size: int) -> bytes:
        while not self._ready and not self._is_over:
            line = self._parts.next()
            self._is_over = line is None
            self._ready = self._decoded(line)
        data, self._ready = self._ready[:size], self._ready[size:]
        return data

    def _decoded(self, line: bytes | None) -> bytes:
        if self._coding == b"base64":
            return self._from_base64(line)
        if self._coding in _UU:
            return self._from_uu(line)
        # the line end before a boundary is the boundary's
        if line is None:
            return b""
        text = binascii.a2b_qp(line) if self._coding == b"quoted-printable" else line
        body = text.removesuffix(b"\n")
        body, end = (body.removesuffix(b"\r"), text[len(body.removesuffix(b"\r")) :]) if body != text else (text, b"")
        before, self._kept = self._kept, end
        return before + body

    def _from_base64(self, line: bytes | None) -> bytes:
        made = []
        pieces = [b"", b""] if line is None else line.split(b"=")
        for i, piece in enumerate(pieces):
            self._kept += _NOT_BASE64.sub(b"", piece)
            ends = i < len(pieces) - 1  # at padding, and at the end of the part
            whole = len(self._kept) // 4 * 4
            taken, rest = self._kept[:whole], self._kept[whole:]
            if ends and rest:
                taken, rest = (taken + rest + b"=" * (4 - len(rest)), b"") if len(rest) > 1 else (taken, b"")
            made.append(base64.b64decode(taken))
            self._kept = rest
        return b"".join(made)

    def _from_uu(self, line: bytes | None) -> bytes:
        if line is None or line.startswith((b"begin ", b"end")) or not line.strip():
            return b""
        try:
            return binascii.a2b_uu(line)
        except binascii.Error:
            self.flaw = "damaged"
            return b""
