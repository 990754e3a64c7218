"""The command line: ``hashmatch demo | hash | match | scan | list …``.

The only room that prints. Machine-readable output goes to standard output, one JSON object a line; everything meant
for people who watch goes to standard error, so that the two never mix.
"""

from hashmatch.cli.app import main

__all__ = ["main"]
