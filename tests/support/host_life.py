"""A host of a matcher under one condition, as a program: ``python host_life.py CONDITION yes|no FOLDER``.

The program that is started supervises: it starts the host in a session of its own, adds the late picture to the list
when every process of the host has answered, waits for the end, adopts what the host leaves behind, and prints what it
saw as JSON. Every process of the host leaves a file in ``FOLDER/signs`` when it has answered, when all was right, or
with what went wrong. Over 400 lines because one program is each of the hosts and their supervisor.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hashmatch
from hashmatch import HashValue, Matcher, ReferenceList
from hashmatch.jail import Isolation

SECONDS = 150
PROCESSES = {"fork": 3, "spawn": 2, "forkserver": 2, "gunicorn": 2, "celery": 2}
GROUP = 54400
_SUBREAPER, _NEW_MOUNTS = 36, 0x20000


def until(holds: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait until something holds; an error where it never does."""
    give_up = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > give_up:
            raise TimeoutError("waited too long")
        time.sleep(0.01)


class Host:
    """What a host under any condition does: answer, notice a change of the list, answer."""

    def __init__(self, folder: Path, isolated: bool) -> None:
        self.folder, self.signs = folder / "data", folder / "signs"
        self.isolation = Isolation(workers=1, recycle=3, seconds=60) if isolated else None

    def open(self, **more: Any) -> Matcher:
        """Open a matcher with index files."""
        return Matcher.open(
            self.folder / "list", index_folder=self.folder / "indexes", isolation=self.isolation, **more
        )

    def answer(self, matcher: Matcher, name: str) -> str:
        """Look a picture up; the outcome."""
        return str(matcher.match((self.folder / name).read_bytes(), timeout=SECONDS).outcome.value)

    def expect(self, matcher: Matcher, **outcomes: str) -> None:
        """Hold pictures against their outcomes."""
        found = {name: self.answer(matcher, name) for name in outcomes}
        if found != outcomes:
            raise AssertionError(f"{found}, counts {matcher.counts()}")

    def sign(self, what: str, text: str = "") -> None:
        """Leave a file."""
        (self.signs / f"{what}-{os.getpid()}").write_text(text)

    def check(self, matcher: Matcher) -> None:
        """Answer before and after a change of the list; it is noticed by a watch, or by `reload` without one."""
        for _ in range(2):
            self.expect(matcher, listed="match", unlisted="no match", late="no match")
        self.sign("answered")
        until((self.signs / "changed").exists)
        if matcher.upkeep.watching:
            until(lambda: self.answer(matcher, "late") == "match")
        elif not matcher.reload():
            raise AssertionError("nothing to reload")
        self.expect(matcher, listed="match", unlisted="no match", late="match")
        self.sign("right")

    def reported(self, does: Callable[[], None]) -> None:
        """Do something, and leave what went wrong."""
        try:
            does()
        except BaseException as error:
            if not isinstance(error, SystemExit) or error.code:
                self.sign("wrong", traceback.format_exc())
            raise

    def checked(self) -> None:
        """Check with a matcher of its own."""
        with self.open() as matcher:
            self.check(matcher)

    def plain(self) -> None:
        """Nothing is special."""
        self.checked()

    def fork(self) -> None:
        """Two children of a matcher that watches, and the parent."""
        with self.open(reload_every=0.02) as matcher:
            self.expect(matcher, listed="match")
            children = [os.fork() for _ in range(2) if os.getpid() == self.number]
            if 0 in children:
                code = 1
                with contextlib.suppress(BaseException):
                    self.reported(lambda: self.check(matcher))
                    matcher.close()
                    code = 0
                os._exit(code)
            self.check(matcher)
            for child in children:
                if os.waitpid(child, 0)[1]:
                    raise AssertionError("a child failed")

    def _several(self, method: str) -> None:
        context = multiprocessing.get_context(method)
        with self.open(reload_every=0.02) as matcher:
            self.expect(matcher, listed="match")
            processes = [context.Process(target=in_process, args=(self,)) for _ in range(2)]
            for process in processes:
                process.start()
            for process in processes:
                process.join()
                if process.exitcode:
                    raise AssertionError("a process failed")

    def spawn(self) -> None:
        """Match in fresh processes."""
        self._several("spawn")

    def forkserver(self) -> None:
        """Match in processes of a server."""
        self._several("forkserver")

    def gunicorn(self) -> None:
        """Load the application before the workers are forked; two requests at once, then SIGTERM."""
        from gunicorn.app.base import BaseApplication

        host, address = self, str(self.signs / "socket")

        class Application(BaseApplication):  # type: ignore[misc]
            def load_config(self) -> None:
                self.cfg.set("workers", 2)
                self.cfg.set("preload_app", True)
                self.cfg.set("bind", f"unix:{address}")
                self.cfg.set("timeout", 600)
                self.cfg.set("control_socket_disable", True)

            def load(self) -> Callable[..., list[bytes]]:
                matcher = host.open(reload_every=0.02)
                host.expect(matcher, listed="match")

                def serve(_: object, start: Callable[[str, list[Any]], object]) -> list[bytes]:
                    host.reported(lambda: host.check(matcher))
                    start("200 OK", [])
                    return [b"right"]

                return serve

        def request() -> None:
            with socket.socket(socket.AF_UNIX) as line:
                until(lambda: Path(address).exists())
                until(lambda: line.connect_ex(address) == 0)
                line.sendall(b"GET / HTTP/1.0\r\n\r\n")
                while line.recv(4096):
                    pass

        self._clients(request)
        Application().run()

    def celery(self) -> None:
        """Tasks in forked workers; the broker is in memory."""
        from celery import Celery

        app = Celery("host", broker="memory://")
        app.conf.update(worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True)
        matcher = self.open(reload_every=0.02)
        self.expect(matcher, listed="match")

        @app.task(name="check")  # type: ignore[untyped-decorator]
        def check() -> None:
            self.reported(lambda: self.check(matcher))

        def request() -> None:
            check.delay()
            until(lambda: len(list(self.signs.glob("right-*"))) == 2 or list(self.signs.glob("wrong-*")))

        self._clients(request)
        worker = app.Worker(pool="prefork", concurrency=2, loglevel="WARNING", without_mingle=True, without_gossip=True)
        worker.start()
        sys.exit(worker.exitcode)

    def _clients(self, request: Callable[[], None]) -> None:
        """Ask twice at once beside what runs now, and end it then."""

        def run() -> None:
            clients = [threading.Thread(target=request, daemon=True) for _ in range(2)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            os.kill(self.number, signal.SIGTERM)

        threading.Thread(target=run, daemon=True).start()

    def closed(self) -> None:
        """No standard input, output or error: the list's own file may get their numbers."""
        os.closerange(0, 3)
        self.checked()

    def limits(self) -> None:
        """Few descriptors."""
        resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))
        self.checked()

    def default_timeout(self) -> None:
        """Give all sockets a short one."""
        socket.setdefaulttimeout(0.01)
        self.checked()

    def no_home(self) -> None:
        """No environment at all."""
        if set(os.environ) - {"LC_CTYPE"}:
            raise AssertionError("an environment")
        self.checked()

    def read_only(self) -> None:
        """Mount the file system of the list and the indexes read-only."""
        private_mounts()
        mount("--bind", self.folder, self.folder)
        mount("-o", "remount,bind,ro", self.folder)
        with contextlib.suppress(OSError):
            (self.folder / "new").touch()
            raise AssertionError("it can be written")
        self.checked()

    def user(self) -> None:
        """Another user, who may start few processes, and only read."""
        private_mounts()
        for path in (Path(sys.executable).resolve(), Path(hashmatch.__file__), Path(__file__)):
            open_to_others(path.absolute())
        os.setgroups([])
        os.setgid(GROUP)
        os.setuid(GROUP + 1 + os.getpid() % 1000)  # processes are counted by user
        resource.setrlimit(resource.RLIMIT_NPROC, (24, 24))
        if os.access(self.folder / "list", os.W_OK):
            raise AssertionError("it can be written")
        self.checked()

    @contextlib.contextmanager
    def _busy(self, matcher: Matcher) -> Iterator[threading.Event]:
        """Match in three threads until told."""
        stop, wrong = threading.Event(), []

        def run() -> None:
            while not stop.is_set():
                try:
                    self.expect(matcher, listed="match", unlisted="no match")
                except BaseException as error:
                    wrong.append(error)
                    break

        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        yield stop
        for thread in threads:
            thread.join()
        if wrong:
            raise wrong[0]

    def terminated(self) -> None:
        """SIGTERM to the host's group and to its workers: what is in hand is answered, then the host ends."""
        with self.open() as matcher:
            self.check(matcher)
            with self._busy(matcher) as stop:
                signal.signal(signal.SIGTERM, lambda *_: stop.set())
                time.sleep(0.3)
                for worker in () if matcher._reader is None else list(matcher._reader._pool._all):
                    os.kill(worker.pid, signal.SIGTERM)
                os.killpg(os.getpgrp(), signal.SIGTERM)

    def killed(self) -> None:
        """SIGKILL to the host's group amid matching."""
        with self.open() as matcher:
            self.check(matcher)
            with self._busy(matcher):
                time.sleep(0.3)
                os.killpg(os.getpgrp(), signal.SIGKILL)

    def soft_limit(self) -> None:
        """Raise a time limit in a signal's handler: it gets out of `match`, and the next pictures are answered."""

        class SoftTimeLimitExceeded(Exception):
            pass

        def limit(*_: object) -> None:
            raise SoftTimeLimitExceeded

        with self.open() as matcher:
            matcher.warm()
            signal.signal(signal.SIGALRM, limit)
            for _ in range(2):
                signal.setitimer(signal.ITIMER_REAL, 0.05)
                try:
                    self.answer(matcher, "large")
                except SoftTimeLimitExceeded:
                    continue
                raise AssertionError(f"the limit was swallowed: {matcher.counts()}")
            self.check(matcher)

    def folder_gone(self) -> None:
        """Delete the working folder after opening."""
        gone = tempfile.mkdtemp()
        os.chdir(gone)
        with self.open() as matcher:
            os.rmdir(gone)
            self.check(matcher)

    @property
    def number(self) -> int:
        """The host's process number: it leads its session."""
        return os.getsid(0)


