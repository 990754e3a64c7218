#!/usr/bin/env bash
# The tests of the compiled kernels, and the contract of the indexes above them, under a memory checker.
#
#   tests/sanitize.sh [pytest arguments]
#
# Builds the kernels with the compiler's address and undefined-behaviour sanitizers in a temporary folder, leaves the
# installed ones alone, and fails on a read or write outside an array, on undefined arithmetic, and on memory that a
# kernel does not give back. Needs Linux, gcc, and an environment with the extra "test"; PYTHON names its interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/source"
cp -r src pyproject.toml setup.py README.md LICENSE "$work/source/"
find "$work/source" -name '*.so' -delete
HASHMATCH_SANITIZE=address,undefined "$python" -m pip install --quiet --disable-pip-version-check --no-deps \
    --target "$work/site" "$work/source"

# The interpreter is not instrumented, so the checker is loaded before it. What the interpreter itself keeps to its end is
# no fault of a kernel: leaks go to a file, and the ones that a kernel made are looked for there.
checked() {
    LD_PRELOAD=$(gcc -print-file-name=libasan.so) PYTHONPATH="$work/site" PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1 \
        ASAN_OPTIONS="abort_on_error=1:log_path=$work/report" LSAN_OPTIONS="exitcode=0" UBSAN_OPTIONS="print_stacktrace=1" \
        "$python" "$@"
}

checked - <<'PYTHON'
from pathlib import Path

from hashmatch import kernels

assert all(kernels.compiled().values()), f"some kernels were not built: {kernels.compiled()}"
for module in Path(kernels.__file__).parent.glob("native/*.so"):
    assert b"__asan_" in module.read_bytes(), f"{module.name} was built without the checker"
PYTHON

[ $# -gt 0 ] || set -- tests/kernels tests/index/test_contract.py
ended=0
checked -m pytest -q -n 0 -p no:cacheprovider "$@" || ended=$?
for report in "$work"/report*; do
    if [ "$ended" != 0 ] || grep -qE 'hm_|kernels/native' "$report"; then
        cat "$report"
        ended=1
    fi
done
[ "$ended" = 0 ] && echo "No read or write outside, no undefined arithmetic, no leak of a kernel."
exit "$ended"
