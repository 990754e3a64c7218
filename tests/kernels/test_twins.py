"""Every compiled kernel has its NumPy twin and a test that holds the two together; and inputs other tests leave out."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hashmatch.index.costs import MEASURED
from hashmatch.index.multi.substring_tables import build_tables, item_layout
from hashmatch.index.multi.substrings import plan_probes
from hashmatch.kernels import borders, codes, compiled, guided, keys, laying, pack_words, pixels, points, tables, tree
from hashmatch.kernels.numpy import borders as reference_borders
from hashmatch.kernels.numpy import codes as reference
from hashmatch.kernels.numpy import guided as reference_guided
from hashmatch.kernels.numpy import keys as reference_keys
from hashmatch.kernels.numpy import laying as reference_laying
from hashmatch.kernels.numpy import pixels as reference_pixels
from hashmatch.kernels.numpy import points as reference_points
from hashmatch.kernels.numpy import tables as reference_tables
from hashmatch.kernels.numpy.points import Sampling

GROUPS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "borders": (borders.native, (reference_borders,)),
    "codes": (codes.native, (reference,)),
    "guided": (guided.native, (reference_guided,)),
    "keys": (keys.native, (reference_keys,)),
    "laying": (laying.native, (reference_laying,)),
    "pixels": (pixels.native, (reference_pixels,)),
    "points": (points.native, (reference_points,)),
    "tables": (tables.native, (reference_tables,)),
    "tree": (tree.native, ()),
}
# the twin of the walk through a tree is the walk level by level in hashmatch.index.bktree
TWIN_ELSEWHERE = {"TreeWalk"}
needs_native = pytest.mark.skipif(
    any(native is None for native, _ in GROUPS.values()), reason="the compiled kernels were not built"
)


def paths_of(group: str) -> Any:
    """Run a test on every path that this processor has for a group."""
    native = GROUPS[group][0]
    return pytest.mark.parametrize("path", native.PATHS if native is not None else ("portable",))


def same_bits(one: Any, other: Any) -> bool:
    """Whether arrays have the same type, shape and bits."""
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def test_every_group_is_looked_at() -> None:
    """The groups here are those that there are."""
    assert GROUPS.keys() == compiled().keys()


@needs_native
@pytest.mark.parametrize("group", GROUPS)
def test_every_kernel_has_a_twin_and_a_test(group: str) -> None:
    """A compiled function without a NumPy function of its name, or that no test of kernels calls, fails here."""
    native, twins = GROUPS[group]
    written = "".join(path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("test_*.py")))
    kinds = ("cython_function_or_method", "type")
    made = {name: value for name, value in vars(native).items() if type(value).__name__ in kinds}
    made = {name: value for name, value in made.items() if value.__module__ == native.__name__ and name[0] != "_"}
    assert made
    for name, value in made.items():
        twin = next((found for twin in twins if (found := getattr(twin, name, None)) is not None), None)
        assert name in TWIN_ELSEWHERE or inspect.isclass(twin) == inspect.isclass(value), name
        for method in vars(value) if inspect.isclass(value) and twin is not None else ():
            assert method[0] == "_" or inspect.isfunction(getattr(twin, method, None)), f"{name}.{method}"
        assert re.search(rf"(native|kernels)\.{name}\(", written) or name == "Probes", f"no test calls {name}"


@needs_native
@paths_of("tables")
@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 120),
    n_words=st.integers(2, 5),
    width=st.sampled_from([9, 11, 13]),
    radius=st.integers(0, 24),
    most=st.integers(0, 200),
    seed=st.integers(0, 10**6),
)
def test_substrings_across_words(
    path: str, n: int, n_words: int, width: int, radius: int, most: int, seed: int
) -> None:
    """Where substrings begin in one word and end in the next, look-ups give what NumPy's give and a scan finds."""
    rng = np.random.default_rng(seed)
    stored = rng.integers(0, 256, (n, 8 * n_words), dtype=np.uint8)
    stored[: n // 2] = stored[:1]  # copies crowd a bucket of every table
    stored[: n // 3, 7] ^= 1  # a bit beside the boundary of two words
    asked = np.concatenate([stored[:2], rng.integers(0, 256, (1, 8 * n_words), dtype=np.uint8)])
    asked[0, 8] ^= 128
    columns, queries = pack_words(stored), pack_words(asked)
    made = build_tables(columns, (width,) * (64 * n_words // width))
    starts = np.arange(len(made.widths)) * width
    assert any(start // 64 != (start + width - 1) // 64 for start in starts.tolist())
    plan = plan_probes(made.widths, n, radius, 1e15, MEASURED)
    assert plan is not None
    layout = item_layout(n, made.widths)
    arrays = np.ascontiguousarray(columns.T), made.ranks, made.slots, made.runs
    answers = []
    for kernels, more in ((tables.native, (path,)), (reference_tables, ())):
        search = kernels.TableSearch(*arrays, made.widths, layout.tag_bits, layout.item_bytes, *more)
        answers.append(search.find(queries, search.probes(plan.masks, plan.groups), radius, most))
    got, expected = answers
    for one, other in zip(got, expected, strict=True):
        assert same_bits(one, other) if isinstance(other, np.ndarray) else one == other
    owners, rows, _, _, crowded = expected
    for owner in set(range(len(asked))) - set(crowded.tolist()):
        judge = reference.hamming_scan(columns, queries[:, owner], radius)[0]
        assert rows[owners == owner].tolist() == judge.tolist()


@st.composite
def samplings(draw: st.DrawFn, images: int, reach: float) -> Sampling:
    """Patches anywhere in and round pictures of up to ``reach`` px, of any direction and size, none too."""
    n = draw(st.integers(0, 12))

    def numbers(low: float, high: float, count: int = n) -> np.ndarray:
        return draw(npst.arrays(np.float32, count, elements=st.floats(low, high, width=32)))

    return Sampling(
        which=draw(npst.arrays(np.int64, n, elements=st.integers(0, images - 1))),
        x=numbers(-2 * reach, 3 * reach),
        y=numbers(-2 * reach, 3 * reach),
        cosine=numbers(-64, 64),
        sine=numbers(-64, 64),
        grid=numbers(-2, 2, 16),
    )


def pictures(most: int) -> st.SearchStrategy[np.ndarray]:
    """Grey pictures of at least 2 samples a side, whole levels or any."""
    sides = st.tuples(st.integers(2, most), st.integers(2, most))
    levels = st.one_of(st.sampled_from([0.0, 0.25, 255.0]), st.floats(0, 255, width=32))
    return sides.flatmap(lambda shape: npst.arrays(np.float32, shape, elements=levels))


@needs_native
@paths_of("points")
@settings(max_examples=60, deadline=None)
@given(
    images=st.lists(pictures(20), min_size=1, max_size=3).flatmap(
        lambda made: st.tuples(st.just(made), samplings(len(made), 20))
    ),
    step=st.sampled_from([1.0, 2.0, 4.0, 1.5]),
)
def test_patches_have_the_bits_of_the_twin(path: str, images: tuple[list[np.ndarray], Sampling], step: float) -> None:
    """In, across and beyond the sides, in any direction and size, every sample equals NumPy's."""
    steps = np.full(len(images[0]), step, np.float32)
    got = points.native.patches(images[0], steps, images[1], path)
    assert same_bits(got, reference_points.patches(images[0], steps, images[1]))


@needs_native
@paths_of("points")
@settings(max_examples=60, deadline=None)
@given(
    image=pictures(24),
    places=st.integers(0, 40).flatmap(
        lambda n: npst.arrays(np.float32, (2, n), elements=st.floats(width=32, allow_nan=False))
    ),
)
def test_samples_at_any_place_have_the_bits_of_the_twin(path: str, image: np.ndarray, places: np.ndarray) -> None:
    """Whatever the places, the largest floats and infinity too, samples between pixels equal NumPy's."""
    x, y = places
    assert same_bits(points.native.bilinear(image, x, y, path), reference_points.bilinear(image, x, y))
