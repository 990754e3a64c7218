"""Figures of the source itself: how large the rooms are, how far a match walks, what is built or named twice.

``python -m benchmarks house`` prints the table of this commit, ``--json FILE`` keeps it, ``--against FILE`` shows an
older one beside it. Calls are counted with `sys.setprofile`, so that they do not depend on the machine.
"""

from __future__ import annotations

import ast
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import hashmatch
from benchmarks.frame.options import keep, options_of
from benchmarks.frame.runner import markdown_table
from hashmatch import HashValue, Matcher, ReferenceList, profiles
from hashmatch.picture.encode import jpeg
from hashmatch.synthetic import picture

SOURCE = Path(hashmatch.__file__).parent
SEED = 11_200_000
_CODE = (".py", ".pyi", ".pyx", ".pxd", ".h")


class Trace:
    """While it is entered, count Python calls, and calls and returns from one folder of the package into another."""

    def __init__(self) -> None:
        self.calls, self.moves, self.files = 0, 0, set[str]()
        self._rooms = [""]

    def __enter__(self) -> Trace:
        """Start."""
        sys.setprofile(self._seen)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        sys.setprofile(None)

    def _seen(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            self.calls += 1
            path = Path(frame.f_code.co_filename)
            ours = path.is_relative_to(SOURCE)
            self.files.update([path.as_posix()] if ours else [])
            self._rooms.append(path.parent.as_posix() if ours else self._rooms[-1])
            self.moves += self._rooms[-1] != self._rooms[-2] != ""
        elif event == "return" and len(self._rooms) > 1:
            left = self._rooms.pop()
            self.moves += left != self._rooms[-1] != ""


def traced(work: Callable[[], object]) -> Trace:
    """Run once to load what is loaded late, then once more, counted."""
    work()
    with Trace() as trace:
        work()
    return trace


def matches() -> Iterator[tuple[str, Any]]:
    """Count what a match of a JPEG by each preset calls, and what opening a list of two hashes calls."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "list.hashmatch")
        with ReferenceList.create(path, name="two") as ref:
            for number in range(2):
                ref.add(f"entry-{number}", hashes=[HashValue("pdq", bytes([number + 1, 15]) * 16)])
        data = jpeg(picture("photo", SEED, (480, 640)))
        for name in ("FAST", "STANDARD", "THOROUGH"):
            with Matcher.open(path, policy=getattr(profiles, name)) as matcher:
                trace = traced(lambda served=matcher: served.match(data))
            yield f"folder moves of a match, {name}", trace.moves
            yield f"files entered by a match, {name}", len(trace.files)
            yield f"Python calls of a match, {name}", trace.calls
        opened = traced(lambda: Matcher.open(path).close())
        yield "Python calls to open a list of two hashes", opened.calls
        folders = (Path(tempfile.mkdtemp(dir=folder)) for _ in count())  # empty: the index file is made
        made = traced(lambda: Matcher.open(path, index_folder=next(folders)).close())
        yield "the same with an empty index folder", made.calls


def sources() -> Iterator[tuple[str, Any]]:
    """Count lines, files and names."""
    files = sorted(path for path in SOURCE.rglob("*") if path.suffix in _CODE)
    lines = {path.relative_to(SOURCE).as_posix(): len(path.read_bytes().splitlines()) for path in files}
    python = {name: n for name, n in lines.items() if name.endswith(".py")}
    yield "lines under src", sum(lines.values())
    yield "files in matching/", sum(name.startswith("matching/") for name in python)
    yield "largest Python file", max((n, name) for name, n in python.items())
    native = [(n, name) for name, n in lines.items() if not name.endswith((".py", ".pyi"))]
    yield "largest C or Cython file", max(native)
    # a kernel's face and its judge have one name by design
    names = Counter(Path(name).name for name in python if not name.startswith("kernels/numpy/"))
    twice = sorted(name for name, n in names.items() if n > 1 and name not in {"__init__.py", "base.py"})
    yield "file names that stand twice or more", (len(twice), " ".join(twice))
    classes, inside = Counter[str](), Counter[str]()
    for name in python:
        tree = ast.parse((SOURCE / name).read_text(encoding="utf-8"))
        classes.update({node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)})
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                own = [inner for inner in ast.walk(node) if isinstance(inner, ast.Import | ast.ImportFrom)]
                inside.update({f"{name}:{inner.lineno}" for inner in own if "hashmatch" in ast.unparse(inner)})
    shared = sorted(name for name, n in classes.items() if n > 1)
    yield "class names that stand twice or more", (len(shared), " ".join(shared))
    yield "imports of our own inside functions", (len(inside), " ".join(sorted({at.split(":")[0] for at in inside})))


def main() -> None:
    """Print, keep or compare."""
    parser = options_of(__doc__, "the same; it is quick")
    parser.add_argument("--against", type=Path, help="figures of an older commit, shown beside")
    options = parser.parse_args()
    found = json.loads(json.dumps(dict([*sources(), *matches()])))
    older = json.loads(options.against.read_text(encoding="utf-8")) if options.against else {}
    columns = ["figure", *(["before"] if older else []), "now"]
    before = {name: [shown(older.get(name))] if older else [] for name in found}
    rows = [[name, *before[name], shown(value)] for name, value in found.items()]
    keep(options, found, markdown_table(columns, rows))


def shown(value: Any) -> str:
    """Write a figure; a list is a figure and what it counts."""
    return f"{value[0]:,} ({value[1]})" if isinstance(value, list) else f"{value:,}" if value is not None else ""
