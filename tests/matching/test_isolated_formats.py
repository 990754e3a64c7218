"""Every format that is advertised, in its variants, is answered in a worker as it is outside."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from hashmatch import Matcher, Outcome, ReferenceList, fingerprint, profiles
from hashmatch.jail import Isolation
from hashmatch.picture import KNOWN_FORMATS, DecodePolicy
from hashmatch.picture.isolation import tiny_files
from hashmatch.synthetic import picture
from support.heif_makers import box, put_together
from support.picture_makers import animation, exif, save

POLICY = dataclasses.replace(profiles.STANDARD, decode=DecodePolicy(formats=KNOWN_FORMATS, frames="all", salvage=True))
PHOTO = picture("photo", 3, size=(192, 256))
DEEP = PHOTO.astype(np.uint16) * 257


def heif(mode: str, samples: np.ndarray, **options: object) -> bytes:
    """Write a HEIF file of samples deeper than Pillow's, or of more than one picture."""
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    size = samples.shape[1], samples.shape[0]
    file = pillow_heif.from_bytes(mode=mode, size=size, data=np.ascontiguousarray(samples).tobytes())
    file.save(stream, quality=90, **options)
    return stream.getvalue()


def halves(format: str) -> list[bytes]:
    """Encode the left and the right half of the photo, for a grid."""
    parts = [np.ascontiguousarray(PHOTO[:, :128]), np.ascontiguousarray(PHOTO[:, 128:])]
    if format == "AVIF":
        return [save(part, "AVIF", speed=10) for part in parts]
    return [heif("RGB", part, save_nclx_profile=False) for part in parts]


def turned(format: str) -> Iterator[tuple[str, bytes]]:
    """Make grids, turns and mirrors of the container."""
    whole = [save(PHOTO, "AVIF", speed=10) if format == "AVIF" else heif("RGB", PHOTO, save_nclx_profile=False)]
    yield "by hand", put_together(whole, (256, 192))
    yield "grid", put_together(halves(format), (128, 192), (2, 1))
    for angle in (1, 2, 3):
        yield f"irot {angle}", put_together(whole, (256, 192), None, box(b"irot", bytes([angle])))
    for axis in (0, 1):
        yield f"imir {axis}", put_together(whole, (256, 192), None, box(b"imir", bytes([axis])))
    yield "grid, irot, imir", put_together(halves(format), (128, 192), (2, 1), box(b"irot", b"\1"), box(b"imir", b"\1"))


def avif() -> Iterator[tuple[str, bytes]]:
    """Make AVIF files of all kinds."""
    yield from turned("AVIF")
    for chroma in ("4:4:4", "4:2:2", "4:2:0", "4:0:0"):
        yield chroma, save(PHOTO, "AVIF", subsampling=chroma, speed=10)
    yield "turned", save(PHOTO, "AVIF", exif=exif(6), speed=10)
    yield "clear", save(np.dstack((PHOTO, PHOTO[..., 0])), "AVIF", speed=10)
    yield "moving", animation("AVIF", size=(96, 80))[0]
    imagecodecs = pytest.importorskip("imagecodecs")
    for bits in (10, 12):
        yield f"{bits} bits", bytes(imagecodecs.avif_encode(DEEP >> (16 - bits), bitspersample=bits, speed=10))


def heic() -> Iterator[tuple[str, bytes]]:
    """Make HEIF files of all kinds."""
    pillow_heif = pytest.importorskip("pillow_heif")
    yield from turned("HEIF")
    yield "colour", heif("RGB", PHOTO)
    yield "grey", heif("L", PHOTO[..., 0])
    yield "4:4:4", heif("RGB", PHOTO, chroma=444)
    yield "clear", heif("RGBA", np.dstack((PHOTO, PHOTO[..., 0])))
    yield "turned", heif("RGB", PHOTO, exif=exif(6))
    yield "10 bits", heif("RGB;16", DEEP)
    yield "10 bits, clear", heif("RGBA;16", np.dstack((DEEP, DEEP[..., 0])))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", True)
        yield "12 bits", heif("RGB;16", DEEP)
        yield "12 bits, grey", heif("L;16", DEEP[..., 0])
    file = pillow_heif.from_pillow(Image.fromarray(PHOTO))
    file.add_from_pillow(Image.fromarray(np.ascontiguousarray(PHOTO[:, ::-1])))
    stream = io.BytesIO()
    file.save(stream, quality=90)
    yield "several", stream.getvalue()


def variants(name: str) -> Iterator[tuple[str, bytes]]:
    """Make files of a format: the tiny ones that workers warm up with, and photographs in every way."""
    yield from ((f"tiny {number}", data) for number, data in enumerate(tiny_files((name,))))
    if name in ("AVIF", "HEIF"):
        yield from avif() if name == "AVIF" else heic()
        return
    image, clear = Image.fromarray(PHOTO), Image.fromarray(np.dstack((PHOTO, PHOTO[..., 0])))
    for kind in (image, image.convert("L"), clear, image.quantize(64), image.convert("1"), image.convert("CMYK")):
        try:
            yield kind.mode, save(kind, "PPM" if name == "PNM" else name)
        except (OSError, ValueError):
            continue  # the format has no such pictures
    if name in ("PNG", "GIF", "WEBP", "TIFF"):
        yield "moving", animation(name, size=(96, 80))[0]


@pytest.fixture(scope="module")
def matchers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Matcher, Matcher]]:
    """Open one list with and without workers."""
    path = tmp_path_factory.mktemp("list") / "list.hashmatch"
    with ReferenceList.create(path, name="demo") as ref:
        ref.add("photo", hashes=fingerprint(PHOTO, ("pdq",)).hashes)
    with (
        Matcher.open(path, policy=POLICY, isolation=Isolation(workers=1)) as elsewhere,
        Matcher.open(path, policy=POLICY) as here,
    ):
        yield elsewhere, here


@pytest.mark.parametrize("name", KNOWN_FORMATS)
def test_every_format_in_a_worker(name: str, matchers: tuple[Matcher, Matcher]) -> None:
    """The report is the same, field for field, and every file could be read; photographs are found."""
    elsewhere, here = matchers
    if name == "HEIF":
        pytest.importorskip("pillow_heif")
    found = {}
    for kind, data in variants(name):
        report, expected = elsewhere.match(data), here.match(data)
        assert report.to_dict() | {"protection": None} == expected.to_dict() | {"protection": None}, kind
        assert report.outcome in (Outcome.MATCH, Outcome.NO_MATCH, Outcome.UNDECIDABLE), (kind, report.reason)
        found[kind] = report.outcome
    photos = [kind for kind in found if not kind.startswith(("tiny", "moving"))]
    assert photos
    assert [kind for kind in photos if found[kind] is not Outcome.MATCH and kind not in ("1", "P")] == []
    assert elsewhere.counts()["workers"].get("lost", 0) == 0
