"""Ctrl-C within and outside of a held step."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from hashmatch.cli.interrupts import Interrupts

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a signal sent to oneself ends the process on Windows")


def interrupt() -> None:
    """Send Ctrl-C to this process."""
    os.kill(os.getpid(), signal.SIGINT)


def test_a_held_step_ends_first() -> None:
    """The step runs to its end, then the interrupt counts; the handler is put back."""
    before = signal.getsignal(signal.SIGINT)
    done = []

    def work() -> None:
        with Interrupts() as interrupts:
            for number in range(3):
                with interrupts.held():
                    if number == 1:
                        interrupt()
                    done.append(number)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == [0, 1]
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_between_steps_counts_at_once() -> None:
    """Nothing waits when no step is held."""

    def work() -> None:
        with Interrupts():
            interrupt()
            pytest.fail("the interrupt was swallowed")

    with pytest.raises(KeyboardInterrupt):
        work()


def test_a_failing_step_keeps_its_own_error() -> None:
    """An error within a held step is what the caller sees."""

    def work() -> None:
        with Interrupts() as interrupts, interrupts.held():
            interrupt()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()


def test_other_handlers_stay() -> None:
    """Where somebody ignores Ctrl-C, it stays ignored; in other threads nothing is touched."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    entered = []

    def elsewhere() -> None:
        with Interrupts() as interrupts, interrupts.held():
            entered.append(True)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert entered
    assert signal.getsignal(signal.SIGINT) is before
