"""The public face is exactly what the documentation promises."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import hashmatch

PROMISED = [
    "DecodePolicy",
    "Fingerprint",
    "HashValue",
    "Match",
    "MatchPolicy",
    "MatchReport",
    "Matcher",
    "Outcome",
    "ReferenceList",
    "__version__",
    "distance",
    "errors",
    "fingerprint",
    "hash_image",
    "profiles",
]
PROJECT = Path(__file__).parent.parent


def test_public_list_is_exact_and_sorted() -> None:
    """`__all__` is the promised list, in order, and `dir` shows nothing else."""
    assert hashmatch.__all__ == PROMISED == sorted(PROMISED)
    assert dir(hashmatch) == PROMISED


@pytest.mark.parametrize("name", PROMISED)
def test_every_name_is_there_and_documented(name: str) -> None:
    """Each public name can be reached and says what it is."""
    found = getattr(hashmatch, name)
    assert found.__doc__


def test_unknown_name_is_an_attribute_error() -> None:
    """A name that does not exist fails in the ordinary way."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = hashmatch.nothing


def test_version_is_that_of_project_and_changelog() -> None:
    """Package, project file and newest changelog heading agree."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    heading = re.search(r"^## \[?(\d+\.\d+\.\d+)", (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heading is not None
    assert hashmatch.__version__ == project["project"]["version"] == heading[1]


def test_changelog_always_speaks_of_hash_output() -> None:
    """Every release in the changelog has a section "Hash output"."""
    text = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert releases
    assert all("### Hash output" in release for release in releases)
