"""What a preflight found, and checks that wait for a network beside the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

GIB = 2**30
GRACE_SECONDS = 3.0


@dataclass(frozen=True)
class Finding:
    """One thing that a job needs.

    Args:
        what: the thing, such as `llm.model`.
        ok: whether the job can use it.
        detail: what is right, or what is wrong and what to do.
        problem: what is wrong, where a command with settings of its own says what to do; empty for
            the detail.
    """

    what: str
    ok: bool
    detail: str
    problem: str = ""


class PreflightError(ValueError):
    """A job can't succeed; the message names every problem."""

    def __init__(self, findings: list[Finding]) -> None:
        problems = [f"{finding.what}: {finding.detail}" for finding in findings if not finding.ok]
        super().__init__(
            "; ".join(problems) + " (`exvad check` shows all checks, --no-check skips them)"
        )


class BackgroundChecks:
    """Checks in threads of their own that are given up at one common time.

    Args:
        seconds: time for all checks, from now on.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._checks: list[tuple[str, threading.Thread, list[Finding], bool]] = []

    def start(self, what: str, check: Callable[[], Finding], may_be_late: bool = False) -> None:
        """Start a check.

        Args:
            what: what is checked, for the finding if the time is over.
            check: returns the finding.
            may_be_late: whether a check that is given up counts as passed.
        """
        found: list[Finding] = []

        def run() -> None:
            try:
                found.append(check())
            except (ValueError, OSError) as error:  # such as a name that no file can have
                found.append(Finding(what, False, str(error)))

        # Looking up the name of a host can't be interrupted; the process must end all the same.
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self._checks.append((what, thread, found, may_be_late))

    def collect(self) -> list[Finding]:
        """Return the findings in the order of `start`; wait for them until the time is over.

        The caller may have spent that time on checks of its own, so there is always some more.
        """
        deadline = max(self._deadline, time.monotonic() + GRACE_SECONDS)
        findings = []
        for what, thread, found, may_be_late in self._checks:
            thread.join(max(0.0, deadline - time.monotonic()))
            late = f"could not be checked within {self._seconds:.0f} s; try again"
            findings += found[:1] or [Finding(what, may_be_late, late)]
        return findings


def gib(size: float) -> str:
    """Return a number of bytes as text, such as `14.96 GiB`."""
    return f"{size / GIB:.2f} GiB"
