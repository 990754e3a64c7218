"""Picture bytes: header check and decoding in a child, or through the jail.

Law: every file gets a typed outcome within its time; the host keeps no process, file or memory behind.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from fuzz.engine import Case, Run, Wrong, check_message, finding_of, rng_of
from fuzz.formats import special_for
from fuzz.mutate import mutated
from hashmatch.errors import ImageError
from hashmatch.picture import DecodePolicy, check_header, iter_rasters
from hashmatch.picture.policy import KNOWN_FORMATS
from hashmatch.picture.sniff import sniff

__all__ = ["DESCRIPTION", "add_options", "case_runner", "run_jailed"]

DESCRIPTION = "picture bytes -> sniff, header check, decode; with --jail through worker processes"

_LARGEST_SEED: Final = 60_000
_LATENESS: Final = 0.25
_FORMATS: Final = tuple(name for name in KNOWN_FORMATS if name != "HEIF")
_SMALL: Final = DecodePolicy(formats=_FORMATS, max_pixels=1_000_000, max_frames=8, max_total_pixels=3_000_000)
_EVERY: Final = replace(_SMALL, frames="all")
_WHOLE: Final = DecodePolicy(formats=_FORMATS, frames="all", max_frames=50, max_total_pixels=200_000_000)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this target alone."""
    parser.add_argument("--jail", action="store_true", help="through restricted worker processes")
    parser.add_argument("--per-picture", type=float, default=5.0, help="with --jail: seconds a picture may take")
    parser.add_argument(
        "--pillow-sdist",
        help="Pillow's source distribution, whose test pictures are used too; 'download' fetches that of this version",
    )


def pillow_files(where: str) -> Iterator[tuple[str, bytes]]:
    """Read the test pictures out of Pillow's source distribution; ``download`` fetches it with pip first."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(where)
        if where == "download":
            from PIL import __version__

            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-binary", ":all:", "--no-deps"]
            subprocess.run([*command, "--dest", folder, f"pillow=={__version__}"], check=True)
            (path,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and "/Tests/images/" in member.name:
                    stream = archive.extractfile(member)
                    if stream is not None:
                        yield member.name.partition("/Tests/images/")[2], stream.read()


def own_files() -> Iterator[tuple[str, bytes]]:
    """Small synthetic files of every format, and somewhat larger ones."""
    from PIL import Image

    from hashmatch.picture.isolation import tiny_files
    from hashmatch.synthetic import picture
    from support.picture_makers import small_files

    yield from small_files().items()
    for number, data in enumerate(tiny_files(_FORMATS)):
        yield f"tiny-{number}", data
    image = Image.fromarray(picture("photo", 5, (160, 120)))
    for name in _FORMATS:
        stream = io.BytesIO()
        image.save(stream, name)
        yield f"photo-{name.lower()}", stream.getvalue()


def corpus(options: argparse.Namespace) -> list[tuple[str, bytes]]:
    """Every file to begin with, in one order."""
    files = list(own_files())
    if options.pillow_sdist:
        files += sorted(pillow_files(options.pillow_sdist))
    return files


class Corpus:
    """Chooses the file of a case: each as it is first, then mutants of those that a codec may get to see."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.files = corpus(options)
        known = [data for _, data in self.files if len(data) <= _LARGEST_SEED and sniff(data) is not None]
        self.by_format: dict[str, list[bytes]] = {}
        for data in known:
            header = sniff(data)
            if header is not None and header.container in _FORMATS:
                self.by_format.setdefault(header.container, []).append(data)
        self.names = sorted(self.by_format)

    def data(self, rng: random.Random, number: int) -> tuple[bytes, bool]:
        """File of a case, and whether it is one of the corpus as it is."""
        if number < len(self.files):
            return self.files[number][1], True
        group = self.by_format[rng.choice(self.names)]
        seed = rng.choice(group)
        return mutated(seed, rng, group, special_for(seed), most=4 * _LARGEST_SEED), False


def case_runner(options: argparse.Namespace) -> Case:
    """Decode in this process, which the engine watches."""
    chosen = Corpus(options)

    def case(rng: random.Random, number: int) -> str:
        data, as_it_is = chosen.data(rng, number)
        policy = _WHOLE if as_it_is else (_SMALL, _EVERY)[number % 2]
        before = len(os.listdir("/proc/self/fd"))
        try:
            outcome = _decoded(data, policy)
        except ImageError as error:
            check_message(error)
            outcome = error.reason
        if len(os.listdir("/proc/self/fd")) > before:
            raise Wrong("a file stays open")
        return outcome

    return case


