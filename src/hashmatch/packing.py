"""Streams that are packed by gzip, zstd, bzip2 or xz, unpacked step by step, so that whoever reads decides how far.

Floor: above the errors; deliveries of lists and sources of scans share it. It raises what its caller makes of a reason:
``cut-short`` or ``damaged``.
"""

from __future__ import annotations

import abc
import importlib
import io
import zlib
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

__all__ = ["PACKINGS", "Filling", "Frames", "Inflate", "Maker", "packing_maker", "packing_of"]

MAX_WINDOW_LOG: Final = 27
"""Largest window that zstd and xz may keep in memory: 2 to this power bytes."""

PACKINGS: Final = ("gzip", "zstd", "bzip2", "xz")
"""What packs one stream."""

_CHUNK: Final = 65_536
_SKIPPABLE: Final = b"\x2a\x4d\x18"
_MAGIC: Final = MappingProxyType({b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\0": "xz"})

Maker = Callable[[], tuple[Any, Any]]
"""Gives a decompressor in the manner of `bz2.BZ2Decompressor`, and the exceptions that damaged bytes raise in it."""


def packing_of(head: bytes) -> str | None:
    """Name what packs a stream that begins so, one of `PACKINGS`."""
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    if head[1:4] == _SKIPPABLE and 0x50 <= head[0] <= 0x5F:
        return "zstd"
    if head.startswith(b"BZh") and head[3:4].isdigit() and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "bzip2"
    return None


def packing_maker(name: str) -> Maker | None:
    """Find what unpacks one of `PACKINGS`; None if no module here does: before Python 3.14 zstd needs an extra."""
    if name == "gzip":
        return lambda: (Inflate(), zlib.error)
    if name == "zstd":
        return _zstd_maker()
    try:
        module = importlib.import_module("bz2" if name == "bzip2" else "lzma")
    except ImportError:  # a Python that was built without it
        return None
    if name == "bzip2":
        return lambda: (module.BZ2Decompressor(), (OSError, ValueError))
    return lambda: (module.LZMADecompressor(module.FORMAT_XZ, memlimit=2 ** (MAX_WINDOW_LOG + 1)), module.LZMAError)


def _zstd_maker() -> Maker | None:
    for name in ("compression.zstd", "backports.zstd"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        options = {module.DecompressionParameter.window_log_max: MAX_WINDOW_LOG}
        return lambda: (module.ZstdDecompressor(options=options), module.ZstdError)
    return None


class Filling(io.RawIOBase):
    """A reader that fills what it is given, so that a peek sees as much as there is."""

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; less at the end only."""
        view = memoryview(buffer)
        done = 0
        while done < len(view) and (data := self.some(len(view) - done)):
            view[done : done + len(data)] = data
            done += len(data)
        return done

    @abc.abstractmethod
    def some(self, size: int) -> bytes:
        """Give 1 to ``size`` bytes; b"" at the end."""


class Inflate:
    """What deflate has packed, in the manner of the standard library's other decompressors.

    Parameters
    ----------
    wbits : int
        As of `zlib.decompressobj`: 31 for one member of a gzip file, -15 for a raw stream.
    """

    def __init__(self, wbits: int = 31) -> None:
        self._object = zlib.decompressobj(wbits)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Unpack at most so many bytes."""
        return self._object.decompress(self._object.unconsumed_tail + data, max_length)

    @property
    def needs_input(self) -> bool:
        """Whether nothing that was given waits."""
        return not self._object.unconsumed_tail

    @property
    def eof(self) -> bool:
        """Whether the end was reached."""
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        """What was given beyond the end."""
        return self._object.unused_data


class Frames(Filling):
    """What members of gzip, or frames of another packing, one after another, have in them.

    Parameters
    ----------
    read : callable
        Gives at most so many packed bytes; b"" at the end.
    kind : str
        One of `PACKINGS`.
    make : callable
        From `packing_maker`.
    fail : callable
        Makes the error to raise from a reason.
    made : callable
        Told of the number of bytes of each step before they are given; it raises where that is too much.
    ends_at_other : bool
        Whether bytes that begin no frame end the stream, as for the programs that unpack; else they are damage.
    """

    def __init__(
        self,
        read: Callable[[int], bytes],
        kind: str,
        make: Maker,
        *,
        fail: Callable[[str], Exception],
        made: Callable[[int], None],
        ends_at_other: bool = False,
    ) -> None:
        self._read, self._kind, self._make, self._fail, self._made = read, kind, make, fail, made
        self._ends_at_other = ends_at_other
        self._frame, self._failure = make()
        self._data = b""

    def some(self, size: int) -> bytes:
        """Give 1 to ``size`` unpacked bytes; b"" at the end."""
        while True:
            if self._frame.eof and not self._next_frame():
                return b""
            if not self._data and self._frame.needs_input:
                self._data = self._read(_CHUNK)
                if not self._data:
                    raise self._fail("cut-short")
            try:
                made = self._frame.decompress(self._data, size)
            except self._failure:
                raise self._fail("damaged") from None
            self._data = b""
            self._made(len(made))
            if made:
                return bytes(made)

    def _next_frame(self) -> bool:
        """Begin the frame that follows; False at the end, which may be padded by zeros."""
        rest = self._frame.unused_data or self._read(_CHUNK)
        if self._kind in ("gzip", "xz") and not rest.startswith((b"\x1f", b"\xfd")):
            rest = rest.lstrip(b"\0")
            while not rest and (more := self._read(_CHUNK)):
                rest = more.lstrip(b"\0")
        if not rest or (self._ends_at_other and packing_of(rest) != self._kind):
            return False
        self._data = rest
        self._frame, self._failure = self._make()
        return True
