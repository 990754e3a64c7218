"""Options that every benchmark takes, and the files that it leaves: results as JSON, tables as Markdown, a plot."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def options_of(doc: str | None, quick: str, *, keeps: bool = True, plots: bool = False) -> argparse.ArgumentParser:
    """Make the parser of a benchmark, to which it adds its own options.

    Parameters
    ----------
    doc : str
        The module's docstring: the text of ``--help``.
    quick : str
        What ``--quick`` leaves out.
    keeps, plots : bool, default True, False
        Whether it has ``--json`` and ``--markdown``, and whether it has ``--plot``.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=quick)
    if keeps:
        parser.add_argument("--json", type=Path, help="write all results here")
        parser.add_argument("--markdown", type=Path, help="write the tables here")
    if plots:
        parser.add_argument("--plot", type=Path, help="write a plot here (needs matplotlib)")
    return parser


def keep(args: argparse.Namespace, result: Any, text: str, plot: Callable[[Path], None] | None = None) -> None:
    """Print the tables, and write the files that the options ask for."""
    print(text)
    if args.json:
        keep_json(args.json, result)
    if args.markdown:
        save(args.markdown, text.rstrip("\n") + "\n")
    if plot is not None and args.plot:
        plot(args.plot)


def save(path: Path, text: str) -> None:
    """Write a result file, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def keep_json(path: Path, result: Any) -> None:
    """Write results, compact."""
    save(path, json.dumps(result) + "\n")


@contextmanager
def drawn(path: Path, rows: int, columns: int, size: tuple[float, float], **layout: Any) -> Iterator[tuple[Any, Any]]:
    """Make a figure of some panels without a display, and write it when it is done: gives the figure and its axes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(rows, columns, figsize=size, **layout)
    yield figure, axes
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
