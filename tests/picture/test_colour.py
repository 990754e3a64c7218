"""Colours as they are shown, and files as other clients read them: looks after the first, which stays as it was."""

from __future__ import annotations

import io
import math
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pdqhash
import pytest
from PIL import Image, ImageCms

from hashmatch import (
    Fingerprint,
    HashValue,
    Matcher,
    Outcome,
    ReferenceList,
    distance,
    fingerprint,
    hash_image,
    profiles,
)
from hashmatch.hashers.pdq import PDQHasher
from hashmatch.jail import Isolation
from hashmatch.picture import KNOWN_FORMATS, DecodePolicy, Raster, colour, icc, iter_rasters
from hashmatch.synthetic import picture
from hashmatch.view import Background, Rendering, View
from support.picture_makers import chunk, png_of, save

ALL = DecodePolicy(formats=("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"), salvage=True, as_others=True)
WIDE = icc.SRGB
PHOTO = picture("photo", 91, (240, 320))
GREY = np.asarray(Image.fromarray(PHOTO).convert("L"))
HASHER = PDQHasher()
THRESHOLD = 31


def icc_profile(curve: Any, space: bytes = b"RGB ") -> bytes:
    """Write a matrix or grey profile with sRGB's primaries, from the specification: header, table of tags, tags."""
    samples = np.rint(65535 * curve(np.linspace(0, 1, 256))).astype(">u2")
    trc = b"curv\0\0\0\0" + struct.pack(">I", 256) + samples.tobytes()
    xyz = {
        b"rXYZ": (0.4360, 0.2225, 0.0139),
        b"gXYZ": (0.3851, 0.7169, 0.0971),
        b"bXYZ": (0.1431, 0.0606, 0.7139),
        b"wtpt": (0.9642, 1.0, 0.8249),
    }
    tags = {k: b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(65536 * x) for x in v)) for k, v in xyz.items()}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC", b"kTRC"), trc)
    return assembled(tags, space, b"XYZ ")


def assembled(tags: dict[bytes, bytes], space: bytes, pcs: bytes, kind: bytes = b"mntr") -> bytes:
    """Put tags into a profile."""
    at, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = bytearray(128)
    head[0:4], head[8:12] = struct.pack(">I", at + len(body)), b"\x02\x40\0\0"
    head[12:16], head[16:20], head[20:24], head[36:40] = kind, space, pcs, b"acsp"
    head[68:80] = struct.pack(">3i", 63190, 65536, 54061)
    return bytes(head) + table + body


def inks_profile(grid: int = 2) -> bytes:
    """Write a profile of inks whose lightness is the black ink and nothing else: a table of 2⁴ points in Lab."""
    table = b"".join(bytes((255 * (n & 1), 128, 128)) for n in range(16))
    ramp = bytes(range(256))
    head = b"mft1\0\0\0\0" + bytes((4, 3, grid, 0)) + struct.pack(">9i", *(65536 * (n % 4 == 0) for n in range(9)))
    return assembled({b"A2B0": head + 4 * ramp + table + 3 * ramp}, b"CMYK", b"Lab ", b"prtr")


def gamma(power: float) -> bytes:
    """Profile of a pure power."""
    return icc_profile(lambda v: v**power)


INVERTING = icc_profile(lambda v: np.where(v > 0.95946, (1 - v) / 12.92, ((1 - v + 0.055) / 1.055) ** 2.4))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def rasters(source: Any, policy: DecodePolicy = ALL) -> dict[Rendering, Raster]:
    """Rasters on white of the first frame, by rendering."""
    return {
        raster.view.rendering: raster
        for raster in iter_rasters(source, policy)
        if raster.view.background is Background.WHITE
    }


def pdq(pixels: np.ndarray) -> HashValue:
    """Hash with the reference's own package, as other clients do."""
    pixels = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
    return HashValue("pdq", np.packbits(pdqhash.compute(np.ascontiguousarray(pixels))[0]).tobytes())


