"""The signal types within the real ``threatexchange``: its command line as a process of its own, no network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from threatexchange.content_type.photo import PhotoContent
from threatexchange.extensions.manifest import ThreatExchangeExtensionManifest
from threatexchange.interface_validation import SignalTypeMapping
from threatexchange.signal_type.pdq.signal import PdqSignal

from hashmatch.errors import HashFormatError, IsolationError
from hashmatch.hashers.facade import hash_image
from hashmatch.integrations.threatexchange import HashmatchKeypointSignal, HashmatchPdqSignal, NoSignalWarning
from hashmatch.integrations.threatexchange_isolated import IsolatedKeypointSignal, IsolatedPdqSignal
from hashmatch.jail import Isolation
from hashmatch.picture import DecodePolicy
from hashmatch.picture.encode import jpeg, png
from hashmatch.synthetic import PATTERN_KINDS, pattern, picture

EXTENSION = "hashmatch.integrations.threatexchange"
PHOTOS = [picture("photo", seed, size=(240, 320)) for seed in range(4)]
PLAIN = png(np.full((60, 80, 3), 90, np.uint8))
TYPES = [HashmatchPdqSignal, HashmatchKeypointSignal, IsolatedPdqSignal, IsolatedKeypointSignal]

Run = Callable[..., str]


@pytest.fixture
def tx(tmp_path: Path) -> Run:
    """Run ``tx`` with a folder of its own; what it printed, then its errors."""

    def run(*words: str | Path, code: int = 0) -> str:
        env = os.environ | {"TX_STATEDIR": str(tmp_path / "state"), "HOME": str(tmp_path)}
        command = [sys.executable, "-m", "threatexchange", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    return run


def listed(tx: Run, path: Path, *rows: str) -> None:
    """Give the command line a list of its own, and let it build the indexes."""
    path.write_text("\n".join(rows) + "\n", encoding="ascii")
    tx("config", "collab", "edit", "local_file", "--create", path.stem, "--filename", path)
    tx("fetch")


def rows_of(kind: type[HashmatchPdqSignal | HashmatchKeypointSignal], *pictures: bytes) -> list[str]:
    """Rows of a local file."""
    return [f"{kind.get_name()} {kind.hash_from_bytes(item)}" for item in pictures]


@pytest.mark.parametrize("extension", [EXTENSION, f"{EXTENSION}_isolated"])
def test_the_command_line_hashes_fetches_and_matches(tx: Run, tmp_path: Path, extension: str) -> None:
    """An edited copy matches by PDQ, a part by keypoints; a broken, a plain and an unknown file end nothing."""
    assert "hashmatch_pdq - " in tx("config", "extensions", "add", extension)
    files = {
        "broken": png(PHOTOS[0])[:900],
        "copy": jpeg(PHOTOS[0], quality=60),
        "plain": PLAIN,
        "part": png(PHOTOS[1][60:, 100:]),
        "other": png(PHOTOS[3]),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "first").write_bytes(png(PHOTOS[0]))
    hashed = tx("hash", "photo", tmp_path / "first").splitlines()
    assert hashed[0].split() == ["pdq", PdqSignal.hash_from_bytes(png(PHOTOS[0]))]
    assert hashed[1] == f"hashmatch_{hashed[0]}"
    assert hashed[2] == f"hashmatch_keypoint {hash_image(PHOTOS[0], 'keypoint').hex()}"
    # a list of one entry of each kind
    listed(tx, tmp_path / "example.txt", hashed[1], *rows_of(HashmatchKeypointSignal, png(PHOTOS[1])))
    said = tx("match", "photo", *(tmp_path / name for name in files)).splitlines()
    found = [line.split() for line in said if "example" in line]
    assert [(words[0], words[2]) for words in found] == [
        ("hashmatch_pdq", "(example)"),
        ("hashmatch_keypoint", "(example)"),
    ]
    assert int(found[0][1]) <= 31
    assert float(found[1][1]) <= -8
    told = [line for line in said if "NoSignalWarning" in line]
    assert [[word in line for word in ("picture 1", "picture 3")] for line in told] == [[True, False]] * 2 + [
        [False, True]
    ] * 2
    assert not any(str(tmp_path) in line for line in told)


def test_two_collaborations_of_one_hash_both_show(tx: Run, tmp_path: Path) -> None:
    """Who else lists the same picture is not lost, also after the index was stored and read again."""
    tx("config", "extensions", "add", EXTENSION)
    (row,) = rows_of(HashmatchPdqSignal, png(PHOTOS[0]))
    listed(tx, tmp_path / "first.txt", row)
    listed(tx, tmp_path / "second.txt", row.replace("c", "C").replace("hashmatCh", "hashmatch"), "hashmatch_pdq no")
    (tmp_path / "photo").write_bytes(png(PHOTOS[0]))
    said = tx("match", "photo", tmp_path / "photo")
    assert "hashmatch_pdq 0 (first)" in said
    assert "hashmatch_pdq 0 (second)" in said
    (tmp_path / "signals").write_text(row.split()[1], encoding="ascii")
    assert "(first)" in tx("match", "-S", "hashmatch_pdq", "-H", "photo", tmp_path / "signals")
    (tmp_path / "state/index/hashmatch_pdq.index").write_bytes(b"damaged")
    assert "not a hashmatch index" in tx("match", "photo", tmp_path / "photo", code=1)


def test_examples_are_matched_without_a_collaboration(tx: Run, tmp_path: Path) -> None:
    """The first try of the command line, on its sample exchange, works with these types too."""
    tx("config", "extensions", "add", EXTENSION)
    (tmp_path / "photo").write_bytes(png(picture("photo", 0)))
    said = tx("match", "photo", tmp_path / "photo")
    assert "hashmatch_pdq 0 (Sample" in said
    assert "hashmatch_keypoint -" in said


@pytest.mark.parametrize("kind", ["photo", *PATTERN_KINDS])
def test_pdq_is_that_of_threatexchange_on_lossless_pictures(kind: str) -> None:
    """The same hash where they hash, and none where they find the picture too plain."""
    pixels = PHOTOS[2] if kind == "photo" else pattern(kind, 3)
    data = png(pixels)
    theirs = PdqSignal.hash_from_bytes(data)
    if theirs:
        assert HashmatchPdqSignal.hash_from_bytes(data) == IsolatedPdqSignal.hash_from_bytes(data) == theirs
        assert HashmatchPdqSignal.compare_hash(theirs, theirs.upper()).match
    else:
        with pytest.warns(NoSignalWarning, match="too-plain"):
            assert HashmatchPdqSignal.hash_from_bytes(data) == ""


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "empty"), (b"junk", "not-an-image"), (png(PHOTOS[0])[:900], "truncated"), (PLAIN, "too-plain")],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_a_picture_without_signal_is_told_each_time(
    kind: type[HashmatchPdqSignal | HashmatchKeypointSignal], data: bytes, reason: str
) -> None:
    """No silent miss: every one of them is a warning, by its place and without a name, and no exception."""
    with pytest.warns(NoSignalWarning, match=reason) as told:
        assert [kind.hash_from_bytes(data) for _ in range(3)] == [""] * 3
    assert len(told) == 3
    assert len({str(item.message) for item in told}) == 3


@pytest.mark.parametrize("kind", TYPES)
def test_a_file_is_hashed_as_its_bytes(
    kind: type[HashmatchPdqSignal | HashmatchKeypointSignal], tmp_path: Path
) -> None:
    """A path, the bytes, with and without isolation: one valid signal; a missing or large file has none."""
    path = tmp_path / "picture"
    path.write_bytes(png(PHOTOS[0]))
    signal = kind.hash_from_file(path)
    assert signal == kind.hash_from_bytes(path.read_bytes()) == hash_image(PHOTOS[0], kind.ALGORITHM).hex()
    assert kind.validate_signal_str(f" {signal.upper()}\n") == signal
    with pytest.warns(NoSignalWarning, match="not-found"):
        assert kind.hash_from_file(tmp_path / "nothing") == ""

    class Small(kind):  # type: ignore[valid-type, misc]
        NAME = "small"
        DECODE = DecodePolicy(frames="first", max_bytes=1_000)

    with pytest.warns(NoSignalWarning, match="picture 1 has no signal of small: too-many-bytes"):
        assert Small.hash_from_file(path) == ""


def test_isolation_that_does_not_hold_is_an_error() -> None:
    """What cannot be asked at all is no picture without signal."""

    class Wrong(HashmatchPdqSignal):
        ISOLATION = Isolation(python="/nothing")

    with pytest.raises(IsolationError):
        Wrong.hash_from_bytes(png(PHOTOS[0]))


@pytest.mark.parametrize("kind", TYPES[:2])
@pytest.mark.parametrize("text", ["", "0f", "g" * 64, "0f" * 33, "pdq", "0f" * 32 + ":"])
def test_what_is_no_signal_is_refused_unseen(
    kind: type[HashmatchPdqSignal | HashmatchKeypointSignal], text: str
) -> None:
    """The error is a ValueError, as the package wants it, and does not repeat the text."""
    with pytest.raises(HashFormatError) as caught:
        kind.validate_signal_str(text)
    assert not text or text not in str(caught.value) or text == "pdq"


def test_a_subclass_takes_the_place_of_their_type() -> None:
    """Configurations that list their types by hand, as Hasher-Matcher-Actioner's, name ours ``pdq``."""

    class Pdq(HashmatchPdqSignal):
        NAME = "pdq"

    mapping = SignalTypeMapping([PhotoContent], [Pdq, HashmatchKeypointSignal])
    assert list(mapping.signal_type_by_name) == ["pdq", "hashmatch_keypoint"]
    assert Pdq.INDICATOR_TYPE == PdqSignal.INDICATOR_TYPE
    assert Pdq.validate_signal_str(Pdq.get_random_signal())


@pytest.mark.parametrize("name", [EXTENSION, f"{EXTENSION}_isolated"])
def test_types_keep_the_rules_of_the_package(name: str) -> None:
    """What its own helper for tests of types asks: names, examples that are valid, match themselves, and are found."""
    for kind in ThreatExchangeExtensionManifest.load_from_module_name(name).signal_types:
        examples = kind.get_examples()
        assert examples == [kind.validate_signal_str(item) for item in examples]
        assert kind.get_content_types() == [PhotoContent]
        index = kind.get_index_cls().build([(item, number) for number, item in enumerate(examples)])
        assert type(index) is kind.get_index_cls()
        for number, item in enumerate(examples):
            assert index.query(item)[0].metadata == number
            assert kind.compare_hash(item, item).match
        assert not kind.compare_hash(examples[0], examples[1]).match
