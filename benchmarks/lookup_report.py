"""Tables and plots of the lookup benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import runner

Result = Mapping[str, Any]


def summary(results: Sequence[Result], facts: Mapping[str, str], seed: int) -> str:
    """Write what was measured, on what, and the tables, as Markdown."""
    versions = {result["contender"]: result["version"] for result in results if "version" in result}
    left_out = {result["contender"]: result["skipped"] for result in results if "skipped" in result}
    parts = [
        "## Lookup\n\nOne thread. "
        + ", ".join(f"{name}: {value}" for name, value in facts.items())
        + f"; seed {seed}.\nVersions: "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ".\nCommand: `python -m benchmarks lookup`. Times are milliseconds for one query, median over the queries of "
        "the fastest round;\n`near` queries are within the radius of a stored code, `far` ones are unrelated. `times as"
        " fast` compares the near queries with the faster of\nfaiss's exact indexes. Recall is of what a plain scan "
        "finds. Memory is what the process grew by.",
        *(f"Skipped: {name}: {reason}." for name, reason in left_out.items()),
    ]
    rows = [flat for result in results if "radii" in result for flat in _flat(result)]
    for n, n_bits, radius in dict.fromkeys((row["n"], row["n_bits"], row["radius"]) for row in rows):
        mine = [row for row in rows if (row["n"], row["n_bits"], row["radius"]) == (n, n_bits, radius)]
        parts.append(f"### {n:,} codes of {n_bits} bits, radius {radius}\n\n" + _table(mine))
    parts += [
        f"{result['contender']}, {result['workload']['n']:,}: {result['error']}"
        for result in results
        if "error" in result
    ]
    growth = _growth(rows)
    if growth:
        parts.append("### Growth at 256 bits, radius 31: times the time at 100,000 codes\n\n" + growth)
    return "\n\n".join(parts) + "\n"


def _flat(result: Result) -> list[dict[str, Any]]:
    own = {key: value for key, value in result.items() if key != "radii"}
    return [{**own, **result["workload"], **searched} for searched in result["radii"]]


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


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value < 1 else f"{value:.2f}"


def _growth(rows: list[dict[str, Any]]) -> str:
    photo = [row for row in rows if (row["n_bits"], row["radius"]) == (256, 31)]
    sizes = sorted({row["n"] for row in photo})
    if 100_000 not in sizes or len(sizes) < 2:
        return ""
    lines = []
    for name in dict.fromkeys(row["contender"] for row in photo):
        times = {row["n"]: row["near_ms"] for row in photo if row["contender"] == name}
        if 100_000 in times and len(times) > 1:
            lines.append([name, *(f"{times[n] / times[100_000]:.2f}" if n in times else "" for n in sizes)])
    return runner.markdown_table(["contender", *(f"{n:,}" for n in sizes)], lines)


def plot(results: Sequence[Result], path: Path) -> None:
    """Draw milliseconds a near query against the number of codes, and against the radius at two lengths."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [flat for result in results if "radii" in result for flat in _flat(result)]
    panels = (
        ("256 bits, radius 31", "codes", "n", lambda row: (row["n_bits"], row["radius"]) == (256, 31)),
        ("1,000,000 codes of 64 bits", "radius, bits", "radius", lambda row: (row["n"], row["n_bits"]) == (10**6, 64)),
        (
            "1,000,000 codes of 256 bits",
            "radius, bits",
            "radius",
            lambda row: (row["n"], row["n_bits"]) == (10**6, 256),
        ),
    )
    figure, axes = pyplot.subplots(1, 3, figsize=(16, 5), constrained_layout=True)
    for axis, (title, label, x, belongs) in zip(axes, panels, strict=True):
        for name in dict.fromkeys(row["contender"] for row in rows):
            points = sorted((row[x], row["near_ms"]) for row in rows if row["contender"] == name and belongs(row))
            if points:
                style = "-" if name.startswith("hashmatch") else "--"
                axis.plot(*zip(*points, strict=True), style, marker="o", label=name)
        axis.set(yscale="log", xscale="log" if x == "n" else "linear", xlabel=label, ylabel="ms a query", title=title)
        axis.grid(visible=True, which="both", alpha=0.3)
        if axis.has_data():
            axis.legend(fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
