"""Pictures from seeds, and hard negatives: other pictures of one template, and neighbours in a burst."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from hashmatch.synthetic._draw import Draw, Pixels, to_pixels
from hashmatch.synthetic.layouts import card, comic, document, meme, screenshot
from hashmatch.synthetic.scenes import low_texture, photo, portrait

__all__ = ["KINDS", "TEMPLATE_KINDS", "burst", "picture", "same_template"]

_SCENES: Final = MappingProxyType({"photo": photo, "portrait": portrait, "low-texture": low_texture})
_LAYOUTS: Final = MappingProxyType(
    {"document": document, "screenshot": screenshot, "meme": meme, "comic": comic, "card": card}
)

KINDS: Final = ("photo", "portrait", "document", "screenshot", "meme", "comic", "low-texture", "card")
"""Every kind of picture. A kind's place is part of its seed, so new ones go to the end."""

TEMPLATE_KINDS: Final = ("document", "screenshot", "meme", "card")
"""The kinds that `same_template` makes."""

_SMALLEST: Final = 16


def picture(kind: str, seed: int, size: tuple[int, int] = (256, 256)) -> Pixels:
    """Make a picture; the same kind, seed and size always give the same bytes.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    seed : int
        Seed, 0 or more. Different seeds give unrelated pictures.
    size : (int, int)
        Height and width, px, each at least 16. Another size is another picture, not the same scene resized.

    Returns
    -------
    (H, W, 3) uint8 array
        RGB, owned by the caller.

    Raises
    ------
    ValueError
        If the kind is unknown, the seed negative or the size too small.

    Notes
    -----
    Cost: milliseconds at 256 x 256, tens to hundreds of milliseconds at 1024 x 1024, on one core.

    Examples
    --------
    >>> from hashmatch import synthetic
    >>> synthetic.picture("photo", seed=7, size=(120, 160)).shape
    (120, 160, 3)
    """
    return _paint(kind, seed, seed, size)


def same_template(kind: str, template: int, seed: int, size: tuple[int, int] = (256, 256)) -> Pixels:
    """Make a picture that shares its layout with all others of its template, and nothing else.

    Examples: two documents with the same heading bar and columns but other words; two screens of one app; two captions
    on one picture (the picture of a meme belongs to its template); the cards of two persons. Perceptual hashes fail on
    such negatives first.

    Parameters
    ----------
    kind : str
        One of `TEMPLATE_KINDS`.
    template : int
        Number of the layout, 0 or more.
    seed : int
        Seed of the content, 0 or more.
    size : (int, int)
        Height and width, px, each at least 16.

    Returns
    -------
    (H, W, 3) uint8 array
        RGB, owned by the caller. ``same_template(kind, n, n)`` is ``picture(kind, n)``.

    Raises
    ------
    ValueError
        If the kind has no templates, a seed is negative or the size too small.
    """
    if kind not in TEMPLATE_KINDS:
        raise ValueError(f"kind must be one of {', '.join(TEMPLATE_KINDS)}, not {kind!r}")
    return _paint(kind, template, seed, size)


def burst(kind: str, seed: int, frame: int, size: tuple[int, int] = (256, 256), *, move: float = 0.06) -> Pixels:
    """Make one frame of a burst: the same scene, the camera moved a little, the subject moved more, other noise.

    Parameters
    ----------
    kind : str
        One of `KINDS`; ``"photo"`` and ``"portrait"`` are the natural ones.
    seed : int
        Seed of the scene, 0 or more.
    frame : int
        Number of the frame, 0 or more; in frame 0 the subject is in its original place.
    size : (int, int)
        Height and width, px, each at least 16.
    move : float
        Largest shift of the camera as a share of the side, 0 to 0.25; the subject moves up to twice as far.

    Returns
    -------
    (H, W, 3) uint8 array
        RGB, owned by the caller.

    Raises
    ------
    ValueError
        If the kind is unknown, a number is out of range or the size too small.

    Notes
    -----
    Frames of one burst can be so similar that a match is right; count them apart from unrelated pictures.
    """
    if frame < 0:
        raise ValueError(f"frame must be 0 or more, not {frame}")
    if not 0.0 <= move <= 0.25:
        raise ValueError(f"move must be 0 to 0.25, not {move}")
    height, width = size
    room = (math.ceil(height * move), math.ceil(width * move))
    wide = picture(kind, seed, (height + 2 * room[0], width + 2 * room[1])).astype(np.float64)
    scene, draw = Draw(100, seed), Draw(101, seed, frame)
    middle = (scene.real(0.35, 0.65) * wide.shape[0], scene.real(0.35, 0.65) * wide.shape[1])
    radius = scene.real(0.15, 0.25) * min(size)
    steps = [round(2.0 * step * draw.real(-1.0, 1.0)) for step in room] if frame else [0, 0]
    down, across = np.arange(wide.shape[0])[:, None] - middle[0], np.arange(wide.shape[1])[None] - middle[1]
    near = np.clip(2.0 * (1.0 - np.sqrt(down * down + across * across) / radius), 0.0, 1.0)[..., None]
    moved = np.roll(wide * near, steps, axis=(0, 1))
    wide = wide * (1.0 - np.roll(near, steps, axis=(0, 1))) + moved
    top, left = draw.whole(0, 2 * room[0]), draw.whole(0, 2 * room[1])
    seen = wide[top : top + height, left : left + width] * draw.real(0.97, 1.03)
    return to_pixels(seen + 1.5 * draw.noise((height, width, 1)))


def _paint(kind: str, layout: int, filling: int, size: tuple[int, int]) -> Pixels:
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if layout < 0 or filling < 0:
        raise ValueError(f"a seed must be 0 or more, not {min(layout, filling)}")
    height, width = size
    if height < _SMALLEST or width < _SMALLEST:
        raise ValueError(f"size must be at least {_SMALLEST} x {_SMALLEST} px, not {height} x {width}")
    shape, code = (int(height), int(width)), KINDS.index(kind)
    if kind in _SCENES:
        image: Any = _SCENES[kind](Draw(code, filling), shape)
    else:
        image = _LAYOUTS[kind](Draw(code, layout, 1), Draw(code, filling, 2), shape)
    return to_pixels(image)
