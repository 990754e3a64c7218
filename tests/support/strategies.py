"""Hypothesis strategies and seeded makers of codes shared by the index tests, and entries of lists.

Random long codes are never near each other, so a query is made by changing a stored code by nothing, by the radius,
or by one more than the radius.
"""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashmatch.algorithms import Metric
from hashmatch.hashes import HashValue
from hashmatch.lists import Entry, ListedHash, Listing
from hashmatch.lists.entry import Role
from support.list_makers import made_up

Codes = NDArray[np.uint8]


def flip_bits(code: Codes, bits: NDArray[np.int64] | list[int]) -> Codes:
    """Copy ``code`` and flip these bits."""
    out = code.copy()
    for bit in bits:
        out[bit >> 3] ^= np.uint8(1 << (bit & 7))
    return out


def move_bytes(code: Codes, distance: int, rng: np.random.Generator) -> Codes:
    """Copy ``code`` to a Euclidean distance of ``distance``, or a little less where its bytes do not allow it."""
    out, left = code.copy(), distance * distance
    for place in rng.permutation(len(code)).tolist():
        value = int(code[place])
        step = min(math.isqrt(left), max(value, 255 - value), int(rng.integers(1, 256)))
        out[place] = value + step if value + step <= 255 else value - step if value >= step else value
        left -= (int(out[place]) - value) ** 2
    return out


def near_code(code: Codes, radius: int, metric: Metric, rng: np.random.Generator) -> Codes:
    """Make a query 0 to radius + 1 steps away from a stored code."""
    steps = int(rng.choice([0, max(radius - 1, 0), radius, radius + 1, rng.integers(0, radius + 2)]))
    if metric is Metric.EUCLIDEAN:
        return move_bytes(code, steps, rng)
    return flip_bits(code, rng.permutation(8 * len(code))[:steps])


def near_queries(codes: Codes, radius: int, metric: Metric, count: int, rng: np.random.Generator) -> Codes:
    """Make ``count`` queries from stored codes, with an unrelated one at the end."""
    n, n_bytes = codes.shape
    rows = [near_code(codes[rng.integers(n)], radius, metric, rng) for _ in range(count if n else 0)]
    rows.append(rng.integers(0, 256, n_bytes, dtype=np.uint8))
    return np.array(rows, dtype=np.uint8)


@st.composite
def clustered_codes(draw: st.DrawFn, n_bytes: int, max_size: int = 8) -> Codes:
    """Draw codes of which many are equal or differ in a few bits."""
    base = np.frombuffer(draw(st.binary(min_size=n_bytes, max_size=n_bytes)), dtype=np.uint8)
    bits = st.lists(st.integers(0, 8 * n_bytes - 1), max_size=4)
    changes = draw(st.lists(bits, max_size=max_size))
    return np.array([flip_bits(base, change) for change in changes], dtype=np.uint8).reshape(len(changes), n_bytes)


_NAMES = st.text(
    st.one_of(
        st.sampled_from("=+-@';|, \"\\:/\uff1d\uff0b\u00e9\u3042\u00a0\u200b"),
        st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\ufffd"),
    ),
    min_size=1,
    max_size=12,
).filter(lambda text: text == text.strip(" "))
_VALUES = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=20).filter(
    lambda text: text == text.strip(" ")
)
ROLES_OF_SOURCES: dict[str, Role] = {"one": "alarm", "=two": "alarm", "one/benign": "benign", "@four": "comparison"}


def listed_hashes(
    algorithms: tuple[str, ...] = ("pdq", "md5", "sha1", "photodna", "dhash"),
) -> st.SearchStrategy[HashValue]:
    """Draw a hash that a delivery may hold: of few, so that some come twice, and as random as real ones."""
    return st.builds(made_up, st.integers(0, 30), st.sampled_from(algorithms))


@st.composite
def listings(draw: st.DrawFn, source: str) -> Listing:
    """Draw what a source says of an entry."""
    values = draw(st.lists(listed_hashes(), min_size=1, max_size=4, unique=True))
    hashes = tuple(ListedHash(value, draw(st.none() | st.integers(0, 100))) for value in values)
    return Listing(source, hashes, draw(st.dictionaries(_NAMES, _VALUES, max_size=3)), ROLES_OF_SOURCES[source])


@st.composite
def listed_entries(draw: st.DrawFn, max_size: int = 5) -> list[Entry]:
    """Draw the entries of a list, with ids, sources and labels that spreadsheets and formats may take for more."""
    out = []
    for name in draw(st.lists(_NAMES, max_size=max_size, unique=True)):
        sources = draw(st.lists(st.sampled_from(list(ROLES_OF_SOURCES)), min_size=1, max_size=3, unique=True))
        out.append(Entry(name, tuple(draw(listings(source)) for source in sources)))
    return out
