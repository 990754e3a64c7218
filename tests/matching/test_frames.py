"""Laws of frames: what a file shows is looked at or counted, and never plain "no match" where it was not seen."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hashmatch import Matcher, MatchPolicy, Outcome, ReferenceList, hash_image, profiles
from hashmatch.jail import Isolation
from hashmatch.picture import KNOWN_FORMATS
from hashmatch.picture.frames import held_frames
from hashmatch.synthetic import picture
from support.picture_makers import chunk

LISTED = picture("photo", 1, size=(120, 160))
DECOYS = [picture("photo", seed, size=(120, 160)) for seed in range(20, 26)]
PNG_START = 8
EVERY_FORMAT = replace(profiles.STANDARD.decode, formats=KNOWN_FORMATS)
STANDARD = replace(profiles.STANDARD, decode=EVERY_FORMAT)
FAST = replace(profiles.FAST, decode=replace(EVERY_FORMAT, frames="first"))
ANIMATED = ("GIF", "WEBP", "PNG", "TIFF", "AVIF")


def written(format: str, *frames: np.ndarray, **options: Any) -> bytes:
    """Write an animation, or pages."""
    stream = io.BytesIO()
    first, *rest = (Image.fromarray(pixels) for pixels in frames)
    more = {"save_all": True, "append_images": rest} if rest else {}
    first.save(stream, format, **({"duration": 20} if format != "TIFF" else {}), **more, **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a list with one photo."""
    path = tmp_path_factory.mktemp("list") / "list.hashmatch"
    with ReferenceList.create(path, name="demo") as ref:
        ref.add("photo", hashes=[hash_image(LISTED)])
    return path


def answer(path: Path, source: Any, policy: MatchPolicy) -> tuple[str, str | None, int | None, int | None]:
    """Give outcome, reason, frames seen and frames unseen."""
    with Matcher.open(path, policy=policy) as matcher:
        report = matcher.match(source)
    return report.outcome.value, report.reason, report.frames_seen, report.frames_unseen


@pytest.mark.parametrize("format", ANIMATED)
@pytest.mark.parametrize("place", [1, 3, 6])
def test_the_listed_picture_in_any_frame_is_found(listed: Path, format: str, place: int) -> None:
    """STANDARD looks at every frame, also mirrored ones; FAST looks at one, and says how many it did not see."""
    frames = list(DECOYS)
    frames.insert(place, np.ascontiguousarray(LISTED[:, ::-1]))
    data = written(format, *frames)
    assert answer(listed, data, STANDARD) == ("match", None, 7, 0)
    assert answer(listed, data, FAST) == ("undecidable", "frames-unseen", 1, 6)


@pytest.mark.parametrize("format", ANIMATED)
def test_without_the_listed_picture_all_frames_seen_is_no_match(listed: Path, format: str) -> None:
    """Where every frame was looked at, "no match" is the answer; spread frames leave some unseen."""
    data = written(format, *DECOYS)
    assert answer(listed, data, STANDARD) == ("no match", None, 6, 0)
    spread = replace(STANDARD, decode=replace(STANDARD.decode, frames="spread", n_spread=2))
    assert answer(listed, data, spread)[:2] == ("undecidable", "frames-unseen")


@pytest.mark.parametrize("format", KNOWN_FORMATS[:-1])
def test_one_picture_is_no_animation(listed: Path, format: str) -> None:
    """A file of one frame has none unseen, in any format, under any policy."""
    data = written(format, DECOYS[0], **({"sizes": [(64, 48)]} if format == "ICO" else {}))
    for policy in (FAST, STANDARD):
        assert answer(listed, data, policy) == ("no match", None, 1, 0)
    assert answer(listed, DECOYS[0], FAST) == ("no match", None, 1, 0)


@pytest.mark.parametrize(
    "limit", [{"max_frames": 4}, {"max_total_pixels": 4 * LISTED.shape[0] * LISTED.shape[1]}, {"frames": "first"}]
)
def test_a_budget_that_ends_counts_the_rest(listed: Path, limit: dict[str, Any]) -> None:
    """Frames beyond a limit are counted; a match before it stands and says that it is partial."""
    policy = replace(STANDARD, decode=replace(STANDARD.decode, **limit))
    n = 1 if "frames" in limit else 4
    with Matcher.open(listed, policy=policy) as matcher:
        report = matcher.match(written("GIF", *DECOYS))
        assert (report.outcome, report.reason) == (Outcome.UNDECIDABLE, "frames-unseen")
        assert report.frames is not None
        assert report.frames.seen == n
        assert report.frames.unseen + n == 6 or (report.frames.at_least and report.frames.unseen >= 1)
        assert "frames" not in report.views_compared
        found = matcher.match(written("GIF", LISTED, *DECOYS))
    assert (found.outcome, found.reason, found.partial) == (Outcome.MATCH, "frames-unseen", True)