_names = list(vars(Host))
CONDITIONS = [name for name in _names[_names.index("plain") :] if not name.startswith("_") and name != "number"]


def in_process(host: Host) -> None:
    """Check in a process that is not forked of the host."""
    host.reported(host.checked)


def mount(*arguments: object) -> None:
    """Mount something."""
    subprocess.run(["mount", *map(str, arguments)], check=True)


def private_mounts() -> None:
    """Keep what is mounted from now on to this process."""
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_MOUNTS):
        raise OSError(ctypes.get_errno(), "no mounts of its own")
    mount("--make-rprivate", "/")


def open_to_others(path: Path) -> None:
    """Let others reach a path below folders that are closed to them, such as root's home, in our own mounts."""
    for top in reversed(path.parents):
        if not top.stat().st_mode & 1:
            stage = Path(tempfile.mkdtemp())
            mount("--bind", top, stage)
            mount("-t", "tmpfs", "-o", "mode=755", "none", top)
            for inner in stage.iterdir():
                if inner.is_dir() and not inner.is_symlink():
                    (top / inner.name).mkdir()
                    mount("--bind", inner, top / inner.name)


def supervise(condition: str, isolated: str, folder: Path) -> dict[str, Any]:
    """Run the host; how it ended, how many were right, what went wrong, and how many processes it left."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    signs = folder / "signs"
    environment = {} if condition == "no_home" else dict(os.environ)
    command = [sys.executable, __file__, "host", condition, isolated, str(folder)]
    host = subprocess.Popen(command, env=environment, start_new_session=True)
    expected, give_up = PROCESSES.get(condition, 1), time.monotonic() + SECONDS
    while host.poll() is None and time.monotonic() < give_up and len(list(signs.glob("answered-*"))) < expected:
        time.sleep(0.01)
    late = HashValue.parse((folder / "late.hash").read_text())
    with ReferenceList.open(folder / "data/list", writable=True) as ref:
        ref.add("late", hashes=[late])
    (signs / "changed").touch()
    with contextlib.suppress(subprocess.TimeoutExpired):
        host.wait(max(1, give_up - time.monotonic()))
    ended = host.poll()
    left = leftovers() if ended is not None else -1
    wrong = [sign.read_text() for sign in signs.glob("wrong-*")]
    kill_all(host)
    return {"ended": ended, "right": len(list(signs.glob("right-*"))), "wrong": wrong, "left": left}


def leftovers(seconds: float = 20) -> int:
    """Count the processes that the host leaves behind for longer than they may take to end."""
    give_up = time.monotonic() + seconds
    while children() and time.monotonic() < give_up:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        time.sleep(0.01)
    return len(children())


def children() -> list[int]:
    """Children of this process, adopted ones included."""
    return [
        int(number) for task in Path("/proc/self/task").iterdir() for number in (task / "children").read_text().split()
    ]


def kill_all(host: subprocess.Popen[bytes]) -> None:
    """End everything that is left."""
    while found := children():
        for number in found:
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)
    host.returncode = host.returncode or 0


if __name__ == "__main__":
    if sys.argv[1] == "host":
        running = Host(Path(sys.argv[4]), sys.argv[3] == "yes")
        running.reported(getattr(running, sys.argv[2]))
    else:
        print(json.dumps(supervise(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))  # noqa: T201
