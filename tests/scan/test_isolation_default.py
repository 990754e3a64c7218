"""Scans are isolated unless told otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from hashmatch import Matcher
from hashmatch.errors import ReferenceListError
from hashmatch.jail import Isolation
from hashmatch.lists import ReferenceList
from hashmatch.scan import scan
from support.picture_makers import save, smooth


@pytest.fixture
def matcher(tmp_path: Path) -> Matcher:
    """Make a matcher over an empty list, without worker processes."""
    ReferenceList.create(tmp_path / "list.hashmatch", name="list").close()
    return Matcher.open(tmp_path / "list.hashmatch")


def test_a_scan_is_isolated_by_default(matcher: Matcher, tmp_path: Path) -> None:
    """A matcher without worker processes gets some for a scan, and its reports say what protects them."""
    from PIL import Image

    (tmp_path / "one").write_bytes(save(Image.fromarray(smooth(80, 90)), "PNG"))
    with matcher:
        (item,) = scan(matcher, [tmp_path / "one"])
        assert matcher.protection is not None
        assert item.report.protection == matcher.protection
        assert matcher.counts()["workers"]["tasks"] == 1


def test_isolation_can_be_left_out(matcher: Matcher, tmp_path: Path) -> None:
    """With isolate=False no process is started."""
    (tmp_path / "one").write_bytes(b"no picture")
    with matcher:
        (item,) = scan(matcher, [tmp_path / "one"], isolate=False)
        assert (matcher.protection, item.report.protection) == (None, None)


def test_a_matcher_keeps_the_isolation_it_has(matcher: Matcher) -> None:
    """A second call changes nothing; a closed matcher takes none."""
    with matcher:
        matcher.isolate(Isolation(workers=1))
        first = matcher._reader
        matcher.isolate(Isolation(workers=2))
        assert matcher._reader is first
    with pytest.raises(ReferenceListError, match="closed"):
        matcher.isolate(Isolation(workers=1))
