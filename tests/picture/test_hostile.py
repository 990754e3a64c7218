"""Hostile bytes: always a raster or a typed error, no warning, no trace in the process."""

from __future__ import annotations

import copy
import io
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import GifImagePlugin, Image, ImageFile

from hashmatch.errors import ImageError, ImageTooLargeError, UnreadableImageError
from hashmatch.picture import DecodePolicy, decode, iter_rasters, open_picture
from hashmatch.picture.header import check_header
from hashmatch.picture.jpeg import count_scans
from support.picture_makers import ALL_FORMATS, animation, chunk, many_scans, noise, png_of, save, small_files, smooth

FILES = small_files()
FORMATS = tuple(name for name in ALL_FORMATS if name != "HEIF")
SMALL = DecodePolicy(formats=FORMATS, frames="all", max_pixels=20_000, max_frames=6, max_total_pixels=100_000)
REASONS = {
    "fine", "empty", "not-an-image", "format-not-allowed", "format-not-read", "truncated", "corrupt", "no-rule",
    "too-many-pixels", "too-long-side", "too-many-frames", "too-many-total-pixels", "too-many-scans", "out-of-memory",
}  # fmt: skip


def outcome(data: bytes, policy: DecodePolicy = SMALL) -> str:
    """Decode everything; the reason of the error that ended it, or "fine"."""
    try:
        for raster in iter_rasters(data, policy):
            assert raster.pixels.dtype == np.uint8
            assert raster.pixels.shape[2] == 3
            assert raster.pixels.shape[0] * raster.pixels.shape[1] <= policy.max_pixels
    except ImageError as error:
        reason = error.reason
    else:
        reason = "fine"
    assert reason in REASONS
    return reason


@settings(max_examples=60, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("name", FILES)
def test_damaged_files(name: str, data: st.DataObject) -> None:
    """Bytes changed, removed, doubled or cut off anywhere: a typed error or rasters, nothing else."""
    damaged = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(damaged), 400) if data.draw(st.booleans()) else len(damaged)))
        match data.draw(st.sampled_from(("set", "insert", "remove", "double", "number"))):
            case "set":
                damaged[at : at + 1] = data.draw(st.binary(min_size=1, max_size=1))
            case "insert":
                damaged[at:at] = data.draw(st.binary(min_size=1, max_size=8))
            case "remove":
                del damaged[at : at + data.draw(st.integers(1, 16))]
            case "double":
                damaged[at:at] = damaged[at : at + 40]
            case _:
                damaged[at : at + 4] = data.draw(
                    st.sampled_from((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"))
                )
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(damaged))) :]
    outcome(bytes(damaged))


@pytest.mark.parametrize("name", FILES)
def test_undamaged_files_are_fine(name: str) -> None:
    """The files that the others damage are whole, so the tests above can fail."""
    assert outcome(FILES[name]) == "fine"


