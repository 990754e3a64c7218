"""Laws of reduced decode: JPEG only, large ones only, near to the whole picture, and said so."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hashmatch import profiles
from hashmatch.errors import PolicyError
from hashmatch.hashers.facade import hash_image
from hashmatch.picture import DecodePolicy, iter_rasters
from hashmatch.synthetic import picture

REDUCED = DecodePolicy(reduced=True)


def saved(height: int, width: int, kind: str = "JPEG") -> bytes:
    """Make a file of one picture."""
    stream = io.BytesIO()
    Image.fromarray(picture("photo", 11_900_000, (height, width))).save(stream, kind)
    return stream.getvalue()


def size(data: bytes, policy: DecodePolicy) -> tuple[int, ...]:
    """Height and width of the pixels that are hashed."""
    (raster,) = iter_rasters(data, policy)
    return raster.pixels.shape[:2]


@pytest.mark.parametrize(
    ("whole", "expected"),
    [((1100, 1500), (550, 750)), ((1500, 2100), (750, 1050)), ((2100, 2048), (525, 512)), ((1000, 3000), (1000, 3000))],
)
def test_the_shorter_side_keeps_512(whole: tuple[int, int], expected: tuple[int, int]) -> None:
    """The codec halves as often as the shorter side allows, and never otherwise."""
    data = saved(*whole)
    assert size(data, DecodePolicy()) == whole
    assert size(data, REDUCED) == expected


def test_other_formats_are_decoded_as_ever() -> None:
    """Only JPEG is reduced."""
    assert size(saved(1100, 1100, "PNG"), REDUCED) == (1100, 1100)


def test_the_hash_is_near() -> None:
    """The reduced picture's hash lies within a few bits of the whole one's."""
    data = saved(2100, 2600)
    whole, part = (np.frombuffer(hash_image(data, "pdq", decode=p).data, np.uint8) for p in (DecodePolicy(), REDUCED))
    assert int(np.bitwise_count(whole ^ part).sum()) <= 12


@pytest.mark.parametrize("options", [{}, {"keep_rgb": True}, {"progressive": True}, {"subsampling": 0}])
def test_brightness_is_that_of_the_colours(options: dict[str, Any]) -> None:
    """What is given in grey is the brightness of the same picture reduced in colours, however the file holds them."""
    stream = io.BytesIO()
    Image.fromarray(picture("photo", 11_900_001, (1100, 1300))).save(stream, "JPEG", quality=90, **options)
    (raster,) = iter_rasters(stream.getvalue(), REDUCED)
    assert raster.pixels.strides[2] == 0
    coloured = Image.open(io.BytesIO(stream.getvalue()))
    coloured.draft(None, (650, 550))
    luma = np.asarray(coloured).astype(np.float64) @ (0.299, 0.587, 0.114)
    away = np.abs(luma - raster.pixels[:, :, 0])
    assert np.percentile(away, 99) <= 1.5  # beyond black and white colours are cut, brightness is not
    assert away.mean() < 0.5


def test_grey_and_cmyk_are_reduced_too() -> None:
    """A grey file stays grey, and inks become the colours that they are."""
    whole = Image.fromarray(picture("photo", 11_900_002, (1100, 1300)))
    for mode, step in (("L", 0), ("CMYK", 1)):
        stream = io.BytesIO()
        whole.convert(mode).save(stream, "JPEG")
        (raster,) = iter_rasters(stream.getvalue(), REDUCED)
        assert raster.pixels.shape == (550, 650, 3)
        assert raster.pixels.strides[2] == step


def test_it_is_said() -> None:
    """Reports name the contract that was kept; values other than True and False are refused."""
    assert (profiles.REDUCED.contract, profiles.STANDARD.decode.contract) == ("2+reduced", "2")
    assert replace(profiles.FAST, decode=profiles.REDUCED).decode.reduced
    with pytest.raises(PolicyError, match="reduced"):
        DecodePolicy(reduced=1)  # type: ignore[arg-type]
