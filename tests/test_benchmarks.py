"""The commands of ``python -m benchmarks``: each is listed once, runs by its name, and is in the page of benchmarks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.frame.areas import AREAS, FOLDERS

PROJECT = Path(__file__).parent.parent
BENCHMARKS = PROJECT / "benchmarks"


def test_every_command_is_a_module_of_its_folder() -> None:
    """What has a ``main`` is a command, and every command has one; the runner starts itself."""
    found = {
        (path.parent.name, path.stem)
        for path in BENCHMARKS.glob("*/*.py")
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in ast.parse(path.read_text()).body)
    }
    assert found - {("frame", "runner")} == {(folder, name) for folder, names in AREAS.items() for name in names}


def test_the_page_names_every_benchmark_and_result() -> None:
    """The tables of the page are those of the four folders, in order, and every kept table is linked."""
    page = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, flags=re.M) == [n for f in AREAS if f != "frame" for n in AREAS[f]]
    for path in (BENCHMARKS / "results").glob("*.md"):
        assert f"(results/{path.name})" in page


def test_there_is_one_way_to_run_one() -> None:
    """Documents, results and sources name commands that there are, as ``python -m benchmarks NAME``."""
    folders = ("docs", "src", "benchmarks")
    files = [path for folder in folders for path in (PROJECT / folder).rglob("*") if path.suffix in (".md", ".py")]
    files = [path for path in files if "out" not in path.parts] + list(PROJECT.glob("*.md"))
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert "python -m benchmarks." not in text.replace("python -m benchmarks.frame.runner", ""), path
        for name in re.findall(r"python -m benchmarks (\w+)", text):
            assert name in FOLDERS or name.isupper(), (path, name)


def test_a_name_that_is_wrong_lists_all() -> None:
    """It exits with 2; without a name with 0."""
    for words, code in (([], 0), (["speed"], 2)):
        command = [sys.executable, "-m", "benchmarks", *words]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == code
        assert all(f"  {name} " in done.stdout for name in FOLDERS)
