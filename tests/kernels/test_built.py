"""Which kernels serve: the compiled ones, NumPy where there are none, and a warning where one does not load."""

from __future__ import annotations

from importlib.machinery import ModuleSpec

import pytest

from hashmatch import kernels
from hashmatch.cli.info import gathered


def test_a_kernel_that_was_not_built_is_none() -> None:
    """Nothing is warned of where there was no compiler."""
    assert kernels.built("nothing") is None


def test_a_kernel_that_does_not_load_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy serves, a warning says so once, and ``hashmatch info`` says why."""

    def fail(name: str) -> None:
        raise ImportError(f"{name}: wrong ELF class")

    with monkeypatch.context() as broken:
        broken.setattr(kernels, "_broken", {})
        broken.setattr(kernels, "find_spec", lambda name: ModuleSpec(name, None))
        broken.setattr(kernels, "import_module", fail)
        with pytest.warns(RuntimeWarning, match="'codes' are there and do not load"):
            assert kernels.built("codes") is None
        broken.undo()
        broken.setattr(kernels, "_broken", {"codes": "wrong ELF class"})
        assert kernels.broken() == {"codes": "wrong ELF class"}
        assert "wrong ELF class" in gathered()["kernels"]["codes"]
    assert kernels.broken() == {}
