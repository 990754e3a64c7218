"""The ladder of edits: every edit at several strengths, named and seeded, for benchmarks and tests.

The families and strengths are the union of the evaluations published with Thorn's perception, Copydays, the Image
Similarity Challenge of 2021 and PDQ.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from hashmatch.synthetic import edits as e
from hashmatch.synthetic._draw import Pixels

__all__ = ["LADDER", "Edit", "edit_named"]

_FILLS: Final = ("black", "white", "colour", "gradient", "blurred", "noisy")

_Apply = Callable[[Pixels, np.random.Generator], Pixels]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One edit at one strength, a rung of the ladder. A call edits a picture.

    Parameters
    ----------
    name : str
        Unique, such as ``"crop centre 25 %"``.
    family : str
        Family of edits, such as ``"crop"``.
    strength : str
        The strength in words, such as ``"25 % of the area"``.
    apply : callable
        Function that takes pixels and a random generator and returns new pixels.
    """

    name: str
    family: str
    strength: str
    apply: _Apply

    def __call__(self, pixels: Pixels, seed: int = 0) -> Pixels:
        """Edit a picture; the same seed always makes the same choices.

        Parameters
        ----------
        pixels : (H, W, 3) uint8 array
            RGB; not changed.
        seed : int
            0 or more.

        Returns
        -------
        (H, W, 3) uint8 array
            RGB, owned by the caller.
        """
        source = np.random.SeedSequence([zlib.crc32(self.name.encode()), seed])
        return self.apply(pixels, np.random.Generator(np.random.PCG64(source)))


def _plain(edit: Callable[..., Pixels], *values: Any, **options: Any) -> _Apply:
    """Bind an edit without chance to its strength."""

    def apply(pixels: Pixels, _: np.random.Generator) -> Pixels:
        return edit(pixels, *values, **options)

    return apply


