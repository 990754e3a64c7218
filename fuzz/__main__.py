"""``python -m fuzz TARGET [options]``: run one target, or one case of it again; without a target, list them."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any

from fuzz import results
from fuzz.engine import Run, execute, rng_of

TARGETS = (
    "pictures",
    "lists",
    "indexes",
    "fingerprints",
    "audit_log",
    "bundle",
    "records",
    "importers",
    "pages",
    "sets",
    "text",
    "vics",
    "icse",
    "declared",
    "containers",
    "urls",
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 1 if something was found."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] not in TARGETS:
        print("python -m fuzz TARGET [options]; each target takes --help\n")
        for name in TARGETS:
            print(f"  {name:<13} {_module(name).DESCRIPTION}")
        print(
            f"\n  {'faults':<13} python -m fuzz.faults: flips, truncations, failed calls, kills, power loss, full disk"
        )
        return 0 if not given or given[0] in ("-h", "--help") else 2
    name = given[0]
    module = _module(name)
    parser = argparse.ArgumentParser(prog=f"python -m fuzz {name}", description=module.DESCRIPTION)
    parser.add_argument("--runs", type=int, default=10_000, help="cases to run")
    parser.add_argument("--seed", type=int, default=1, help="seed of the run")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seconds", type=float, help="stop after this long")
    parser.add_argument("--longest", type=float, default=10.0, help="seconds one case may take")
    parser.add_argument("--case", type=int, help="run this one case here, and show what it raises")
    parser.add_argument("--keep", action="store_true", help="add the run to fuzz/results")
    if hasattr(module, "add_options"):
        module.add_options(parser)
    options = parser.parse_args(given[1:])
    if options.case is not None:
        print(module.case_runner(options)(rng_of(options.seed, options.case), options.case))
        return 0
    if getattr(options, "jail", False):
        run = module.run_jailed(options)
    else:
        run = execute(
            name,
            module.case_runner(options),
            runs=options.runs,
            seed=options.seed,
            first=options.first,
            seconds=options.seconds,
            longest=options.longest,
            progress=_show,
        )
    report(run, f"python -m fuzz {name} --seed {options.seed} --case")
    if options.keep:
        results.keep(run, f"python -m fuzz {' '.join(results.without_paths(given))}")
    return 1 if run.findings else 0


def _module(name: str) -> Any:
    return importlib.import_module(f"fuzz.targets.{name}")


def _show(run: Run) -> None:
    print(f"  {run.executions:>10,} cases, {run.seconds:8.1f} s, findings: {len(run.findings)}", file=sys.stderr)


def report(run: Run, again: str) -> None:
    """Print what came of a run."""
    rate = run.executions / run.seconds if run.seconds else 0
    print(f"{run.target}: {run.executions:,} executions in {run.seconds:.1f} s ({rate:,.0f}/s), seed {run.seed}")
    for outcome, count in run.outcomes.most_common():
        print(f"  {count:>10,}  {outcome}")
    for name, value in run.measured.items():
        print(f"  {name}: {value}")
    for finding in run.findings:
        print(
            f"FINDING {finding.kind} x{finding.count}: {finding.what}\n    {finding.where}\n    {again} {finding.case}"
        )
    print(f"findings: {len(run.findings)}")


if __name__ == "__main__":
    sys.exit(main())
