"""Measure the costs in `hashmatch.index.costs.MEASURED`: ``python -m benchmarks planner_costs``.

The measuring is `hashmatch.index.calibration.calibrate`, which ``hashmatch index calibrate`` does shorter on any
machine; here at full size, several times over. Prints a `Costs` of the medians to paste.
"""

from __future__ import annotations

import statistics
from dataclasses import fields

from benchmarks.frame.options import options_of
from hashmatch.index.calibration import calibrate
from hashmatch.index.costs import Costs


def main() -> None:
    """Measure and print."""
    parser = options_of(__doc__, "one run at a twentieth of the codes: does it run?", keeps=False)
    parser.add_argument("--runs", type=int, default=3, help="runs to take the medians of")
    args = parser.parse_args()
    runs = [calibrate(scale=0.05 if args.quick else 1.0) for _ in range(1 if args.quick else args.runs)]
    print("Costs(")
    for field in fields(Costs):
        print(f"    {field.name}={statistics.median(getattr(run, field.name) for run in runs):.3g},")
    print(")")
