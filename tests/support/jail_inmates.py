"""Work for jailed processes in tests: honest work, attempts to get out, and ways to treat the host badly.

A task is a name from `ATTEMPTS` or of a function here, a space, and its argument. Nothing of this is reachable from the
package.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from hashmatch.jail.calls import machine, syscall
from hashmatch.jail.inside import READY, Work, serve
from hashmatch.jail.messages import GREETING, HELLO

HOST = os.getppid()
LIBRARY = ctypes.CDLL(None, use_errno=True)
LINE: list[socket.socket] = []
THREADS: list[bool] = []
KEPT: list[bytearray] = []


def main() -> None:
    """Serve as an ordinary worker would."""
    serve(prepare, needs_threads=lambda: bool(THREADS))


def prepare(hello: bytes) -> Work:
    """Keep a second handle on the line; fail to start, or start slowly, if told so."""
    if hello == b"refuse":
        raise RuntimeError("told to refuse")
    if hello == b"vanish":
        os._exit(7)
    if hello == b"threads":
        THREADS.append(True)
    LINE.append(socket.socket(fileno=0))
    return work


def work(task: memoryview) -> Iterator[bytes]:
    """Do what the task says."""
    name, _, argument = bytes(task).decode().partition(" ")
    if name in ATTEMPTS:
        yield outcome(ATTEMPTS[name], argument)
    else:
        yield from DEEDS[name](argument)


def outcome(attempt: Callable[[str], Any], argument: str) -> bytes:
    """Try it: ``done``, or how it was refused."""
    try:
        attempt(argument)
    except OSError as error:
        return f"refused {error.errno}".encode()
    except (RuntimeError, ValueError, MemoryError) as error:
        return f"refused {type(error).__name__}".encode()
    return b"done"


def checked(result: int) -> None:
    """Turn the -1 of a C function into the error it stands for."""
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")


def run_code(_: str) -> None:
    """Ask for memory that can be run."""
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def make_runnable(_: str) -> None:
    """Make memory that can be run from memory that cannot."""
    page = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    checked(LIBRARY.mprotect(ctypes.c_void_p(address), 4096, 7))


def start_thread(_: str) -> None:
    """Start a thread."""
    threading.Thread(target=time.sleep, args=(0,)).start()


def clone(flags: str) -> None:
    """Start something with flags of one's own choice."""
    if syscall("clone", int(flags, 16), 0, 0, 0, 0) == 0:
        os._exit(0)


def many_threads(_: str) -> None:
    """Start threads that try what their process may not."""
    found: list[bytes] = []
    attempts = [(ATTEMPTS["read"], "/etc/passwd"), (ATTEMPTS["fork"], ""), (ATTEMPTS["inet"], "")]
    threads = [threading.Thread(target=lambda item=item: found.append(outcome(*item))) for item in attempts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(found) == len(attempts) and all(item.startswith(b"refused") for item in found):
        raise OSError(1, "refused")


def raise_limit(_: str) -> None:
    """Give oneself more memory again."""
    resource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40))


def message_to(path: str) -> None:
    """Send along the line, but to an address of one's own choice."""
    LINE[0].sendto(b"x", path)


def let_go(_: str) -> None:
    """Close whatever else than the line is open: of what ties one to the host it is refused."""
    refused = None
    for number in set(range(1, 256)) - {LINE[0].fileno()}:
        try:
            os.close(number)
        except OSError as error:
            refused = error if error.errno == errno.EPERM else refused
    if refused is not None:
        raise refused


ATTEMPTS: dict[str, Callable[[str], Any]] = {
    "read": lambda path: os.open(path, os.O_RDONLY),
    "write": lambda path: os.open(path, os.O_WRONLY | os.O_CREAT, 0o600),
    "list": os.listdir,
    "stat": os.stat,
    "remove": os.unlink,
    "make": os.mkdir,
    "change": lambda path: os.chmod(path, 0o777),
    "inet": lambda _: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "datagram": lambda _: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "unix": lambda _: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "pair": lambda _: socket.socketpair(),
    "pipe": lambda _: os.pipe(),
    "memory-file": lambda _: os.memfd_create("x"),
    "fork": lambda _: os.fork(),
    "process": lambda _: subprocess.Popen([sys.executable, "-c", ""]),
    "thread": start_thread,
    "threads-out": many_threads,
    "clone": clone,
    "kill-host": lambda _: os.kill(HOST, signal.SIGKILL),
    "kill-all": lambda _: os.kill(-1, signal.SIGKILL),
    "signal-host": lambda _: checked(LIBRARY.syscall(234, HOST, HOST, signal.SIGKILL)),
    "run-code": run_code,
    "make-runnable": make_runnable,
    "raise-limit": raise_limit,
    "limit-host": lambda _: resource.prlimit(HOST, resource.RLIMIT_CPU, (1, 1)),
    "nice": lambda _: os.nice(1),
    "send-to": message_to,
    "let-go": let_go,
    "duplicate": lambda _: os.dup(0),
    "user": lambda _: os.setuid(65534),
}


