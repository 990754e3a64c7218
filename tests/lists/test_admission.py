"""Hashes that would match what they should not get into no list, by no path."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from hashmatch.algorithms import ALGORITHMS, DIGESTS, Metric
from hashmatch.cli.app import app
from hashmatch.errors import HashFormatError
from hashmatch.hashes import HashValue
from hashmatch.lists import Entry, ReferenceList
from hashmatch.lists.admission import check_hash, placeholder_files
from hashmatch.lists.formats import ColumnMapping, Refused, import_into, read_table, read_text

PERCEPTUAL = sorted(name for name, item in ALGORITHMS.items() if item.metric is Metric.HAMMING)


def of_ones(algorithm: str, ones: int) -> HashValue:
    """Make a hash whose first bits are ones."""
    n_bits = ALGORITHMS[algorithm].n_bits
    return HashValue(algorithm, ((1 << ones) - 1 << n_bits - ones).to_bytes(n_bits // 8, "big"))


BAD = [
    *(of_ones(name, ones) for name in PERCEPTUAL for n in [ALGORITHMS[name].n_bits] for ones in (0, n // 16 - 1)),
    *(of_ones(name, n - ones) for name in PERCEPTUAL for n in [ALGORITHMS[name].n_bits] for ones in (0, n // 16 - 1)),
    *(HashValue(name, hashlib.new(name, b"").digest()) for name in sorted(DIGESTS)),
    *(HashValue(name, bytes([byte]) * ALGORITHMS[name].n_bytes) for name in sorted(DIGESTS) for byte in (0, 255)),
    HashValue("photodna", bytes(144)),
    HashValue("photodna", b"\x07" * 136 + bytes(range(8))),
    HashValue("keypoint", b"\x07" * 99),
]


@pytest.mark.parametrize("value", BAD, ids=lambda value: f"{value.algorithm}-{value.data[:4].hex()}")
def test_no_path_lets_it_in(value: HashValue, tmp_path: Path) -> None:
    """Added, added among many, read from a table or text, or by the command line: refused, by a reason without it."""
    path = tmp_path / "list.hashmatch"
    digits = value.data.hex()
    with ReferenceList.create(path, name="x") as ref:
        for add in (
            lambda: ref.add("e", hashes=[value]),
            lambda: ref.add_many([Entry.of("e", hashes=[HashValue("md5", b"\x05" * 16), value], quality=90)]),
        ):
            with pytest.raises(HashFormatError) as caught:
                add()
            assert digits not in str(caught.value)
        table = f"id,{value.algorithm}\ne,{digits}\n".encode()
        mapping = ColumnMapping(hashes={value.algorithm: value.algorithm}, entry_id="id")
        text = read_text(io.BytesIO(digits.encode()), value.algorithm)
        for rows in (read_table(io.BytesIO(table), mapping), text):
            report = import_into(ref, rows)
            assert (report.accepted, report.refused_count) == (0, 1)
            (refused,) = report.refused
            assert isinstance(refused, Refused)
            assert digits not in refused.reason
        assert (len(ref), ref.version) == (0, 0)
    done = CliRunner().invoke(app, ["list", "add", str(path), str(value)])
    assert done.exit_code == 2
    assert digits not in done.output.replace(str(value), "", 1)
    with ReferenceList.open(path) as ref:
        assert len(ref) == 0


@given(st.sampled_from(PERCEPTUAL), st.randoms(use_true_random=False))
@example("pdq", None)
def test_a_sixteenth_of_the_bits_is_enough(algorithm: str, random: object) -> None:
    """At n / 16 ones or zeros a perceptual hash is taken, wherever they stand; below it is not."""
    n_bits = ALGORITHMS[algorithm].n_bits
    places = list(range(n_bits))
    if random is not None:
        random.shuffle(places)  # type: ignore[attr-defined]
    for ones, is_taken in ((n_bits // 16, True), (n_bits // 16 - 1, False)):
        number = sum(1 << place for place in places[:ones])
        for found in (number, number ^ (1 << n_bits) - 1):
            value = HashValue(algorithm, found.to_bytes(n_bits // 8, "big"))
            if is_taken:
                check_hash(value)
            else:
                with pytest.raises(HashFormatError):
                    check_hash(value)


def test_placeholders_are_what_they_say() -> None:
    """Each is empty, a blank, or decodes to one pixel; and every digest of each is refused."""
    kinds = set()
    for kind, data in placeholder_files():
        kinds.add(kind)
        if len(data) > 2:
            with Image.open(io.BytesIO(data)) as image:
                assert image.size == (1, 1)
        for name in DIGESTS:
            with pytest.raises(HashFormatError, match=kind.partition(" of ")[0]):
                check_hash(HashValue(name, hashlib.new(name, data).digest()))
    assert len(kinds) == 4


@pytest.mark.parametrize(
    "digest",
    ["325472601571f31e1bf00674c368d335", "d41d8cd98f00b204e9800998ecf8427e", "b4491705564909da7f9eaf749dbbfbb1"],
)
def test_known_placeholders(digest: str) -> None:
    """Files that are known by their digests: a clear GIF of 43 bytes, the empty file, and the empty GIF of a server."""
    with pytest.raises(HashFormatError):
        check_hash(HashValue("md5", bytes.fromhex(digest)))


def test_low_quality_stays_with_its_quality(tmp_path: Path) -> None:
    """A perceptual hash of low quality is no bad entry: it is kept, and says its quality."""
    with ReferenceList.create(tmp_path / "list.hashmatch", name="x") as ref:
        ref.add("e", hashes=[HashValue("pdq", b"\x0f" * 32)], quality=3)
        (entry,) = ref
    assert entry.listings[0].hashes[0].quality == 3


def test_a_list_that_has_one_can_still_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier version took stays readable, and may be withdrawn."""
    path = tmp_path / "list.hashmatch"
    with monkeypatch.context() as patch:
        patch.setattr("hashmatch.lists.file.editor.check_hash", lambda _: None)
        with ReferenceList.create(path, name="old") as ref:
            ref.add("e", hashes=[HashValue("pdq", bytes(32))])
    with ReferenceList.open(path, writable=True) as ref:
        assert ref.get("e") is not None
        assert ref.verify().entries == 1
        assert not ref.add("e", hashes=[HashValue("pdq", bytes(32))])  # known: nothing gets in
        assert ref.withdraw("e")
