"""The public face is exactly what the documentation promises."""

from __future__ import annotations

import importlib
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
PUBLIC_MODULES = [
    "algorithms",
    "audit",
    "budget.spending",
    "errors",
    "hashers",
    "hashers.keypoint",
    "hashes",
    "index",
    "integrations.asgi",
    "integrations.threatexchange",
    "integrations.threatexchange_isolated",
    "integrations.tx_index",
    "jail",
    "keypoints.points",
    "keypoints.record",
    "lists",
    "lists.bundles",
    "lists.feedback",
    "lists.feeds",
    "lists.formats",
    "lists.formats.out",
    "matching",
    "picture",
    "picture.icc",
    "policy",
    "profiles",
    "scan",
    "scan.sources",
    "service.config",
    "signing",
    "synthetic",
    "synthetic.edits",
    "urls",
    "view",
    "views.crops",
    "views.small",
    "views.trims",
]
FUNCTIONS = ["features.fingerprints.fingerprint", "hashers.facade.hash_image"]
OLD_PATHS = {
    "matching.tails": ["budget_of", "check_budget"],
    "views.crops": ["CropSearch", "guided_index"],
    "hashers.facade": ["fingerprint", "hash_image"],
    "index": ["KeypointIndex", "MultiIndex", "build_index", "load_index", "pack_geometry", "plan_index"],
    "matching": ["Match", "MatchReport", "Matcher", "Outcome"],
    "picture": ["DecodePolicy", "iter_rasters", "open_picture"],
    "picture.policy": ["DecodePolicy"],
    "lists.formats": ["ColumnMapping", "import_into", "read_table", "read_text"],
    "synthetic": ["KINDS", "LADDER", "burst", "edit_named", "edits", "picture", "same_template"],
}


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


def test_public_modules_are_those_of_the_reference() -> None:
    """The pages of the API reference show the promised modules, and no other."""
    pages = sorted((PROJECT / "docs/reference/api").glob("*.md"))
    shown = re.findall(
        r"^::: hashmatch\.(\S+)", "\n".join(page.read_text(encoding="utf-8") for page in pages), re.MULTILINE
    )
    assert sorted(shown) == sorted(PUBLIC_MODULES + FUNCTIONS)


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_public_modules_say_what_is_public(name: str) -> None:
    """Each public module lists its names, and each of them is there."""
    module = importlib.import_module(f"hashmatch.{name}")
    assert len(set(module.__all__)) == len(module.__all__)
    assert [item for item in module.__all__ if not hasattr(module, item)] == []


@pytest.mark.parametrize("name", OLD_PATHS)
def test_documented_paths_of_earlier_versions_work(name: str) -> None:
    """What README and documents of 0.1.0 imported can still be imported from there."""
    module = importlib.import_module(f"hashmatch.{name}")
    assert [item for item in OLD_PATHS[name] if not hasattr(module, item)] == []
