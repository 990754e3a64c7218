"""Lists of known addresses: time of an answer, bytes and seconds for N entries: ``python -m benchmarks urls``.

Addresses are made up. The entries of the large lists are random MACs, written by the library's own writer, since their
addresses would change neither the file nor a look-up; one list of real entries shows what listing costs. Times are of
processor time, the best of the rounds; an answer is that of `UrlMatcher.check` to the end.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frame import runner
from benchmarks.frame.options import keep, options_of
from hashmatch.urls import UrlKey, UrlList, UrlMatcher
from hashmatch.urls.table import Table, read_table, write_table

SEED = 20_261_201
SCOPES = ("domain", "host", "prefix", "address", "query")
KINDS = {
    "plain": "a plain address: three labels, two folders, a query",
    "escaped": "with escapes that stay, as of a search",
    "folded": "with escapes that are undone, a port and capitals: both parsers",
    "long": "of 2,000 characters",
    "deep": "of eight labels and eight folders",
}


def addresses(kind: str, count: int) -> list[str]:
    """Make addresses of a kind, no two alike."""
    rng = random.Random(SEED)  # noqa: S311 - figures, not secrets
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(2 * count)]
    pairs = zip(words[::2], words[1::2], strict=True)
    made: dict[str, Callable[[str, str], str]] = {
        "plain": lambda a, b: f"http://www.{a}.com/{b}/view/{a}.html?id={b}",
        "escaped": lambda a, b: f"https://www.{a}.co.uk/{b}/view?q=%C3%A4%20{a}&u=%20{b}",
        "folded": lambda a, b: f"HTTP://WWW.{a}.com:8080/%{ord(b[0]):02x}{b}/../view?q={a}%3A%2F%2f{b}#x",
        "long": lambda a, b: f"https://{a}.org/{b}?{'x' * 1_970}",
        "deep": lambda a, b: f"https://a.b.c.d.e.{a}.co.uk/1/2/3/4/5/6/7/8/{b}",
    }
    return [made[kind](a, b) for a, b in pairs]


def best(work: Callable[[], object], rounds: int) -> float:
    """Seconds of processor time, the best of some rounds."""
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


def made_list(path: Path, key: UrlKey, entries: int) -> None:
    """Write a list of random entries at all scopes, one group for each."""
    listed = UrlList.create(path, key, name="made up")
    for number, scope in enumerate(SCOPES):
        text = f"http://made-up-{number}.example.com/" + ("a/" if scope == "prefix" else "")
        listed.add([text], scope=scope)  # type: ignore[arg-type]
    head, table, _, _ = read_table(path, [key])
    rng = np.random.default_rng(SEED)
    group = rng.integers(0, len(head.groups), entries - len(table), dtype=np.uint32)
    macs = np.concatenate((table.keys.view(np.uint8).reshape(-1, 8), table.rest.view(np.uint8).reshape(-1, 4)), 1)
    rows = np.concatenate((macs, rng.integers(0, 256, (len(group), 12), dtype=np.uint8)))
    write_table(path, key, replace(head), Table.of(rows.tobytes(), np.concatenate((table.group, group))))


def measure(entries: int, count: int, rounds: int) -> dict[str, Any]:
    """Measure a list of a size."""
    key = UrlKey(bytes(32))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.urls"
        made_list(path, key, entries)
        matcher = UrlMatcher.open(path, key)
        result: dict[str, Any] = {"entries": entries, "bytes": path.stat().st_size, "answers": {}}
        for kind in KINDS:
            given = addresses(kind, count)
            seconds = best(lambda given=given: [matcher.check(one) for one in given], rounds)
            result["answers"][kind] = seconds / count * 1e6
        result["open"] = best(lambda: UrlMatcher.open(path, key), rounds)
        listed = UrlList.open(path, key)
        result["change"] = best(lambda: listed.add(["http://changed.example.com/"]), 1)
    return result


def listing(count: int) -> float:
    """Microseconds that listing an address takes."""
    key = UrlKey(bytes(32))
    with tempfile.TemporaryDirectory() as folder:
        listed = UrlList.create(Path(folder) / "list.urls", key, name="made up")
        given = addresses("plain", count)
        return best(lambda: listed.add(given, max_growth=1e9), 1) / count * 1e6


def report(result: dict[str, Any]) -> str:
    """Write the tables."""
    sizes = result["sizes"]
    head = ["address", *(f"{row['entries']:,} entries" for row in sizes)]
    answers = [[words, *(f"{row['answers'][kind]:.0f}" for row in sizes)] for kind, words in KINDS.items()]
    files = [
        [
            f"{row['entries']:,}",
            f"{row['bytes'] / 1e6:,.1f}",
            f"{row['bytes'] / row['entries']:.1f}",
            f"{row['open']:.2f}",
            f"{row['change']:.1f}",
        ]
        for row in sizes
    ]
    parts = [
        "# Lists of known addresses",
        f"{runner.stated(result['machine'])}; seed {SEED}; best of {result['rounds']} rounds. "
        "Command: `python -m benchmarks urls`.",
        "Microseconds of processor time for one answer, of a list that has entries of all five scopes:",
        runner.markdown_table(head, answers),
        f"Listing an address takes {result['listing']:.0f} microseconds. The file, and seconds to open it and to "
        "change one entry:",
        runner.markdown_table(["entries", "MB", "bytes an entry", "open", "change"], files),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure everything and keep the result."""
    parser = options_of(__doc__, "little of it once: does the benchmark work")
    parser.add_argument("--entries", type=int, nargs="*", default=(10_000, 1_000_000, 10_000_000))
    parser.add_argument("--addresses", type=int, default=5_000, help="addresses of each kind")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.quick:
        options.entries, options.addresses, options.rounds = (1_000,), 100, 1
    result = {
        "machine": runner.machine(),
        "rounds": options.rounds,
        "sizes": [measure(entries, options.addresses, options.rounds) for entries in options.entries],
        "listing": listing(options.addresses),
    }
    keep(options, result, report(result))
