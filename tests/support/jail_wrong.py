"""An inmate for tests that greets the host with nonsense."""

from support.jail_inmates import wrong_main as main

__all__ = ["main"]