def ours(pixels: np.ndarray) -> HashValue:
    """Hash as the library does."""
    return HASHER.hash_pixels(pixels)[0]


def gif_with(profile: bytes) -> bytes:
    """GIF whose application extension holds a profile."""
    data = save(Image.fromarray(PHOTO).quantize(256), "GIF")
    at = 13 + 3 * 256
    blocks = b"".join(
        bytes((len(part),)) + part for part in (profile[n : n + 255] for n in range(0, len(profile), 255))
    )
    return data[:at] + b"!\xff\x0bICCRGBG1012" + blocks + b"\0" + data[at:]


def bmp_with(profile: bytes) -> bytes:
    """BMP of version 5 with an embedded profile."""
    data = save(PHOTO, "BMP")
    pixels = data[54:]
    head = struct.pack("<I", 124) + data[18:54] + bytes(16) + b"DEBM" + bytes(36 + 12)
    head += struct.pack("<IIII", 4, 124 + len(pixels), len(profile), 0)
    return b"BM" + struct.pack("<IHHI", 138 + len(pixels) + len(profile), 0, 0, 138) + head + pixels + profile


FILES = {
    "JPEG": lambda p: save(PHOTO, "JPEG", quality=95, icc_profile=p),
    "JPEG, many segments": lambda p: save(PHOTO, "JPEG", quality=95, icc_profile=p + bytes(200_000)),
    "PNG": lambda p: save(PHOTO, "PNG", icc_profile=p),
    "PNG, RGBA": lambda p: save(Image.fromarray(PHOTO).convert("RGBA"), "PNG", icc_profile=p),
    "PNG, palette": lambda p: save(Image.fromarray(PHOTO).quantize(256), "PNG", icc_profile=p),
    "WEBP": lambda p: save(PHOTO, "WEBP", quality=95, icc_profile=p),
    "TIFF": lambda p: save(PHOTO, "TIFF", icc_profile=p),
    "AVIF": lambda p: save(PHOTO, "AVIF", quality=95, icc_profile=p),
    "GIF": gif_with,
    "BMP": bmp_with,
}


@pytest.mark.parametrize("kind", FILES)
def test_a_profile_that_inverts_gives_a_second_look(kind: str) -> None:
    """Whatever carries the profile: first the stored samples as ever, then what a browser shows, 255 less each."""
    found = rasters(FILES[kind](INVERTING))
    plain = rasters(FILES[kind](SRGB))[Rendering.AS_STORED]
    assert [*found][:2] == [Rendering.AS_STORED, Rendering.SHOWN]
    assert np.array_equal(found[Rendering.AS_STORED].pixels, plain.pixels)
    shown = found[Rendering.SHOWN].pixels.astype(int)
    assert np.abs(shown - (255 - plain.pixels)).mean() < 2
    assert distance(ours(found[Rendering.SHOWN].pixels), ours(255 - plain.pixels)) <= 4


@pytest.mark.parametrize("kind", FILES)
def test_profiles_that_change_little_give_none(kind: str) -> None:
    """SRGB itself adds no look and is not applied to any pixel."""
    assert Rendering.SHOWN not in rasters(FILES[kind](SRGB))
    assert colour._managed(SRGB) is None


def test_grey_pictures_have_grey_profiles() -> None:
    """A profile of grey counts for grey pictures and one of colours does not, as in browsers."""
    inverting = icc_profile(lambda v: (1 - v) ** 2.2, b"GRAY")
    for format in ("JPEG", "PNG"):
        found = rasters(save(GREY, format, icc_profile=inverting))
        apart = found[Rendering.SHOWN].pixels[..., 0].astype(int) - (255 - found[Rendering.AS_STORED].pixels[..., 0])
        assert np.abs(apart).mean() < 6
        assert Rendering.SHOWN not in rasters(save(GREY, format, icc_profile=INVERTING))
        assert Rendering.SHOWN not in rasters(save(PHOTO, format, icc_profile=inverting))


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_inks_have_profiles_too(format: str) -> None:
    """A CMYK picture is shown by its profile: here its black ink alone is the lightness."""
    inks = np.dstack((np.zeros_like(PHOTO), GREY))
    image = Image.frombytes("CMYK", (320, 240), inks.tobytes())
    found = rasters(save(image, format, icc_profile=inks_profile(), **({"quality": 95} if format == "JPEG" else {})))
    assert distance(ours(found[Rendering.AS_STORED].pixels), ours(255 - GREY)) <= 6
    assert distance(ours(found[Rendering.SHOWN].pixels), ours(GREY)) <= 12  # lightness is not quite grey level


