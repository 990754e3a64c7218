"""Lists that another program wrote, with every check value right and text in them that no list takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from hashmatch import HashValue, Matcher, ReferenceList
from hashmatch.errors import ReferenceListError
from hashmatch.matching import Outcome

VALUE = HashValue.parse("pdq:" + "0f" * 32)
NEAR = HashValue.parse("pdq:" + "0f" * 31 + "0e")
BAD = ["a\x1b[31mred", "line\nbreak", "nul\x00", " space", "\u2028", "c1\x9b"]


def forged(path: Path, monkeypatch: pytest.MonkeyPatch, where: str, text: str, *, n: int = 1) -> Path:
    """Make a list with a text that this software takes nowhere."""
    with monkeypatch.context() as patch:
        patch.setattr("hashmatch.lists.entry.is_name", lambda _text, _limit: True)
        patch.setattr("hashmatch.lists.entry.checked_value", lambda value: value)
        name = text if where == "name" else "forged"
        source = text if where == "source" else "police"
        labels = {text: "x"} if where == "label" else {"kind": text} if where == "value" else {"kind": "x"}
        with ReferenceList.create(path, name=name) as ref:
            for i in range(n):
                entry = f"{text}{i}" if where == "id" else f"entry-{i}"
                ref.add(entry, hashes=[VALUE], source=source, labels=labels)
    return path


@pytest.mark.parametrize("where", ["id", "source", "label", "name"])
@pytest.mark.parametrize("text", BAD)
def test_verify_finds_what_match_cannot_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, text: str
) -> None:
    """What verifies is what every report can be made of."""
    path = forged(tmp_path / "forged", monkeypatch, where, text)
    with ReferenceList.open(path) as ref, pytest.raises(ReferenceListError, match="damaged"):
        ref.verify()


@pytest.mark.parametrize("text", ["nul\x00", " space"])
def test_verify_finds_bad_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Values are any text, but for these."""
    path = forged(tmp_path / "forged", monkeypatch, "value", text)
    with ReferenceList.open(path) as ref, pytest.raises(ReferenceListError, match="damaged"):
        ref.verify()


@pytest.mark.parametrize("where", ["id", "source", "label"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("n", [1, 300])
def test_a_bad_entry_costs_no_other_match(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, order: tuple[int, int], n: int
) -> None:
    """Others are reported, farther ones and those of other lists, and that something is missing beside them."""
    with ReferenceList.create(tmp_path / "good", name="good") as ref:
        ref.add("entry-good", hashes=[NEAR])
    paths = [forged(tmp_path / "forged", monkeypatch, where, "a\x1bb", n=n), tmp_path / "good"]
    with Matcher.open(*(paths[i] for i in order)) as matcher:
        report = matcher.match_hash(VALUE)
        assert [item.entry_id for item in report.matches] == ["entry-good"]
        assert (report.outcome, report.reason) == (Outcome.MATCH, "list-damaged")
        assert report.n_matches == n + 1
        far = HashValue.parse("pdq:" + "f0" * 32)
        assert matcher.match_hash(far).outcome is Outcome.NO_MATCH


def test_a_bad_entry_alone_is_an_error_that_names_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no "no match"."""
    with Matcher.open(forged(tmp_path / "forged", monkeypatch, "id", "a\x1bb")) as matcher:
        with pytest.raises(ReferenceListError, match="'forged'") as caught:
            matcher.match_hash(VALUE)
        assert "\x1b" not in str(caught.value)
