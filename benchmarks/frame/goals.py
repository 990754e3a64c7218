"""The bounds that the project set itself for time and space, and where the results have each figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from benchmarks.speed.lookup_report import PEER, SCAN, TREE, flat

OURS, SUM, DECODE = "hashmatch, as planned", "NumPy, sum of the bytes", "Pillow, decode alone"
FLAT, MULTIHASH = "faiss IndexBinaryFlat", "faiss IndexBinaryMultiHash"
INEXACT: Final = ("faiss IndexBinaryIVF", "usearch, HNSW")
WIDE: Final = {"1024x768": 1024, "12 megapixels": 4000}
Results = Mapping[str, Any]
Figure = Callable[[Results], float]


def number(value: float | None) -> str:
    """Three digits, no exponent."""
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def hashed(results: Results) -> dict[tuple[str, int, str, str], float]:
    """Milliseconds a picture by source, width, algorithm and contender."""
    rows = results["hashing"]["results"]
    return {(row["source"], row["width"], row["algorithm"], row["contender"]): row["ms"] for row in rows}


def near(results: Results, n: int, n_bits: int, radius: int) -> dict[str, float]:
    """Milliseconds a near query of each contender."""
    return {
        row["contender"]: row["near_ms"]
        for row in flat(results["lookup"]["results"])
        if (row["n"], row["n_bits"], row["radius"]) == (n, n_bits, radius)
    }


def _pixels(width: int, over: str) -> Figure:
    """Time of our PDQ of an array over another's."""
    return lambda results: (
        hashed(results)["pixels", width, "pdq", "hashmatch"] / hashed(results)["pixels", width, "pdq", over]
    )


def _file(contender: str) -> Figure:
    """Time from the bytes of a 12-megapixel JPEG to its hash over the decode alone."""
    return lambda results: (
        hashed(results)["file", 4000, "pdq", contender] / hashed(results)["file", 4000, "pdq", DECODE]
    )


def _inverse(figure: Figure) -> Figure:
    return lambda results: 1 / figure(results)


def _look_up(n: int) -> Figure:
    return lambda results: near(results, n, 256, 31)[OURS]


def _against(n: int, *peers: str) -> Figure:
    """How many times as fast as the fastest of some peers, or of all exact ones, our look-up is."""

    def figure(results: Results) -> float:
        times = near(results, n, 256, 31)
        names = peers or [name for name in times if not name.startswith("hashmatch") and name not in INEXACT]
        return min(times[name] for name in names) / times[OURS]

    return figure


def _threads(results: Results) -> float:
    """Least gain of 8 threads over one, of look-ups and hashes."""
    works = [row for row in results["threads"]["rows"] if row["work"].startswith(("look-up", "PDQ"))]
    return min(row["a_second"]["8"] / row["a_second"]["1"] for row in works)


def _trees(peer: str, picked: bool) -> Figure:
    """Least gain of the BK-tree over another at 64 bits, radius 1 to 8; or only where the planner prefers it."""

    def figure(results: Results) -> float:
        plans = {(p["n"], p["radius"]): p for p in results["lookup"]["plans"] if p["n_bits"] == 64}
        gains = []
        for n in (100_000, 1_000_000):
            for radius in range(1, 9):
                times, expected = near(results, n, 64, radius), plans[n, radius]["expected_us"]
                if not picked or expected["bktree"] < expected["linear"]:
                    gains.append(times[peer] / times[TREE])
        return min(gains)

    return figure


def ten_million(results: Results) -> dict[str, Any]:
    """Give what the life of ten million hashes gave; KeyError where it was not measured."""
    for found in results["life"]["results"]:
        if found["n"] == 10_000_000:
            return dict(found)
    raise KeyError("ten million")


def _of_records(name: str) -> Figure:
    """Slowest change of a list of keypoint records until a matcher has it, ms."""
    return lambda results: float(results["life"]["records"][name]["max_ms"])


def _life(name: str) -> Figure:
    """Figure of the life of ten million hashes."""

    def figure(results: Results) -> float:
        found = ten_million(results)
        size = found["files"]["file_bytes"]
        whole = {
            "build_s": found["files"]["seconds"],
            "bytes": size / found["n"],
            "open_ms": 1000 * found["open"]["median_s"],
            "private": 100 * found["worker"]["after"]["private"] / size,
            "add": found["changes"]["call"]["add"]["median_ms"],
            "withdraw": found["changes"]["call"]["withdraw_old"]["median_ms"],
        }
        return float(whole[name])

    return figure