def srgb_of(light: np.ndarray) -> np.ndarray:
    """Encode light, 0 to 1, as sRGB bytes."""
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("file_gamma", [1.0, 0.2, 2.2])
@pytest.mark.parametrize("colours", [2, 0])
def test_gamma_of_a_png_is_applied(file_gamma: float, colours: int) -> None:
    """A sample is light to the power of gAMA; what is shown is that light as sRGB; sRGB and iCCP chunks go first."""
    samples = PHOTO if colours else GREY
    gama = chunk(b"gAMA", struct.pack(">I", round(100_000 * file_gamma)))
    found = rasters(png_of(samples, colours, gama))
    assert np.array_equal(found[Rendering.AS_STORED].pixels[..., 0], samples[..., 0] if colours else samples)
    expected = srgb_of((samples / 255) ** (1 / file_gamma))
    shown = found[Rendering.SHOWN].pixels
    apart = np.abs(shown - (expected if colours else expected[..., None]))
    assert (apart.mean(), apart.max()) <= (1, 16)  # the darkest samples of grey are worked out coarsely
    assert Rendering.SHOWN not in rasters(png_of(samples, colours, gama, chunk(b"sRGB", b"\0")))


def test_usual_gamma_and_nonsense_leave_a_png_alone() -> None:
    """The gamma of most files, none, 0, and primaries that no light has add no look."""
    for value in (45_455, 0, 2**31):
        assert Rendering.SHOWN not in rasters(png_of(PHOTO, 2, chunk(b"gAMA", struct.pack(">I", value)))), value
    bad = chunk(b"cHRM", struct.pack(">8I", *[0] * 8)), chunk(b"gAMA", struct.pack(">I", 100_000))
    assert Rendering.SHOWN not in rasters(png_of(PHOTO, 2, *bad))


@pytest.mark.parametrize(("transfer", "light"), [(8, lambda v: v), (4, lambda v: v**2.2), (16, None), (18, None)])
def test_code_points_of_a_png_go_before_its_profile(transfer: int, light: Any) -> None:
    """CICP is obeyed, and before iCCP; linear light and gamma by formula, HDR curves as something else than stored."""
    cicp = chunk(b"cICP", bytes((1, transfer, 0, 1)))
    data = save(PHOTO, "PNG", icc_profile=INVERTING)
    data = data[:33] + cicp + data[33:]
    found = rasters(data)
    assert distance(ours(found[Rendering.AS_STORED].pixels), ours(PHOTO)) == 0
    if transfer == 4:
        assert Rendering.SHOWN not in found
        return
    shown = found[Rendering.SHOWN].pixels
    if light is not None:
        assert np.abs(shown - srgb_of(light(PHOTO / 255))).max() <= 3
    assert distance(ours(shown), ours(PHOTO)) > 6


def test_code_points_of_avif_count() -> None:
    """A colr box that says linear light is obeyed."""
    data = save(PHOTO, "AVIF", quality=95)
    at = data.index(b"colrnclx") + 8
    linear = data[: at + 2] + (8).to_bytes(2, "big") + data[at + 4 :]
    assert Rendering.SHOWN not in rasters(data)
    found = rasters(linear)
    assert distance(ours(found[Rendering.SHOWN].pixels), ours(srgb_of(PHOTO / 255).astype(np.uint8))) <= 6


