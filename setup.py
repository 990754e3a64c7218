"""The compiled kernels, left out where no C compiler is at hand; everything else is in pyproject.toml."""

import os
import sys
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

KERNELS = Path("src/hashmatch/kernels")

if sys.platform == "win32":
    compile_args, link_args = ["/O2", "/fp:precise"], []
else:
    # no fused multiply-add: a kernel's floats must be those of its NumPy twin on every processor
    compile_args, link_args = ["-O3", "-g0", "-ffp-contract=off", "-fno-math-errno", "-Wno-unreachable-code"], []

sanitizers = os.environ.get("HASHMATCH_SANITIZE")  # for example "address,undefined": see tests/sanitize.sh
if sanitizers:
    flags = [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=undefined", "-fno-wrapv"]
    compile_args, link_args = [*compile_args, *flags, "-O1", "-g", "-fno-omit-frame-pointer"], flags

extensions = [
    Extension(
        f"hashmatch.kernels.{source.stem}",
        [source.as_posix()],
        include_dirs=[KERNELS.as_posix(), numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
        depends=[header.as_posix() for header in sorted(KERNELS.glob("*.h"))],
        extra_compile_args=compile_args,
        extra_link_args=link_args,
    )
    for source in sorted(KERNELS.glob("_native_*.pyx"))
]

modules = cythonize(extensions, build_dir="build/cython", language_level=3)
for module in modules:
    module.optional = True  # a failed compilation is a warning: the NumPy twins serve

setup(ext_modules=modules)
