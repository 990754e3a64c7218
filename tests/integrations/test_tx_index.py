"""Indexes for ``threatexchange``: nothing missed, nothing lost when they are stored, and no pickle."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from threatexchange.exchanges.fetch_state import FetchedSignalMetadata, SignalOpinionCategory
from threatexchange.exchanges.impl.fb_threatexchange_api import FBThreatExchangeIndicatorRecord, FBThreatExchangeOpinion
from threatexchange.exchanges.impl.ncmec_api import NCMECSignalMetadata
from threatexchange.signal_type.pdq.pdq_index import PDQIndex

from hashmatch.errors import HashFormatError, IndexFormatError
from hashmatch.hashers.facade import hash_image
from hashmatch.integrations.threatexchange import HashmatchPdqSignal
from hashmatch.integrations.tx_index import HashmatchKeypointIndex, HashmatchPdqIndex
from hashmatch.synthetic import picture

RECORDS = [hash_image(picture("photo", seed), "keypoint").hex() for seed in range(6)]
INDEXES = [HashmatchPdqIndex, HashmatchKeypointIndex]


def hashes(n: int, seed: int = 1) -> list[str]:
    """Made-up hashes, of which each fourth is near the one before it."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (n, 32), np.uint8)
    for row in range(3, n, 4):
        codes[row] = codes[row - 1]
        bits = rng.choice(256, rng.integers(0, 40), replace=False)
        np.bitwise_xor.at(codes[row], bits // 8, (1 << (bits % 8)).astype(np.uint8))
    return [code.tobytes().hex() for code in codes]


def signals(kind: type[Any], n: int) -> list[str]:
    """Signals of a kind of index."""
    return hashes(n) if kind is HashmatchPdqIndex else [RECORDS[number % len(RECORDS)] for number in range(n)]


def stored(index: Any) -> Any:
    """Store an index and read it again."""
    file = io.BytesIO()
    index.serialize(file)
    file.seek(0)
    return type(index).deserialize(file)


def found(index: Any, query: str) -> list[tuple[float, Any]]:
    """Distances and metadata, sorted."""
    return sorted((item.similarity_info.distance, item.metadata) for item in index.query(query))


@pytest.mark.parametrize("n", [1, 2, 40, 5_000])
def test_pdq_finds_all_that_a_comparison_of_all_finds(n: int) -> None:
    """Every hit of their comparison and every one of their index, at their radius, also for a list of one."""
    listed = hashes(n)
    index = HashmatchPdqIndex.build(zip(listed, range(n), strict=True))
    theirs: Any = PDQIndex.build(list(zip(listed, range(n), strict=True)))
    for query in (listed[0], listed[-1], *hashes(12, seed=1)[2:], *hashes(2, seed=9)):
        wanted = [
            (HashmatchPdqSignal.compare_hash(query, item).distance.distance, number)  # type: ignore[attr-defined]
            for number, item in enumerate(listed)
            if HashmatchPdqSignal.compare_hash(query, item).match
        ]
        assert found(index, query) == found(stored(index), query) == sorted(wanted)
        assert {item.metadata for item in theirs.query(query)} <= {number for _, number in wanted}


@pytest.mark.parametrize("kind", INDEXES)
def test_equal_signals_are_entries_of_their_own(kind: type[Any]) -> None:
    """Whatever belongs to them, before and after they are stored, and when more are added to what was stored."""
    (first, second, *_) = signals(kind, 6)
    index = kind.build([(first, "one"), (first.upper(), "two"), (second, "other")])
    assert [item.metadata for item in index.query(first)] == ["one", "two"]
    again = stored(index)
    again.add(first, "three")
    assert len(again) == 4
    assert [item.metadata for item in stored(again).query(first)] == ["one", "two", "three"]
    assert index.query("") == index.query(" \n") == []


@pytest.mark.parametrize("kind", INDEXES)
def test_a_bad_signal_adds_nothing(kind: type[Any]) -> None:
    """An error names no signal; what came before it in the same call is not added either."""
    index = kind()
    with pytest.raises(HashFormatError):
        index.add_all([(signals(kind, 1)[0], 1), ("0f0f", 2)])
    with pytest.raises(HashFormatError):
        index.query("0f0f")
    assert len(index) == 0
    assert len(stored(index)) == 0


@pytest.mark.parametrize(("kind", "n"), [(HashmatchPdqIndex, 3_000), (HashmatchKeypointIndex, 24)])
def test_queries_while_entries_are_added(kind: type[Any], n: int) -> None:
    """What was added before a query is found by it, however the parts of the index are made anew meanwhile."""
    listed, index, errors = signals(kind, n), kind(), []

    def ask() -> None:
        for _ in range(12):
            known = len(index)
            if known and known - 1 not in {item.metadata for item in index.query(listed[known - 1])}:
                errors.append(known)

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for number, signal in enumerate(listed):
        index.add(signal, number)
        if number == 2:
            for thread in asking:
                thread.start()
    for thread in asking:
        thread.join()
    assert errors == []
    whole = kind.build(zip(listed, range(n), strict=True))
    assert all(found(index, query) == found(whole, query) for query in listed[:6])


def test_metadata_of_exchanges_comes_back_equal() -> None:
    """What the command line hands over, for each exchange; and all plain data."""
    opinion = FBThreatExchangeOpinion(False, SignalOpinionCategory.POSITIVE_CLASS, {"a", "b"}, 7, None)
    kept = [
        [("example", FetchedSignalMetadata())],
        [("ncmec", NCMECSignalMetadata({12: {"A1", "B2"}})), ("fb", FBThreatExchangeIndicatorRecord([opinion]))],
        7,
        -(2**70),
        None,
        "ä",
        {"a": [1.5, True], 3: ("x", frozenset({1})), (1, 2): set()},
    ]
    index = HashmatchPdqIndex.build((signal, item) for signal, item in zip(hashes(len(kept)), kept, strict=True))
    again = stored(stored(index))
    for signal, item in zip(hashes(len(kept)), kept, strict=True):
        (match,) = [one for one in again.query(signal) if one.similarity_info.distance == 0]
        assert match.metadata == item
        assert type(match.metadata) is type(item)
    (_, (_, record)) = again.query(hashes(2)[1])[0].metadata
    assert record.opinions[0].category is SignalOpinionCategory.POSITIVE_CLASS
    assert str(record) == str(kept[1][1][1])  # type: ignore[index]


@dataclass
class Odd(FetchedSignalMetadata):
    """A record that does not come back equal: what stands in its field has no type."""

    value: Any = field(default=None)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        float("nan"),
        b"bytes",
        Odd(FetchedSignalMetadata()),
        SignalOpinionCategory.POSITIVE_CLASS,
        FBThreatExchangeOpinion(False, SignalOpinionCategory.POSITIVE_CLASS, set(), 7, None),
        [object()],
        {1: 1j},
    ],
)
def test_metadata_that_cannot_be_kept_is_a_clear_error(value: object) -> None:
    """Rather than a pickle, or something else than was given; the index itself works."""
    index = HashmatchPdqIndex.build([(hashes(1)[0], value)])
    assert index.query(hashes(1)[0])[0].metadata is value
    with pytest.raises(TypeError, match="cannot be stored"):
        index.serialize(io.BytesIO())