def echo(argument: str) -> Iterator[bytes]:
    """Give back what was given, in three parts."""
    for part in (argument, "", argument[::-1]):
        yield part.encode()


def grow(argument: str) -> Iterator[bytes]:
    """Take more and more memory."""
    held = [bytearray(2**24) for _ in range(int(argument))]
    yield str(len(held)).encode()


def hang(_: str) -> Iterator[bytes]:
    """Wait for ever."""
    time.sleep(1e6)
    yield b""


def spin(_: str) -> Iterator[bytes]:
    """Compute for ever, after a part of an answer."""
    yield b"first"
    while True:
        pass


def ignore_alarm(_: str) -> Iterator[bytes]:
    """Switch the own clock off, then wait for ever."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    yield from hang("")


def crash(argument: str) -> Iterator[bytes]:
    """Die by a signal."""
    if argument == "SIGSEGV":
        ctypes.string_at(0)
    if argument == "SIGABRT":
        os.abort()
    yield b""


def crowd(_: str) -> Iterator[bytes]:
    """Start threads until it is refused."""
    enough, started = threading.Event(), 0
    with contextlib.suppress(RuntimeError):
        while started < 200:
            threading.Thread(target=enough.wait).start()
            started += 1
    enough.set()
    yield str(started).encode()


def fatal(argument: str) -> Iterator[bytes]:
    """Make a call that no library makes."""
    calls = {
        "exec": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),
        "trace": lambda: syscall("ptrace", 0, 0, 0, 0),
        "x32": lambda: LIBRARY.syscall(0x40000000 + 39),
        "ring": lambda: syscall("io_uring_setup", 1, None),
        "unshare": lambda: syscall("unshare", 0x10000000),
    }
    calls[argument]()
    yield b"alive"


def leave(argument: str) -> Iterator[bytes]:
    """End with a code."""
    os._exit(int(argument))
    yield b""


def raw(argument: str) -> Iterator[bytes]:
    """Send bytes of one's own on the line."""
    LINE[0].sendall(bytes.fromhex(argument))
    yield from hang("")


def dribble(_: str) -> Iterator[bytes]:
    """Announce an answer and send it a byte at a time."""
    LINE[0].sendall(struct.pack("<BQ", 5, 1000))
    for _ in range(1000):
        time.sleep(0.05)
        LINE[0].sendall(b"x")
    yield b""


def flood(argument: str) -> Iterator[bytes]:
    """Answer without end."""
    while True:
        yield bytes(int(argument))


def shut(_: str) -> Iterator[bytes]:
    """Close the line and stay alive."""
    LINE[0].close()
    yield from hang("")


def fail(argument: str) -> Iterator[bytes]:
    """Fail with a reason of one's own."""
    error = RuntimeError("failed")
    error.reason = argument  # type: ignore[attr-defined]
    raise error
    yield b""


def number(_: str) -> Iterator[bytes]:
    """Say who one is."""
    yield str(os.getpid()).encode()


def pause(argument: str) -> Iterator[bytes]:
    """Say a part, wait, say the rest."""
    yield b"before"
    time.sleep(float(argument))
    yield b"after"


def swell(argument: str) -> Iterator[bytes]:
    """Take many blocks of a megabyte, and give all back but one in a hundred, kept for the next task."""
    blocks = [bytearray(2**20) for _ in range(int(argument))]
    KEPT[:] = blocks[99::100]
    yield str(len(blocks)).encode()


DEEDS: dict[str, Callable[[str], Iterator[bytes]]] = {
    item.__name__: item
    for item in (
        echo,
        grow,
        hang,
        spin,
        ignore_alarm,
        crash,
        crowd,
        fatal,
        leave,
        raw,
        dribble,
        flood,
        shut,
        fail,
        number,
        pause,
        swell,
    )
}


def greeted() -> socket.socket:
    """Take the line and what the host says at the start."""
    line = socket.socket(fileno=0)
    left = len(GREETING) * (sys.platform == "linux") + 9 + HELLO.size
    while left:
        left -= len(line.recv(left))
    return line


def open_main() -> None:
    """Serve without being shut in at all, and say so."""
    line = greeted()
    line.sendall(struct.pack("<BQ", 3, READY.size) + READY.pack(0b11, 0))
    line.recv(1)


def wrong_main() -> None:
    """Answer the greeting with bytes that mean nothing."""
    line = greeted()
    line.sendall(b"\xff" * 64)
    line.recv(1)


def here() -> str | None:
    """Architecture, for tests of the filter."""
    return machine()
