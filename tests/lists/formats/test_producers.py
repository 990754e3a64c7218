"""Hashes that bear one name and are not one algorithm are told apart by who makes them."""

from __future__ import annotations

import io
from typing import Any

import imagehash
import numpy as np
import pytest
from PIL import Image

from hashmatch import hash_image
from hashmatch.algorithms import ALGORITHMS, algorithm_named
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists.formats import (
    ColumnMapping,
    Delivery,
    HashColumn,
    Refused,
    Row,
    format_named,
    mapping_from_toml,
    read_table,
    read_text,
    reader_of,
)
from hashmatch.synthetic import KINDS, picture

DIGITS = "0f1e2d3c4b5a6978"
REFUSED = ("dhash@perception", "phash@perception", "ahash@perception", "dhash@dhash")
UNKNOWN = (
    "dhash@elsewhere",
    "whash@perception",
    "pdq@",
    "@",
    "@pdq",
    "pdq@pdq@pdqhash",
    "dhash@imagehash2",
    "dhash @ imagehash",
)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_another_algorithm_is_refused_with_what_to_do(name: str) -> None:
    """By every way in; the message says why, and shows no hash."""
    plain = name.partition("@")[0]
    said = f"{name} is not {plain}: .*Import digests of the same files"
    with pytest.raises(HashFormatError, match=said):
        algorithm_named(name.upper())
    with pytest.raises(HashFormatError, match=said):
        HashValue.parse(f"{name}:{DIGITS}")
    with pytest.raises(HashFormatError, match=said):
        ColumnMapping(hashes={"h": name})
    with pytest.raises(HashFormatError, match=said):
        HashColumn(algorithm=name)
    with pytest.raises(ReferenceListError, match=said):
        mapping_from_toml(f"hashes = {{h = '{name}'}}")
    with pytest.raises(HashFormatError, match=said):
        read_text(io.BytesIO(), name)
    rows: list[Any] = []
    for line in (f"{name}:{DIGITS}", f"{name} {DIGITS}", f"{name} (x) = {DIGITS}"):
        for algorithm in (None, plain):
            rows += read_text(io.BytesIO(line.encode()), algorithm)
    rows += read_table(io.BytesIO(f"h\n{name}:{DIGITS}\n".encode()), ColumnMapping(hashes={"h": plain}))
    rows += reader_of(format_named("tx-local"), io.BytesIO(f"{name} {DIGITS}\n".encode()), Delivery())
    assert len(rows) == 8
    for row in rows:
        assert isinstance(row, Refused)
        assert f"{name} is not {plain}" in row.reason
        assert DIGITS not in row.reason


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_producer_is_refused(name: str) -> None:
    """Nothing is taken for ours by the first half of its name, and the message does not repeat it."""
    with pytest.raises(HashFormatError, match="not known to be those of an algorithm here") as caught:
        algorithm_named(name)
    assert "elsewhere" not in str(caught.value)
    (row,) = read_text(io.BytesIO(f"{name}:{DIGITS}".encode()))
    assert isinstance(row, Refused)


def test_producers_whose_hashes_are_ours() -> None:
    """They are the algorithm itself: nothing else is stored."""
    for name in ALGORITHMS:
        if name.removesuffix("-256") in ("ahash", "dhash", "phash", "whash"):
            assert algorithm_named(f"{name}@ImageHash") is ALGORITHMS[name]
    assert algorithm_named("pdq@threatexchange") is algorithm_named("PDQ@pdqhash") is ALGORITHMS["pdq"]
    value = HashValue("dhash", bytes.fromhex(DIGITS))
    for line in (f"dhash@imagehash:{DIGITS}", f"dhash@imagehash {DIGITS}"):
        (row,) = read_text(io.BytesIO(line.encode()))
        assert isinstance(row, Row)
        assert row.entry.hashes == (value,)
    (row,) = read_table(io.BytesIO(f"h\n{DIGITS}\n".encode()), ColumnMapping(hashes={"h": "dhash@imagehash"}))
    assert isinstance(row, Row)
    assert row.entry.hashes == (value,)


def test_the_bits_of_pdqhash_are_ours() -> None:
    """Packed from the first on, they are the digits of PDQ."""
    pdqhash = pytest.importorskip("pdqhash")
    pixels = np.kron(np.random.default_rng(1).integers(0, 256, (16, 16, 3)), np.ones((24, 24, 1))).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    vector, _ = pdqhash.compute(pixels)
    assert np.packbits(vector.astype(bool)).tobytes() == hash_image(file.getvalue(), "pdq").data


def test_left_against_right_is_nearly_the_complement() -> None:
    """Why a dhash that compares the other way round is refused: it is as far as can be, and equal pixels are lost."""
    far, lost = [], 0
    for seed in range(20):
        made = picture(KINDS[seed % len(KINDS)], seed=seed)
        image = made if isinstance(made, Image.Image) else Image.fromarray(np.asarray(made))
        grey = image.convert("L").resize((9, 8), Image.Resampling.LANCZOS)
        pixels = np.asarray(grey).astype(int)
        ours, other = pixels[:, 1:] > pixels[:, :-1], pixels[:, :-1] > pixels[:, 1:]
        assert (imagehash.dhash(image).hash == ours).all()
        far.append(int((ours != other).sum()))
        lost += int((~ours == other).sum() != 64)
    assert min(far) > 40
    assert lost > 0