def test_metadata_may_not_nest_without_end() -> None:
    """Neither on the way out nor on the way in."""
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    with pytest.raises(TypeError, match="deeply"):
        HashmatchPdqIndex.build([(hashes(1)[0], deep)]).serialize(io.BytesIO())


@pytest.mark.parametrize("kind", INDEXES)
def test_every_changed_byte_is_found(kind: type[Any]) -> None:
    """A damaged, cut, longer or foreign file is one typed error and never a wrong answer."""
    index = kind.build([(signal, ["x", number]) for number, signal in enumerate(signals(kind, 3))])
    file = io.BytesIO()
    index.serialize(file)
    data = file.getvalue()
    for place in range(0, len(data), max(1, len(data) // 200)):
        for bad in (data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], data[:place]):
            with pytest.raises(IndexFormatError):
                kind.deserialize(io.BytesIO(bad))
    other = INDEXES[kind is HashmatchPdqIndex]
    for bad in (data + b"\0", b"", b"\x80\x05]\x94."):
        with pytest.raises(IndexFormatError):
            kind.deserialize(io.BytesIO(bad))
    with pytest.raises(IndexFormatError, match="no index of"):
        other.deserialize(io.BytesIO(data))


@pytest.mark.parametrize(
    "text",
    [
        b'{"record":["os.system",{"dict":[]}]}',
        b'{"record":["threatexchange.exchanges.fetch_state.FetchedSignalMetadata",[]]}',
        b'{"record":["threatexchange.exchanges.impl.ncmec_api.NCMECSignalMetadata",{"dict":[["member_entries",3]]}]}',
        b'{"dict":[[[],1]]}',
        b'{"eval":["1"]}',
        b"{}",
        b"[" * 5_000,
        b"\xff",
    ],
)
def test_forged_metadata_makes_nothing(text: bytes) -> None:
    """Who can write fitting checksums gets no more than an error: no import, no object of another class."""
    from hashmatch.integrations.tx_metadata import loaded

    with pytest.raises(IndexFormatError):
        loaded(text)


def test_no_hash_shows() -> None:
    """What is listed is sensitive: a representation counts."""
    assert repr(HashmatchPdqIndex.build([(hashes(1)[0], 1)])) == "<HashmatchPdqIndex of 1 entries>"
