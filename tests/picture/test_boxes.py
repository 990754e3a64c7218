"""Laws of the boxes of AVIF and HEIF: every place that states a size counts, and the largest wins."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import ImageTooLargeError, UnreadableImageError
from hashmatch.picture import DecodePolicy, check_header
from hashmatch.picture.boxes import COUNTLESS, count_samples, iter_boxes, largest_size, most_decoded
from hashmatch.picture.sniff import sniff
from support.picture_makers import animation, save, smooth

ALL = DecodePolicy(formats=("AVIF", "HEIF", "TIFF"))


def box(kind: bytes, *content: bytes) -> bytes:
    """One box."""
    inside = b"".join(content)
    return struct.pack(">I", 8 + len(inside)) + kind + inside


def full(kind: bytes, version: int, *content: bytes) -> bytes:
    """One box with version and flags."""
    return box(kind, bytes([version, 0, 0, 0]), *content)


def still(*meta: bytes, brand: bytes = b"heic") -> bytes:
    """Make a file with one picture of 64 x 48 by its properties, and more in its meta box."""
    ispe = full(b"ispe", 0, struct.pack(">II", 64, 48))
    return box(b"ftyp", brand, bytes(4), brand) + full(b"meta", 0, box(b"iprp", box(b"ipco", ispe)), *meta)


def derived(kind: bytes, payload: bytes, *, infe: int = 2, iloc: int = 1, inside: bool = True) -> bytes:
    """Make a file with an item put together from others, whose own words stand in ``idat`` or behind everything."""
    number = struct.pack(">H" if infe == 2 else ">I", 7)
    items = full(b"iinf", 0, struct.pack(">H", 1), full(b"infe", infe, number, bytes(2), kind))

    def places(offset: int) -> bytes:
        wide = ">I" if iloc == 2 else ">H"
        entry = struct.pack(wide, 7) + (struct.pack(">H", int(inside)) if iloc else b"") + bytes(2)
        entry += struct.pack(">IHII", 0, 1, offset, len(payload))
        return full(b"iloc", iloc, b"\x44\x40", struct.pack(wide, 1), entry)

    if inside:
        return still(items, places(3), box(b"idat", b"abc" + payload))
    before = still(items, places(0))
    return still(items, places(len(before) + 8)) + box(b"mdat", payload)


def grid(width: int, height: int, *, wide: bool = True) -> bytes:
    """Words of a grid."""
    return bytes([0, int(wide), 1, 1]) + struct.pack(">II" if wide else ">HH", width, height)


def overlay(width: int, height: int) -> bytes:
    """Words of an overlay."""
    return bytes([0, 1]) + bytes(8) + struct.pack(">II", width, height)


def sequence(width: int, height: int, *, entry: tuple[int, int] = (64, 48), samples: int = 9, each: int = 0) -> bytes:
    """Make a file with one track."""
    coded = box(b"av01", bytes(24), struct.pack(">HH", *entry), bytes(50))
    table = b"" if each else struct.pack(">I", 100) * min(samples, 20)
    stbl = box(
        b"stbl",
        full(b"stsd", 0, struct.pack(">I", 1), coded),
        full(b"stsz", 0, struct.pack(">II", each, samples), table),
    )
    tkhd = full(b"tkhd", 0, bytes(72), struct.pack(">II", width << 16, height << 16))
    return box(b"ftyp", b"avis", bytes(4), b"avis") + box(b"moov", box(b"trak", tkhd, box(b"mdia", box(b"minf", stbl))))


@pytest.mark.parametrize("infe", [2, 3])
@pytest.mark.parametrize("iloc", [0, 1, 2])
@pytest.mark.parametrize("wide", [True, False])
def test_grids_count(infe: int, iloc: int, wide: bool) -> None:
    """A grid larger than its property says is taken at its own word, in all forms of the tables."""
    data = derived(b"grid", grid(50_000, 40_000, wide=wide), infe=infe, iloc=iloc, inside=iloc > 0)
    assert largest_size(data) == (50_000, 40_000)
    with pytest.raises(ImageTooLargeError) as caught:
        check_header(data, ALL)
    assert caught.value.reason == "too-many-pixels"


def test_overlays_count() -> None:
    """So is an overlay; other kinds of items are pixels, not words."""
    assert largest_size(derived(b"iovl", overlay(9000, 8000))) == (9000, 8000)
    assert largest_size(derived(b"hvc1", grid(9000, 8000))) == (64, 48)


def test_small_derived_pictures_do_not_hide_large_parts() -> None:
    """The greatest size counts, whoever states it."""
    assert largest_size(derived(b"grid", grid(3, 2))) == (64, 48)


def test_tracks_count() -> None:
    """Sequences without a still picture have the size of their track, in its header or in its entry."""
    assert largest_size(sequence(640, 480)) == (640, 480)
    assert largest_size(sequence(6, 4, entry=(500, 400))) == (500, 400)
    assert largest_size(box(b"ftyp", b"avis", bytes(4)) + box(b"moov")) is None


def test_samples_are_counted_by_their_table() -> None:
    """A track has as many frames as its table has room for, not as many as it claims."""
    assert count_samples(sequence(64, 48)) == 9
    assert count_samples(sequence(64, 48, samples=4_000_000_000)) == 20
    assert count_samples(sequence(64, 48, samples=77, each=5)) == 77
    assert count_samples(still()) is None
    data, frames = animation("AVIF", 5)
    assert count_samples(data) == len(frames)
    assert largest_size(data) == (frames[0].shape[1], frames[0].shape[0])


@pytest.mark.parametrize(
    "data", [still()[:20], box(b"ftyp", b"avif", bytes(4)), box(b"ftyp", b"heic", bytes(4)) + box(b"mdat")]
)
def test_a_picture_without_a_size_is_refused(data: bytes) -> None:
    """No codec is asked what the container does not say."""
    with pytest.raises(UnreadableImageError) as caught:
        check_header(data, ALL)
    assert caught.value.reason in ("truncated", "corrupt")


@given(st.data())
def test_any_change_is_answered(draw: st.DataObject) -> None:
    """Whatever bytes are changed, the walk ends with a size, none, or one of its two errors, which the sniff takes."""
    data = bytearray(draw.draw(st.sampled_from([derived(b"grid", grid(99, 98)), sequence(9, 8), still()])))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(8, len(data) - 1))] = draw.draw(st.integers(0, 255))
    header = sniff(bytes(data))
    if header is not None:
        assert header.size is None or min(header.size) >= 0
    assert len(list(iter_boxes(bytes(data), 0, len(data)))) <= 4096


def test_tiles_larger_than_the_picture_count() -> None:
    """A TIFF whose one tile has a thousand times the pixels of the picture is refused by its header."""

    def tiff(*tags: tuple[int, int]) -> bytes:
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        return struct.pack("<4sIH", b"II*\0", 8, len(tags)) + entries + bytes(4)

    for tags in (
        ((256, 100), (257, 100), (322, 60_000), (323, 60_000)),
        ((256, 100), (256, 60_000), (257, 60_000), (257, 100)),
    ):
        with pytest.raises(ImageTooLargeError):
            check_header(tiff(*tags), ALL)
    tile = tiff((256, 100), (257, 100), (322, 256), (323, 256))
    assert check_header(tile, ALL) == "TIFF"
    header = sniff(tile)
    assert header is not None
    assert header.size == (100, 100)
    with pytest.raises(UnreadableImageError):
        check_header(tiff((256, 100)), ALL)


def test_real_files_keep_their_size() -> None:
    """A file written by an encoder has the size it was made with."""
    assert largest_size(save(smooth(30, 50), "AVIF", speed=10)) == (50, 30)


def joined(uses: dict[int, list[int]], sizes: dict[int, tuple[int, int]], *, wide: bool = False) -> bytes:
    """Write a file whose items are put together from others; by their numbers, with the sizes that they state."""
    number, version = ("I", 1) if wide else ("H", 0)
    refs = b"".join(
        box(b"dimg", struct.pack(f">{number}H{len(used)}{number}", item, len(used), *used))
        for item, used in uses.items()
    )
    shapes = list(sizes.values())
    ties = b"".join(
        struct.pack(f">{number}B", item, 1) + struct.pack(">H" if wide else ">B", 0x8000 * wide + i + 1)
        for i, item in enumerate(sizes)
    )
    properties = box(
        b"iprp",
        box(b"ipco", *(full(b"ispe", 0, struct.pack(">II", *shape)) for shape in shapes)),
        box(b"ipma", bytes([version, 0, 0, int(wide)]), struct.pack(">I", len(sizes)), ties),
    )
    return box(b"ftyp", b"heic", bytes(4), b"mif1") + full(b"meta", 0, full(b"iref", version, refs), properties)


@pytest.mark.parametrize("wide", [False, True])
def test_parts_count_as_often_as_they_are_used(wide: bool) -> None:
    """A grid of a camera is decoded; one that takes a large part again and again is refused by its boxes."""
    policy = DecodePolicy(formats=("HEIF",))
    tiles = list(range(1, 193))
    camera = joined({500: tiles}, {**dict.fromkeys(tiles, (512, 512)), 500: (8064, 6048)}, wide=wide)
    assert most_decoded(camera) == 192 * 512 * 512
    assert check_header(camera, policy) == "HEIF"
    for uses in ({2: [1] * 65_000}, {2: [1] * 300, 3: [2] * 300}, {2: [1] * 9, 3: [2] * 9, 4: [3] * 9, 5: [4] * 90}):
        data = joined(uses, {1: (512, 512), 2: (512, 512), 3: (512, 512)}, wide=wide)
        assert len(data) < 300_000
        with pytest.raises(ImageTooLargeError) as caught:
            check_header(data, policy)
        assert caught.value.reason == "too-many-pixels"


def test_parts_that_cannot_be_counted() -> None:
    """Circles, chains without end, endless references, and parts whose size is not stated."""
    size = {1: (100, 100), 2: (300, 100)}
    assert most_decoded(joined({3: [1, 1, 2]}, size)) == 50_000
    assert most_decoded(joined({3: [1, 9]}, size)) == 40_000  # as large as the largest
    assert most_decoded(joined({3: [4], 4: [3]}, size)) == 30_000
    assert most_decoded(joined({3: [4, 1], 4: [3]}, size)) == COUNTLESS
    assert most_decoded(joined({i + 1: [i, i] for i in range(1, 12)}, {1: (10, 10)})) == 2**11 * 100
    assert most_decoded(joined({i + 1: [i, i] for i in range(1, 40)}, {1: (10, 10)})) == COUNTLESS
    assert most_decoded(joined({i: list(range(100, 60_000)) for i in range(3)}, size)) == COUNTLESS
    assert most_decoded(joined({}, size)) == 0
    whole = joined({3: [1, 1, 2]}, size)
    assert all(most_decoded(whole[:cut]) >= 0 for cut in range(len(whole)))