def beside_import(results: Results) -> dict[str, Any]:
    """Give what searches of a million hashes beside an import gave; KeyError where that was not measured."""
    for found in results["life"]["results"]:
        if found["n"] == 1_000_000:
            return dict(found["import"])
    raise KeyError("a million")


def _whole(contender: str) -> Figure:
    """Whole check of a JPEG photograph of a megapixel over its decode, both by wall clock."""

    def figure(results: Results) -> float:
        times = {row["contender"]: row["one_ms"]["photo"] for row in results["endtoend"]["results"] if "one_ms" in row}
        return float(times[contender] / times[DECODE])

    return figure


def _thorough(results: Results) -> float:
    """Slowest kind of picture by THOROUGH against a list with keypoint records."""
    rows = results["policies"]["rows"]
    return max(row["ms"] for row in rows if row["policy"].startswith("THOROUGH,"))


# work, bound (below 0: at most), unit, area, figure
BOUNDS: Final[tuple[tuple[str, float, str, str, Figure], ...]] = (
    *(
        bound
        for name, width in WIDE.items()
        for bound in (
            (
                f"PDQ of an RGB array, {name}: as fast as pdqhash",
                30.0,
                " times",
                "hashing",
                _inverse(_pixels(width, "pdqhash")),
            ),
            (f"PDQ of an RGB array, {name}: of the sum of its bytes", -2.0, " times", "hashing", _pixels(width, SUM)),
        )
    ),
    ("12-megapixel JPEG to hash, of the decode", -1.1, " times", "hashing", _file("hashmatch")),
    (
        "the same with reduced decode: as fast as the decode alone",
        2.0,
        " times",
        "hashing",
        _inverse(_file("hashmatch, reduced decode")),
    ),
    (
        "256 bits, radius 31, 1 M: as fast as the faster exact faiss index",
        40.0,
        " times",
        "lookup",
        _against(1_000_000, FLAT, MULTIHASH),
    ),
    ("a look-up in 1 M", -0.1, " ms", "lookup", _look_up(1_000_000)),
    ("10 M: as fast as faiss flat", 100.0, " times", "lookup", _against(10_000_000, FLAT)),
    ("100 k: as fast as the fastest exact contender", 1.0, " times", "lookup", _against(100_000)),
    (
        "growth of that look-up from 100 k to 10 M",
        -8.0,
        " times",
        "lookup",
        lambda r: _look_up(10_000_000)(r) / _look_up(100_000)(r),
    ),
    ("8 threads on 2 cores, look-ups and hashes, of one thread", 1.8, " times", "threads", _threads),
    (
        "BK-tree, 64 bits, 100 k and 1 M, radius 1 to 8: as fast as pybktree",
        100.0,
        " times",
        "lookup",
        _trees(PEER, False),
    ),
    ("BK-tree where the planner prefers it to the scan: as fast as it", 1.0, " times", "lookup", _trees(SCAN, True)),
    ("index of 10 M PDQ hashes built", -40.0, " s", "life", _life("build_s")),
    ("its files, an entry", -110.0, " bytes", "life", _life("bytes")),
    ("its opening", -50.0, " ms", "life", _life("open_ms")),
    ("memory of an added worker, of the files", -5.0, " %", "life", _life("private")),
    ("an added entry among 10 M seen by a matcher after", -100.0, " ms", "life", _life("add")),
    ("a withdrawn one", -100.0, " ms", "life", _life("withdraw")),
    ("an added keypoint record among 100 k, at the slowest", -100.0, " ms", "life", _of_records("add")),
    ("a withdrawn one of those", -100.0, " ms", "life", _of_records("withdraw")),
    (
        "`match_hash` of 1 M beside an import of 50,000, 99th percentile",
        -1.0,
        " ms",
        "life",
        lambda results: float(beside_import(results)["search_during_ms"]["p99"]),
    ),
    (
        "1-megapixel JPEG by STANDARD against 1 M, of the decode",
        -1.5,
        " times",
        "endtoend",
        _whole("hashmatch STANDARD"),
    ),
    ("the same by THOROUGH with keypoints, without the decode, slowest kind", -80.0, " ms", "policies", _thorough),
)