@pytest.mark.parametrize("power", [1.0, 1.8, 3.0])
def test_what_a_profile_costs_is_won_back(power: float) -> None:
    """Linear and other gammas: some look lies within 14 bits of what is shown, for every one of several pictures."""
    for seed in range(5):
        pixels = picture("photo", 700 + seed, (240, 320))
        shown = srgb_of((pixels / 255) ** power).round().astype(np.uint8)
        looks = [ours(r.pixels) for r in rasters(save(pixels, "PNG", icc_profile=gamma(power))).values()]
        assert min(distance(look, ours(shown)) for look in looks) <= 14


def hostile() -> list[bytes]:
    """Profiles that are broken, too large, of a wrong class or full of bombs."""
    lut = inks_profile()
    start = lut.index(b"mft1")
    rng = np.random.default_rng(5)
    bad = [INVERTING[:n] for n in (0, 4, 100, 128, 131, 140, 200)]
    bad += [b"\xff" * 500, INVERTING[:128] + b"\xff\xff\xff\xff" + INVERTING[132:], INVERTING + bytes(17 * 2**20)]
    bad += [INVERTING[:12] + kind + INVERTING[16:] for kind in (b"link", b"abst", b"nmcl")]
    bad += [INVERTING[:16] + space + INVERTING[20:] for space in (b"CMYK", b"GRAY", b"6CLR", b"XYZ ")]
    bad += [inks_profile(grid) for grid in (0, 1, 255)]
    bad += [lut[: start + 8] + bytes((n, m)) + lut[start + 10 :] for n, m in ((3, 3), (255, 255), (4, 16), (0, 0))]
    curve = INVERTING.index(b"curv")
    bad += [
        INVERTING[: curve + 8] + count.to_bytes(4, "big") + INVERTING[curve + 12 :] for count in (2**31, 0xFFFFFFFF)
    ]
    for whole in (INVERTING, lut):
        for _ in range(60):
            spoilt = bytearray(whole)
            for place in rng.integers(0, min(len(whole), 700), rng.integers(1, 12)):
                spoilt[place] = rng.integers(256)
            bad.append(bytes(spoilt))
    return bad


def test_hostile_profiles_leave_the_first_look() -> None:
    """Whatever the profile holds, the stored samples come as ever and nothing is raised."""
    image = Image.fromarray(PHOTO[:120, :160])
    plain = {
        mode: rasters(save(image.convert(mode), "TIFF"))[Rendering.AS_STORED].pixels for mode in ("RGB", "CMYK", "L")
    }
    for number, profile in enumerate(hostile()):
        for mode, pixels in plain.items():
            found = rasters(save(image.convert(mode), "TIFF", icc_profile=profile or b"\0"))
            assert np.array_equal(found[Rendering.AS_STORED].pixels, pixels), number


def test_a_look_up_table_larger_than_its_profile_is_refused() -> None:
    """Its size is worked out before any memory is asked for; tags that are not used are taken out of the table."""
    assert icc.safe_profile(inks_profile()) is not None
    assert icc.safe_profile(inks_profile(255)) is None
    extra = assembled({b"D2B0": b"mpet" + bytes(40), b"kTRC": b"curv" + bytes(8)}, b"GRAY", b"XYZ ")
    safe = icc.safe_profile(extra)
    assert safe is not None
    assert b"D2B0" not in safe
    assert safe[128:136] == b"\0\0\0\1kTRC"
    tags = {name: b"curv" + bytes(2**20) for name in (b"rTRC", b"gTRC", b"bTRC", b"kTRC")}
    assert icc.safe_profile(assembled(tags, b"RGB ", b"XYZ ")) is None


