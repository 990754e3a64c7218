"""Pictures with a layout: documents, screenshots, memes, comics and cards.

Each function takes two streams of random numbers, one for the layout and one for its content. The same layout stream
with another content stream gives another picture of the same template.
"""

from __future__ import annotations

import numpy as np

from hashmatch.synthetic._draw import Draw, Floats, area_resize, ellipse, planar, rectangle, soften
from hashmatch.synthetic._glyphs import paint_text, sentence
from hashmatch.synthetic.scenes import photo

__all__ = ["card", "comic", "document", "meme", "screenshot"]

_INK = (25.0, 25.0, 30.0)
_PAPER = (255.0, 255.0, 255.0)


def _blank(shape: tuple[int, int], colour: Floats | tuple[float, float, float]) -> Floats:
    image: Floats = planar((*shape, 3))
    image[:] = colour
    return image


def _photo_in(draw: Draw, image: Floats, top: float, left: float, bottom: float, right: float) -> None:
    """Fill a rectangle, in fractions of the sides, with a photo."""
    height, width = image.shape[:2]
    patch = image[int(top * height) : int(bottom * height), int(left * width) : int(right * width)]
    if min(patch.shape[:2]) >= 2:
        patch[:] = photo(draw, patch.shape[:2])


def _lines(draw: Draw, count: int, letters: int, *, ragged: bool = True) -> list[str]:
    return [sentence(draw, draw.whole(letters * 3 // 4, letters) if ragged else letters) for _ in range(count)]


def document(layout: Draw, filling: Draw, shape: tuple[int, int]) -> Floats:
    """Paint a page: heading, paragraphs in one or two columns, perhaps a figure or a table, perhaps a letter head.

    Parameters
    ----------
    layout, filling : Draw
        Streams of random numbers for the places of things and for their content.
    shape : (int, int)
        Height and width, px.

    Returns
    -------
    (H, W, 3) float64 array
        RGB, not yet clipped to 0..255.
    """
    height, width = shape
    paper = layout.real(228.0, 255.0)
    image = _blank(shape, (paper, paper, paper - layout.real(0.0, 14.0)))
    ink = np.full(3, layout.real(5.0, 70.0))
    margin, columns = layout.real(0.05, 0.13), layout.whole(1, 2)
    line = max(4, round(layout.real(0.018, 0.035) * height))
    head = layout.whole(0, 2)
    if head:
        rectangle(image, 0.0, 0.0, layout.real(0.04, 0.1), 1.0 if head == 1 else 0.3, layout.colour(0.8, 30.0, 160.0))
    top = round((0.13 if head else 0.07) * height)
    paint_text(image, [sentence(filling, 22)], top, round(margin * width), 2 * line, ink)
    top += 3 * line
    gutter = 0.04
    span = (1.0 - 2.0 * margin - gutter * (columns - 1)) / columns
    letters = max(3, int(span * width / (line * 6 / 9)))
    for column in range(columns):
        left, y = round((margin + column * (span + gutter)) * width), top
        while y < 0.93 * height - line:
            kind = layout.real()
            room = max(1, int((0.93 * height - y) / line))
            if kind < 0.14 and room > 8:
                size = 8 * line / height
                place = (y / height, left / width, y / height + size, left / width + span)
                if layout.yes(0.5):
                    _photo_in(filling, image, *place)
                else:
                    _table(filling, image, place, ink, line)
                y += 9 * line
                continue
            rows = min(room, layout.whole(3, 9))
            mask = [*_lines(filling, rows - 1, letters, ragged=False), sentence(filling, filling.whole(3, letters))]
            paint_text(image, mask, y, left, rows * line, ink)
            y += (rows + 1) * line
    return image * (1.0 - 0.06 * layout.real() * np.linspace(0.0, 1.0, width)[None, :, None])


def _table(filling: Draw, image: Floats, place: tuple[float, float, float, float], ink: Floats, line: int) -> None:
    top, left, bottom, right = place
    height, width = image.shape[:2]
    rule = 1.0 / height
    for row in range(5):
        y = top + (bottom - top) * row / 4.0
        rectangle(image, y, left, y + rule, right, ink)
        if row < 4:
            for column in range(3):
                x = left + (right - left) * (column / 3.0 + 0.02)
                number = str(filling.whole(0, 99999))
                paint_text(image, [number], round(y * height + 0.5 * line), round(x * width), line, ink)


def screenshot(layout: Draw, filling: Draw, shape: tuple[int, int]) -> Floats:
    """Paint an app's screen: status bar, title bar, then a chat, a list or a picture post; light or dark.

    Parameters
    ----------
    layout, filling : Draw
        Streams of random numbers for the places of things and for their content.
    shape : (int, int)
        Height and width, px.

    Returns
    -------
    (H, W, 3) float64 array
        RGB, not yet clipped to 0..255.
    """
    height, width = shape
    dark = layout.yes(0.4)
    ground, ink = ((22.0, 24.0, 30.0), (230.0, 230.0, 235.0)) if dark else ((250.0, 250.0, 252.0), _INK)
    accent = layout.colour(0.9, 60.0, 190.0)
    image = _blank(shape, ground)
    line = max(5, round(0.028 * height))
    rectangle(image, 0.0, 0.0, 0.11, 1.0, accent)
    clock = f"{filling.whole(0, 23):02d}:{filling.whole(0, 59):02d}"
    paint_text(image, [clock], round(0.01 * height), round(0.04 * width), line, _PAPER)
    rectangle(image, 0.015, 0.88, 0.032, 0.88 + 0.08 * filling.real(0.2, 1.0), _PAPER)
    paint_text(image, [sentence(filling, 14)], round(0.05 * height), round(0.1 * width), round(1.4 * line), _PAPER)
    rectangle(image, 0.93, 0.0, 1.0, 1.0, accent, 0.15)
    for button in range(4):
        ellipse(image, (0.965 * height, (0.125 + 0.25 * button) * width), (0.4 * line, 0.4 * line), ink)
    kind = layout.pick(("chat", "list", "post"))
    y = 0.14
    letters = max(4, int(0.55 * width / (line * 6 / 9)))
    while y < 0.88:
        if kind == "chat":
            rows, mine = filling.whole(1, 4), filling.yes(0.5)
            tall = (rows + 1) * line / height
            left = 0.3 if mine else 0.05
            bottom = min(y + tall, 0.92)
            rectangle(image, y, left, bottom, left + 0.65, accent if mine else ink, 0.8 if mine else 0.12)
            if bottom - y >= tall:
                text = _lines(filling, rows, letters)
                at = round((left + 0.03) * width)
                paint_text(image, text, round(y * height + 0.5 * line), at, rows * line, _PAPER if mine else ink)
            y += tall + 0.025
        elif kind == "list":
            middle = ((y + 0.045) * height, 0.1 * width)
            ellipse(image, middle, (0.03 * height, 0.03 * height), filling.colour(0.9))
            at = round(y * height + 0.6 * line)
            paint_text(image, [sentence(filling, letters * 2 // 3)], at, round(0.2 * width), line, ink)
            paint_text(image, [sentence(filling, letters)], at + line, round(0.2 * width), line, ink, 0.55)
            rectangle(image, y + 0.088, 0.2, y + 0.088 + 1.0 / height, 1.0, ink, 0.2)
            y += 0.09
        else:
            _photo_in(filling, image, y, 0.0, min(y + 0.45, 0.92), 1.0)
            text = _lines(filling, 2, letters)
            if y + 0.45 + 2 * line / height < 0.92:
                paint_text(image, text, round((y + 0.46) * height), round(0.04 * width), 2 * line, ink)
            y += 0.58
    return image


def meme(layout: Draw, filling: Draw, shape: tuple[int, int]) -> Floats:
    """Paint a meme: a photo with a caption band above, or with outlined capitals on it.

    Parameters
    ----------
    layout, filling : Draw
        Streams of random numbers: the layout also makes the photo, as memes of one template share it.
    shape : (int, int)
        Height and width, px.

    Returns
    -------
    (H, W, 3) float64 array
        RGB, not yet clipped to 0..255.
    """
    height, width = shape
    banded = layout.yes(0.6)
    band = layout.real(0.15, 0.27) if banded else 0.0
    image = _blank(shape, _PAPER if layout.yes(0.8) else _INK)
    _photo_in(layout, image, band, 0.0, 1.0, 1.0)
    size = max(5, round((0.42 * band if banded else 0.13) * height))
    letters = max(4, int(0.94 * width / (size * 6 / 9)))
    if banded:
        ink = np.asarray(255.0 - image[0, 0])
        paint_text(image, _lines(filling, 2, letters), round(0.08 * band * height), round(0.03 * width), 2 * size, ink)
        return image
    for top in (round(0.03 * height), height - round(0.03 * height) - size):
        text = [sentence(filling, letters).upper()]
        offset = max(1, size // 12)
        for down, across in ((-offset, 0), (offset, 0), (0, -offset), (0, offset)):
            paint_text(image, text, top + down, round(0.04 * width) + across, size, (0.0, 0.0, 0.0))
        paint_text(image, text, top, round(0.04 * width), size, _PAPER)
    return image


def comic(layout: Draw, filling: Draw, shape: tuple[int, int]) -> Floats:
    """Paint a page of panels: flat colours, black outlines, dots of a printing screen and speech bubbles.

    Parameters
    ----------
    layout, filling : Draw
        Streams of random numbers for the panels and for what is in them.
    shape : (int, int)
        Height and width, px.

    Returns
    -------
    (H, W, 3) float64 array
        RGB, not yet clipped to 0..255.
    """
    height, width = shape
    image = _blank(shape, (250.0, 248.0, 240.0))
    rows = layout.whole(1, 3)
    gap, rule = 0.02, max(1.0, 0.006 * min(shape))
    cuts = np.concatenate([[0.0], np.cumsum(layout.reals(rows, 0.6, 1.4))])
    cuts = gap + cuts / cuts[-1] * (1.0 - gap)
    for row in range(rows):
        columns = layout.whole(1, 3)
        across = np.concatenate([[0.0], np.cumsum(layout.reals(columns, 0.6, 1.4))])
        across = gap + across / across[-1] * (1.0 - gap)
        for column in range(columns):
            top, bottom = int(cuts[row] * height), int((cuts[row + 1] - gap) * height)
            left, right = int(across[column] * width), int((across[column + 1] - gap) * width)
            if bottom - top >= 8 and right - left >= 8:
                _panel(filling, image[top:bottom, left:right], rule)
    softened: Floats = soften(image)
    return softened


def _panel(draw: Draw, panel: Floats, rule: float) -> None:
    height, width = panel.shape[:2]
    first, last = draw.colour(0.8, 90.0, 230.0), draw.colour(0.8, 90.0, 230.0)
    panel[:] = first
    if draw.yes(0.6):
        step = max(3, round(1.6 * rule + 2))
        down, across = np.arange(height)[:, None] % step, np.arange(width)[None] % step
        dots = (down - step / 2.0) ** 2 + (across - step / 2.0) ** 2 < (0.3 * step) ** 2
        panel[dots] = last
    rectangle(panel, draw.real(0.55, 0.9), 0.0, 1.0, 1.0, draw.colour(0.8))
    for _ in range(draw.whole(2, 6)):
        middle = (draw.real(0.2, 1.0) * height, draw.real() * width)
        radius = (draw.real(0.08, 0.35) * height, draw.real(0.06, 0.25) * width)
        ellipse(panel, middle, (radius[0] + rule, radius[1] + rule), _INK)
        ellipse(panel, middle, radius, draw.colour(0.8, 60.0, 240.0))
        for turn in (-0.35, 0.35):
            eye = (middle[0] - 0.2 * radius[0], middle[1] + turn * radius[1])
            ellipse(panel, eye, (max(1.0, 0.12 * radius[0]), max(1.0, 0.08 * radius[1])), _INK)
    if draw.yes(0.7):
        middle = (0.2 * height, draw.real(0.35, 0.65) * width)
        radius = (0.16 * height, 0.32 * width)
        ellipse(panel, middle, (radius[0] + rule, radius[1] + rule), _INK)
        ellipse(panel, middle, radius, _PAPER)
        line = max(4, int(0.1 * height))
        letters = max(2, int(1.3 * radius[1] / (line * 6 / 9)))
        left = round(middle[1] - 0.5 * letters * line * 6 / 9)
        paint_text(panel, _lines(draw, 2, letters), round(middle[0] - line), left, 2 * line, _INK)
    edge = max(1, round(rule))
    for side in (panel[:edge], panel[-edge:], panel[:, :edge], panel[:, -edge:]):
        side[:] = _INK


def card(layout: Draw, filling: Draw, shape: tuple[int, int]) -> Floats:
    """Paint a membership card: a photo, fields with names, a number and a bar code on a patterned ground.

    Parameters
    ----------
    layout, filling : Draw
        Streams of random numbers for the card and for its holder.
    shape : (int, int)
        Height and width, px.

    Returns
    -------
    (H, W, 3) float64 array
        RGB, not yet clipped to 0..255.
    """
    height, width = shape
    ground, accent = layout.colour(0.3, 150.0, 240.0), layout.colour(0.9, 30.0, 150.0)
    image = _blank(shape, ground)
    down, across = np.arange(height)[:, None] / height, np.arange(width)[None] / width
    wave = np.sin(40.0 * layout.real(0.5, 1.5) * (down + 0.1 * np.sin(9.0 * across + layout.real(0.0, 6.0))))
    image *= 1.0 + 0.06 * wave[..., None]
    rectangle(image, 0.0, 0.0, layout.real(0.14, 0.22), 1.0, accent)
    line = max(4, round(0.06 * height))
    paint_text(image, [sentence(layout, 18).upper()], round(0.05 * height), round(0.05 * width), line, _PAPER)
    left = layout.pick((0.05, 0.65))
    _photo_in(filling, image, 0.28, left, 0.78, left + 0.3)
    text = 0.4 if left < 0.5 else 0.06
    for field in range(4):
        top = round((0.28 + 0.13 * field) * height)
        paint_text(image, [sentence(layout, 8)], top, round(text * width), max(3, line // 2), accent)
        paint_text(image, [sentence(filling, 13).upper()], top + line // 2, round(text * width), line, _INK)
    bars = filling.reals(48) < 0.5
    stripes = area_resize(bars[None].astype(np.float64), 1, max(1, round(0.5 * width)))[0]
    patch = image[round(0.86 * height) : round(0.96 * height), round(0.06 * width) :][:, : len(stripes)]
    patch[:] = 255.0 * (1.0 - stripes[None, : patch.shape[1], None])
    return image
