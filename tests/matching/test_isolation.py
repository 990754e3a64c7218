"""Laws of matching with isolation: the same answers, whatever happens an outcome, and a host that does not notice."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from PIL import Image

from hashmatch import Matcher, MatchReport, Outcome, ReferenceList, fingerprint, hash_image, profiles
from hashmatch.errors import IsolationError, WeakIsolationWarning
from hashmatch.features import isolated as reader
from hashmatch.features.extract import Look, SmallLook
from hashmatch.features.isolated import protection
from hashmatch.jail import LEVELS, MEASURES, Isolation, Protection
from hashmatch.jail.calls import machine
from hashmatch.picture import KNOWN_FORMATS, DecodePolicy
from hashmatch.picture.encode import encode, jpeg
from hashmatch.policy import MatchPolicy, Rule
from hashmatch.synthetic import picture
from support import picture_makers

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and limits are of POSIX")
EVERYTHING = DecodePolicy(formats=KNOWN_FORMATS, frames="all", max_frames=50)
THOROUGH = dataclasses.replace(profiles.THOROUGH, decode=EVERYTHING)
PHOTO = picture("photo", 1, size=(180, 240))


def bomb(width: int, height: int) -> bytes:
    """PNG whose few bytes stand for many pixels."""
    body = zlib.compress(bytes(2**20))
    parts = [picture_makers.ihdr(width, height, 8, 2), picture_makers.chunk(b"IDAT", body)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + picture_makers.chunk(b"IEND", b"")


def files() -> dict[str, bytes]:
    """Make files of every kind, good ones, broken ones and bombs."""
    good = picture_makers.small_files() | {
        "photo": jpeg(PHOTO),
        "part": jpeg(np.ascontiguousarray(PHOTO[20:, 30:])),
        "clear": encode(PHOTO, "PNG", transparency=(1, 2, 3)),
        "framed": encode(np.pad(PHOTO, ((30, 30), (0, 0), (0, 0))), "PNG"),
        "lab": picture_makers.save(Image.fromarray(PHOTO).convert("LAB"), "TIFF"),
        "float": picture_makers.save(Image.fromarray(PHOTO[..., 0].astype(np.float32)), "TIFF"),
    }
    rng = np.random.default_rng(3)
    broken = {}
    for name, data in good.items():
        broken[f"{name}, cut"] = data[: len(data) // 2]
        spoilt = bytearray(data)
        for place in rng.integers(8, len(data), 6):
            spoilt[place] ^= int(rng.integers(1, 256))
        broken[f"{name}, spoilt"] = bytes(spoilt)
    return good | broken | {"bomb": bomb(9000, 9000), "huge": bomb(60_000, 60_000), "none": b"", "text": b"hello" * 50}


@pytest.fixture(scope="module")
def list_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a list that holds the photo in every way."""
    path = tmp_path_factory.mktemp("list") / "list.hashmatch"
    with ReferenceList.create(path, name="demo") as ref:
        names = ("pdq", "phash", "ahash", "keypoint")
        ref.add("photo", hashes=fingerprint(PHOTO, names).hashes)
        ref.add("file", hashes=fingerprint(jpeg(PHOTO), ("md5", "sha256")).hashes)
    return path


@pytest.fixture(scope="module")
def isolated(list_path: Path) -> Iterator[Matcher]:
    """Open a matcher that looks at everything, elsewhere."""
    with Matcher.open(list_path, policy=THOROUGH, isolation=Isolation(workers=1)) as matcher:
        yield matcher


def plain(report: MatchReport) -> dict[str, object]:
    """Report without what isolation adds."""
    return report.to_dict() | {"protection": None}


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.long)])
def test_answers_are_the_same(list_path: Path, isolated: Matcher, step: int) -> None:
    """Files of all formats, whole, cut, spoilt and swollen, are answered as without isolation, to the last digit."""
    found = set()
    with Matcher.open(list_path, policy=THOROUGH) as here:
        for number, (name, data) in enumerate(files().items()):
            if number % step and len(data) > 50 and not name.startswith(("photo", "part", "bomb", "huge", "text")):
                continue
            report = isolated.match(data)
            assert plain(report) == plain(here.match(data)), name
            assert report.reason != "internal-error", name
            found.add((report.outcome, report.reason))
    outcomes = {outcome for outcome, _ in found}
    assert outcomes == {Outcome.MATCH, Outcome.NO_MATCH, Outcome.UNDECIDABLE, Outcome.UNREADABLE}
    reasons = {reason for outcome, reason in found if outcome is Outcome.UNREADABLE}
    assert {"corrupt", "truncated", "empty", "not-an-image", "too-many-pixels"} <= reasons
    lost = isolated.counts()["workers"].get("lost", 0)
    assert lost == 0


