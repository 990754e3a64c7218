"""Faults of disks and processes: ``python -m fuzz.faults [PART ...] [--kills N] [--stride N] [--seed N] [--keep]``.

``flips``: every single-bit flip and every truncation of a small file is refused, or changes nothing that can be read.
``calls``: each call that publishing an index makes (open, write, fsync, rename) fails once; the old file stays whole.
``power``: after each of those calls the power goes; whatever was not flushed is lost; old file or new file.
``kills``: a process that publishes without end is killed at a random moment; old state or new state, never another.
``compactions``: a matcher that compacts without end beside a changing list is killed; the next one answers as the list.
``records``: each call that makes, takes up or compacts a keypoint file fails once; a typed error or the list's answers.
``full``: the disk is full after so many bytes, at every length; old state or new state.
``readonly``: a folder that may not be written to; a typed error and the old state.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from fuzz import results
from fuzz.engine import Finding, Run
from hashmatch import Matcher, profiles
from hashmatch.errors import IndexFormatError, ReferenceListError
from hashmatch.index import atomic, segmented
from hashmatch.lists import Entry, ReferenceList
from hashmatch.store import trust
from support.fault_makers import (
    INDEX_KINDS,
    everything,
    index_answers,
    kept_answers,
    open_index,
    save_index,
    save_kept,
    smallest_list,
)
from support.list_makers import made_up, made_up_record

__all__ = ["PARTS", "calls", "compactions", "flips", "full", "kills", "power", "readonly", "records"]


LISTS: Final[dict[str, Callable[[Path], None]]] = {"list": smallest_list}
_A_LIST: Final = 40  # published versions of one list before a new one is begun
_ID: Final = struct.Struct("<q")
_NOBODY: Final = 65534
_RECORDS: Final = replace(profiles.FAST, name="records", keypoints=profiles.THOROUGH.keypoints)


def _wrong(run: Run, kind: str, what: str, where: str, case: int = 0) -> None:
    run.add(Finding(seed=run.seed, case=case, kind=kind, what=what, where=where))


# Flips and truncations


def _spoilt(data: bytes, stride: int) -> Iterator[tuple[str, bytes]]:
    """Every ``stride``-th flip of one bit and every ``stride``-th truncation."""
    for bit in range(0, 8 * len(data), stride):
        changed = bytearray(data)
        changed[bit >> 3] ^= 1 << (bit & 7)
        yield f"bit {bit}", bytes(changed)
    for length in range(0, len(data), stride):
        yield f"cut to {length}", data[:length]


def flips(run: Run, folder: Path, *, stride: int = 1, names: tuple[str, ...] = (*INDEX_KINDS, *LISTS, "kept")) -> None:
    """Try every flip and truncation of one small file of each kind."""
    for name in names:
        path = folder / "file"
        path.unlink(missing_ok=True)
        read: Callable[[Path], object] = lambda at: index_answers(open_index(at))  # noqa: E731
        if name in LISTS:
            LISTS[name](path)
            read = everything
        elif name == "kept":
            save_kept(path)
            read = kept_answers
        else:
            save_index(name, path, tag={"list": "small"})
        path.chmod(0o600)
        data, said = path.read_bytes(), read(path)
        for what, changed in _spoilt(data, stride):
            path.write_bytes(changed)
            run.executions += 1
            try:
                answer = read(path)
            except (IndexFormatError, ReferenceListError):
                run.outcomes[f"{name}: refused"] += 1
            except Exception as error:
                _wrong(run, "exception", f"{what}: {error!r}", f"{name}: {type(error).__name__}")
            else:
                run.outcomes[f"{name}: harmless"] += 1
                if answer != said:
                    _wrong(run, "false answer", what, name)
            _clear(folder, path)


def _clear(folder: Path, kept: Path) -> None:
    """Remove what stands beside a file, such as the journals of a database."""
    for other in folder.iterdir():
        if other != kept:
            other.unlink()


# Publishing an index: the calls it makes


class _Stop(Exception):
    """The power goes."""


class _Watched:
    """Stands in for the module ``os`` in `hashmatch.index.atomic`: counts and fails what changes a disk."""

    def __init__(self, at: int, error: Callable[[], BaseException]) -> None:
        self._left = at
        self._error = error
        self.flushed = False
        self.renamed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def _step(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise self._error()

    def open(self, *given: Any, **options: Any) -> int:
        self._step()
        return os.open(*given, **options)

    def fdopen(self, *given: Any, **options: Any) -> Any:
        if given[1:2] != ("wb",):
            return os.fdopen(*given, **options)
        stream = os.fdopen(*given, **{"buffering": 0, **options})
        write = stream.write

        class Stream:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                stream.close()

            def __getattr__(self, name: str) -> Any:
                return getattr(stream, name)

            @staticmethod
            def write(data: Any) -> int:
                watched._step()
                return write(data)

        watched = self
        return Stream()

    def fsync(self, descriptor: int) -> None:
        self._step()
        os.fsync(descriptor)
        self.flushed = True

    def replace(self, *given: Any) -> None:
        self._step()
        os.replace(*given)
        self.renamed = True

    @property
    def failed(self) -> bool:
        """Whether it came to the call that fails."""
        return self._left <= 0

    def unlink(self, *given: Any) -> None:
        if self._error is not _Stop:
            os.unlink(*given)


@contextlib.contextmanager
def _watching(watched: _Watched, *modules: Any) -> Iterator[None]:
    for module in (atomic, *modules):
        module.os = watched
    try:
        yield
    finally:
        for module in (atomic, *modules):
            module.os = os


def _publishing(run: Run, folder: Path, kind: str, error: Callable[[], BaseException]) -> Iterator[_Watched]:
    """Publish a new file over an old one, failing at the first call, then at the second, until it succeeds."""
    path = folder / "index"
    for at in range(1, 1000):
        for other in folder.iterdir():
            other.unlink()
        save_index(kind, path, tag={"state": "old"})
        watched = _Watched(at, error)
        done = False
        with _watching(watched):
            try:
                save_index(kind, path, tag={"state": "new"})
                done = True
            except (OSError, _Stop):
                pass
        run.executions += 1
        yield watched
        if done:
            return
    raise RuntimeError("publishing never came to an end")


def _state(path: Path) -> str:
    return str(dict(open_index(path).tag).get("state"))


def calls(run: Run, folder: Path) -> None:
    """Fail at the n-th call for every n: the old file stays, and nothing is left behind."""
    for kind in INDEX_KINDS:
        for watched in _publishing(run, folder, kind, lambda: OSError(28, "No space left on device")):
            state = _state(folder / "index")
            run.outcomes[f"{kind}: {state}"] += 1
            if state != ("new" if watched.renamed else "old"):
                _wrong(run, "another state", state, kind)
            if len(list(folder.iterdir())) != 1:
                _wrong(run, "left behind", "a part of a file", kind)


def power(run: Run, folder: Path) -> None:
    """Lose the power after every call: what was not flushed is gone, whole or in part, and so may be the renaming."""
    for kind in INDEX_KINDS:
        for watched in _publishing(run, folder, kind, _Stop):
            path = folder / "index"
            path.chmod(0o600)
            whole = path.read_bytes()
            kept = [whole] if watched.flushed or not watched.renamed else [b"", whole[: len(whole) // 2]]
            for data in kept:
                path.write_bytes(data)
                try:
                    state = _state(path)
                except IndexFormatError:
                    _wrong(run, "lost", "a renamed file was not flushed", kind)
                    continue
                run.outcomes[f"{kind}: {state}"] += 1
                if state not in ("old", "new"):
                    _wrong(run, "another state", state, kind)


# A keypoint file of a list


def records(run: Run, folder: Path, *, stride: int = 1) -> None:
    """Fail at the n-th call, for every n, while a keypoint file is made, taken up or compacted; then look again."""
    path, indexes = folder / "list", folder / "indexes"
    for stage in ("made", "taken up", "compacted"):
        for at in range(1, 1000, 1 if stage == "taken up" else stride):
            shutil.rmtree(indexes, ignore_errors=True)
            indexes.mkdir()
            path.unlink(missing_ok=True)
            with ReferenceList.create(path, name="records") as ref:
                ref.add_many(Entry.of(f"e{i}", hashes=[made_up_record(i, 60)]) for i in range(3))
            watched = _Watched(at, lambda: OSError(28, "No space left on device"))
            run.outcomes[f"{stage}: {_record_stage(run, stage, path, indexes, watched)}"] += 1
            run.executions += 1
            with Matcher.open(path, index_folder=indexes, policy=_RECORDS) as matcher:
                _check_records(run, matcher, stage, at)
            if [file for file in indexes.iterdir() if file.suffix == ".part"]:
                _wrong(run, "left behind", "a part of a file", stage, at)
            if not watched.failed:
                break


def _record_stage(run: Run, stage: str, path: Path, indexes: Path, watched: _Watched) -> str:
    """Open a matcher, or let one compact, while a call fails; what became of it."""
    with contextlib.ExitStack() as held, _compacting_after(0 if stage == "compacted" else 100):
        matcher = None
        if stage != "made":
            matcher = held.enter_context(Matcher.open(path, index_folder=indexes, policy=_RECORDS))
            with ReferenceList.open(path, writable=True, check="none") as ref:
                ref.add("e4", hashes=[made_up_record(4, 60)])
                ref.withdraw("e1")
        with _watching(watched, trust):
            try:
                if matcher is None or stage == "taken up":
                    matcher = held.enter_context(Matcher.open(path, index_folder=indexes, policy=_RECORDS))
                matcher.reload()
                matcher._keeper.wait()
            except ReferenceListError:
                return "ReferenceListError"
        _check_records(run, matcher, stage, 0)
        return "answers" if matcher.upkeep.compaction_error is None else "answers, and keeps an error"


def _check_records(run: Run, matcher: Matcher, stage: str, at: int) -> None:
    found = [match.entry_id for i in (1, 2, 4) for match in matcher.match_hash(made_up_record(i, 60)).matches]
    if found != (["e1", "e2"] if stage == "made" else ["e2", "e4"]):
        _wrong(run, "false answer", str(found), stage, at)


@contextlib.contextmanager
def _compacting_after(changes: int) -> Iterator[None]:
    """Let matchers make index files anew after so many changes."""
    floor, share = segmented._REBUILD_FLOOR, segmented._REBUILD_SHARE
    segmented._REBUILD_FLOOR, segmented._REBUILD_SHARE = changes, 0.0  # type: ignore[misc]
    try:
        yield
    finally:
        segmented._REBUILD_FLOOR, segmented._REBUILD_SHARE = floor, share  # type: ignore[misc]


# Killed processes


def _killed(work: Callable[[int], None], delay: float) -> int:
    """Let a child work, kill it after a while; gives the last number that it reported."""
    source, target = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(source)
            work(target)
        finally:
            os._exit(1)
    os.close(target)
    last = _ID.unpack(os.read(source, _ID.size))[0]  # it has begun
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    with open(source, "rb") as stream:
        told = stream.read()
    os.waitpid(child, 0)
    return int(_ID.unpack(told[-_ID.size :])[0]) if len(told) >= _ID.size else int(last)


def kills(run: Run, folder: Path, *, n: int = 5000) -> None:
    """Kill a process that publishes an index, and one that changes a list, ``n`` times each."""
    rng = random.Random(run.seed)
    _kill_indexes(run, folder, n, rng)
    _kill_lists(run, folder, n, rng)


def _kill_indexes(run: Run, folder: Path, n: int, rng: random.Random) -> None:
    path = folder / "index"
    kinds = list(INDEX_KINDS)

    def work(target: int) -> None:
        for number in range(1 << 40):
            os.write(target, _ID.pack(number))
            save_index(kind, path, tag={"state": "new" if number % 2 else "old"})

    for case in range(n):
        kind = kinds[case % len(kinds)]
        if case < len(kinds) or case % 50 == 0:
            _clear(folder, path)
        save_index(kind, path, tag={"state": "old"})
        _killed(work, rng.random() * 0.006)
        run.executions += 1
        try:
            state = _state(path)
        except IndexFormatError as error:
            _wrong(run, "damaged", repr(error), f"index {kind}", case)
            continue
        run.outcomes[f"index: {state}"] += 1
        run.outcomes["index: killed with a part written"] += len(list(folder.iterdir())) > 1
        if state not in ("old", "new"):
            _wrong(run, "another state", state, f"index {kind}", case)
        _clear(folder, path)


def _change(ref: ReferenceList, version: int) -> None:
    """Make the change of this version: what the list holds is told by its version alone."""
    if version % 3 == 0:
        ref.withdraw(f"entry-{version - 1}")
    elif version % 3 == 1:
        ref.add_many([Entry.of(f"entry-{version}-{i}", hashes=[made_up(i)]) for i in range(20)])
    else:
        hashes = [made_up(version), made_up(version, "md5"), made_up_record(version, 60)]
        ref.add(f"entry-{version}", hashes=hashes, labels={"class": "A1"})


def _expected(version: int) -> set[str]:
    names = set()
    for number in range(1, version + 1):
        if number % 3 == 1:
            names |= {f"entry-{number}-{i}" for i in range(20)}
        elif number % 3 == 2:
            names.add(f"entry-{number}")
        else:
            names.discard(f"entry-{number - 1}")
    return names


def _kill_lists(run: Run, folder: Path, n: int, rng: random.Random) -> None:
    for other in folder.iterdir():
        other.unlink()
    path = folder / "list.hashmatch"

    def work(target: int) -> None:
        with ReferenceList.open(path, writable=True, check="none") as ref:
            version = ref.version
            while True:
                os.write(target, _ID.pack(version))
                _change(ref, version + 1)
                version += 1

    for case in range(n):
        if not path.exists():
            ReferenceList.create(path, name="killed").close()
        told = _killed(work, rng.random() * 0.006)
        run.executions += 1
        try:
            with ReferenceList.open(path, check="full") as ref:
                ref.verify()
                version, names = ref.version, {entry.entry_id for entry in ref}
        except ReferenceListError as error:
            _wrong(run, "damaged", repr(error), "list", case)
            path.unlink()
            continue
        run.outcomes["list: the version told" if version == told else "list: one version more than told"] += 1
        if version not in (told, told + 1):
            _wrong(run, "another state", f"version {version}, told {told}", "list", case)
        if names != _expected(version):
            _wrong(run, "another state", f"content of version {version}", "list", case)
        if version >= _A_LIST:
            for other in folder.iterdir():
                other.unlink()


# A matcher killed while it compacts


def compactions(run: Run, folder: Path, *, n: int = 1000) -> None:
    """Kill a process that changes a list, reloads a matcher and so makes index files out of core, ``n`` times."""
    rng = random.Random(run.seed)
    path, indexes = folder / "list.hashmatch", folder / "indexes"
    indexes.mkdir()
    with _compacting_after(5):
        for case in range(n):
            if not path.exists():
                for file in indexes.iterdir():
                    file.unlink()
                ReferenceList.create(path, name="compacted").close()
            told = _killed(lambda target: _compacting(target, path, indexes), rng.random() * 0.25)
            run.executions += 1
            left = [file for file in indexes.iterdir() if file.name.endswith(".part")]
            run.outcomes["killed with a part written"] += bool(left)
            run.outcomes["a keypoint file there"] += any(indexes.glob("*.keypoint.index"))
            _check_matcher(run, path, indexes, told, case)
            if int(told) >= _A_LIST:
                for file in (*folder.glob("list.hashmatch*"),):
                    file.unlink()


def _compacting(target: int, path: Path, indexes: Path) -> None:
    """Change the list, take the change up, and make index files, without end."""
    with (
        ReferenceList.open(path, writable=True, check="none") as ref,
        Matcher.open(path, index_folder=indexes, policy=_RECORDS) as matcher,
    ):
        version = ref.version
        os.write(target, _ID.pack(version))
        while True:
            _change(ref, version + 1)
            version += 1
            os.write(target, _ID.pack(version))
            matcher.reload()
            matcher._keeper.wait()


def _check_matcher(run: Run, path: Path, indexes: Path, told: int, case: int) -> None:
    """Hold a new matcher against what the list of its version must hold."""
    try:
        with Matcher.open(path, index_folder=indexes, policy=_RECORDS) as matcher:
            version, held = matcher.lists[0][1], _expected(matcher.lists[0][1])
            later = any(rows.segments.recent for rows in matcher._snapshots[0].rows.values())
            run.outcomes["from a file with changes" if later else "from a file"] += 1
            if version not in (told, told + 1) or matcher.lists[0][2] != len(held):
                _wrong(run, "another state", f"version {version}, told {told}", "matcher", case)
            for number in range(2, version + 1, 3):
                asked = [made_up_record(number, 60)] if number > version - 9 else []
                # the hashes 0 to 19 are in every third version's entries
                asked += [made_up(number)] if number >= 20 else []
                for value in asked:
                    found = {match.entry_id for match in matcher.match_hash(value).matches}
                    if found != {f"entry-{number}"} & held:
                        _wrong(run, "false answer", f"{value.algorithm} {number} of version {version}", "matcher", case)
    except (IndexFormatError, ReferenceListError) as error:
        _wrong(run, "damaged", repr(error), "matcher", case)


# A full disk, and one that may not be written to


def _in_child(work: Callable[[], None]) -> str:
    """Run in a child; gives the name of the error that ended it."""
    source, target = os.pipe()
    child = os.fork()
    if child == 0:
        name = "done"
        try:
            work()
        except BaseException as error:
            name = type(error).__name__
        finally:
            os.write(target, name.encode())
            os._exit(0)
    os.close(target)
    with open(source, "rb") as stream:
        name = stream.read().decode()
    os.waitpid(child, 0)
    return name


def full(run: Run, folder: Path, *, stride: int = 512) -> None:
    """Let no file grow beyond so many bytes, at every length until the change succeeds."""

    def limited(work: Callable[[], None], length: int) -> Callable[[], None]:
        def inside() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (length, length))
            work()

        return inside

    index, path = folder / "index", folder / "list.hashmatch"

    def change() -> None:
        with ReferenceList.open(path, writable=True) as ref:
            _change(ref, 1)

    for name, work in (("index", lambda: save_index("multi", index, n=300, tag={"state": "new"})), ("list", change)):
        for length in range(0, 1 << 22, stride):
            for other in folder.iterdir():
                other.unlink()
            save_index("multi", index, tag={"state": "old"})
            ReferenceList.create(path, name="full").close()
            ended = _in_child(limited(work, length))
            run.executions += 1
            run.outcomes[f"{name}: {ended}"] += 1
            if ended not in ("done", "OSError", "ReferenceListError", "HashmatchError"):
                _wrong(run, "exception", ended, name, length)
            state = _state(index)
            with ReferenceList.open(path, check="full") as ref:
                ref.verify()
                version, names = ref.version, {entry.entry_id for entry in ref}
            if state not in ("old", "new") or version not in (0, 1) or names != _expected(version):
                _wrong(run, "another state", f"{state}, version {version}", name, length)
            if ended == "done" and (state == "new" if name == "index" else version == 1):
                break


def readonly(run: Run, folder: Path) -> None:
    """Write into a folder that only its owner may write to, as somebody else."""
    index, path = folder / "index", folder / "list.hashmatch"
    save_index("multi", index, tag={"state": "old"})
    ReferenceList.create(path, name="kept").close()
    os.chmod(folder, 0o555)  # noqa: S103 - the fault that is tried
    for file in (index, path):
        os.chmod(file, 0o444)

    def somebody(work: Callable[[], None]) -> Callable[[], None]:
        def inside() -> None:
            if os.getuid() == 0:
                os.setgid(_NOBODY)
                os.setuid(_NOBODY)
            work()

        return inside

    def change() -> None:
        with ReferenceList.open(path, writable=True) as ref:
            _change(ref, 1)

    try:
        for name, work in (("index", lambda: save_index("multi", index, tag={"state": "new"})), ("list", change)):
            ended = _in_child(somebody(work))
            run.executions += 1
            run.outcomes[f"{name}: {ended}"] += 1
            if ended not in ("PermissionError", "ReferenceListError"):
                _wrong(run, "exception", ended, name)
        with ReferenceList.open(path, check="full") as ref:
            version = ref.version
        if _state(index) != "old" or version != 0:
            _wrong(run, "another state", f"version {version}", "readonly")
    finally:
        os.chmod(folder, 0o700)


PARTS: Final[dict[str, Callable[..., None]]] = {
    "flips": flips,
    "calls": calls,
    "power": power,
    "kills": kills,
    "compactions": compactions,
    "full": full,
    "readonly": readonly,
    "records": records,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the parts named, or all."""
    given = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m fuzz.faults", description="faults of disks and processes")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--kills", type=int, default=5000, help="kills of each kind of publishing")
    parser.add_argument("--stride", type=int, default=1, help="try every so-manieth bit and length")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments of the kills")
    parser.add_argument("--keep", action="store_true", help="add the runs to fuzz/results")
    options = parser.parse_args(given)
    unknown = sorted(set(options.parts) - set(PARTS))
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}")
    more: dict[str, dict[str, int]] = {"flips": {"stride": options.stride}, "kills": {"n": options.kills}}
    more["records"] = {"stride": options.stride}
    more["compactions"] = {"n": -(-options.kills // 5)}
    failed = False
    for name in options.parts or PARTS:
        run = Run(f"faults {name}", options.seed)
        began, cpu = time.monotonic(), time.process_time()
        folder = Path(tempfile.mkdtemp(prefix="faults-"))
        try:
            os.chmod(folder, 0o755)  # noqa: S103 - the part "readonly" reads as somebody else
            PARTS[name](run, folder, **more.get(name, {}))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        run.seconds, run.cpu_seconds = time.monotonic() - began, time.process_time() - cpu
        from fuzz.__main__ import report

        report(run, "python -m fuzz.faults")
        if options.keep:
            chosen = " ".join(text for text in given if text != "--keep" and text not in PARTS)
            results.keep(run, f"python -m fuzz.faults {name} {chosen}".strip())
        failed = failed or bool(run.findings)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
