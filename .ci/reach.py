"""Name the test files that import what a part of the code, or another project, is used by.

    python .ci/reach.py hashmatch.kernels
    python .ci/reach.py PIL scipy typer

A module uses a target when it imports it itself, or is part of it. A test file is named when it imports a module that
uses a target, or a package that hands such a module on. So the list follows the code: nobody keeps it by hand.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
SOURCE = PROJECT / "src"


def imports(path: Path) -> set[str]:
    """Give the modules that a file imports, wherever in it; a name taken from a module counts as its submodule too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def within(names: set[str], targets: set[str]) -> bool:
    """Say whether one of the names is a target or lies below one."""
    return any(name == target or name.startswith(f"{target}.") for name in names for target in targets)


def reaching(targets: set[str]) -> Iterator[Path]:
    """Give the test files, in order."""
    modules = {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
        for path in SOURCE.rglob("*.py")
    }
    users = {name for name, path in modules.items() if within({name, *imports(path)}, targets)}
    handed_on = {
        name
        for name, path in modules.items()
        if path.name == "__init__.py" and name != "hashmatch" and imports(path) & users
    }
    for path in sorted((PROJECT / "tests").rglob("test_*.py")):
        if imports(path) & (users | handed_on):
            yield path.relative_to(PROJECT)


if __name__ == "__main__":
    found = list(reaching(set(sys.argv[1:])))
    if not found:
        sys.exit("no test reaches that: is it spelled right?")
    sys.stdout.write("".join(f"{path.as_posix()}\n" for path in found))