def test_each_kind_of_source(list_path: Path, isolated: Matcher, tmp_path: Path) -> None:
    """Bytes, paths and files go to a worker; arrays and PIL images, opened by the caller, do not."""
    data = jpeg(PHOTO)
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    for source in (data, path, str(path), io.BytesIO(data), bytearray(data)):
        report = isolated.match(source)
        assert report.outcome is Outcome.MATCH
        assert report.protection == isolated.protection
        assert json.loads(json.dumps(report.to_dict()))["protection"]["measures"]
    for opened in (PHOTO, Image.fromarray(PHOTO)):
        assert isolated.match(opened).outcome is Outcome.MATCH
        assert isolated.match(opened).protection is None
    with Matcher.open(list_path) as here:
        assert here.protection is None
        assert here.match(data).protection is None
        assert here.counts()["workers"] == {}


def test_a_digest_match_needs_no_worker(list_path: Path) -> None:
    """With ``stop_at_digest`` a listed file is answered without being decoded, so nothing is said of protection."""
    policy = dataclasses.replace(profiles.STANDARD, stop_at_digest=True)
    with Matcher.open(list_path, policy=policy, isolation=Isolation(workers=1)) as matcher:
        report = matcher.match(jpeg(PHOTO))
        assert (report.outcome, report.protection) == (Outcome.MATCH, None)
        assert "tasks" not in matcher.counts()["workers"]


def test_headers_are_read_before_anything_is_handed_on(list_path: Path) -> None:
    """Bombs that their header gives away, foreign files and empty ones never reach a worker."""
    with Matcher.open(list_path, isolation=Isolation(workers=1)) as matcher:
        for data, reason in (
            (bomb(60_000, 60_000), "too-many-pixels"),
            (b"", "empty"),
            (b"no picture at all", "not-an-image"),
            (b"8BPS\0\1" + bytes(99), "format-not-read"),
        ):
            report = matcher.match(data)
            assert (report.outcome, report.reason) == (Outcome.UNREADABLE, reason)
        counts = matcher.counts()
    assert "tasks" not in counts["workers"]
    assert counts["outcomes"]["unreadable"] == 4
    assert counts["reasons"] == {"empty": 1, "format-not-read": 1, "not-an-image": 1, "too-many-pixels": 1}


@POSIX
def test_too_little_time_is_an_outcome(list_path: Path) -> None:
    """A picture that takes longer than allowed is unreadable for that reason, and the next one is answered."""
    large = encode(np.zeros((5000, 7000, 3), np.uint8), "PNG", compress_level=1)
    with Matcher.open(list_path, isolation=Isolation(workers=1, seconds=0.15)) as matcher:
        report = matcher.match(large)
        assert (report.outcome, report.reason) == (Outcome.UNREADABLE, "timeout")
        assert matcher.match(jpeg(PHOTO)).outcome is Outcome.MATCH
        assert matcher.counts()["reasons"] == {"timeout": 1}
        assert matcher.counts()["workers"]["timeout"] == 1


@pytest.mark.skipif(machine() is None, reason="other systems do not bound memory")
def test_too_little_memory_is_an_outcome(list_path: Path) -> None:
    """A picture larger than the worker's memory is unreadable for that reason; the host does not feel it."""
    large = encode(np.zeros((8000, 9000, 3), np.uint8), "PNG", compress_level=1)
    with Matcher.open(list_path, isolation=Isolation(workers=1, memory=400 * 2**20)) as matcher:
        report = matcher.match(large)
        assert (report.outcome, report.reason) == (Outcome.UNREADABLE, "out-of-memory")
        assert matcher.match(jpeg(PHOTO)).outcome is Outcome.MATCH


