"""Reports read back: equal to what was written, and nothing that is not understood is passed over."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import HashFormatError
from hashmatch.jail import MEASURES, Protection
from hashmatch.matching import MatchReport, Outcome
from hashmatch.matching.report import ComparedList, Match, Placement
from hashmatch.view import Background, FrameCount, Margins, Shrink, Turn, View

TEXT = st.text(max_size=20)
FLOAT = st.floats(allow_nan=False)
COUNT = st.integers(0, 2**40)
NAMES = st.dictionaries(TEXT, TEXT, max_size=3)
TALLY = st.dictionaries(st.sampled_from(sorted(ALGORITHMS)), COUNT, max_size=3)
MARGINS = st.tuples(*[st.integers(-400, 400)] * 4).map(Margins.of)
VIEWS = st.builds(
    View,
    frame=st.integers(0, 1000),
    background=st.sampled_from(Background),
    trim=MARGINS,
    turn=st.sampled_from(Turn),
    tilt=st.floats(-45, 45),
    cut=MARGINS,
    shrink=st.sampled_from(Shrink),
)
PLACEMENTS = st.builds(
    Placement,
    crop=st.tuples(*[FLOAT] * 4),
    overlap=FLOAT,
    scale=FLOAT,
    angle=FLOAT,
    mirrored=st.booleans(),
    inliers=COUNT,
    agreement=FLOAT,
    n_compared=COUNT,
    chance=FLOAT,
)
MATCHES = st.builds(
    Match,
    list_name=TEXT,
    list_id=TEXT,
    list_version=COUNT,
    list_digest=TEXT,
    entry_id=TEXT,
    sources=st.dictionaries(TEXT, NAMES, max_size=3),
    algorithm=st.sampled_from(sorted(ALGORITHMS)),
    distance=st.none() | COUNT,
    threshold=st.none() | COUNT,
    quality=st.none() | st.integers(0, 100),
    view=VIEWS,
    evidence=st.none() | FLOAT,
    min_evidence=st.none() | FLOAT,
    placement=st.none() | PLACEMENTS,
)
LISTS = st.builds(
    ComparedList,
    name=TEXT,
    list_id=TEXT,
    version=COUNT,
    digest=TEXT,
    n_entries=COUNT,
    compared=TALLY,
    not_compared=TALLY,
    entries_not_compared=COUNT,
)
REPORTS = st.builds(
    MatchReport,
    outcome=st.sampled_from(Outcome),
    matches=st.lists(MATCHES, max_size=2).map(tuple),
    n_matches=COUNT,
    reason=st.none() | TEXT,
    lists=st.lists(LISTS, max_size=2).map(tuple),
    quality=st.none() | st.integers(0, 100),
    policy=TEXT,
    software=TEXT,
    decode=TEXT,
    protection=st.none() | st.builds(Protection, measures=st.lists(st.sampled_from(MEASURES), unique=True).map(tuple)),
    format=st.none() | TEXT,
    views_compared=st.lists(TEXT, max_size=2).map(tuple),
    views_not_compared=st.lists(TEXT, max_size=2).map(tuple),
    frames=st.none() | st.builds(FrameCount, seen=COUNT, in_full=COUNT, unseen=COUNT, at_least=st.booleans()),
)


@given(REPORTS)
def test_a_report_is_what_was_written(report: MatchReport) -> None:
    """Through JSON and without it, and its form is the same again."""
    form = report.to_dict()
    assert MatchReport.from_dict(form) == report
    back = MatchReport.from_dict(json.loads(json.dumps(form)))
    assert back == report
    assert back.to_dict() == form


def example() -> dict[str, Any]:
    """Make the form of a report with one of everything."""
    view = View(trim=Margins(left=90), turn=Turn.ROTATE_90)
    match = Match(
        list_name="a",
        list_id="0" * 32,
        list_version=3,
        list_digest="d" * 64,
        entry_id="e",
        sources={"s": {"class": "A1"}},
        algorithm="pdq",
        distance=3,
        threshold=31,
        quality=90,
        view=view,
        placement=Placement(
            crop=(0.0, 0.0, 1.0, 1.0),
            overlap=1.0,
            scale=1.0,
            angle=0.0,
            mirrored=False,
            inliers=9,
            agreement=1.0,
            n_compared=64,
            chance=-9.5,
        ),
    )
    listed = ComparedList(
        name="a", list_id="0" * 32, version=3, digest="d" * 64, n_entries=1, compared={"pdq": 1}, not_compared={}
    )
    return MatchReport(
        outcome=Outcome.MATCH,
        matches=(match,),
        n_matches=1,
        reason=None,
        lists=(listed,),
        quality=90,
        policy="standard",
        software="hashmatch 0",
        decode="2",
        protection=Protection(measures=("seccomp",)),
        frames=FrameCount(seen=1, in_full=1, unseen=0),
    ).to_dict()


def _places(form: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Find every mapping of fixed keys within the form."""
    found = [path] if isinstance(form, dict) and path[-1:] not in ({"sources"}, ("labels",), ("compared",)) else []
    items = form.items() if isinstance(form, dict) else enumerate(form) if isinstance(form, list) else ()
    for key, value in items:
        found += _places(value, (*path, key))
    return found


FREE = ("sources", "s", "labels", "compared", "not_compared")


@pytest.mark.parametrize("path", [path for path in _places(example()) if not path or path[-1] not in FREE], ids=str)
def test_no_key_is_passed_over(path: tuple[Any, ...]) -> None:
    """A key that is not known, at any depth, may say why an answer does not hold."""
    form = example()
    place: Any = form
    for step in path:
        place = place[step]
    place["surprise"] = 1
    with pytest.raises(HashFormatError, match=r"surprise|no other keys|must have"):
        MatchReport.from_dict(form)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("outcome", "no  match"),
        ("outcome", None),
        ("n_matches", "1"),
        ("n_matches", True),
        ("quality", 1.5),
        ("matches", {}),
        ("lists", [None]),
        ("policy", 3),
        ("frames", []),
        ("views_compared", "original"),
        ("protection", {"measures": ["prayer"]}),
        ("source", "a.jpg"),
    ],
)
def test_a_value_of_another_kind_is_an_error(key: str, value: object) -> None:
    """Typed, and the message names the key."""
    with pytest.raises(HashFormatError, match=key):
        MatchReport.from_dict(example() | {key: value})


def test_an_older_report_is_read() -> None:
    """What was not written then has its default; what has none is missed."""
    form = example()
    for key in ("format", "frames", "protection", "views_compared", "views_not_compared", "advice", "partial"):
        del form[key]
    assert MatchReport.from_dict(form).frames is None
    del form["outcome"]
    with pytest.raises(HashFormatError, match="outcome is missing"):
        MatchReport.from_dict(form)


@given(st.recursive(st.none() | st.booleans() | COUNT | TEXT, lambda x: st.lists(x) | st.dictionaries(TEXT, x)))
def test_anything_else_is_a_typed_error(data: Any) -> None:
    """Whatever JSON holds."""
    with pytest.raises(HashFormatError):
        MatchReport.from_dict(data)
