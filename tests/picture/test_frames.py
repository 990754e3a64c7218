"""Frames: the first by default, every one on request, never more than the policy allows and never silently fewer."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from PIL.TiffImagePlugin import TiffImageFile

from hashmatch.errors import ImageError, ImageTooLargeError, UnreadableImageError
from hashmatch.picture import DecodePolicy, Raster, iter_rasters, open_picture
from support.picture_makers import animation, chunk, exif_tiff, gif, ihdr, noise, png_of, save, smooth

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "AVIF")
FIRST = DecodePolicy(formats=FORMATS)
EVERY = DecodePolicy(formats=FORMATS, frames="all")


def until_error(rasters: Iterator[Raster]) -> tuple[list[Raster], ImageError | None]:
    """Collect the rasters and the error that ended them, if any."""
    got = []
    try:
        for raster in rasters:
            got.append(raster)  # noqa: PERF402, an error must not lose them
    except ImageError as error:
        return got, error
    return got, None


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_every_frame_on_request(format: str) -> None:
    """By default the first frame alone; with "all" each frame as it is shown, numbered from 0."""
    data, frames = animation(format, 7)
    (only,) = iter_rasters(data, FIRST)
    assert np.array_equal(only.pixels, frames[0])
    for source in (data, Image.open(io.BytesIO(data))):
        rasters = list(iter_rasters(source, EVERY))
        assert [raster.view.frame for raster in rasters] == list(range(7))
        for raster, frame in zip(rasters, frames, strict=True):
            assert np.array_equal(raster.pixels, frame)


def test_avif_sequence() -> None:
    """An AVIF sequence gives as many frames as it was made from."""
    frames = [Image.fromarray(np.roll(smooth(24, 32), 3 * k, 1)) for k in range(3)]
    data = save(frames[0], "AVIF", save_all=True, append_images=frames[1:], speed=10)
    rasters = list(iter_rasters(data, EVERY))
    assert [raster.view.frame for raster in rasters] == [0, 1, 2]
    assert not np.array_equal(rasters[0].pixels, rasters[2].pixels)


def test_rasters_kept_from_earlier_frames_do_not_change() -> None:
    """Decoding a later frame leaves the pixels of rasters that were given before."""
    for format in ("GIF", "PNG", "WEBP", "TIFF"):
        data, _ = animation(format, 5)
        rasters, copies = [], []
        for raster in iter_rasters(data, EVERY):
            rasters.append(raster)
            copies.append(raster.pixels.copy())
        assert all(np.array_equal(raster.pixels, copy) for raster, copy in zip(rasters, copies, strict=True))


def test_gif_disposal_and_transparency() -> None:
    """A GIF whose frames are cleared away between gives each frame on white and on black."""
    frames = []
    for k in range(3):
        frame = np.zeros((6, 8, 4), np.uint8)
        frame[k : k + 2, k : k + 3] = (255, 40 * k, 0, 255)
        frames.append(Image.fromarray(frame))
    data = save(frames[0], "GIF", save_all=True, append_images=frames[1:], disposal=2)
    rasters = list(iter_rasters(data, EVERY))
    assert [raster.view.frame for raster in rasters] == [0, 0, 1, 1, 2, 2]
    for k, (white, black) in enumerate(zip(rasters[::2], rasters[1::2], strict=True)):
        stated = np.array(frames[k])
        covered = stated[..., 3:] == 255
        assert np.array_equal(white.pixels, np.where(covered, stated[..., :3], 255))
        assert np.array_equal(black.pixels, np.where(covered, stated[..., :3], 0))


def test_apng_with_a_picture_for_old_viewers() -> None:
    """An APNG's separate still picture is frame 0, the animation follows."""
    still, *frames = (Image.fromarray(noise(5, 6, 3, seed=k)) for k in range(4))
    data = save(still, "PNG", save_all=True, append_images=frames, default_image=True)
    rasters = list(iter_rasters(data, EVERY))
    assert [raster.view.frame for raster in rasters] == [0, 1, 2, 3]
    assert np.array_equal(rasters[0].pixels, np.asarray(still))
    assert np.array_equal(rasters[3].pixels, np.asarray(frames[2]))


