"""Tables of the lookup benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.frame import runner

Result = Mapping[str, Any]


def summary(results: Sequence[Result], facts: Mapping[str, str], seed: int, plans: Sequence[Result]) -> str:
    """Write what was measured, on what, and the tables, as Markdown."""
    versions = {result["contender"]: result["version"] for result in results if "version" in result}
    left_out = {result["contender"]: result["skipped"] for result in results if "skipped" in result}
    parts = [
        "## Lookup\n\nOne thread. "
        + runner.stated(facts)
        + f"; seed {seed}.\nVersions: "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ".\nCommand: `python -m benchmarks lookup`. Times are milliseconds for one query, median over the queries of "
        "the fastest round;\n`near` queries are within the radius of a stored code, `far` ones are unrelated. `times as"
        " fast` compares the near queries with the faster of\nfaiss's exact indexes. Recall is of what a plain scan "
        "finds. Memory is what the process grew by.",
        *(f"Skipped: {name}: {reason}." for name, reason in left_out.items()),
    ]
    rows = flat(results)
    for n, n_bits, radius in dict.fromkeys((row["n"], row["n_bits"], row["radius"]) for row in rows):
        mine = [row for row in rows if (row["n"], row["n_bits"], row["radius"]) == (n, n_bits, radius)]
        parts.append(f"### {n:,} codes of {n_bits} bits, radius {radius}\n\n" + _table(mine))
    parts += [
        f"{result['contender']}, {result['workload']['n']:,}: {result['error']}"
        for result in results
        if "error" in result
    ]
    for n_bits, radius in ((256, 31), (128, 16), (64, 4)):
        growth = _growth(rows, n_bits, radius)
        if growth:
            title = f"### Growth at {n_bits} bits, radius {radius}: times the time at 100,000 codes"
            parts.append(f"{title}\n\n{growth}")
    if any(row["contender"] == TREE for row in rows):
        parts.append(
            "### BK-trees at 64 bits\n\nMilliseconds a near query. `pick` is what the planner takes for these codes, "
            "`of tree and scan` what it would take if\nthere were only those two. A search in the tree gives up at its "
            "root and scans where its costs say that a scan is cheaper.\n\n" + _trees(rows, plans)
        )
    return "\n\n".join(parts) + "\n"


def flat(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One record for each contender, list and radius."""
    return [
        {**{key: value for key, value in result.items() if key != "radii"}, **result["workload"], **searched}
        for result in results
        if "radii" in result
        for searched in result["radii"]
    ]


def _table(rows: list[dict[str, Any]]) -> str:
    exact = [row["near_ms"] for row in rows if row["contender"] in ("faiss IndexBinaryFlat", _MULTIHASH)]
    header = ["contender", "near", "far", "p99", "batch", "times as fast", "recall", "wrong"]
    header += ["build s", "memory MB", "file MB", "load ms", "add ms"]
    lines = [
        [
            row["contender"],
            _number(row["near_ms"]),
            _number(row["far_ms"]),
            _number(row["p99_ms"]),
            _number(row["batch_ms"]),
            f"{min(exact) / row['near_ms']:.2f}" if exact else "",
            "" if row["recall"] is None else f"{100 * row['recall']:.0f} %",
            str(row["wrong"]),
            f"{row['build_s']:.2f}",
            f"{row['resident_bytes'] / 1e6:.0f}",
            "" if row["file_bytes"] is None else f"{row['file_bytes'] / 1e6:.0f}",
            _number(row["load_ms"]),
            _number(row["add_ms"]),
        ]
        for row in sorted(rows, key=lambda row: row["near_ms"])
    ]
    return runner.markdown_table(header, lines)


_MULTIHASH = "faiss IndexBinaryMultiHash"
TREE, SCAN, PEER = "hashmatch BKTree", "hashmatch LinearIndex", "pybktree"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value < 1 else f"{value:.2f}"


def _growth(rows: list[dict[str, Any]], n_bits: int, radius: int) -> str:
    photo = [row for row in rows if (row["n_bits"], row["radius"]) == (n_bits, radius)]
    sizes = sorted({row["n"] for row in photo})
    if 100_000 not in sizes or len(sizes) < 2:
        return ""
    lines = []
    for name in dict.fromkeys(row["contender"] for row in photo):
        times = {row["n"]: row["near_ms"] for row in photo if row["contender"] == name}
        if 100_000 in times and len(times) > 1:
            lines.append([name, *(f"{times[n] / times[100_000]:.2f}" if n in times else "" for n in sizes)])
    return runner.markdown_table(["contender", *(f"{n:,}" for n in sizes)], lines)


def _trees(rows: list[dict[str, Any]], plans: Sequence[Result]) -> str:
    times = {(row["n"], row["radius"], row["contender"]): row["near_ms"] for row in rows if row["n_bits"] == 64}
    picks = {(plan["n"], plan["radius"]): plan for plan in plans if plan["n_bits"] == 64}
    lines = []
    for n, radius, _ in sorted(key for key in times if key[2] == TREE):
        tree, scan, peer = (times.get((n, radius, name)) for name in (TREE, SCAN, PEER))
        plan = picks.get((n, radius))
        of_two = min(("bktree", "linear"), key=plan["expected_us"].__getitem__) if plan else ""
        lines.append(
            [
                f"{n:,}, radius {radius}",
                *map(_number, (tree, scan, peer)),
                "" if scan is None else f"{scan / tree:.2f}",
                "" if peer is None else f"{peer / tree:.0f}",
                plan["kind"] if plan else "",
                of_two,
            ]
        )
    header = ["codes", TREE, SCAN, PEER, "times as fast as the scan", f"as {PEER}", "pick", "of tree and scan"]
    return runner.markdown_table(header, lines)
