"""``python -m benchmarks NAME [options]``: run one benchmark; without a name, list them."""

from __future__ import annotations

import importlib
import os
import sys

from benchmarks.frame.areas import AREAS, FOLDERS
from benchmarks.frame.runner import ONE_THREAD


def main() -> None:
    """Hand the options to the benchmark's own command."""
    if len(sys.argv) < 2 or sys.argv[1] not in FOLDERS:
        width = max(map(len, FOLDERS))
        print("python -m benchmarks NAME [options]; each takes --help and --quick")
        for folder, names in AREAS.items():
            print(f"\n{folder}/")
            print("\n".join(f"  {name:<{width}}  {what}" for name, what in names.items()))
        sys.exit(0 if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help") else 2)
    name = sys.argv.pop(1)
    sys.argv[0] = f"python -m benchmarks {name}"
    os.environ.update(ONE_THREAD)  # libraries read it when they are loaded, which comes next
    importlib.import_module(f"benchmarks.{FOLDERS[name]}.{name}").main()


if __name__ == "__main__":
    main()