@pytest.mark.parametrize("name", FILES)
def test_files_cut_anywhere(name: str) -> None:
    """At every tenth of its length a cut file is a typed error or a picture, and before the pixels always an error."""
    data = FILES[name]
    for tenth in range(10):
        reason = outcome(data[: len(data) * tenth // 10])
        assert tenth > 2 or reason != "fine"


@pytest.mark.parametrize("name", ["jpeg", "jpeg-progressive", "png", "gif", "webp", "webp-lossless", "bmp", "avif"])
def test_a_missing_end_is_told_from_damage(name: str) -> None:
    """A file that lost its second half is "truncated", which asks for another download."""
    data = FILES[name]
    if name in ("jpeg", "gif"):
        data = save(Image.fromarray(smooth(96, 128)).convert("L"), name)
    policy = DecodePolicy(formats=FORMATS)
    with pytest.raises(UnreadableImageError) as caught:
        open_picture(data[: len(data) // 2], policy)
    assert caught.value.reason == "truncated"
    assert "fetch it again" in str(caught.value)


def test_damage_is_told_from_a_missing_end() -> None:
    """A whole PNG with false compressed data is "corrupt"."""
    data = png_of(noise(9, 9, 3), 2)
    at = data.index(b"IDAT") + 4
    with pytest.raises(UnreadableImageError) as caught:
        open_picture(data[:at] + b"\xff" * 20 + data[at + 20 :])
    assert caught.value.reason == "corrupt"


EXCEPTIONS = [
    SyntaxError("x"), OverflowError("x"), ValueError("x"), KeyError("x"), IndexError("x"), TypeError("x"),
    EOFError("x"), OSError("x"), RuntimeError("x"), RecursionError("x"), ZeroDivisionError("x"), AttributeError("x"),
    NotImplementedError(),
    UnicodeDecodeError("utf-8", b"x", 0, 1, "x"), AssertionError("x"),
]  # fmt: skip


@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: type(error).__name__)
def test_whatever_a_codec_throws_is_typed(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any exception of a codec becomes an unreadable picture, without its cause."""

    def plugin(_: str) -> Callable[[io.BytesIO], Image.Image]:
        def throw(_: io.BytesIO) -> Image.Image:
            raise error

        return throw

    monkeypatch.setattr(decode, "_plugin", plugin)
    with pytest.raises(UnreadableImageError) as caught:
        open_picture(FILES["png"])
    assert caught.value.reason == "corrupt"
    assert type(error).__name__ not in "".join(traceback.format_exception(caught.value)).splitlines()[-1]
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_memory_and_pillows_own_limit_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Running out of memory and Pillow's own limit are sizes, not damage."""
    for error, reason in ((MemoryError(), "out-of-memory"), (Image.DecompressionBombError("x"), "too-many-pixels")):

        def throw(_: io.BytesIO, error: Exception = error) -> Image.Image:
            raise error

        monkeypatch.setattr(decode, "_plugin", lambda _, throw=throw: throw)
        with pytest.raises(ImageTooLargeError) as caught:
            open_picture(FILES["png"])
        assert caught.value.reason == reason


def test_interrupts_pass() -> None:
    """Ctrl-C during a decode is not swallowed."""
    image = Image.new("L", (2, 2))

    def stop() -> None:
        raise KeyboardInterrupt

    image.load = stop  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        open_picture(image)


def warning_files() -> dict[str, bytes]:
    """Files about which Pillow warns."""
    tiff = bytearray(FILES["tiff"])
    at = tiff.index(b"\x16\x01")  # the count of one tag, rows per strip, becomes absurd
    tiff[at + 4 : at + 8] = b"\xff\xff\xff\x0f"
    exif = b"Exif\0\0II*\0\x08\0\0\0\x09\0\x0f\x01\x02\0\xff\xff\0\0\x99\0\0\0"
    png = animation("PNG")[0]
    actl = png.index(b"acTL") - 4
    return {
        "tiff": bytes(tiff),
        "jpeg exif": save(smooth(8, 8), "JPEG", exif=exif),
        "apng": png[:actl] + chunk(b"acTL", bytes(8)) + png[actl:],
    }


@pytest.mark.parametrize("name", warning_files())
def test_pillows_warnings_stay_inside(name: str) -> None:
    """Where Pillow warns about a file, we do not, even if warnings are errors; other warnings still come through."""
    data = warning_files()[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Image.open(io.BytesIO(data)) as image:
            image.getexif()
    assert caught, "Pillow no longer warns about this file: find another"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcome(data, DecodePolicy(formats=FORMATS, frames="all"))
        with pytest.raises(UserWarning):
            warnings.warn("mine", UserWarning, stacklevel=1)


def test_warning_filters_are_left_as_they_were() -> None:
    """After many threads have decoded good and bad files, the process's list of filters is the same."""
    before = list(warnings.filters)
    same = warnings.filters
    files = [*FILES.values(), *warning_files().values()]

    def work() -> None:
        for data in files:
            outcome(data)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters is same
    assert list(warnings.filters) == before


def test_threads_get_the_same_pixels() -> None:
    """Many threads that decode the same files at once get what one gets."""
    policy = DecodePolicy(formats=FORMATS, frames="all")
    expected = {name: [raster.pixels for raster in iter_rasters(data, policy)] for name, data in FILES.items()}
    wrong: list[str] = []

    def work() -> None:
        for name, data in FILES.items():
            got = [raster.pixels for raster in iter_rasters(data, policy)]
            if not all(np.array_equal(one, other) for one, other in zip(got, expected[name], strict=True)):
                wrong.append(name)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_pillows_settings_are_left_alone() -> None:
    """No decode changes a process-wide setting of Pillow or registers a format."""

    def state() -> tuple[object, ...]:
        settings = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, GifImagePlugin.LOADING_STRATEGY
        return *settings, ImageFile.MAXBLOCK, copy.copy(Image.OPEN), list(Image.ID)

    for data in FILES.values():
        outcome(data)  # imports the plug-ins, which register themselves once
    before = state()
    for data in [*FILES.values(), *warning_files().values(), b"", b"x"]:
        outcome(data)
    assert state() == before


def test_pillows_pixel_limit_does_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy above Pillow's limit decodes without a warning, and where a plug-in insists the error is typed."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    for name in ("jpeg", "png", "png-palette", "gif", "bmp", "avif"):
        with pytest.raises(Image.DecompressionBombError):
            Image.open(io.BytesIO(FILES[name]))
        assert outcome(FILES[name]) == "fine"
    with pytest.raises(ImageTooLargeError, match="MAX_IMAGE_PIXELS") as caught:
        open_picture(FILES["webp"])
    assert caught.value.reason == "too-many-pixels"


def test_heif_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """A HEIF file that is allowed, without pillow-heif, names the extra to install; not allowed, it is just refused."""
    ispe = b"\0\0\0\x14ispe\0\0\0\0\0\0\0\x40\0\0\0\x30"
    meta = b"\0\0\0\x30meta\0\0\0\0" + b"\0\0\0\x24iprp" + b"\0\0\0\x1cipco" + ispe
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + meta
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnreadableImageError, match=r"hashmatch\[heif\]") as caught:
        open_picture(data, DecodePolicy(formats=("HEIF",)))
    assert caught.value.reason == "format-not-read"
    with pytest.raises(UnreadableImageError) as caught:
        open_picture(data)
    assert caught.value.reason == "format-not-allowed"


def test_heif_with_its_extra() -> None:
    """With pillow-heif a HEIC file is decoded and cut ones are typed errors; nothing is registered with Pillow."""
    heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    heif.from_pillow(Image.fromarray(smooth(48, 64))).save(stream, quality=95)
    data = stream.getvalue()
    policy = DecodePolicy(formats=("HEIF",), frames="all")
    (raster,) = iter_rasters(data, policy)
    assert np.abs(raster.pixels.astype(int) - smooth(48, 64)).max() < 12
    assert "HEIF" not in Image.OPEN
    for tenth in range(10):
        assert outcome(data[: len(data) * tenth // 10], policy) != "fine"


def modules_after(code: str) -> set[str]:
    """Names of all modules that are loaded after running the code in a new interpreter."""
    script = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_pillow_comes_with_the_first_picture() -> None:
    """Importing the room, a policy, and reading an array load no Pillow."""
    code = "import numpy, hashmatch.picture as p\np.open_picture(numpy.zeros((2, 2), 'u1'))\np.read_source(b'x')"
    assert "PIL" not in modules_after(code)


def test_only_the_plugin_of_the_format_is_imported() -> None:
    """A PNG imports the PNG plug-in and none of the others."""
    code = f"from hashmatch.picture import open_picture\nopen_picture({png_of(noise(2, 2, 3), 2)!r})"
    plugins = {name for name in modules_after(code) if name.endswith("ImagePlugin")}
    assert plugins == {"PIL.PngImagePlugin"}


def test_scans_are_counted_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes a scan, and each costs the whole picture: refused before a codec runs, in this process too."""

    def never(*_given: object) -> None:
        raise AssertionError("a codec ran")

    data = many_scans((1200, 1000), 3000)
    assert len(data) < 80_000
    monkeypatch.setattr(decode, "_opened", never)
    with pytest.raises(ImageTooLargeError) as caught:
        open_picture(data)
    assert caught.value.reason == "too-many-scans"
    small = many_scans((16, 16), 3000)
    with pytest.raises(ImageTooLargeError) as caught:
        open_picture(small)
    assert caught.value.reason == "too-many-scans"
    inside_exif = many_scans((1200, 1000), 3000)
    with pytest.raises(ImageTooLargeError):
        open_picture(inside_exif[:2] + b"\xff" * 9 + inside_exif[2:])


def test_scans_of_real_files_are_decoded() -> None:
    """Progressive files, also with many a scan, with bytes of one in a comment, and with large pictures of ten."""
    plain = many_scans((40, 30), 0, progressive=False)
    assert count_scans(plain) == 1
    progressive = many_scans((40, 30), 0)
    assert count_scans(progressive) == progressive.count(b"\xff\xda") > 5
    for data in (progressive, many_scans((40, 30), 200), many_scans((40, 30), 0, junk=b"\xff\xda" * 3000)):
        assert outcome(data) == "fine"
    commented = many_scans((40, 30), 3, junk=b"\xff\xda" * 3000)
    assert count_scans(commented) == count_scans(progressive) + 3
    # a second picture behind the first is none of its scans
    assert count_scans(commented + progressive * 30) == count_scans(commented)
    header = many_scans((40, 30), 3)
    at = header.index(b"\xff\xc2") + 5
    largest = header[:at] + (9000).to_bytes(2) + (9000).to_bytes(2) + header[at + 4 :]
    assert check_header(largest, DecodePolicy()) == "JPEG"


@settings(max_examples=40, deadline=None)
@given(at=st.integers(2, 900), byte=st.integers(0, 255))
def test_counting_scans_takes_any_bytes(at: int, byte: int) -> None:
    """Damage never makes the count fail."""
    damaged = bytearray(many_scans((24, 24), 300))
    damaged[at % len(damaged)] = byte
    assert count_scans(bytes(damaged)) >= 1
    assert count_scans(bytes(damaged[: at % len(damaged)])) >= 1
