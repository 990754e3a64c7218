"""Laws of the interpreter: what it was started with its worker processes are started with."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hashmatch import ReferenceList, hash_image
from hashmatch.cli.app import app
from hashmatch.picture.encode import encode
from hashmatch.synthetic import picture

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a script stands for the interpreter")


@pytest.mark.parametrize("words", [("match", "photo.png", "--isolate"), ("scan", "photo.png")])
@pytest.mark.parametrize("is_set", [True, False])
def test_an_interpreter_that_needs_its_libraries(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...], is_set: bool
) -> None:
    """Where it was started with ``LD_LIBRARY_PATH`` pictures are isolated; otherwise the error says what to do."""
    photo = picture("photo", 3, size=(120, 160))
    (tmp_path / "photo.png").write_bytes(encode(photo, "PNG"))
    with ReferenceList.create(tmp_path / "list.hashmatch", name="demo") as ref:
        ref.add("entry-1", hashes=[hash_image(photo)])
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n[ "$LD_LIBRARY_PATH" = /opt/lib ] || exit 127\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(python))
    variables = {"COLUMNS": "200", "TERM": "dumb", "LD_LIBRARY_PATH": "/opt/lib" if is_set else None}
    result = CliRunner().invoke(app, [*words, "--list", "list.hashmatch"], env=variables)
    assert result.exit_code == (0 if is_set else 2), result.output
    assert is_set or "LD_LIBRARY_PATH" in result.stderr
