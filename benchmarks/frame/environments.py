"""Environments of contenders that do not fit beside hashmatch: each a virtual environment of its own, made on demand.

Run ``python -m benchmarks environments`` to make all of them under ``benchmarks/out/environments``, or name some. A
contender whose environment is missing is skipped with the reason; so is one that could not be installed here.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from benchmarks.frame.options import options_of

FOLDER: Final = Path(__file__).resolve().parents[1] / "out" / "environments"

REQUIREMENTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "imagededup": ("imagededup==0.3.3.post2", "numpy"),
        "perception": ("perception==0.9.3", "numpy", "pillow>=13"),
        "threatexchange": ("threatexchange==1.2.17", "faiss-cpu", "pdqhash", "numpy", "pillow>=13"),
        "usearch": ("usearch==2.26.6", "numpy"),
    }
)

OF_CONTENDER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "imagededup_bktree": "imagededup",
        "hashing_imagededup": "imagededup",
        "hashing_perception": "perception",
        "threatexchange_index": "threatexchange",
        "endtoend_threatexchange": "threatexchange",
        "hashing_threatexchange": "threatexchange",
        "usearch_exact": "usearch",
        "usearch_hnsw": "usearch",
    }
)


def python_of(contender: str) -> str:
    """Find the interpreter that a contender runs under.

    Parameters
    ----------
    contender : str
        Name of a module in ``benchmarks.contenders``, without the package.

    Returns
    -------
    str
        This interpreter, unless the contender has an environment of its own.

    Raises
    ------
    LookupError
        If that environment is missing or could not be made; says why.
    """
    name = OF_CONTENDER.get(contender)
    if name is None:
        return sys.executable
    failure = FOLDER / f"{name}.failed.txt"
    if failure.exists():
        raise LookupError(f"cannot be installed here: {failure.read_text(encoding='utf-8').strip()}")
    found = _interpreter(name)
    if not found.exists():
        raise LookupError(f"not installed: python -m benchmarks environments {name}")
    return str(found)


def _interpreter(name: str) -> Path:
    windows = sys.platform == "win32"
    return FOLDER / name / ("Scripts/python.exe" if windows else "bin/python")


def make(name: str) -> str | None:
    """Make one environment anew; None if it worked, else the last line of what went wrong."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    failure = FOLDER / f"{name}.failed.txt"
    failure.unlink(missing_ok=True)
    venv.create(FOLDER / name, with_pip=True, clear=True)
    done = subprocess.run(
        [_interpreter(name), "-m", "pip", "install", "--quiet", *REQUIREMENTS[name]],
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.returncode:
        return None
    reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
    failure.write_text(reason + "\n", encoding="utf-8")
    return reason


def main() -> None:
    """Make the environments asked for and say how each went."""
    parser = options_of(__doc__, "only say what each would hold", keeps=False)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(REQUIREMENTS)}; all of them by default")
    args = parser.parse_args()
    unknown = set(args.names) - set(REQUIREMENTS)
    if unknown:
        parser.error(f"there is no environment {', '.join(sorted(unknown))}; there are {', '.join(REQUIREMENTS)}")
    for name in args.names or REQUIREMENTS:
        if args.quick:
            print(f"{name}: {', '.join(REQUIREMENTS[name])}")
            continue
        reason = make(name)
        print(f"{name}: made" if reason is None else f"{name}: {reason}", flush=True)
