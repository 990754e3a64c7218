"""``hashmatch info``: what is installed, which kernels serve, and how far a worker process is protected."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from hashmatch._version import __version__
from hashmatch.cli.console import OUT, emit
from hashmatch.cli.interpreter import loader_variables
from hashmatch.errors import IsolationError
from hashmatch.features.isolated import IsolatedReader
from hashmatch.jail import Isolation
from hashmatch.kernels import broken, compiled
from hashmatch.picture import DecodePolicy
from hashmatch.picture.codecs import codec_versions
from hashmatch.profiles import STANDARD

__all__ = ["info"]

_PACKAGES: Final = ("numpy", "scipy", "pillow", "imagehash", "pillow-heif")


def info(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show versions, codecs, kernels, and the protection that a worker process reaches on this machine.

    Starts one worker process to find out.

    Exit code: 0, or 2 an error.

    Example: hashmatch info --json
    """
    found = gathered()
    if as_json:
        emit(found)
        return
    for line in _lines(found):
        OUT.print(Text(line), soft_wrap=True)


def gathered() -> dict[str, Any]:
    """Find everything out; JSON-ready."""
    try:
        reader = IsolatedReader(STANDARD, Isolation(workers=1, environment=loader_variables()))
    except IsolationError as error:
        protection: dict[str, Any] = {"error": str(error)}
    else:
        protection = reader.protection.to_dict() | {"host_memory": reader.protection.keeps_host_memory}
        reader.close()
    policy = DecodePolicy()
    return {
        "hashmatch": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version_of(name) for name in _PACKAGES},
        "codecs": codec_versions(),
        "kernels": {name: "compiled" if built else "NumPy" for name, built in compiled().items()}
        | {name: f"NumPy, as the compiled one does not load: {reason}" for name, reason in broken().items()},
        "decode": {
            "contract": policy.contract,
            "formats": list(policy.allowed),
            "in_worker": list(policy.in_worker().allowed),
        },
        "protection": protection,
    }


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _lines(found: dict[str, Any]) -> list[str]:
    """Write it for people."""
    packages = ", ".join(f"{name} {number or '(not installed)'}" for name, number in found["packages"].items())
    codecs = ", ".join(f"{name} {number or '(missing)'}" for name, number in found["codecs"].items())
    kernels = ", ".join(f"{name} {state}" for name, state in found["kernels"].items())
    decode, protection = found["decode"], found["protection"]
    if "error" in protection:
        held, missing = "none", protection["error"]
    else:
        held, missing = ", ".join(protection["measures"]) or "none", ", ".join(protection["missing"])
        held = f"{protection['level']}: {held}"
    return [
        f"hashmatch {found['hashmatch']}, Python {found['python']}, {found['system']}",
        f"packages: {packages}",
        f"codecs: {codecs}",
        f"kernels: {kernels}",
        f"pixel contract {decode['contract']}; formats allowed by default: {', '.join(decode['formats'])}"
        f"; in a worker process also: {', '.join(sorted({*decode['in_worker']} - {*decode['formats']}))}",
        f"protection of a worker process: {held}" + (f"; not: {missing}" if missing else ""),
        *_warnings(protection),
    ]


def _warnings(protection: dict[str, Any]) -> list[str]:
    if protection.get("host_memory", True):
        return []
    return ["WARNING: a worker process that a picture has taken over can read the memory of its host here"]
