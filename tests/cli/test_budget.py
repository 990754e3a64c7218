"""``hashmatch budget``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hashmatch import HashValue, ReferenceList
from hashmatch.budget.spending import budget_of
from hashmatch.cli.app import app
from hashmatch.profiles import FAST, STANDARD

RUN = CliRunner()


def test_the_table_has_every_view_and_kind() -> None:
    """People see what spends, for a picture and a day, apart by kind of picture, and what is extrapolated."""
    done = RUN.invoke(app, ["budget", "--volume", "5000"], env={"COLUMNS": "160"})
    assert done.exit_code == 0
    for words in ("policy standard", "1,000,000 pdq", "5,000 unrelated", "photographs", "its seven other turns", "*"):
        assert words in done.output


def test_json_is_what_the_library_says() -> None:
    """One object with the library's own figures, times the volume for a day."""
    done = RUN.invoke(app, ["budget", "--policy", "fast", "--entries", "2000", "--volume", "10", "--json"])
    record = json.loads(done.stdout)
    expected = budget_of(FAST, {"pdq": 2000}, "template").total
    found = next(item for item in record["budgets"] if item["pictures"] == "template")["total"]
    assert found["per_picture"] == pytest.approx(expected.per_picture)
    assert found["per_day"] == pytest.approx(10 * expected.per_picture)
    assert record["hashes"] == {"pdq": 2000}


def test_lists_give_their_own_sizes(tmp_path: Path) -> None:
    """With lists their hashes count, by algorithm, and what was not measured is named."""
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="demo") as reference:
        for number in range(3):
            value = HashValue("pdq", bytes([number + 15]) * 32)
            reference.add(f"entry-{number}", hashes=[value, HashValue("photodna", bytes(range(number, number + 144)))])
    done = RUN.invoke(app, ["budget", str(path), "--json"])
    record = json.loads(done.stdout)
    assert record["hashes"] == {"pdq": 3, "photodna": 3}
    assert record["budgets"][0]["unmeasured"] == ["photodna"]
    assert record["budgets"][0]["total"]["per_picture"] == budget_of(STANDARD, {"pdq": 3}).total.per_picture
    shown = RUN.invoke(app, ["budget", str(path)])
    assert "not measured, so not counted: photodna" in shown.output


def test_unknown_policy_is_a_usage_error() -> None:
    """A policy that does not exist is named as such."""
    assert RUN.invoke(app, ["budget", "--policy", "none"]).exit_code == 2
