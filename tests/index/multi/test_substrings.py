"""Choosing substrings and probes: exact by the pigeonhole rule, whatever the costs say."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.index.costs import MEASURED, Costs
from hashmatch.index.multi.substrings import choose_widths, expected_cost, plan_probes

WIDTHS = st.lists(st.integers(1, 7), min_size=1, max_size=6).map(lambda w: tuple(sorted(w, reverse=True)))


@settings(max_examples=200, deadline=None)
@given(WIDTHS, st.integers(0, 20), st.integers(0, 10_000))
def test_plans_are_exact(widths: tuple[int, ...], radius: int, n: int) -> None:
    """The radii of a plan add up to more than the radius, so no code within it can escape all substrings."""
    plan = plan_probes(widths, n, radius, 1e18, MEASURED)
    if plan is None:
        assert radius >= sum(width + 1 for width in widths)
        return
    assert sum(r + 1 for r in plan.radii) == radius + 1
    assert all(-1 <= r <= width for r, width in zip(plan.radii, widths, strict=True))


@settings(max_examples=60, deadline=None)
@given(WIDTHS, st.integers(0, 12))
def test_masks_are_all_near_keys(widths: tuple[int, ...], radius: int) -> None:
    """The probes of each substring are its keys within its radius, each once, in its own buckets."""
    plan = plan_probes(widths, 100, radius, 1e18, MEASURED)
    if plan is None:
        return
    tables, ends, bounds = plan.groups.T
    sizes = np.diff(ends, prepend=0)
    of_probe = np.repeat(tables, sizes)
    flips = np.bitwise_count(plan.masks & np.array([(1 << width) - 1 for width in widths])[of_probe])
    radii = np.array(plan.radii)
    assert (np.repeat(bounds, sizes) == radii[of_probe] + np.roll(radii, -1)[of_probe] + 1 - flips).all()
    first = 0
    for i, (width, r) in enumerate(zip(widths, plan.radii, strict=True)):
        masks = plan.masks[of_probe == i].tolist()
        assert sorted(masks) == [first + key for key in range(1 << width) if key.bit_count() <= r]
        assert first % (1 << width) == 0
        first += 1 << width


def test_textbook_radii() -> None:
    """Equal substrings get radius q for a + 1 of them and q - 1 for the others, r = m q + a."""
    for m, radius in itertools.product((7, 13, 16), (0, 3, 15, 16, 31)):
        plan = plan_probes((16,) * m, 1_000_000, radius, 1e18, MEASURED)
        assert plan is not None
        q, a = divmod(radius, m)
        assert sorted(plan.radii, reverse=True) == [q] * (a + 1) + [q - 1] * (m - a - 1)


def test_dear_plans_are_scans() -> None:
    """A plan that costs more than the scan is not made, nor one of more probes than memory should hold."""
    assert plan_probes((16,) * 16, 1_000_000, 31, 1e3, MEASURED) is None
    assert plan_probes((16,) * 16, 1_000_000, 200, 1e18, MEASURED) is None
    assert plan_probes((16,) * 16, 1_000_000, 31, 1e9, MEASURED) is not None


@pytest.mark.parametrize("n_bits", [8, 64, 256, 1152])
@pytest.mark.parametrize("n", [0, 1, 1000, 10**6, 10**8])
def test_chosen_widths_are_usable(n: int, n_bits: int) -> None:
    """Chosen substrings are disjoint, of 1 to 26 bits, widest first, and small beside the codes."""
    for radius in (0, 1, 8, 31, 64, n_bits):
        widths = choose_widths(n, n_bits, min(radius, n_bits), MEASURED)
        assert sum(widths) <= n_bits
        assert list(widths) == sorted(widths, reverse=True)
        assert 1 <= widths[-1] <= widths[0] <= 26
        assert sum(1 << width for width in widths) <= max(4096, 32 * n)


def test_the_choice_is_cheaper_than_one_for_all() -> None:
    """At a million codes the chosen substrings beat 16 of 16 bits by the measured costs."""
    chosen = choose_widths(10**6, 256, 31, MEASURED)
    assert expected_cost(chosen, 10**6, 31, MEASURED) < expected_cost((16,) * 16, 10**6, 31, MEASURED)


def test_costs_are_checked() -> None:
    """A negative or undefined cost is refused."""
    for bad in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="probe"):
            replace(MEASURED, probe=bad)
    assert isinstance(MEASURED, Costs)
    assert np.isfinite(MEASURED.scan_code)
