"""The tables of false reports are those that the benchmarks' results say."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from benchmarks.errors import budget
from benchmarks.frame import performance

from hashmatch.budget.measured import measured


def test_the_file_is_what_the_results_say() -> None:
    """Whoever measures anew makes the file anew: by the command that it names, never by hand."""
    written = files("hashmatch.budget").joinpath("measured.json").read_text(encoding="utf-8")
    assert written == budget.text(), "python -m benchmarks budget --write"
    assert json.loads(written)["made_by"] == "python -m benchmarks budget --write"


def test_a_figure_that_was_changed_by_hand_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command ends with 1 and says what to do."""
    spoilt = tmp_path / "measured.json"
    spoilt.write_text(budget.text().replace("18168", "18169", 1), encoding="utf-8")
    monkeypatch.setattr(budget, "FILE", spoilt)
    monkeypatch.setattr(sys, "argv", ["budget"])
    with pytest.raises(SystemExit, match="not what the results say"):
        budget.main()
    monkeypatch.setattr(sys, "argv", ["budget", "--write"])
    budget.main()
    assert spoilt.read_text(encoding="utf-8") == budget.text()


def test_nothing_is_read_before_it_is_asked_for() -> None:
    """Whoever looks up without a budget does not pay for its tables; they are read once and cannot be changed."""
    code = (
        "import hashmatch.matching, hashmatch.budget.measured as m; assert not m.measured.cache_info().misses;"
        "assert m.measured() is m.measured()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(TypeError):
        measured().keypoints["photo"] = None  # type: ignore[index]


def test_the_tables_of_the_documents_are_those_of_the_results() -> None:
    """Every table between marks is made by the command; the pages that have some are these."""
    results = performance.load(performance.ROOT / "benchmarks" / "results")
    pages = performance.pages()
    filled = {"performance.md", "budget.md", "crops.md", "choosing-a-radius.md", "privacy.md", "indexes.md", "views.md"}
    assert {path.name for path in pages} >= filled | {"keypoint.md", "pdq.md"}
    for path, page in pages.items():
        assert performance.filled(page, results) == page, f"{path.name}: python -m benchmarks performance --write"
