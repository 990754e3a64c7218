"""What importing costs: measured in child processes, where nothing is loaded yet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

IMAGE_CODE = {"PIL", "scipy", "imagehash", "pywt", "typer", "rich", "matplotlib"}


def modules_after(code: str) -> set[str]:
    """Names of all modules that are loaded after running the code in a new interpreter."""
    script = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_import_loads_no_image_code() -> None:
    """`import hashmatch` needs the standard library and NumPy only."""
    assert not modules_after("import hashmatch") & IMAGE_CODE


def test_import_is_silent_and_says_nothing_by_itself() -> None:
    """Whoever sets up no logging sees none of the library's; whoever does sees all."""
    script = "import logging, hashmatch\nlogging.getLogger('hashmatch.jail').error('made up')\n{}"
    for last, shown in (("", ""), ("logging.basicConfig(); logging.getLogger('hashmatch.x').error('seen')", "seen")):
        command = [sys.executable, "-c", script.format(last)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert "made up" not in done.stderr
        assert shown in done.stderr
        assert bool(done.stderr) == bool(shown)


def test_every_public_name_loads_no_image_code() -> None:
    """Reaching for each public name loads no codec either: that waits for the first picture."""
    code = "import hashmatch\nfor name in hashmatch.__all__: getattr(hashmatch, name)"
    assert not modules_after(code) & IMAGE_CODE


@pytest.mark.parametrize(
    "call",
    [
        "matcher.match_hash(value)",
        "matcher.match_fingerprint(hashmatch.Fingerprint((ViewHash(value=value, quality=90),)))",
    ],
)
def test_matching_hashes_loads_no_image_code(call: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A service that matches hashes against lists never loads a decoder."""
    path = tmp_path_factory.mktemp("list") / "list.hashmatch"
    code = f"""
import hashmatch
from hashmatch.hashes import ViewHash
value = hashmatch.HashValue.parse("pdq:" + "0f" * 32)
with hashmatch.ReferenceList.create({str(path)!r}, name="demo") as ref:
    ref.add("entry-1", hashes=[value])
with hashmatch.Matcher.open({str(path)!r}) as matcher:
    report = {call}
    if report.outcome is not hashmatch.Outcome.MATCH:
        raise SystemExit("no match")
"""
    assert not modules_after(code) & IMAGE_CODE


def rooms_after(*commands: str) -> set[str]:
    """Run commands of the command line in a new interpreter; the packages and rooms that they loaded."""
    code = f"""
from hashmatch.cli.app import app
for command in {commands!r}:
    try:
        app(command.split())
    except SystemExit as end:
        if end.code:
            raise
"""
    return {".".join(name.split(".")[:2]) for name in modules_after(code)}


def test_a_command_loads_what_it_uses(tmp_path: Path) -> None:
    """The version loads next to nothing, commands of lists neither matching nor image code, and matching no demo."""
    unused = IMAGE_CODE - {"typer", "rich"}
    heavy = {f"hashmatch.{room}" for room in ("picture", "matching", "store", "hashers", "scan", "jail", "synthetic")}
    assert not rooms_after("--version") & (unused | heavy | {"numpy", "hashmatch.lists"})
    path, delivery = tmp_path / "list", tmp_path / "delivery"
    delivery.write_text("0f" * 32 + "\n", encoding="ascii")
    hashed = "pdq:" + "0f" * 32
    assert not rooms_after(f"list create {path}", f"list info {path}", f"list verify {path}") & (unused | heavy)
    # what a delivery is when it is no list of hashes, the room of pictures knows
    heavy.remove("hashmatch.picture")
    imported = f"list import {path} {delivery} --algorithm pdq"
    assert not rooms_after(imported, f"list export {path}", f"list compact {path}") & (unused | heavy)
    for_demo = {"scipy", "hashmatch.synthetic", "hashmatch.hashers"}
    assert not rooms_after(f"match {hashed} --list {path}") & for_demo