def icon(*pictures: np.ndarray) -> bytes:
    """Put pictures into an icon, as PNG."""
    files = [written("PNG", pixels) for pixels in pictures]
    places = [6 + 16 * len(files) + sum(map(len, files[:number])) for number in range(len(files))]
    rows = [struct.pack("<4B2H2I", 0, 0, 0, 0, 1, 32, len(f), at) for f, at in zip(files, places, strict=True)]
    return struct.pack("<3H", 0, 1, len(files)) + b"".join(rows) + b"".join(files)


def stills(*pictures: np.ndarray, primary: int = 0) -> bytes:
    """Put still pictures into a HEIF file."""
    heif = pytest.importorskip("pillow_heif")
    first, *rest = pictures
    file = heif.from_pillow(Image.fromarray(first))
    for pixels in rest:
        file.add_from_pillow(Image.fromarray(pixels))
    stream = io.BytesIO()
    file.save(stream, quality=90, primary_index=primary)
    return stream.getvalue()


@pytest.mark.parametrize("make", [icon, stills])
def test_pictures_beside_the_first_are_frames(listed: Path, make: Any) -> None:
    """Those of an icon and the stills of a HEIF file: seen, or counted as unseen, under every choice of frames."""
    spread = replace(STANDARD, decode=replace(EVERY_FORMAT, frames="spread", n_spread=3))
    hidden = make(*DECOYS[:3], LISTED, DECOYS[3])
    assert answer(listed, make(DECOYS[0]), FAST) == ("no match", None, 1, 0)
    assert answer(listed, hidden, FAST) == ("undecidable", "frames-unseen", 1, 4)
    assert answer(listed, hidden, spread) == ("undecidable", "frames-unseen", 3, 2)
    assert answer(listed, hidden, STANDARD) == ("match", None, 5, 0)


def test_the_first_picture_of_a_heif_file_can_be_any(listed: Path) -> None:
    """FAST looks at the one that viewers show, in a worker process too."""
    data = stills(DECOYS[0], LISTED, primary=1)
    with Matcher.open(listed, policy=FAST) as here, Matcher.open(listed, policy=FAST, isolation=Isolation()) as there:
        expected = here.match(data)
        assert (expected.outcome, expected.frames_seen, expected.frames_unseen) == (Outcome.MATCH, 1, 1)
        assert replace(there.match(data), protection=None) == expected


def _broken_streams() -> list[bytes]:
    """Seven frames of which one fdAT has a false check value, none, a false number, or bytes behind its stream."""
    data = written("PNG", *DECOYS[:5], LISTED, DECOYS[5])
    at = [i for i in range(len(data)) if data.startswith(b"fdAT", i)][4]
    (length,) = struct.unpack_from(">I", data, at - 4)
    content = data[at + 4 : at + 4 + length]
    bad = [content[:-4] + b"abcd", content[:-4], b"\0\0\0\x63" + content[4:], content + bytes(90)]
    bad.append(content[:4] + bytes((0x08, 0x1D)) + content[6:-4] + b"abcd")
    return [data[: at - 4] + chunk(b"fdAT", new) + data[at + 8 + length :] for new in bad]


@pytest.mark.parametrize("data", _broken_streams())
def test_a_false_check_value_costs_no_later_frame(listed: Path, data: bytes) -> None:
    """Where the pixels of a frame are whole they count, and so do the frames behind it."""
    assert answer(listed, data, STANDARD) == ("match", None, 7, 0)


