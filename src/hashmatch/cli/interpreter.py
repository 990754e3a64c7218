"""What the interpreter that runs this command was started with, for those that run its worker processes."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["loader_variables"]

_LOADER: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH")


def loader_variables() -> dict[str, str]:
    """Variables that say where an interpreter finds its shared libraries, as far as they are set."""
    return {name: os.environ[name] for name in _LOADER if os.environ.get(name)}
