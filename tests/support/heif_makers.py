"""AVIF and HEIF files put together box by box: grids, turns and mirrors around pictures that an encoder coded."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hashmatch.picture.boxes import iter_boxes

__all__ = ["put_together"]

_CONFIGURATIONS = {b"av1C": b"av01", b"hvcC": b"hvc1"}


def box(kind: bytes, *content: bytes) -> bytes:
    """One box."""
    return struct.pack(">I", 8 + sum(map(len, content))) + kind + b"".join(content)


def full(kind: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    """One box with version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


def coded(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Give kind, configuration box and coded bytes of the one picture in a file."""
    for kind, start, end in iter_boxes(data, 0, len(data)):
        if kind == b"mdat":
            payload = data[start:end]
        if kind == b"meta":
            for inner, at, stop in iter_boxes(data, start + 4, end):
                if inner == b"iprp":
                    (_, first, last) = next(iter_boxes(data, at, stop))
                    for name, low, high in iter_boxes(data, first, last):
                        if name in _CONFIGURATIONS:
                            found = _CONFIGURATIONS[name], box(name, data[low:high])
    return *found, payload


def put_together(
    tiles: Sequence[bytes], tile: tuple[int, int], grid: tuple[int, int] | None = None, *properties: bytes
) -> bytes:
    """Make one file whose picture is a coded one, or a grid of them.

    Parameters
    ----------
    tiles : sequence of bytes
        Files of one picture each, without metadata; all of one size and codec.
    tile : (int, int)
        Their width and height, px.
    grid : (int, int), optional
        Columns and rows.
    *properties : bytes
        Boxes that turn or mirror the picture, in the order of their effect.
    """
    parts = [coded(data) for data in tiles]
    kind, configuration, _ = parts[0]
    numbers = range(1, len(parts) + 1)
    shared = [configuration, full(b"ispe", struct.pack(">II", *tile)), full(b"pixi", b"\3\x08\x08\x08")]
    content = [payload for _, _, payload in parts]
    entries = [full(b"infe", struct.pack(">HH4sB", n, 0, kind, 0), version=2, flags=int(bool(grid))) for n in numbers]
    sets = {n: [0x81, 2, 3] for n in numbers}
    references = b""
    main = 1
    if grid:
        main = len(parts) + 1
        width, height = tile[0] * grid[0], tile[1] * grid[1]
        shared.append(full(b"ispe", struct.pack(">II", width, height)))
        content.append(struct.pack(">BBBBHH", 0, 0, grid[1] - 1, grid[0] - 1, width, height))
        entries.append(full(b"infe", struct.pack(">HH4sB", main, 0, b"grid", 0), version=2))
        sets[main] = [4, 3]
        references = full(b"iref", box(b"dimg", struct.pack(f">HH{len(parts)}H", main, len(parts), *numbers)))
    for item in properties:
        shared.append(item)
        sets[main].append(0x80 | len(shared))
    ties = b"".join(struct.pack(">HB", n, len(owned)) + bytes(owned) for n, owned in sets.items())
    brand = b"avif" if kind == b"av01" else b"heic"
    head = box(b"ftyp", brand, bytes(4), brand, b"mif1", b"miaf")

    def meta(start: int) -> bytes:
        places = b""
        for n, payload in enumerate(content, 1):
            places += struct.pack(">HHHII", n, 0, 1, start, len(payload))
            start += len(payload)
        return full(
            b"meta",
            full(b"hdlr", struct.pack(">I4s12xB", 0, b"pict", 0)),
            full(b"pitm", struct.pack(">H", main)),
            full(b"iloc", struct.pack(">BBH", 0x44, 0, len(content)), places),
            full(b"iinf", struct.pack(">H", len(entries)), *entries),
            references,
            box(b"iprp", box(b"ipco", *shared), full(b"ipma", struct.pack(">I", len(sets)), ties)),
        )

    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", *content)
