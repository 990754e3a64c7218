"""Growth curves of the lookup benchmark: time against the number of codes and against the radius, and the build."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.frame.options import drawn

Row = Mapping[str, Any]

PLANNED: Final = "hashmatch, as planned"  # one of the others, drawn as a broad band beneath it
COLOURS: Final = {
    PLANNED: "#000000",
    "hashmatch MultiIndex": "#d62728",
    "hashmatch LinearIndex": "#ff7f0e",
    "hashmatch BKTree": "#8c1d40",
    "faiss IndexBinaryFlat": "#1f77b4",
    "faiss IndexBinaryMultiHash": "#17a2b8",
    "faiss IndexBinaryIVF": "#5aa0d8",
    "usearch, exact": "#2ca02c",
    "usearch, HNSW": "#98c97a",
    "threatexchange PDQIndex": "#9467bd",
    "NumPy scan": "#7f7f7f",
    "pybktree": "#8c6d31",
    "imagededup BK-tree": "#c7a86b",
}
MARKS: Final = "8os^Dv<>PXph*"


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draw six panels, every contender in one colour throughout; ours solid, the others dashed."""
    from matplotlib import ticker

    def sized(n_bits: int, radius: int) -> Callable[[Row], bool]:
        return lambda row: (row["n_bits"], row["radius"]) == (n_bits, radius)

    def swept(n_bits: int) -> Callable[[Row], bool]:
        return lambda row: (row["n"], row["n_bits"]) == (1_000_000, n_bits)

    panels = (
        ("256 bits, radius 31", "n", "near_ms", sized(256, 31)),
        ("128 bits, radius 16", "n", "near_ms", sized(128, 16)),
        ("64 bits, radius 4", "n", "near_ms", sized(64, 4)),
        ("1,000,000 codes of 256 bits", "radius", "near_ms", swept(256)),
        ("1,000,000 codes of 64 bits", "radius", "near_ms", swept(64)),
        ("build, 256 bits, radius 31", "n", "build_s", sized(256, 31)),
    )
    with drawn(path, 2, 3, (15, 9.2)) as (figure, axes):
        lines: dict[str, Any] = {}
        for axis, (title, x, y, belongs) in zip(axes.flat, panels, strict=True):
            for mark, (name, colour) in zip(MARKS, COLOURS.items(), strict=True):
                points = sorted(
                    {(row[x], row[y]) for row in rows if row["contender"] == name and belongs(row) and row[y]}
                )
                if points:
                    ours = name.startswith("hashmatch")
                    (lines[name],) = axis.plot(
                        *zip(*points, strict=True),
                        "-" if ours else "--",
                        color=colour,
                        marker=mark,
                        markersize=5,
                        linewidth=5 if name == PLANNED else 2.2 if ours else 1.2,
                        alpha=0.35 if name == PLANNED else 1,
                        label=name,
                        zorder=3 if ours else 2,
                    )
            axis.set(yscale="log", xscale="log" if x == "n" else "linear", title=title)
            axis.set_xlabel("codes" if x == "n" else "radius, bits")
            axis.set_ylabel("seconds" if y == "build_s" else "ms a query near a stored code")
            if y == "build_s":
                axis.set_ylim(bottom=1e-3)  # what builds nothing is below
            axis.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
            axis.grid(visible=True, which="major", alpha=0.45)
            axis.grid(visible=True, which="minor", alpha=0.12)
        labels = [name for name in COLOURS if name in lines]
        figure.legend([lines[name] for name in labels], labels, loc="lower center", ncols=min(6, max(1, len(labels))))
        figure.tight_layout(rect=(0, 0.075, 1, 1))