def _decoded(data: bytes, policy: DecodePolicy) -> str:
    container = check_header(data, policy)
    pixels = 0
    for raster in iter_rasters(data, policy):
        height, width = raster.pixels.shape[:2]
        if raster.pixels.size == 0 or width * height > policy.max_pixels:
            raise Wrong("pixels over the limit, or none")
        pixels += width * height
    if not pixels:
        raise Wrong("no raster and no error")
    return f"decoded {container}"


def run_jailed(options: argparse.Namespace) -> Run:
    """Hand every file to a worker process; measure that the host stays as it was."""
    from hashmatch.features.isolated import REASONS, IsolatedReader
    from hashmatch.jail import Isolation
    from hashmatch.policy import MatchPolicy, Rule

    chosen = Corpus(options)
    rules = (Rule(algorithm="pdq", threshold=0),)
    isolation = Isolation(workers=1, seconds=options.per_picture, recycle=20_000)
    run = Run("pictures through the jail", options.seed)
    began, cpu = time.monotonic(), time.process_time()
    measured: dict[str, Any] = {"slowest_seconds": 0.0}
    known = REASONS | {"timeout", "bad-answer", "no-worker", "protection-too-weak"}
    with contextlib.ExitStack() as stack:
        readers = []
        for policy in (_WHOLE, _SMALL, _EVERY):
            reader = IsolatedReader(MatchPolicy(name="fuzz", rules=rules, decode=policy), isolation)
            stack.callback(reader.close)
            readers.append(reader)
        baseline: tuple[int, int] | None = None
        for number in range(options.first, options.first + options.runs):
            if options.seconds is not None and time.monotonic() - began > options.seconds:
                break
            data, as_it_is = chosen.data(rng_of(options.seed, number), number)
            reader = readers[0] if as_it_is else readers[1 + number % 2]
            start = time.monotonic()
            try:
                looks = sum(1 for _ in reader.iter_looks(data, (), keypoints=False))
                outcome = "decoded" if looks else "nothing"
            except ImageError as error:
                outcome = error.reason
                if outcome not in known and not outcome.startswith("crashed"):
                    run.add(finding_of(options.seed, number, Wrong(f"an unknown reason {outcome}")))
                if outcome in ("timeout", "bad-answer", "no-worker") or outcome.startswith("crashed"):
                    run.add(finding_of(options.seed, number, Wrong(f"the worker was lost: {outcome}")))
            except BaseException as error:
                outcome = "finding"
                run.add(finding_of(options.seed, number, error))
            took = time.monotonic() - start
            measured["slowest_seconds"] = max(measured["slowest_seconds"], round(took, 3))
            if took > options.per_picture + _LATENESS and outcome != "timeout":
                run.add(finding_of(options.seed, number, Wrong("over the time limit and not called so")))
            if outcome == "timeout" and took > options.per_picture + _LATENESS:
                run.add(finding_of(options.seed, number, Wrong("the time limit was enforced more than 250 ms late")))
            run.outcomes[outcome] += 1
            run.executions += 1
            if number == options.first + 1000:
                baseline = _held()
        run.seconds = time.monotonic() - began
        run.cpu_seconds = time.process_time() - cpu
        measured["protection"] = readers[0].protection.to_dict()
        measured["workers"] = [reader.counts() for reader in readers]
        if baseline is not None:
            after = _held()
            measured["open_files_after_1000_and_at_the_end"] = [baseline[0], after[0]]
            measured["host_memory_mib_after_1000_and_at_the_end"] = [baseline[1], after[1]]
    measured["children_left"] = _children()
    if measured["children_left"]:
        run.add(finding_of(options.seed, -1, Wrong("a worker process is left behind")))
    run.measured = measured
    return run


def _held() -> tuple[int, int]:
    """Open files and resident memory in MiB of this process."""
    with open("/proc/self/statm", encoding="ascii") as stream:
        pages = int(stream.read().split()[1])
    return len(os.listdir("/proc/self/fd")), pages * os.sysconf("SC_PAGESIZE") // 2**20


def _children() -> int:
    with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as stream:
        return len(stream.read().split())
    return 0
