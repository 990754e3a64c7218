"""Measured costs: they are measured, kept, read back, and a file that is wrong is refused with the reason."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from hashmatch.errors import IndexFormatError
from hashmatch.index import calibration, plan_index
from hashmatch.index.costs import MEASURED


def test_calibrate_measures() -> None:
    """Every cost is a number of nanoseconds that a machine can have, and the planner can work with them."""
    costs = calibration.calibrate(scale=0.02)
    assert all(0 < value < 1e8 for value in asdict(costs).values())
    assert plan_index(1_000_000, 256, radius=31, costs=costs).kind in ("multi", "linear")
    for scale in (0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="scale"):
            calibration.calibrate(scale=scale)


def test_costs_are_kept(tmp_path: Path) -> None:
    """What is saved is loaded; without a file the built-in ones serve."""
    assert calibration.saved_costs(tmp_path) == MEASURED
    costs = replace(MEASURED, probe=123.5)
    path = calibration.save_costs(tmp_path, costs)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
    assert calibration.load_costs(tmp_path) == calibration.saved_costs(tmp_path) == costs


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_costs_are_their_owners_alone(tmp_path: Path) -> None:
    """Whatever the umask, as all that lies in an index folder."""
    before = os.umask(0)
    try:
        path = calibration.save_costs(tmp_path, MEASURED)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


def good() -> dict[str, Any]:
    """Give the content of a good file."""
    return {"format": 1, "kernels": calibration._kernels(), "costs": asdict(MEASURED)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        "[" * 5000,
        "\ud800",
        json.dumps({**good(), "format": 2}),
        json.dumps({**good(), "format": True}),
        json.dumps({**good(), "costs": 3}),
        json.dumps({"format": 1, "kernels": "compiled"}),
        json.dumps({**good(), "costs": {**asdict(MEASURED), "probe": -1}}),
        json.dumps({**good(), "costs": {**asdict(MEASURED), "probe": float("nan")}}),
        json.dumps({**good(), "costs": {**asdict(MEASURED), "probe": 1e300}}),
        json.dumps({**good(), "costs": {**asdict(MEASURED), "probe": True}}),
        json.dumps({**good(), "costs": {**asdict(MEASURED), "probe": "1"}}),
        json.dumps({**good(), "costs": {**asdict(MEASURED), "more": 1}}),
        json.dumps({**good(), "costs": {"probe": 1}}),
        json.dumps({**good(), "more": "x" * 20_000}),
    ],
)
def test_a_wrong_file_is_refused(text: str, tmp_path: Path) -> None:
    """Whatever is in the file, it is costs or an error that says what to do, and a matcher goes on."""
    (tmp_path / calibration.COSTS_FILE).write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(IndexFormatError, match="index calibrate"):
        calibration.load_costs(tmp_path)
    assert calibration.saved_costs(tmp_path) == MEASURED


def test_costs_of_other_kernels_are_refused(tmp_path: Path) -> None:
    """Costs of the NumPy kernels say nothing of the compiled ones."""
    (tmp_path / calibration.COSTS_FILE).write_text(json.dumps({**good(), "kernels": "others"}))
    with pytest.raises(IndexFormatError, match="other kernels"):
        calibration.load_costs(tmp_path)
