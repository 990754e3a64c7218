"""Every snippet in the README and the documentation runs, and gives what it shows.

``>>>`` snippets are doctests; in ``console`` blocks each ``$ hashmatch …`` line is run and its output compared with
the lines below it (``...`` stands for anything). As in a shell, ``*`` stands for names and ``> FILE`` keeps the output.
Each file runs from top to bottom in a new folder. Pages that show the same ``hashmatch demo`` share one run of it.
"""

from __future__ import annotations

import doctest
import glob
import json
import os
import pydoc
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hashmatch
from support.cli_makers import commands_of

PROJECT = Path(__file__).parent.parent
PAGES = [
    *(PROJECT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
    *sorted((PROJECT / "docs").rglob("*.md")),
]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(words: list[str]) -> tuple[int, str, str]:
    """Run a command: its exit code, what it printed, and its errors."""
    command, env = [sys.executable, "-m", "hashmatch", *words], os.environ | {"COLUMNS": "200", "TERM": "dumb"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=env)
    return done.returncode, done.stdout, done.stderr


def run_demo(words: list[str], shared: Path) -> tuple[int, str, str]:
    """Run ``demo --pictures N --folder NAME``, or copy what the first page that showed it got."""
    import fcntl

    *options, folder = words
    made = shared / "-".join(["shown", *options[1:]])
    with open(made.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            found = run([*options, str(made)])
            assert found[0] == 0, found
            made.with_suffix(".said").write_text(json.dumps(found))
    shutil.copytree(made, folder)
    code, out, errors = json.loads(made.with_suffix(".said").read_text())
    return code, out.replace(str(made), folder), errors


def run_console(block: str, shared: Path) -> None:
    """Run each command of a console block and compare what it prints."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        command, _, target = command.partition(" > ")
        words = [name for word in shlex.split(command) for name in (sorted(glob.glob(word)) or [word])]
        assert words[0] == "hashmatch", "console blocks hold hashmatch commands only"
        is_demo = words[1] == "demo" and words[-2] == "--folder"
        code, out, errors = run_demo(words[1:], shared) if is_demo else run(words[1:])
        assert code in (0, 1, 3), f"{command}\n{out}{errors}"
        if target:
            Path(target).write_text(out)
        if expected.strip():
            got = out + errors
            assert doctest.OutputChecker().check_output(expected, got, FLAGS), f"{command}\n{got}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets_run(
    page: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader who types what the page shows gets what the page shows."""
    monkeypatch.chdir(tmp_path)
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    names: dict[str, object] = {}
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    said: list[str] = []
    for number, (kind, block) in enumerate(FENCE.findall(page.read_text(encoding="utf-8"))):
        if kind == "console":
            run_console(block, shared)
        elif kind in ("python", "pycon"):
            assert ">>>" in block, "python snippets are written with >>> so that they are tested"
            # the parser copies the names, so what a snippet defines is handed on to the next
            test = doctest.DocTestParser().get_doctest(block, names, f"{page.name}[{number}]", str(page), 0)
            runner.run(test, out=said.append, clear_globs=False)
            names.update(test.globs)
        else:
            # a whole file, which has tests of its own, or what no test can run or compare
            assert kind in ("sh", "text") or re.fullmatch(r'--8<-- "[\w/.-]+"\n', block), f"{kind}: {block}"
    assert runner.failures == 0, "".join(said)


def test_the_first_two_commands_stand_in_the_readme() -> None:
    """The README opens with the command that runs the demo and the one that runs the tests."""
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    block = FENCE.search(text)
    assert block is not None
    commands = [line for line in block[2].splitlines() if line and not line.startswith("#")]
    assert len(commands) == 2
    assert commands[0].endswith("hashmatch demo")
    assert commands[1].endswith("pytest")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A link to another page or file of the project names one that exists."""
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8"))
    for link in links:
        assert (page.parent / link).exists(), link


def test_every_command_is_documented() -> None:
    """Each command of the command line is named in the README or a page, and has help."""
    from hashmatch.cli.app import app

    names = [" ".join(names) for names, _ in commands_of(app)]
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert len(names) > 20
    for name in names:
        assert f"hashmatch {name}" in text, f"{name} is not documented"


def test_the_api_reference_has_every_module_that_pages_import_from() -> None:
    """What a page shows is public, and what is public has its docstrings in the reference."""
    pages = {page: page.read_text(encoding="utf-8") for page in PAGES}
    shown = {name for text in pages.values() for name in re.findall(r"from (hashmatch[\w.]*) import", text)}
    reference = "".join(text for page, text in pages.items() if page.parent.name == "api")
    documented = set(re.findall(r"^::: (hashmatch[\w.]*)$", reference, re.MULTILINE))
    assert len(shown) > 15
    assert shown - {"hashmatch"} <= documented


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_that_pages_mention_exist(page: Path) -> None:
    """A module or name in backquotes can be imported from where the page says."""
    for name in set(re.findall(r"`(hashmatch(?:\.\w+)+)`", page.read_text(encoding="utf-8"))):
        assert pydoc.locate(name) is not None, name


DOCTESTED = sorted(
    path for path in Path(hashmatch.__file__).parent.rglob("*.py") if ">>>" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("path", DOCTESTED, ids=lambda path: path.stem)
def test_docstring_examples_run(path: Path) -> None:
    """Examples in docstrings give what they show."""
    import importlib

    parts = path.relative_to(Path(hashmatch.__file__).parent.parent).with_suffix("").parts
    name = ".".join(part for part in parts if part != "__init__")
    assert doctest.testmod(importlib.import_module(name), optionflags=FLAGS).failed == 0