def test_pages_of_different_sizes() -> None:
    """Pages of a TIFF keep their own size and mode."""
    pages = [Image.fromarray(noise(5, 6, 3)), Image.fromarray(noise(9, 4)), Image.fromarray(noise(3, 8, 3, seed=2))]
    rasters = list(iter_rasters(save(pages[0], "TIFF", save_all=True, append_images=pages[1:]), EVERY))
    assert [raster.pixels.shape for raster in rasters] == [(5, 6, 3), (9, 4, 3), (3, 8, 3)]


def test_orientation_holds_for_every_frame() -> None:
    """EXIF orientation turns all frames of an animation."""
    data, frames = animation("PNG", 3)
    at = data.index(b"IDAT") - 4
    data = data[:at] + chunk(b"eXIf", exif_tiff(6)) + data[at:]
    for raster, frame in zip(iter_rasters(data, EVERY), frames, strict=True):
        assert np.array_equal(raster.pixels, np.rot90(frame, -1))


def test_a_jpeg_is_one_frame() -> None:
    """What a multi-picture JPEG carries behind its first picture is not looked at, as file or as image."""
    pictures = [Image.fromarray(np.roll(smooth(24, 32), 9 * k, 1)) for k in range(3)]
    data = save(pictures[0], "MPO", save_all=True, append_images=pictures[1:])
    plain = save(pictures[0], "JPEG")
    image = Image.open(io.BytesIO(data))
    assert image.format == "MPO"
    for source in (data, image):
        opened = open_picture(source, EVERY)
        (raster,) = opened.rasters()
        (expected,) = iter_rasters(plain)
        assert np.array_equal(raster.pixels, expected.pixels)


def test_a_pil_image_is_the_frame_it_stands_at() -> None:
    """An image that was moved to a frame is read there, and stands there again after all were read."""
    data, frames = animation("GIF", 5)
    image = Image.open(io.BytesIO(data))
    image.seek(3)
    (raster,) = iter_rasters(image)
    assert raster.view.frame == 3
    assert np.array_equal(raster.pixels, frames[3])
    assert len(list(iter_rasters(image, EVERY))) == 5
    assert image.tell() == 3
    assert np.array_equal(np.asarray(image.convert("RGB")), frames[3])
    unfinished = iter_rasters(image, EVERY)
    next(unfinished)
    unfinished.close()  # type: ignore[attr-defined]
    assert image.tell() == 3


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_more_frames_than_allowed(format: str) -> None:
    """Frames up to the limit are given, then comes the error; exactly the limit is no error."""
    data, frames = animation(format, 5)
    for n in (1, 3, 4):
        policy = DecodePolicy(formats=FORMATS, frames="all", max_frames=n)
        got, error = until_error(iter_rasters(data, policy))
        assert len(got) == n
        assert isinstance(error, ImageTooLargeError)
        assert error.reason == "too-many-frames"
    policy = DecodePolicy(formats=FORMATS, frames="all", max_frames=5)
    got, error = until_error(iter_rasters(data, policy))
    assert error is None
    assert np.array_equal(got[4].pixels, frames[4])


def test_more_pixels_together_than_allowed() -> None:
    """The sum over the frames is limited like their number, and for one frame too."""
    data, _ = animation("GIF", 5)
    for pixels, n in ((63, 1), (190, 3), (314, 4), (315, 5)):
        policy = DecodePolicy(frames="all", max_total_pixels=pixels)
        got, error = until_error(iter_rasters(data, policy))
        assert len(got) == n
        assert (error is None) is (n == 5)
        assert error is None or error.reason == "too-many-total-pixels"
    with pytest.raises(ImageTooLargeError):
        open_picture(data, DecodePolicy(max_total_pixels=62))


