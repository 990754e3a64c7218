"""Lists that were written once are read for ever."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from hashmatch.lists import Entry, ReferenceList, content_digest

CONTENT = "9-9d2005abf807966c"
DIGEST = "df6e22de27f749552656127d4c26bb0f771ee541887d1cc29979fb40072eb154"
GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """Load the script that made the golden list."""
    spec = importlib.util.spec_from_file_location("make_list", GOLDEN / "make_list.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_golden_list_is_read(maker: ModuleType) -> None:
    """The list made once verifies and holds what was put in, the records too."""
    with ReferenceList.open(GOLDEN / "list-v4.hashmatch", check="full") as ref:
        info = ref.info()
        assert (ref.name, ref.version, len(ref)) == ("golden, version 4", 7, 9)
        assert (info.format_version, info.digest) == (4, DIGEST)
        assert content_digest(ref) == DIGEST
        for i in (0, 1, 2, 6, 7):
            hashes = [maker.golden_hash(i, "pdq"), maker.golden_record(i, 3 * i + 5)]
            assert ref.get(f"entry-{i}") == Entry.of(f"entry-{i}", hashes=hashes, source="hotline", quality=i)
        hashes = [maker.golden_record(3, 14), maker.golden_record(30, 150)]
        assert ref.get("entry-3") == Entry.of("entry-3", hashes=hashes, source="警察", labels={"class": "A1"})
        every = [*(maker.golden_hash(100, name) for name in maker.GOLDEN_ALGORITHMS), maker.golden_record(9, 5)]
        assert ref.get("every algorithm") == Entry.of("every algorithm", hashes=every)
        stream = ref.snapshot().records["keypoint"]
        (block,) = stream
        assert block.hash_ids.tolist() == [2, 4, 6, 14, 16, 17, 18, 32, 33]
        assert block.quality.tolist() == [0, 1, 2, 6, 7, -1, -1, -1, 77]
        expected = [(0, 5), (1, 8), (2, 11), (6, 23), (7, 26), (3, 14), (30, 150), (9, 5), (5, 20)]
        assert list(block) == [maker.golden_record(*numbers).data for numbers in expected]
        assert stream.content == CONTENT
        changes = ref.changes_since(3)
        assert changes is not None
        gone = {name: rows.tolist() for name, rows in changes.withdrawn.items()}
        assert gone == {"pdq": [7, 9], "keypoint": [8, 10, 12]}
        assert [block.hash_ids.tolist() for block in changes.records["keypoint"]] == [[33]]


def test_the_script_makes_the_golden_list(maker: ModuleType, tmp_path: Path) -> None:
    """A list made by the script today has the content of the golden one."""
    made, golden = tmp_path / "list", GOLDEN / "list-v4.hashmatch"
    maker.make(made)
    with ReferenceList.open(made) as new, ReferenceList.open(golden) as old:
        assert list(new) == list(old)
        assert new.digest == old.digest == content_digest(old)
        assert new.version == old.version


def test_the_golden_list_is_written(maker: ModuleType, tmp_path: Path) -> None:
    """It takes changes, and verifies."""
    copy = Path(shutil.copyfile(GOLDEN / "list-v4.hashmatch", tmp_path / "copy"))
    with ReferenceList.open(copy, writable=True) as ref:
        assert ref.add("entry-4", hashes=[maker.golden_hash(4, "pdq")])
        assert ref.withdraw("entry-0", source="hotline")
        assert ref.add("entry-5", hashes=[maker.golden_record(5, 10)])
        assert ref.verify().digest == content_digest(ref)
        assert (ref.version, len(ref)) == (10, 9)
