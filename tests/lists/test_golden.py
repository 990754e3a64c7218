"""Lists of every format version are read for ever."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from hashmatch.lists import Entry, ReferenceList, content_digest

CONTENTS = {2: "9-ea622fca102e6693", 3: "9-ebcc42a5d5cd62b2"}
DIGEST = "982a4269c7c341a9d24163b1271ad6488e03d1c0abe79856e7cb2483c48a29a5"
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


def test_format_version_1_is_read(maker: ModuleType) -> None:
    """The list made when format version 1 was new verifies and holds what was put in."""
    with ReferenceList.open(GOLDEN / "list-v1.hashmatch", check="full") as ref:
        info = ref.info()
        assert (ref.name, ref.version, len(ref), info.format_version) == ("golden, version 1", 6, 20, 1)
        assert info.sources == {"hotline": 18, "local": 1, "警察": 1}
        for i in range(20):
            hashes = [maker.golden_hash(i, "pdq"), maker.golden_hash(i, "md5")]
            labels = {"class": "A1" if i % 2 else "B2"} if i != 5 else {}
            expected = Entry.of(f"entry-{i}", hashes=hashes, source="hotline", labels=labels, quality=100 - i)
            if i == 3:
                expected = Entry.of("entry-3", hashes=hashes[:1], source="警察", labels={"étiquette": "ÿ 😀"})
            assert ref.get(f"entry-{i}") == (None if i == 4 else expected)
        every = [maker.golden_hash(100, name) for name in maker.GOLDEN_ALGORITHMS]
        assert ref.get("every algorithm") == Entry.of("every algorithm", hashes=every)
        codes = b"".join(rows.codes.tobytes() for _, rows in sorted(ref.snapshot().rows.items()))
        assert hashlib.sha256(codes).hexdigest() == "623301886682a2c01b32068c2dc097015d7ec9d4c068fef8d02d574e54d53c09"
        changes = ref.changes_since(3)
        assert changes is not None
        assert {name: rows.tolist() for name, rows in changes.withdrawn.items()} == {"pdq": [7, 9], "md5": [8, 10]}


def test_format_version_1_can_be_written(maker: ModuleType, tmp_path: Path) -> None:
    """A list of format version 1 takes changes, is of the newest version then, and verifies."""
    copy = tmp_path / "copy.hashmatch"
    shutil.copyfile(GOLDEN / "list-v1.hashmatch", copy)
    with ReferenceList.open(copy, writable=True) as ref:
        assert ref.add("entry-4", hashes=[maker.golden_hash(4, "pdq")])
        assert ref.withdraw("entry-0", source="hotline")
        assert ref.verify().version == 8
        assert ref.info().format_version == 3
        assert ref.add("entry-5", hashes=[maker.golden_record(5, 10)])
        assert ref.verify().digest == content_digest(ref)
    with ReferenceList.open(copy, check="full") as ref:
        assert [len(block) for block in ref.snapshot().records["keypoint"]] == [1]
        assert len(ref) == 20


@pytest.mark.parametrize("version", [2, 3])
def test_format_versions_2_and_3_are_read(maker: ModuleType, version: int) -> None:
    """The lists made when they were new verify and hold what was put in, the records too."""
    with ReferenceList.open(GOLDEN / f"list-v{version}.hashmatch", check="full") as ref:
        info = ref.info()
        assert (ref.name, ref.version, len(ref)) == (f"golden, version {version}", 6, 8)
        assert (info.format_version, info.digest) == (version, DIGEST if version == 3 else None)
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
        assert stream.content == CONTENTS[version]
        changes = ref.changes_since(3)
        assert changes is not None
        gone = {name: rows.tolist() for name, rows in changes.withdrawn.items()}
        assert gone == {"pdq": [7, 9], "keypoint": [8, 10, 12]}
        assert [block.hash_ids.tolist() for block in changes.records["keypoint"]] == [[33]]


def test_the_script_makes_the_golden_list(maker: ModuleType, tmp_path: Path) -> None:
    """A list made by the script today has the content of the golden one."""
    for version, make in ((1, maker.make), (2, maker.make_2), (3, maker.make_3)):
        golden = f"list-v{version}.hashmatch"
        make(tmp_path / golden)
        with ReferenceList.open(tmp_path / golden) as new, ReferenceList.open(GOLDEN / golden) as old:
            assert list(new) == list(old)
            assert new.digest == content_digest(old)
            assert new.version == old.version