@pytest.mark.parametrize(("format", "plugin"), [("GIF", GifImageFile), ("TIFF", TiffImageFile)])
def test_the_number_of_frames_is_never_asked(
    format: str, plugin: type[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting the frames of a hostile file can cost anything, so nobody asks before the walk has come to the end."""

    def explode(image: Image.Image) -> int:
        if image._n_frames is None:  # type: ignore[attr-defined]
            raise AssertionError("the frames were counted")
        return int(image._n_frames)  # type: ignore[attr-defined]

    data, frames = animation(format, 4)
    monkeypatch.setattr(plugin, "n_frames", property(explode))
    assert len(list(iter_rasters(data, DecodePolicy(formats=FORMATS, frames="all", max_frames=4)))) == len(frames)


def test_a_claim_of_countless_frames_costs_nothing() -> None:
    """An APNG that says it has two thousand million frames gives those that are there, then the error."""
    data, frames = animation("PNG", 3)
    at = data.index(b"acTL") - 4
    forged = data[:at] + chunk(b"acTL", (0x7FFFFFFF).to_bytes(4, "big") + bytes(4)) + data[at + 20 :]
    got, error = until_error(iter_rasters(forged, EVERY))
    assert len(got) == len(frames)
    assert isinstance(error, UnreadableImageError)


def test_a_later_frame_that_widens_the_canvas() -> None:
    """A GIF that grows beyond the limits with its second frame is refused before any; its first frame alone is fine."""
    data = save(noise(4, 4), "GIF")[:-1] + gif((4, 4), (30_000, 0, 30_000, 60_000))[19:]
    with pytest.raises(ImageTooLargeError):
        open_picture(data, EVERY)
    assert open_picture(data, FIRST).width == 4


def test_a_later_page_that_is_too_large() -> None:
    """A TIFF page over the limit ends the rasters with an error, after the pages before it."""
    pages = [Image.fromarray(noise(5, 6, 3)), Image.fromarray(noise(50, 60, 3))]
    data = save(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    got, error = until_error(iter_rasters(data, DecodePolicy(formats=FORMATS, frames="all", max_pixels=100)))
    assert len(got) == 1
    assert isinstance(error, ImageTooLargeError)
    assert error.reason == "too-many-pixels"


def test_a_later_frame_that_is_broken() -> None:
    """Damage in a later frame is an error after the frames before it, not a silent end."""
    data, frames = animation("PNG", 4)
    at = data.index(b"fdAT", data.index(b"fdAT") + 4)
    got, error = until_error(iter_rasters(data[: at + 12] + b"\xff" * 8 + data[at + 20 :], EVERY))
    assert [raster.view.frame for raster in got] == [0, 1]
    assert np.array_equal(got[1].pixels, frames[1])
    assert isinstance(error, UnreadableImageError)


def test_every_call_starts_at_the_first_raster() -> None:
    """`Picture.rasters` can be asked again and gives the same, also after being left half-way."""
    data, frames = animation("GIF", 4)
    for source in (data, Image.open(io.BytesIO(data))):
        picture = open_picture(source, EVERY)
        assert (picture.format, picture.width, picture.height) == ("GIF", 9, 7)
        next(picture.rasters())
        for _ in range(2):
            got = [raster.pixels for raster in picture.rasters()]
            assert all(np.array_equal(one, other) for one, other in zip(got, frames, strict=True))


def test_only_one_frame_is_in_memory() -> None:
    """A long animation is given frame by frame: the picture holds no raster it has given."""
    import gc
    import weakref

    data, _ = animation("GIF", 6, (64, 64))
    alive: list[weakref.ref[Raster]] = []
    for raster in open_picture(data, EVERY).rasters():
        alive.append(weakref.ref(raster.pixels))  # type: ignore[arg-type]
        del raster
        gc.collect()
        assert sum(ref() is not None for ref in alive) <= 1


def test_a_second_header_does_not_smuggle_a_size() -> None:
    """A PNG that states a second, larger size is refused like one that states it first."""
    data = png_of(noise(4, 4, 3), 2, ihdr(60_000, 60_000, 8, 2))
    with pytest.raises(ImageTooLargeError):
        open_picture(data)


def test_picture_shows_no_content() -> None:
    """``repr`` tells format and size only; bytes are kept for digests."""
    data = png_of(noise(4, 7, 3), 2)
    picture = open_picture(data)
    assert repr(picture) == "<Picture PNG, 7 x 4>"
    assert picture.data == data
    array = open_picture(np.zeros((3, 4), np.uint8))
    assert repr(array) == "<Picture in memory, 4 x 3>"
    assert array.data is None
    assert "255" not in repr(next(picture.rasters()))
