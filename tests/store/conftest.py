"""The list and the index folder of most tests of the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.list_makers import made_list


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make an index folder that only its owner can write."""
    (tmp_path / "indexes").mkdir(mode=0o700)
    return tmp_path / "indexes"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a list of 3,000 entries."""
    return made_list(tmp_path / "list", 3000)
