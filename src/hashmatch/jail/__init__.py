"""A jail: child processes that can compute and answer, and little else. What they compute is not known here.

`Isolation` says how strict it is, `Protection` what was reached. See ``docs/explanation/isolation.md``.
"""

from hashmatch.jail.options import LEVELS, MEASURES, Isolation, Protection

__all__ = ["LEVELS", "MEASURES", "Isolation", "Protection"]
