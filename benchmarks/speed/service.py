"""The service under load: ``python -m benchmarks service``. Client, service and decoders share the machine.

Four parts, each against ``hashmatch serve`` in processes of its own, over loopback:

look-ups
    Hashes against a million entries, one by one and in batches, beside a handler as HMA's (Flask, gunicorn with a
    process for each processor, threatexchange's faiss index): the rate with as many requests as go, and the times at
    half of it.
pictures
    JPEG of a megapixel under STANDARD, isolated, beside two processes that match the same bytes without a service and
    without isolation, and two that decode them alone.
overload
    Three times the pictures that it can take: the times of those that are taken in, and of the refusals; memory; and
    how soon it answers afterwards as before.
changes
    Changes of the list under load: every answer is held against the version that it names.

What the load generator takes of the processors is in the results. Run it on an idle machine.
"""

from __future__ import annotations

import concurrent.futures
import http.client
import io
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frame.options import keep, options_of
from benchmarks.frame.runner import ONE_THREAD, ROOT, machine, markdown_table, stated
from benchmarks.life.life import all_codes, make_list
from benchmarks.speed.http_load import percentiles, request, run
from hashmatch import HashValue, Matcher, ReferenceList
from hashmatch.picture.encode import jpeg
from hashmatch.synthetic import picture

SEED = 20_261_130
QUERIES = 2_000
HIT_SHARE = 10  # one query in so many is near an entry
BATCH = 100
PICTURES = 24
SIZE = (864, 1152)
START_SECONDS = 600.0


@contextmanager
def serving(folder: Path, list_path: Path, settings: str = "") -> Iterator[tuple[str, int]]:
    """Run the service; gives its address and the number of its process."""
    config = folder / "service.toml"
    config.write_text(
        f'paths = ["{list_path}"]\nindex_folder = "{folder}"\nreload_seconds = 0.05\n'
        f"[server]\nport = 0\nhma = true\nlog_requests = false\n{settings}"
    )
    command = [sys.executable, "-m", "hashmatch", "serve", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD}) as running:
        assert running.stderr is not None
        said = ""
        for line in running.stderr:
            said += line
            if "answering at" in line:
                break
        else:
            raise RuntimeError(said)
        threading.Thread(target=running.stderr.read, daemon=True).start()
        address = json.loads(line)["message"].split()[-1].removeprefix("http://")
        try:
            yield address, running.pid
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(60)


@contextmanager
def hma_serving(folder: Path, codes: np.ndarray[Any, Any]) -> Iterator[tuple[str, int]]:
    """Run the handler as HMA's."""
    np.save(folder / "codes.npy", codes)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["--preload", "--workers", str(os.cpu_count()), "--worker-class", "gthread", "--threads", "4"]
    words += ["--bind", f"127.0.0.1:{port}", "--log-level", "error", "--timeout", "120"]
    command = [sys.executable, "-m", "gunicorn", *words, "benchmarks.speed.hma_handler:create_app()"]
    environment = {**os.environ, **ONE_THREAD, "HMA_CODES": str(folder / "codes.npy")}
    with subprocess.Popen(command, cwd=ROOT, env=environment) as running:
        try:
            end = time.monotonic() + START_SECONDS
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    if time.monotonic() > end or running.poll() is not None:
                        raise
                    time.sleep(0.2)
            yield f"127.0.0.1:{port}", running.pid
        finally:
            running.terminate()
            running.wait(60)


