"""Files that end early or are damaged: what there is of them can be looked at, and never passes for the whole."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hashmatch import HashValue, Matcher, Outcome, ReferenceList, distance, fingerprint, hash_image, profiles
from hashmatch.errors import PolicyError, UnreadableImageError
from hashmatch.hashers import PDQHasher
from hashmatch.picture import DecodePolicy, Raster, iter_rasters
from hashmatch.synthetic import picture

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
STRICT = DecodePolicy(formats=FORMATS)
SALVAGE = DecodePolicy(formats=FORMATS, salvage=True)
SALVAGED: list[tuple[str, dict[str, Any], int]] = [
    ("JPEG", {"quality": 90}, 20),
    ("JPEG", {"quality": 90, "progressive": True}, 2),
    ("PNG", {}, 20),
    ("GIF", {}, 20),
    ("BMP", {}, 20),
    ("TIFF", {}, 20),
]


def photo() -> np.ndarray:
    """Make a picture to damage."""
    return picture("photo", 10_700_900, (240, 320))


def written(format: str, **options: Any) -> bytes:
    """Write the picture as a file."""
    stream = io.BytesIO()
    Image.fromarray(photo()).save(stream, format, **options)
    return stream.getvalue()


def rasters(data: bytes, policy: DecodePolicy) -> tuple[list[Raster], str | None]:
    """Give what a file gives, and the reason of the error that ends it."""
    found = []
    try:
        for raster in iter_rasters(data, policy):
            found.append(raster)  # noqa: PERF402 - what came before an error counts
    except UnreadableImageError as error:
        return found, error.reason
    return found, None


@pytest.mark.parametrize(("format", "options", "bits"), SALVAGED)
def test_nearly_whole_files_are_nearly_whole(format: str, options: dict[str, Any], bits: int) -> None:
    """A file that lacks its last bytes gives a raster of the full size near the picture, and then the error."""
    data = written(format, **options)
    whole = PDQHasher().hash_pixels(next(iter_rasters(data, STRICT)).pixels)[0]
    found, reason = rasters(data[: len(data) * 98 // 100], SALVAGE)
    assert reason in ("truncated", "corrupt")
    assert [raster.pixels.shape for raster in found] == [photo().shape]
    assert distance(PDQHasher().hash_pixels(found[0].pixels)[0], whole) <= bits


@pytest.mark.parametrize(("format", "options", "bits"), SALVAGED)
def test_strict_is_the_default(format: str, options: dict[str, Any], bits: int) -> None:
    """Without salvage a damaged file gives nothing."""
    data = written(format, **options)
    assert rasters(data[: len(data) * 98 // 100], STRICT) in (([], "truncated"), ([], "corrupt"))
    assert bits  # the list of cases is shared


@pytest.mark.parametrize("format", FORMATS)
def test_whole_files_are_read_once_and_alike(format: str) -> None:
    """Salvage changes nothing for a file that is whole."""
    data = written(format)
    strict, salvaged = (rasters(data, policy) for policy in (STRICT, SALVAGE))
    assert strict[1] is salvaged[1] is None
    assert np.array_equal(strict[0][0].pixels, salvaged[0][0].pixels)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6])
def test_every_cut_ends_in_the_same_error(format: str, share: float) -> None:
    """However little there is, the error is the one of the strict pass."""
    data = written(format)
    data = data[: int(len(data) * share)]
    assert rasters(data, SALVAGE)[1] == rasters(data, STRICT)[1]


def test_the_first_rows_are_the_pictures() -> None:
    """What was decoded before the damage is what stands in the whole picture."""
    data = written("PNG")
    found, _ = rasters(data[: len(data) // 2], SALVAGE)
    assert np.array_equal(found[0].pixels[:80], photo()[:80])


def test_frames_before_the_damage_are_given_once() -> None:
    """In a file of several frames nothing is given twice."""
    stream = io.BytesIO()
    frames = [Image.fromarray(np.roll(photo(), 40 * i, axis=1)) for i in range(3)]
    frames[0].save(stream, "TIFF", save_all=True, append_images=frames[1:])
    whole = stream.getvalue()
    cut = whole[: len(whole) * 9 // 10]
    found, reason = rasters(cut, DecodePolicy(formats=FORMATS, frames="all", salvage=True))
    assert [raster.view.frame for raster in found] == sorted({raster.view.frame for raster in found})
    assert reason in ("truncated", "corrupt")


def test_kept_hashes_are_of_whole_pictures() -> None:
    """Neither `hash_image` nor `fingerprint` makes a hash of a part."""
    data = written("PNG")[:-5000]
    with pytest.raises(UnreadableImageError):
        hash_image(data, decode=SALVAGE)
    with pytest.raises(UnreadableImageError):
        fingerprint(data, decode=SALVAGE)


def test_salvage_is_a_flag() -> None:
    """Anything but True or False is refused."""
    with pytest.raises(PolicyError):
        DecodePolicy(salvage=1)  # type: ignore[arg-type]


def test_a_match_in_part_of_a_picture_says_so(tmp_path: Any) -> None:
    """A truncated upload of a listed picture is a match, flagged; of an unlisted one it stays unreadable."""
    path = tmp_path / "list.hashmatch"
    data = written("JPEG", quality=90, progressive=True)
    with ReferenceList.create(path, name="here") as ref:
        ref.add("entry", hashes=[hash_image(data)])
        ref.add("other", hashes=[HashValue("pdq", bytes(range(32)))])
    with Matcher.open(path, policy=profiles.STANDARD) as matcher:
        whole, cut = matcher.match(data), matcher.match(data[: len(data) // 2])
        stream = io.BytesIO()
        Image.fromarray(picture("photo", 10_700_901, (240, 320))).save(stream, "JPEG")
        stranger = matcher.match(stream.getvalue()[: len(stream.getvalue()) // 2])
    assert whole.outcome is cut.outcome is Outcome.MATCH
    assert (whole.partial, whole.reason) == (False, None)
    assert (cut.partial, cut.reason) == (True, "truncated")
    assert cut.to_dict()["partial"] is True
    assert (stranger.outcome, stranger.reason, stranger.partial) == (Outcome.UNREADABLE, "truncated", False)
