"""Work in a process that has no right to write."""

from __future__ import annotations

import os
from collections.abc import Callable


def holds_as_nobody(check: Callable[[], bool]) -> bool:
    """Say whether a check holds in a child process, which is of the user nobody where this one is of root."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            status = 0 if check() else 1
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0