def memory_of(process: int) -> int:
    """Give the proportional memory of a process and its children, bytes."""
    of_threads = [path.read_text().split() for path in Path(f"/proc/{process}/task").glob("*/children")]
    children = [number for numbers in of_threads for number in numbers]
    total = 0
    for number in (process, *map(int, children)):
        for line in Path(f"/proc/{number}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += 1024 * int(line.split()[1])
    return total


def queries(codes: np.ndarray[Any, Any]) -> list[str]:
    """Make hashes to look up: strangers, and some that are 8 bits from an entry."""
    rng = np.random.default_rng(SEED)
    found = []
    for number in range(QUERIES):
        if number % HIT_SHARE:
            found.append(rng.bytes(32).hex())
        else:
            near = codes[rng.integers(len(codes))].copy()
            near[rng.choice(32, 8, replace=False)] ^= 1
            found.append(near.tobytes().hex())
    return found


def at_full_and_half(address: str, requests: list[bytes], seconds: float, connections: int) -> dict[str, Any]:
    """Measure the rate, then the times at half of it."""
    run(address, requests, seconds=min(1.0, seconds), connections=connections)
    full = run(address, requests, seconds=seconds, connections=connections)
    rate = max(1.0, full["rate"] / 2)
    return {"full": full, "half": run(address, requests, seconds=seconds, connections=4 * connections, rate=rate)}


def look_ups(folder: Path, list_path: Path, entries: int, seconds: float) -> dict[str, Any]:
    """Measure hashes by every door."""
    codes = all_codes(entries)
    asked = queries(codes)
    hma = [request("GET", f"/m/raw_lookup?signal_type=pdq&include_distance=true&signal={item}") for item in asked]
    own = [request("POST", "/v1/match/hashes", json.dumps({"hashes": [f"pdq:{item}"]}).encode()) for item in asked]
    lines = [json.dumps({"hashes": [f"pdq:{item}"]}) for item in asked]
    batches = [
        request("POST", "/v1/match/batch", "\n".join(lines[first : first + BATCH]).encode(), "application/x-ndjson")
        for first in range(0, len(lines), BATCH)
    ]
    found: dict[str, Any] = {}
    with hma_serving(folder, codes) as (address, _):
        found["as HMA's handler"] = at_full_and_half(address, hma, seconds, 8)
    with serving(folder, list_path) as (address, _):
        found["hashmatch, one by one"] = at_full_and_half(address, own, seconds, 8)
        found["hashmatch, HMA's route"] = at_full_and_half(address, hma, seconds, 8)
        found[f"hashmatch, batches of {BATCH}"] = at_full_and_half(address, batches, seconds, 4)
        found["HTTP alone: /livez"] = at_full_and_half(address, [request("GET", "/livez")], seconds, 8)
    for name, item in found.items():
        item["look_ups"] = item["full"]["rate"] * (BATCH if "batches" in name else 1)
    return found


def jpegs(size: tuple[int, int], count: int) -> list[bytes]:
    """Make the pictures."""
    return [jpeg(picture("photo", SEED + number, size=size), quality=88) for number in range(count)]


def bare(kind: str, list_path: str, files: list[bytes], seconds: float) -> float:
    """Match or decode alone, in this process: pictures a second."""
    from PIL import Image

    with Matcher.open(list_path) as matcher:
        work = (
            (lambda data: matcher.match(data))
            if kind == "match"
            else (lambda data: Image.open(io.BytesIO(data)).load())
        )
        work(files[0])
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            work(files[done % len(files)])
            done += 1
        return done / (time.perf_counter() - began)


def two_bare(kind: str, list_path: Path, files: list[bytes], seconds: float) -> float:
    """Do it in two processes: pictures a second of both."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        jobs = [pool.submit(bare, kind, str(list_path), files, seconds) for _ in range(2)]
        return sum(job.result() for job in jobs)


def pictures(folder: Path, list_path: Path, files: list[bytes], seconds: float) -> dict[str, Any]:
    """Measure pictures: without a service, with it, and with three times what it takes."""
    sent = [request("POST", "/v1/match", data, "image/jpeg") for data in files]
    found: dict[str, Any] = {"bare": [], "decode": two_bare("decode", list_path, files, seconds)}
    settings = "[limits]\nwait_seconds = 0.5\n"
    with serving(folder, list_path, settings) as (address, process):
        run(address, sent, seconds=min(2.0, seconds), connections=8)
        fulls = []
        for _ in range(2):  # by turns, since the machine changes
            found["bare"].append(two_bare("match", list_path, files, seconds))
            fulls.append(run(address, sent, seconds=seconds, connections=8))
        found["full"] = max(fulls, key=lambda item: item["rate"])
        rate = found["full"]["rate"]
        found["half"] = run(address, sent, seconds=seconds, connections=32, rate=rate / 2)
        before = memory_of(process)
        over = run(address, sent, seconds=2 * seconds, connections=800, rate=3 * rate)
        found["overload"] = over | {"memory": [before, memory_of(process)], "wait_seconds": 0.5}
        began = time.perf_counter()
        found["recovery"] = []
        while time.perf_counter() - began < 3:
            once = time.perf_counter()
            connection = http.client.HTTPConnection(address, timeout=30)
            connection.request("POST", "/v1/match", files[0])
            status = connection.getresponse().status
            connection.close()
            found["recovery"].append([once - began, status, 1000 * (time.perf_counter() - once)])
    found["rate"] = max(found["bare"])
    return found


def changes(folder: Path, count: int) -> dict[str, Any]:
    """Change a list under load, and hold each answer against the version that it names."""
    path = folder / "changing.hashmatch"
    rng = np.random.default_rng(SEED + 1)
    values = [HashValue("pdq", rng.bytes(32)) for _ in range(count)]
    versions = []  # after the change of this number
    with ReferenceList.create(path, name="changing") as ref:
        ref.add("first", hashes=[HashValue("pdq", rng.bytes(32))])
    answers: list[tuple[int, int, str, int]] = []
    stop = threading.Event()

    def ask(address: str, seed: int) -> None:
        connection, own = http.client.HTTPConnection(address, timeout=30), np.random.default_rng(seed)
        while not stop.is_set():
            newest = len(versions)
            number = int(own.integers(max(1, newest - 5), newest + 3)) - 1
            if number >= count:
                continue
            body = json.dumps({"hashes": [str(values[number])]})
            connection.request("POST", "/v1/match/hashes", body)
            response = connection.getresponse()
            told = json.loads(response.read())
            version = told["lists"][0]["list_version"] if response.status == 200 else -1
            answers.append((number, version, told.get("outcome", "-"), response.status))

    with serving(folder, path) as (address, _):
        threads = [threading.Thread(target=ask, args=(address, seed)) for seed in range(4)]
        for thread in threads:
            thread.start()
        began = time.perf_counter()
        with ReferenceList.open(path, writable=True) as ref:
            for number, value in enumerate(values):
                ref.add(f"entry-{number}", hashes=[value])
                versions.append(ref.version)
                time.sleep(0.01)
        seconds = time.perf_counter() - began
        end = time.monotonic() + 30
        while time.monotonic() < end and not any(version == versions[-1] for _, version, _, _ in answers[-50:]):
            time.sleep(0.05)
        stop.set()
        for thread in threads:
            thread.join()
    wrong = sum(
        status != 200 or (outcome == "match") != (versions[number] <= version)
        for number, version, outcome, status in answers
    )
    return {
        "changes": count,
        "seconds": seconds,
        "answers": len(answers),
        "wrong": wrong,
        "versions_seen": len({version for _, version, _, _ in answers}),
        "last_seen": any(version == versions[-1] for _, version, _, _ in answers),
    }


def report(result: dict[str, Any]) -> str:
    """Write the tables."""
    asked, shown = result["look_ups"], result["pictures"]
    base = asked["as HMA's handler"]["look_ups"]
    times = ["p50 full, ms", "p99 full", "p50 half", "p99 half", "client's processor"]
    rows = [
        [name, f"{item['look_ups']:,.0f}", f"{item['look_ups'] / base:.1f}", *_times(item["full"], item["half"])]
        for name, item in asked.items()
    ]
    bare = shown["rate"]
    of_pictures = [
        ["two processes that decode alone", f"{shown['decode']:.1f}", f"{shown['decode'] / bare:.0%}", *[""] * 5],
        ["two processes that match", f"{bare:.1f}", "100%", *[""] * 5],
        [
            "the service, isolated",
            f"{shown['full']['rate']:.1f}",
            f"{shown['full']['rate'] / bare:.0%}",
            *_times(shown["full"], shown["half"]),
        ],
    ]
    item = result["changes"]
    parts = [
        "# The service under load",
        f"{stated(result['machine'])}; seed {SEED}. Command: `python -m benchmarks service`. Client and service"
        " share the processors.",
        f"Hashes against {result['entries']:,} entries; the times are of requests, at full and at half load:",
        markdown_table(["look-ups", "a second", "times HMA's", *times], rows),
        markdown_table(["pictures of a megapixel, STANDARD", "a second", "of it", *times], of_pictures),
        _overload(shown),
        f"{item['changes']:,} changes of a list in {item['seconds']:.0f} s, {item['answers']:,} answers from"
        f" {item['versions_seen']:,} versions: {item['wrong']} failed or not of the version that they name.",
    ]
    return "\n\n".join(parts) + "\n"


def _overload(shown: dict[str, Any]) -> str:
    over, calm = shown["overload"], percentiles([ms / 1000 for _, _, ms in shown["recovery"]])
    slow = max((at for at, status, ms in shown["recovery"] if status != 200 or ms > 5 * calm["p50"]), default=0.0)
    answers = ", ".join(f"{count} of {status}" for status, count in sorted(over["statuses"].items()))
    (p50, p99), (soon, late) = _ms(over), _ms(over, "429")
    before, after = (size / 2**20 for size in over["memory"])
    return (
        f"Three times that rate for {over['seconds']:.0f} s: answers {answers}, unanswered {over['unanswered']}."
        f" Taken in (waits of up to {1000 * over['wait_seconds']:.0f} ms are): p50 {p50} ms, p99 {p99} ms."
        f" 429: p50 {soon} ms, p99 {late} ms. Memory {before:,.0f} MiB before, {after:,.0f} MiB after."
        f" The client took {over['own_cpu']:.0%} of a processor. Then one by one: {calm['p50']:.0f} ms, the last slow"
        f" answer {slow:.1f} s after the load."
    )


def _times(full: dict[str, Any], half: dict[str, Any]) -> list[str]:
    return [*_ms(full), *_ms(half), f"{full['own_cpu']:.0%}"]


def _ms(found: dict[str, Any], status: str = "200") -> list[str]:
    times = found["ms"].get(status)
    return ["", ""] if times is None else [f"{times['p50']:.1f}", f"{times['p99']:.1f}"]


def main() -> None:
    """Measure everything and keep the result."""
    parser = options_of(__doc__, "small and short: does it run?")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load")
    parser.add_argument("--changes", type=int, default=1_000)
    options = parser.parse_args()
    size, count = SIZE, PICTURES
    if options.quick:
        options.entries, options.seconds, options.changes, size, count = 2_000, 0.5, 20, (96, 128), 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        list_path = folder / "list.hashmatch"
        make_list(list_path, options.entries)
        result = {
            "machine": machine(),
            "entries": options.entries,
            "look_ups": look_ups(folder, list_path, options.entries, options.seconds),
            "pictures": pictures(folder, list_path, jpegs(size, count), options.seconds),
            "changes": changes(folder, options.changes),
        }
    keep(options, result, report(result))