def test_a_later_frame_that_is_cut_is_not_made_up(listed: Path) -> None:
    """What is missing stays missing, and is told."""
    data = written("PNG", DECOYS[0], LISTED)
    at = data.index(b"fdAT")
    (length,) = struct.unpack_from(">I", data, at - 4)
    cut = data[: at - 4] + chunk(b"fdAT", data[at + 4 : at + 4 + length // 2]) + data[at + 8 + length :]
    outcome, _, seen, unseen = answer(listed, cut, STANDARD)
    assert (outcome, seen, unseen) == ("unreadable", 1, 1)


def test_a_claimed_number_hides_nothing(listed: Path) -> None:
    """An APNG that claims two of its seven frames shows two to the codec; the others count as unseen."""
    data = bytearray(written("PNG", *DECOYS, LISTED))
    at = data.find(b"acTL")
    struct.pack_into(">I", data, at + 4, 2)
    struct.pack_into(">I", data, at + 12, zlib.crc32(data[at : at + 12]))
    assert answer(listed, bytes(data), STANDARD) == ("undecidable", "frames-unseen", 2, 5)


def test_a_still_picture_beside_an_animation_is_a_frame(listed: Path) -> None:
    """APNG's default picture and the frames of its animation are all seen."""
    for frames in ([LISTED, *DECOYS], [*DECOYS, LISTED]):
        data = written("PNG", *frames, default_image=True)
        assert answer(listed, data, STANDARD) == ("match", None, 7, 0)


def test_chunks_before_the_animation_hide_nothing(listed: Path) -> None:
    """Thousands of empty chunks or comments are walked past by the count as by the codec."""
    data = written("PNG", DECOYS[0], LISTED)
    padded = data[: PNG_START + 25] + chunk(b"teSt", b"") * 3000 + data[PNG_START + 25 :]
    assert answer(listed, padded, FAST)[:2] == ("undecidable", "frames-unseen")
    gif = written("GIF", DECOYS[0], LISTED)
    at = gif.index(b"!\xf9")
    assert answer(listed, gif[:at] + b"!\xfe\1x\0" * 3000 + gif[at:], FAST)[3] == 1


def test_a_count_that_gives_up_is_not_whole() -> None:
    """Where a bound of steps ends the count, there may be more frames, and the count says so."""
    data = written("PNG", DECOYS[0], DECOYS[1])
    padded = data[: PNG_START + 25] + chunk(b"teSt", b"") * 500_001 + data[PNG_START + 25 :]
    assert held_frames("PNG", padded, 1000) == (1, False)
    assert held_frames("GIF", b"GIF89a" + bytes(7) + b"!\xfe\0" * 2_000_001, 1000) == (1, False)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_damage_in_a_later_frame_counts_what_is_behind_it(listed: Path, format: str) -> None:
    """A broken frame makes the file unreadable, frames before it are searched, and none is lost from the count."""
    data = written(format, LISTED, *DECOYS)
    cut = data[: len(data) * 2 // 3]
    outcome, reason, seen, _ = answer(listed, cut, STANDARD)
    assert outcome == ("unreadable" if format == "WEBP" else "match")  # WebP's decoder wants the whole file
    assert reason in ("truncated", "corrupt", "frames-unseen")
    assert format == "WEBP" or (seen is not None and seen >= 1)


def test_an_image_of_the_callers_own_is_counted_too(listed: Path) -> None:
    """A PIL image of an animation stands at a frame and keeps it; the others count."""
    for format in ANIMATED:
        with Image.open(io.BytesIO(written(format, *DECOYS))) as image:
            image.seek(2)
            before = np.asarray(image.convert("RGB"))
            assert answer(listed, image, FAST) == ("undecidable", "frames-unseen", 1, 5)
            assert np.array_equal(np.asarray(image.convert("RGB")), before)
        # Pillow cannot go back to the start of an APNG
        with Image.open(io.BytesIO(written(format, *DECOYS))) as image:
            assert answer(listed, image, STANDARD) == ("no match", None, 6, 0)


def test_other_pictures_of_a_jpeg_are_no_frames(listed: Path) -> None:
    """An MPO holds a second view or a preview that no browser shows."""
    data = written("MPO", DECOYS[0], DECOYS[1])
    assert answer(listed, data, FAST) == ("no match", None, 1, 0)


def test_costly_views_are_of_a_spread_and_of_new_scenes(listed: Path) -> None:
    """THOROUGH looks at every frame, and at up to ten in full: of two scenes at least one frame each."""
    moved = [np.roll(LISTED, k, axis=1) for k in range(30)]
    crop = np.ascontiguousarray(LISTED[8:, 10:])
    scene = np.asarray(Image.fromarray(crop).resize((160, 120)))
    frames = (
        [np.roll(DECOYS[0], k, axis=0) for k in range(17)]
        + [scene]
        + [np.roll(DECOYS[0], k, axis=1) for k in range(30)]
    )
    with Matcher.open(listed, policy=profiles.THOROUGH) as matcher:
        still = matcher.match(written("PNG", *moved))
        cut = matcher.match(written("PNG", *frames))
    assert still.frames is not None
    assert still.frames.seen == 30
    assert 5 <= still.frames.in_full <= 10
    assert cut.outcome is Outcome.MATCH
    assert (cut.matches[0].view.frame, bool(cut.matches[0].view.cut)) == (17, True)


def test_isolation_counts_the_same(listed: Path) -> None:
    """A worker process looks at the same frames, and the host counts those it did not see."""
    sources = [written(format, *DECOYS) for format in ("GIF", "PNG", "WEBP")]
    sources += [written("GIF", *DECOYS, LISTED), written("GIF", DECOYS[0])]
    for base in (profiles.FAST, profiles.THOROUGH):
        policy = replace(base, decode=replace(base.decode, max_frames=6))
        with (
            Matcher.open(listed, policy=policy) as here,
            Matcher.open(listed, policy=policy, isolation=Isolation()) as there,
        ):
            for source in sources:
                assert replace(there.match(source), protection=None) == here.match(source)
