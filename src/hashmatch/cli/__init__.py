"""The command line: ``hashmatch demo | hash | match | scan | list …``.

The only room that prints. Machine-readable output goes to standard output, one JSON object a line; everything meant
for people who watch goes to standard error, so that the two never mix.
"""

from __future__ import annotations

import logging
import sys
import traceback
from contextlib import suppress
from io import TextIOWrapper

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with one of the codes of `Exit`."""
    try:
        # a name that the terminal's encoding lacks must not end a search
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        from hashmatch.cli.app import app

        _show_warnings()
        app()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception:
        # the interpreter would end with 1, which a script reads as "none found"
        with suppress(OSError):
            traceback.print_exc()
        raise SystemExit(2) from None


def _show_warnings() -> None:
    """Show what the library warns of; what became of a picture that ended its worker is in the results."""
    from hashmatch.cli.console import WARNINGS

    handler = logging.StreamHandler()
    handler.set_name(WARNINGS)
    handler.setLevel(logging.WARNING)
    handler.addFilter(lambda record: record.name != "hashmatch.jail")
    logging.getLogger("hashmatch").addHandler(handler)
