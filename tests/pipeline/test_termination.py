"""SIGTERM ends a command as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from exvad.pipeline.termination import TerminatedError, raise_termination, termination_raised


def terminate() -> None:
    """Send SIGTERM to this process."""
    os.kill(os.getpid(), signal.SIGTERM)


def test_the_first_sigterm_is_raised_and_the_cleaning_up_is_left_alone() -> None:
    before, cleaned = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        try:
            terminate()
        finally:
            terminate()
            cleaned.append(True)

    with pytest.raises(TerminatedError), termination_raised():
        work()
    assert cleaned == [True]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_library_that_sets_a_handler_of_its_own_is_overruled() -> None:
    with termination_raised():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise_termination()
        with pytest.raises(TerminatedError):
            terminate()


def test_in_other_threads_than_the_main_one_nothing_is_done() -> None:
    before, entered = signal.getsignal(signal.SIGTERM), []

    def enter() -> None:
        with termination_raised():
            entered.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [before]
