"""An inmate for tests that is hardly shut in."""

from support.jail_inmates import open_main as main

__all__ = ["main"]
