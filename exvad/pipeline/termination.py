"""SIGTERM as an exception, so that a command asked to end cleans up as after Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_INTERRUPTED = 130  # of a command that was interrupted, as of a shell


class TerminatedError(KeyboardInterrupt):
    """The process was asked to end by SIGTERM, as `kill` and Kubernetes do."""


class ReportedInterruptError(KeyboardInterrupt):
    """A command was interrupted, and a process of it has said so to the user."""


@contextmanager
def termination_raised() -> Iterator[None]:
    """Raise the first SIGTERM as an exception in the block; see `raise_termination`."""
    before = signal.getsignal(signal.SIGTERM)
    raise_termination()
    try:
        yield
    finally:
        if _gets_signals():
            # None stands for a handler that Python did not set and can't set again.
            signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def raise_termination() -> None:
    """Raise the next SIGTERM as `TerminatedError`; those after it change nothing.

    Only the main thread gets signals: in another one nothing is done.
    """

    def terminate(*_: object) -> None:
        # Whoever stops a job may ask it and its parent; cleaning up must not be cut short.
        signal.signal(signal.SIGTERM, lambda *_: None)
        raise TerminatedError

    if _gets_signals():
        signal.signal(signal.SIGTERM, terminate)


def _gets_signals() -> bool:
    return threading.current_thread() is threading.main_thread()
