"""hashmatch without its compiled kernels: what NumPy does where no C compiler was at hand."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable
from typing import Any

from hashmatch import kernels

# an import of one of them fails from here on, as where they were not built; this process is this contender's own
sys.modules.update(
    dict.fromkeys(
        f"{kernels.__name__}.{module.name}"
        for module in pkgutil.iter_modules(kernels.__path__)
        if module.name.startswith("_native_")
    )
)

from benchmarks.contenders import hashing_hashmatch  # noqa: E402 - only now

NAME = "hashmatch, NumPy kernels"
version = hashing_hashmatch.version

if any(kernels.compiled().values()):
    raise ImportError("compiled kernels serve all the same")

FROM_PIXELS: dict[str, Callable[[Any], str]] = {
    name: work for name, work in hashing_hashmatch.FROM_PIXELS.items() if name.startswith(("pdq", "keypoint"))
}
FROM_FILE = hashing_hashmatch.FROM_FILE