def test_a_profile_cannot_be_hidden_in_what_is_left_out() -> None:
    """A PNG's profile counts where Pillow takes none, padded to megabytes, and beside a broken chunk."""
    text = chunk(b"tEXt", b"a\0b")[:-1] + b"\0"
    for padding in (0, 2 * 2**20, 14 * 2**20):
        iccp = chunk(b"iCCP", b"x\0\0" + zlib.compress(INVERTING + bytes(padding)))
        found = rasters(png_of(PHOTO, 2, text, iccp))
        assert np.array_equal(found[Rendering.AS_STORED].pixels, PHOTO)
        assert distance(ours(found[Rendering.SHOWN].pixels), ours(255 - PHOTO)) <= 4
    broken = iccp[:-1] + bytes((iccp[-1] ^ 1,))
    assert Rendering.SHOWN not in rasters(png_of(PHOTO, 2, broken))
    assert Rendering.SHOWN in rasters(png_of(PHOTO, 2, broken, chunk(b"gAMA", struct.pack(">I", 100_000))))


def test_reduced_decode_keeps_what_a_profile_needs() -> None:
    """A large JPEG with an inverting profile is searched as shown in reduced decode too."""
    large = picture("photo", 92, (1100, 1400))
    policy = DecodePolicy(reduced=True)
    found = rasters(save(large, "JPEG", icc_profile=INVERTING), policy)
    assert found[Rendering.SHOWN].pixels.shape[0] == 550
    assert distance(ours(found[Rendering.SHOWN].pixels), ours(255 - large)) <= 16


def test_the_eye_of_the_picture_is_turned_with_it() -> None:
    """Orientation, alpha and the readings go together."""
    exif = Image.Exif()
    exif[0x0112] = 6
    rgba = np.dstack((PHOTO, np.where(GREY > 90, 255, 0).astype(np.uint8)))
    data = save(Image.fromarray(rgba), "PNG", exif=exif, icc_profile=INVERTING)
    views = {raster.view: raster.pixels for raster in iter_rasters(data, ALL)}
    turned = np.rot90(rgba, -1)
    seen = np.where(turned[..., 3:] > 0, 255 - turned[..., :3].astype(int), 255)
    assert np.abs(views[View(rendering=Rendering.SHOWN)] - seen).max() <= 3
    assert np.array_equal(views[View(rendering=Rendering.ALPHA_IGNORED)], turned[..., :3])


def test_every_way_a_picture_is_given_has_the_same_looks() -> None:
    """Bytes and an opened PIL image give the same rasters."""
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        data = FILES[kind](INVERTING)
        one, other = list(iter_rasters(data, ALL)), list(iter_rasters(Image.open(io.BytesIO(data)), ALL))
        assert [raster.view for raster in one] == [raster.view for raster in other]
        assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(one, other, strict=True))


def listed(folder: Path, *values: HashValue) -> Path:
    """Make a list of one entry."""
    path = folder / "list.hashmatch"
    with ReferenceList.create(path, name="others") as ref:
        ref.add("entry", hashes=list(values))
    return path


