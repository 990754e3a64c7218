"""What holds for every test."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from support.canary import OF_THE_RUN


def pytest_configure() -> None:
    """Let Ctrl-C through to child processes: a shell that starts the tests in the background has it ignored."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    OF_THE_RUN.install()


@pytest.fixture(autouse=True)
def nothing_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in which an error, a log record or a command's standard error shows a hash or a delivered name."""
    yield
    if "leaks" not in request.keywords:
        OF_THE_RUN.drain()
    OF_THE_RUN.leaks.clear()