@pytest.mark.skipif(machine() is not None, reason="here every measure may hold")
def test_required_measures_that_do_not_hold_are_an_error(list_path: Path) -> None:
    """Where the system cannot shut a worker in as required, nothing is opened."""
    with pytest.raises(IsolationError) as caught:
        Matcher.open(list_path, isolation=Isolation(require=MEASURES))
    assert caught.value.reason == "protection-too-weak"


def test_a_python_that_is_none_is_an_error(list_path: Path) -> None:
    """A matcher that could not isolate is not opened, and its lists are closed again."""
    with pytest.raises(IsolationError, match="could not be started"):
        Matcher.open(list_path, isolation=Isolation(python="/nowhere/python"))


def test_frames_before_a_broken_one_are_searched(list_path: Path) -> None:
    """An animation cut off behind a listed frame matches, and says that it was not read to its end."""
    frames = [Image.fromarray(PHOTO), Image.fromarray(np.ascontiguousarray(PHOTO[::-1, ::-1]))]
    stream = io.BytesIO()
    frames[0].save(stream, "PNG", save_all=True, append_images=frames[1:] * 2)
    data = stream.getvalue()
    policy = dataclasses.replace(profiles.STANDARD, decode=EVERYTHING)
    with Matcher.open(list_path, policy=policy, isolation=Isolation(workers=1)) as matcher:
        report = matcher.match(data[: 3 * len(data) // 4])
    assert report.outcome is Outcome.MATCH
    assert report.reason is not None


def test_lists_without_hashes_of_pixels_decode_all_the_same(tmp_path: Path) -> None:
    """Against a list of digests an unreadable picture is unreadable, a readable one is no match."""
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="digests") as ref:
        ref.add("other", hashes=fingerprint(b"no such file", ("md5",)).hashes)
    data = jpeg(PHOTO)
    with Matcher.open(path, isolation=Isolation(workers=1)) as matcher:
        assert matcher.match(data).outcome is Outcome.NO_MATCH
        assert matcher.match(data[:900]).outcome is Outcome.UNREADABLE


@POSIX
def test_many_pictures_leave_no_trace(list_path: Path) -> None:
    """After many pictures, faults among them, the host has no more descriptors, children, threads or memory."""
    tiny = [value for name, value in files().items() if len(value) < 3000]
    policy = dataclasses.replace(profiles.FAST, decode=EVERYTHING)
    with Matcher.open(list_path, policy=policy, isolation=Isolation(workers=1, recycle=150)) as matcher:
        for data in tiny:
            matcher.match(data)
        before = _held()
        for number in range(600):
            matcher.match(tiny[number % len(tiny)])
        after = _held()
        assert matcher.counts()["workers"]["replaced"] >= 3
    assert after[:2] == before[:2]
    assert after[2] - before[2] < 8 * 2**20


def _held() -> tuple[int, int, int]:
    """Descriptors, threads and bytes of memory of this process."""
    memory = 0
    if os.path.exists("/proc/self/statm"):
        with open("/proc/self/statm") as file:
            memory = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return len(os.listdir("/dev/fd")), threading.active_count(), memory


def test_threads_share_workers(list_path: Path) -> None:
    """Answers come in order whatever the threads, and the same as one by one."""
    sources = [jpeg(picture("photo", seed, size=(90, 120))) for seed in range(12)] + [jpeg(PHOTO)]
    with Matcher.open(list_path, isolation=Isolation(workers=2)) as matcher:
        one = [plain(matcher.match(source)) for source in sources]
        for workers in (1, 3):
            assert [plain(report) for report in matcher.match_many(sources, workers=workers)] == one
        assert matcher.counts()["workers"]["started"] <= 2


def test_the_host_loads_no_codec(list_path: Path) -> None:
    """With isolation the host that matches files never imports Pillow."""
    code = f"""
import sys
from hashmatch import Matcher
from hashmatch.jail import Isolation
with Matcher.open({str(list_path)!r}, isolation=Isolation(workers=1)) as matcher:
    print(matcher.match(bytes.fromhex({jpeg(PHOTO).hex()!r})).outcome.value, "PIL" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split() == ["match", "False"], done.stderr


def test_protection_can_be_asked_for() -> None:
    """A worker is started, asked, and gone again."""
    found = protection()
    assert set(found.to_dict()) == {"level", "measures", "missing", "landlock_abi"}
    if machine() is not None:
        assert "seccomp" in found.measures


def test_a_host_within_reach_is_told_of() -> None:
    """Where neither Landlock nor seccomp holds, loudly; else not at all."""
    with pytest.warns(WeakIsolationWarning, match="memory"):
        reader._warn_of(Protection(measures=LEVELS["weak"]))
    reader._warn_of(Protection(measures=("seccomp",)))


def test_an_answer_is_bounded_by_what_was_asked(list_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks beyond those of a picture's frames lose their worker; honest ones of every kind of file pass."""
    found: list[int] = []
    honest = reader.LookCounter.take

    def counted(self: reader.LookCounter, look: Look) -> None:
        found.append(look.frame)
        honest(self, look)

    monkeypatch.setattr(reader.LookCounter, "take", counted)
    data = jpeg(PHOTO)
    with Matcher.open(list_path, policy=profiles.THOROUGH, isolation=Isolation(workers=1)) as matcher:
        assert matcher.match(data).outcome is Outcome.MATCH
        assert found == [0]
        monkeypatch.setattr(reader, "_OF_FRAME_0", 0)
        monkeypatch.setattr(reader, "_OF_A_FRAME", 0)
        assert matcher.match(data).reason == "bad-answer"


def test_looks_are_counted() -> None:
    """By the frames that the header has and that the policy looks at in full."""
    plain, dear = Look(hashes=()), Look(hashes=(), smalls=(cast("SmallLook", None),))
    still = picture_makers.save(np.zeros((9, 9), np.uint8), "PNG")
    moving, _ = picture_makers.animation("GIF", 3)
    for data, policy, looks, most_dear in (
        (still, profiles.THOROUGH, 16, 8),
        (moving, profiles.FAST, 16, 8),
        (moving, profiles.THOROUGH, 24, 16),
    ):
        for look, most in ((plain, looks), (dear, most_dear)):
            counter = reader.LookCounter(data, policy)
            for _ in range(most):
                counter.take(look)
            with pytest.raises(ValueError, match="more looks"):
                counter.take(look)


def test_the_secret_key_and_policy_reach_the_worker(tmp_path: Path) -> None:
    """Records made with a key are found by an isolated matcher that has it."""
    from hashmatch.policy import KeypointRule

    key = hashlib.sha256(b"a key").digest()
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="keyed") as ref:
        ref.add("photo", hashes=[hash_image(PHOTO, "keypoint", keypoint_key=key)])
    rule = KeypointRule(max_chance=-8, key=key)
    policy = MatchPolicy(name="keyed", rules=(Rule(algorithm="pdq", threshold=31),), keypoints=rule)
    with Matcher.open(path, policy=policy, isolation=Isolation(workers=1)) as matcher:
        report = matcher.match(encode(PHOTO[10:170, 20:220], "PNG"))
    assert report.outcome is Outcome.MATCH


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="children are looked up in /proc")
def test_an_interrupted_scan_ends_its_workers(list_path: Path, tmp_path: Path) -> None:
    """Ctrl-C stops a scan between two files, with its counts and its own exit code, and no worker is left."""
    data = jpeg(picture("photo", 3, size=(300, 400)))
    for number in range(1500):
        (tmp_path / f"{number}.jpg").write_bytes(data)
    command = [sys.executable, "-m", "hashmatch", "scan", str(tmp_path), "--list", str(list_path), "--all", "-w", "2"]
    scan = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert scan.stdout is not None
    scan.stdout.readline()
    workers = Path(f"/proc/{scan.pid}/task/{scan.pid}/children").read_text().split()
    scan.send_signal(signal.SIGINT)
    out, error = scan.communicate(timeout=60)
    assert scan.returncode == 130
    assert " files found so far, incomplete" in out
    assert "interrupted" in error
    assert not any(Path(f"/proc/{number}").exists() for number in workers)