def test_an_inverting_profile_hides_nothing_from_any_policy(tmp_path: Path) -> None:
    """The negative of a listed picture with an inverting profile is what a browser shows: found, cut short too."""
    path = listed(tmp_path, ours(PHOTO))
    data = save(255 - PHOTO, "JPEG", quality=90, icc_profile=INVERTING)
    for policy in (profiles.FAST, profiles.STANDARD):
        with Matcher.open(path, policy=policy) as matcher:
            report = matcher.match(data)
            assert report.outcome is Outcome.MATCH
            assert str(report.matches[0].view) == "colours as shown"
            assert report.matches[0].to_dict()["view"]["rendering"] == "colours as shown"
            assert matcher.match(data[: 49 * len(data) // 50]).outcome is Outcome.MATCH


def test_a_list_entry_holds_both_looks() -> None:
    """A fingerprint for a list has the stored look first and the shown one after it, never those of other clients."""
    found = fingerprint(save(PHOTO, "JPEG", quality=95, icc_profile=INVERTING))
    assert [item.view.rendering for item in found.view_hashes] == [Rendering.AS_STORED, Rendering.SHOWN]
    assert Fingerprint.from_bytes(found.to_bytes()) == found
    assert len(fingerprint(save(Image.fromarray(PHOTO).quantize(16), "PNG")).view_hashes) == 1


def test_isolation_sees_the_same(tmp_path: Path) -> None:
    """A worker process applies profiles and reads as others do, exactly as this process does."""
    path = listed(tmp_path, ours(PHOTO), pdq(np.minimum(GREY.astype(np.uint16) * 257, 255).astype(np.uint8)))
    inks = Image.frombytes("CMYK", (320, 240), np.dstack((np.zeros_like(PHOTO), GREY)).tobytes())
    files = [
        FILES["JPEG"](INVERTING),
        FILES["PNG"](gamma(1.0)),
        save(255 - PHOTO, "JPEG", icc_profile=INVERTING),
        save(inks, "JPEG", icc_profile=inks_profile()),
        hidden_alpha(),
        save(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG"),
        save(Image.fromarray(PHOTO).quantize(64), "GIF"),
    ]
    with Matcher.open(path) as here, Matcher.open(path, isolation=Isolation(workers=1)) as there:
        for data in files:
            one, other = here.match(data), there.match(data)
            assert one.outcome is other.outcome
            assert [match.to_dict() for match in one.matches] == [match.to_dict() for match in other.matches]


def hidden_alpha() -> bytes:
    """PNG whose alpha hides most of a picture."""
    return save(Image.fromarray(np.dstack((PHOTO, np.where(GREY > 200, 255, 0).astype(np.uint8)))), "PNG")


def keyed_palette() -> tuple[bytes, Image.Image]:
    """PNG with a palette half of which is transparent."""
    image = Image.fromarray(PHOTO).quantize(256)
    return save(image, "PNG", transparency=bytes(n % 2 * 255 for n in range(256))), image


DEEP = (257 * GREY.astype(np.uint16) // 100).astype(np.uint16)
PALETTE, INDEXED = keyed_palette()
INKS = Image.fromarray(PHOTO).convert("CMYK")
FULL_INKS = np.dstack((255 - PHOTO, 255 - GREY)).astype(np.uint8)
# what another client sees, by a formula of its own; which look of ours must lie near it
CLIENTS: dict[str, tuple[bytes, np.ndarray, Rendering]] = {
    "alpha dropped": (hidden_alpha(), PHOTO, Rendering.ALPHA_IGNORED),
    "palette, alpha dropped": (PALETTE, np.asarray(INDEXED.convert("RGB")), Rendering.ALPHA_IGNORED),
    "palette indices": (PALETTE, np.asarray(INDEXED), Rendering.RAW),
    "GIF indices": (save(INDEXED, "GIF"), np.asarray(Image.open(io.BytesIO(save(INDEXED, "GIF")))), Rendering.RAW),
    "16 bits clipped, PNG": (save(Image.fromarray(DEEP), "PNG"), DEEP.clip(0, 255).astype(np.uint8), Rendering.CLIPPED),
    "16 bits clipped, TIFF": (
        save(Image.fromarray(DEEP), "TIFF"),
        DEEP.clip(0, 255).astype(np.uint8),
        Rendering.CLIPPED,
    ),
    "inks as colours": (save(INKS, "JPEG", quality=95), 255 - PHOTO, Rendering.RAW),
    "inks of a TIFF as colours": (save(INKS, "TIFF"), np.asarray(INKS)[..., :3], Rendering.RAW),
    "inks not inverted": (
        save(Image.frombytes("CMYK", (320, 240), FULL_INKS.tobytes()), "TIFF"),
        (FULL_INKS[..., :3].astype(int) * FULL_INKS[..., 3:] // 255).astype(np.uint8),
        Rendering.INKS_INVERTED,
    ),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_lists_of_other_clients_find_the_file(client: str, tmp_path: Path) -> None:
    """A list that holds the hash of what the client saw finds the file, and the match names the look."""
    data, pixels, rendering = CLIENTS[client]
    value = pdq(pixels)
    policy = profiles.STANDARD
    policy = policy.__class__(name="tiff", rules=policy.rules, decode=ALL)
    with Matcher.open(listed(tmp_path, value), policy=policy) as matcher:
        report = matcher.match(data)
        assert report.outcome is Outcome.MATCH
        assert report.matches[0].view.rendering is rendering
        assert report.matches[0].distance <= 8
        assert rendering.value in str(report.matches[0].view)


def test_looks_are_few_and_all_different() -> None:
    """No file has more than three looks of other clients, and each differs from all before it by more than 6 signs."""
    for data, _, _ in CLIENTS.values():
        found = list(iter_rasters(data, ALL))
        assert sum(raster.view.rendering.is_as_others for raster in found) <= 3
        for n, raster in enumerate(found):
            assert all(distance(ours(raster.pixels), ours(other.pixels)) > 0 for other in found[:n])


def test_opaque_files_have_one_look() -> None:
    """Plain pictures of every format, and alpha that hides nothing, stay as they were: one raster."""
    rgba = Image.fromarray(np.dstack((PHOTO, np.full(GREY.shape, 255, np.uint8))))
    for data in (save(PHOTO, "JPEG"), save(GREY, "JPEG"), save(PHOTO, "PNG"), save(rgba, "PNG"), save(PHOTO, "WEBP")):
        assert len(list(iter_rasters(data, ALL))) == 1


def test_other_readings_are_asked_for() -> None:
    """Without `DecodePolicy.as_others` only what is shown is given."""
    for data, _, _ in CLIENTS.values():
        policy = DecodePolicy(formats=ALL.formats)
        assert not any(raster.view.rendering.is_as_others for raster in iter_rasters(data, policy))


def test_flat_pictures_have_no_second_look() -> None:
    """A picture of one colour has no signs to differ by, whatever its profile says."""
    assert len(rasters(save(np.full((50, 60, 3), 77, np.uint8), "PNG", icc_profile=INVERTING))) == 1
    assert math.isclose(float(colour._luma(np.full((1, 1, 3), 200, np.uint8))[0, 0]), 200)


@pytest.mark.parametrize("alpha", [40, 128])
@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_an_even_alpha_hides_nothing_from_lists_of_clients_that_leave_it_out(
    alpha: int, format: str, tmp_path: Path
) -> None:
    """On any ground the picture is faint, too plain; its colours without alpha have the same signs, and count."""
    pixels = picture("photo", 3, size=(120, 160))
    faint = np.dstack([pixels // 3 + 60, np.full(pixels.shape[:2], alpha, np.uint8)])
    data = save(faint, format, **({"lossless": True, "exact": True} if format == "WEBP" else {}))
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="demo") as ref:
        ref.add("photo", hashes=[hash_image(faint[:, :, :3])])
    policy = replace(profiles.FAST, decode=replace(profiles.FAST.decode, formats=KNOWN_FORMATS))
    with Matcher.open(path, policy=policy) as matcher:
        assert matcher.match(data).outcome is Outcome.MATCH


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_a_profile_that_spreads_a_few_levels_hides_nothing(format: str, tmp_path: Path) -> None:
    """As stored the picture is too plain to be compared, with the same signs; what is shown counts."""
    pixels = picture("photo", 3, size=(120, 160))
    low, high = 100, 116
    stored = np.rint(low + pixels * ((high - low) / 255)).astype(np.uint8)
    profile = icc.made_profile(lambda v: np.clip((v * 255 - low) / (high - low), 0, 1) ** 2.2, icc.SRGB)
    options = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format, {})
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="demo") as ref:
        ref.add("photo", hashes=[hash_image(pixels)])
    with Matcher.open(path, policy=profiles.FAST) as matcher:
        report = matcher.match(save(stored, format, icc_profile=profile, **options))
    assert (report.outcome, report.matches[0].view.rendering) == (Outcome.MATCH, Rendering.SHOWN)
