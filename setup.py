"""The compiled kernels, left out where no C compiler is at hand; everything else is in pyproject.toml."""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = Path("src/hashmatch/kernels/native")
SHARED = "hashmatch.kernels.native.shared"  # Cython's own code for arrays, compiled once for all kernels

if sys.platform == "win32":
    compile_args, link_args = ["/O2", "/fp:precise"], []
else:
    # no fused multiply-add: a kernel's floats must be those of its NumPy twin on every processor; aligned loops: where
    # chance laid the loops of PDQ, they took up to a tenth longer
    compile_args = ["-O3", "-g0", "-ffp-contract=off", "-fno-math-errno", "-falign-loops=32", "-Wno-unreachable-code"]
    link_args = []

sanitizers = os.environ.get("HASHMATCH_SANITIZE")  # for example "address,undefined": see tests/sanitize.sh
if sanitizers:
    flags = [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=undefined", "-fno-wrapv"]
    compile_args, link_args = [*compile_args, *flags, "-O1", "-g", "-fno-omit-frame-pointer"], flags


class BuildOnEveryCore(build_ext):
    """Compile as many modules at once as this process may use cores, unless ``--parallel`` says another number."""

    def finalize_options(self):
        """Fill in the number of cores."""
        super().finalize_options()
        if self.parallel is None:
            self.parallel = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def extension(name, source):
    """Describe one compiled module."""
    return Extension(
        name,
        [source.as_posix()],
        include_dirs=[KERNELS.as_posix()],
        depends=[header.as_posix() for header in sorted(KERNELS.glob("*.h"))],
        extra_compile_args=compile_args,
        extra_link_args=link_args,
    )


# the modules that take longest come first, so that no core waits for the last of them
sources = sorted(KERNELS.glob("*.pyx"), key=lambda source: (-source.stat().st_size, source.name))
extensions = [
    extension(SHARED, KERNELS / "shared.c"),
    *(extension(f"hashmatch.kernels.native.{source.stem}", source) for source in sources),
]
modules = cythonize(extensions, build_dir="build/cython", language_level=3, shared_utility_qualified_name=SHARED)
for module in modules:
    module.optional = True  # a failed compilation is a warning: the NumPy twins serve

setup(ext_modules=modules, cmdclass={"build_ext": BuildOnEveryCore})
