"""What a scan shows while it runs: a line drawn again and again on a terminal, a line a minute where there is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.progress import Progress, SpinnerColumn, TextColumn

from hashmatch.cli.console import ERRORS, OUT
from hashmatch.matching import Outcome
from hashmatch.scan import ScanSummary, iter_files

__all__ = ["progress"]

_EVERY: Final = 60.0


class _Total:
    """How many files there are to be scanned, counted beside the scan; None until that is known."""

    def __init__(self, roots: list[Path], *, follow_links: bool) -> None:
        self.known: int | None = None
        self._stopped = threading.Event()
        self._roots, self._follow = roots, follow_links
        self._thread = threading.Thread(target=self._count, name="hashmatch-count", daemon=True)
        self._thread.start()

    def _count(self) -> None:
        found = 0
        if not self._roots:
            return
        for _ in iter_files(self._roots, on_error=lambda _: None, follow_links=self._follow):
            found += 1
            if self._stopped.is_set():
                return
        self.known = found

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()


def _said(summary: ScanSummary, total: int | None, began: float) -> str:
    """Say how far the scan is: files, rate, what remains, outcomes by kind, unreadable by reason."""
    done, seconds = summary.n_files, max(time.monotonic() - began, 1e-3)
    parts = [f"{done:,} files" if total is None else f"{done:,} of {total:,} files", f"{done / seconds:,.0f}/s"]
    if total is not None and done:
        left = round((total - done) * seconds / done)
        parts.append(f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02} left")
    parts += [f"{outcome.value} {summary.outcomes[outcome]:,}" for outcome in Outcome if summary.outcomes[outcome]]
    parts += [f"{reason} {n:,}" for reason, n in summary.reasons.most_common(3)]
    return ", ".join(parts)


@contextmanager
def progress(
    summary: ScanSummary, roots: list[Path], *, as_json: bool, follow_links: bool = False
) -> Iterator[Callable[[], None]]:
    """Show how a scan goes on; on the console of the answers if that is a terminal too.

    Two consoles on one terminal would write over each other, and JSON lines over the line. Without a terminal a line
    a minute goes to standard error.

    Yields
    ------
    callable
        To be called after each file.
    """
    began = said = time.monotonic()
    console = OUT if OUT.is_terminal else ERRORS
    if not console.is_terminal:

        def step() -> None:
            nonlocal said
            if time.monotonic() - said >= _EVERY:
                said = time.monotonic()
                ERRORS.print(f"scanning: {_said(summary, None, began)}", soft_wrap=True, highlight=False)

        yield step
        return
    if as_json and console is OUT:
        yield lambda: None
        return
    total = _Total(roots, follow_links=follow_links)
    try:
        columns = (SpinnerColumn(), TextColumn("scanning, {task.description}"))
        with Progress(*columns, console=console, transient=True) as shown:
            task = shown.add_task("0 files", total=None)
            yield lambda: shown.update(task, description=_said(summary, total.known, began))
    finally:
        total.stop()
