"""The floors of the house: what a file may import, read from the source by its syntax tree."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import hashmatch

ROOT = Path(hashmatch.__file__).parent
FLOORS = {
    "_version": -1,
    "errors": 0,
    "foreign_errors": 0,
    "algorithms": 0.5,
    "forms": 0.5,
    "packing": 0.5,
    "view": 0.5,
    "jail": 0.5,
    "signing": 0.5,
    "deadline": 0.5,
    "hashes": 1,
    "kernels": 2,
    "picture": 3,
    "index": 3,
    "keypoints": 3.5,
    "hashers": 4,
    "synthetic": 4,
    "policy": 4,
    "views": 4.5,
    "lists": 5,
    "profiles": 5,
    "budget": 5,
    "features": 5.5,
    "store": 5.7,
    "urls": 5.8,
    "matching": 6,
    "audit": 7,
    "scan": 8,
    "integrations": 8.5,
    "service": 8.7,
    "cli": 9,
    "": 10,
    "__main__": 11,
}
INDEPENDENT = [{"hashers", "index"}, {"keypoints", "index"}, {"hashers", "synthetic"}, {"picture", "index"}]
PILLOW_ROOM = "picture"
STARTS_PROCESSES = "jail"
FILES = sorted(ROOT.rglob("*.py"))


def room_of(path: Path) -> str:
    """Name of the room a source file belongs to."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imports_of(path: Path) -> list[str]:
    """Every module that a file imports anywhere, in dotted form."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "hashmatch":
                found += [f"hashmatch.{alias.name}" for alias in node.names]
            else:
                found.append(node.module)
    return found


def test_every_room_has_a_floor() -> None:
    """No file stands outside the plan."""
    assert {room_of(path) for path in FILES} <= set(FLOORS)


def test_the_picture_and_the_table_of_rooms_name_every_room() -> None:
    """Who reads about the architecture sees each room that there is."""
    pages = Path(__file__).parent.parent / "docs/explanation"
    table, drawn = (
        (pages / "architecture.md").read_text(encoding="utf-8"),
        (pages / "rooms.svg").read_text(encoding="utf-8"),
    )
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"synthetic"}
    assert {room for room in rooms if f"`{room}`" not in table or f"{room}" not in drawn} == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_down(path: Path) -> None:
    """A file imports only from its own room and from floors below."""
    room = room_of(path)
    for module in imports_of(path):
        parts = module.split(".")
        if parts[0] != "hashmatch" or len(parts) == 1:
            continue
        other = parts[1] if parts[1] in FLOORS else ""
        if other == room:
            continue
        assert FLOORS[other] < FLOORS[room], f"{room} imports {other}, which is not below it"
        assert {room, other} not in INDEPENDENT, f"{room} and {other} must not know each other"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_forbidden_imports(path: Path) -> None:
    """Pillow is imported in one room, a process started in another, and nowhere is there a pickle."""
    modules = {module.split(".")[0] for module in imports_of(path)}
    assert not modules & {"pickle", "marshal", "shelve"}
    if room_of(path) != STARTS_PROCESSES:
        assert not modules & {"subprocess", "multiprocessing"}
    if room_of(path) != PILLOW_ROOM:
        assert not modules & {"PIL", "pillow_heif"}
    if room_of(path) != "cli":
        assert not modules & {"typer", "rich", "click"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_dangerous_or_loud_calls(path: Path) -> None:
    """No eval, exec or assert anywhere; no print and no environment below the command line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not names & {"eval", "exec", "__import__"}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    if room_of(path) != "cli":
        assert "print" not in names
        assert not attributes & {"environ", "getenv"}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and function.name != "_check":
            own = [node for node in ast.walk(function) if isinstance(node, ast.Assert)]
            assert not own, f"{function.name} checks with assert, which -O removes"