def _chance(edit: Callable[..., Pixels], *values: Any) -> _Apply:
    """Bind an edit with chance, which takes the generator last, to its strength."""

    def apply(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        return edit(pixels, *values, rng)

    return apply


def _rung(family: str, name: str, strength: str, apply: _Apply) -> Edit:
    return Edit(name=name, family=family, strength=strength, apply=apply)


def _codec_and_size() -> Iterator[Edit]:
    for q in (95, 75, 50, 30, 20, 10, 5):
        yield _rung("JPEG", f"JPEG {q}", f"quality {q}", _plain(e.jpeg, q))
    for q in (80, 60, 50):
        yield _rung("WebP", f"WebP {q}", f"quality {q}", _plain(e.webp, q))
    for n in (2, 5):
        yield _rung("generations", f"saved {n} times", f"{n} generations", _plain(e.generations, n))
    for s in (0.1, 0.25, 0.5, 0.75, 0.9, 1.1, 2.0, 4.0):
        yield _rung("resize", f"resize {s:.0%}", f"{s:.0%} of each side", _plain(e.resize, s))
    yield _rung("resize", "thumbnail 96", "96 x 96 px, aspect lost", _plain(e.thumbnail, 96))
    for s in (0.75, 1.33):
        yield _rung("squash", f"squash {s:g}", f"width x {s:g}", _plain(e.squash, s))


def _crops() -> Iterator[Edit]:
    for s in (0.05, 0.10, 0.25, 0.50, 0.75, 0.85):
        yield _rung("crop centre", f"crop centre {s:.0%}", f"{s:.0%} of the area removed", _plain(e.crop_centre, s))
    for s in (0.25, 0.50, 0.75, 0.90):
        apply = _chance(e.crop_random, 1.0 - s)
        yield _rung("crop random", f"crop random {s:.0%}", f"{s:.0%} of the area removed", apply)
    for s in (0.01, 0.02, 0.03, 0.05, 0.08, 0.10, 0.20, 0.25, 0.50):
        yield _rung("crop one side", f"crop one side {s:.0%}", f"{s:.0%} of a random side", _chance(_one_side, s))
    for s in (0.025, 0.05, 0.10):
        apply = _plain(e.crop_sides, left=s, top=s, right=s, bottom=s)
        yield _rung("crop every side", f"crop every side {100 * s:g}%", f"{100 * s:g}% of each side", apply)
    yield _rung(
        "crop own shares", "crop own shares 10%", "each side by its own share of up to 10%", _chance(_own_shares, 0.10)
    )
    for s in (0.10, 0.25, 0.50):
        yield _rung("crop free", f"crop free {s:.0%}", f"up to {s:.0%} of each axis", _chance(_free, s))
    yield _rung("crop free", "crop free, 40% kept", "40% of the area kept, any aspect", _chance(_free_area, 0.40))
    for name, ratio in (("square", 1.0), ("16:9", 16 / 9), ("9:16", 9 / 16)):
        yield _rung("crop aspect", f"crop to {name}", f"largest middle {name}", _plain(e.crop_aspect, ratio))


def _turns_and_borders() -> Iterator[Edit]:
    for d in (1, 2, 4, 5, 10, 15, 30, 45):
        yield _rung("rotate", f"rotate {d}", f"{d} degrees, black corners", _plain(e.rotate, d))
    yield _rung("rotate", "rotate any", "any angle, black corners", _chance(_any_angle, "black"))
    for d in (1, 2, 4, 5, 10, 15, 30, 45):
        apply = _plain(e.rotate, d, corners="cut")
        yield _rung("rotate and cut", f"rotate {d} and cut", f"{d} degrees, corners cut off", apply)
    yield _rung("rotate and cut", "rotate any and cut", "any angle, corners cut off", _chance(_any_angle, "cut"))
    yield _rung("turn", "turn 90", "a quarter", _plain(e.turn, 1))
    yield _rung("turn", "turn 180", "a half", _plain(e.turn, 2))
    yield _rung("turn", "mirror", "left and right", _plain(e.mirror))
    yield _rung("turn", "flip", "top and bottom", _plain(e.flip))
    yield _rung("turn", "transpose", "rows and columns", _plain(e.transpose))
    for s in (1 / 16, 0.10, 0.25):
        for kind in _FILLS:
            yield _rung("border", f"border {kind} {s:.0%}", f"{s:.0%} of each side", _plain(e.border, s, kind))
    for kind in ("black", "white", "blurred"):
        yield _rung("border", f"border {kind} 50%", "50% of each side: half its size", _plain(e.border, 0.5, kind))
    for s in (1 / 16, 0.10, 0.25):
        yield _rung("letterbox", f"letterbox {s:.0%}", f"{s:.0%} above and below", _plain(e.letterbox, s))
    for s in (0.10, 0.25):
        for kind in _FILLS[1:]:
            apply = _plain(e.letterbox, s, kind)
            yield _rung("letterbox", f"letterbox {kind} {s:.0%}", f"{s:.0%} above and below", apply)
        for kind in _FILLS:
            apply = _plain(_pillarbox, s, kind)
            yield _rung("pillarbox", f"pillarbox {kind} {s:.0%}", f"{s:.0%} left and right", apply)


def _values() -> Iterator[Edit]:
    for s in (1, 2, 3):
        yield _rung("blur", f"blur {s}", f"sigma {s} at 512 px", _plain(e.blur, s))
    yield _rung("sharpen", "sharpen 2", "twice", _plain(e.sharpen, 2.0))
    yield _rung("pixelate", "pixelate 0.3", "0.3 of each side", _plain(e.pixelate, 0.3))
    for s in (5, 13, 25, 51):
        yield _rung("noise", f"noise {s}", f"sigma {s} of 255", _chance(e.noise, s))
    yield _rung("noise", "speckle 0.2", "sigma 0.2", _chance(e.speckle, 0.2))
    for share in (0.05, 0.15):
        apply = _chance(e.salt_pepper, share)
        yield _rung("noise", f"salt and pepper {share:.0%}", f"{share:.0%} of pixels", apply)
    for power in (0.5, 0.6, 1.5, 2.0):
        yield _rung("gamma", f"gamma {power:g}", f"power {power:g}", _plain(e.gamma, power))
    for factor in (0.6, 1.4):
        yield _rung("brightness", f"brightness {factor:g}", f"x {factor:g}", _plain(e.brightness, factor))
    for factor in (0.5, 1.4):
        yield _rung("contrast", f"contrast {factor:g}", f"x {factor:g}", _plain(e.contrast, factor))
    yield _rung("colour", "saturation 2", "x 2", _plain(e.saturation, 2.0))
    yield _rung("colour", "grey", "colour removed", _plain(e.grey))
    yield _rung("vignette", "vignette", "corners keep 30 %", _plain(e.vignette))


def _overlays() -> Iterator[Edit]:
    yield _rung("text", "text 12%", "12 % of the height", _chance(e.text, 0.12))
    yield _rung("watermark", "watermark", "20 % of the width", _plain(e.watermark))
    for s in (0.2, 0.4):
        yield _rung("watermark", f"watermark tiled {s:.0%}", f"opacity {s:.0%}", _plain(e.watermark_tiled, s))
    yield _rung("sticker", "emoji 30%", "30 % of the shorter side", _chance(e.emoji, 0.3))
    yield _rung("sticker", "sticker 30%", "30 % of the shorter side, in the middle", _plain(e.sticker, 0.3))
    for s in (0.05, 0.10, 0.20):
        yield _rung("black bar", f"black bar {s:.0%}", f"{s:.0%} of the area", _chance(e.black_bar, s))
    yield _rung("covered", "covered 20%", "20% of the area by a grey box", _chance(_covered, 0.20))
    yield _rung("layout", "caption band", "20 % added on top", _plain(e.caption_band, 0.2))
    yield _rung("layout", "phone screenshot", "on a screen of 360 x 780 px", _plain(e.phone_screenshot))
    yield _rung("layout", "phone screenshot, dark", "light letters on black", _plain(e.phone_screenshot, dark=True))
    for s in (0.5, 0.3):
        yield _rung("layout", f"on a picture {s:.0%}", f"{s:.0%} of each side", _chance(e.paste, s))
    for rows, columns in ((1, 2), (2, 2), (3, 3)):
        apply = _chance(e.collage, rows, columns)
        yield _rung("layout", f"collage {columns}x{rows}", f"one of {rows * columns}", apply)
    yield _rung("re-capture", "re-capture", "perspective, blur, noise, gamma, JPEG 80", _chance(e.recapture))
    yield _rung("chain", "resize, JPEG, crop", "50 %, 70, 10 % of the area", _resize_jpeg_crop)
    yield _rung("chain", "screenshot, crop, JPEG", "30 % of the area, 50", _screenshot_crop_jpeg)
    yield _rung("chain", "border, resize, JPEG", "10 % white, 25 %, 30", _border_resize_jpeg)
    yield _rung("chain", "crop 50%, quarter size, JPEG 50", "50 % of the area kept, 25 %, 50", _crop_quarter_jpeg)
    yield _rung("chain", "mirror, crop 50%", "left and right, 50 % of the area kept", _mirror_crop)


def _one_side(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    side = ("left", "top", "right", "bottom")[int(4 * rng.random())]
    return e.crop_sides(pixels, **{side: share})


def _free(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    chance = rng.random(4)
    across, down = share * (0.5 + 0.5 * chance[0]), share * (0.5 + 0.5 * chance[1])
    left, top = across * chance[2], down * chance[3]
    return e.crop_sides(pixels, left=left, right=across - left, top=top, bottom=down - top)


def _own_shares(pixels: Pixels, most: float, rng: np.random.Generator) -> Pixels:
    left, top, right, bottom = (most * rng.random(4)).tolist()
    return e.crop_sides(pixels, left=left, top=top, right=right, bottom=bottom)


def _free_area(pixels: Pixels, keep: float, rng: np.random.Generator) -> Pixels:
    chance = rng.random(3).tolist()
    across = 1.0 - keep ** chance[0]
    down = 1.0 - keep / (1.0 - across)
    left, top = across * chance[1], down * chance[2]
    return e.crop_sides(pixels, left=left, right=across - left, top=top, bottom=max(0.0, down - top))


def _any_angle(pixels: Pixels, corners: Literal["black", "cut"], rng: np.random.Generator) -> Pixels:
    return e.rotate(pixels, float(rng.uniform(0.0, 360.0)), corners=corners)


def _pillarbox(pixels: Pixels, share: float, kind: Any) -> Pixels:
    return e.transpose(e.letterbox(e.transpose(pixels), share, kind))


def _covered(pixels: Pixels, area: float, rng: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    shape = area ** rng.uniform(0.3, 0.7)
    tall, wide = max(1, round(height * shape)), max(1, round(width * area / shape))
    down, across = rng.random(2)
    y, x = round(float(down) * (height - tall)), round(float(across) * (width - wide))
    out = pixels.copy()
    out[y : y + tall, x : x + wide] = 90
    return out


def _resize_jpeg_crop(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return e.crop_random(e.jpeg(e.resize(pixels, 0.5), 70), 0.9, rng)


def _screenshot_crop_jpeg(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return e.jpeg(e.crop_random(e.phone_screenshot(pixels), 0.7, rng), 50)


def _border_resize_jpeg(pixels: Pixels, _: np.random.Generator) -> Pixels:
    return e.jpeg(e.resize(e.border(pixels, 0.1, "white"), 0.25), 30)


def _crop_quarter_jpeg(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return e.jpeg(e.resize(e.crop_random(pixels, 0.5, rng), 0.25), 50)


def _mirror_crop(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return e.crop_random(e.mirror(pixels), 0.5, rng)


LADDER: Final[tuple[Edit, ...]] = (
    *_codec_and_size(),
    *_crops(),
    *_turns_and_borders(),
    *_values(),
    *_overlays(),
)
"""Every rung, the families in order and each from weak to strong."""


def edit_named(name: str) -> Edit:
    """Find a rung of `LADDER` by its name.

    Raises
    ------
    ValueError
        If no rung has that name.
    """
    for edit in LADDER:
        if edit.name == name:
            return edit
    raise ValueError(f"{name!r} is not an edit of the ladder")
