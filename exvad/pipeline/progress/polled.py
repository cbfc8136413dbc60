"""Progress that is not drawn, but reported from time to time by a thread."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Any

from rich.progress import Progress


class PolledProgress(Progress, ABC):
    """A bar that shows nothing, and whose tasks are reported until it stops, and once then.

    Args:
        every: seconds between two reports.
        options: of `rich.progress.Progress`.
    """

    def __init__(self, every: float, **options: Any) -> None:
        super().__init__(disable=True, **options)
        self.every = every
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @abstractmethod
    def report(self, last: bool) -> None:
        """Report all visible tasks.

        Args:
            last: whether this is the last report.
        """

    def start(self) -> None:
        """Start to report."""
        self._thread.start()

    def stop(self) -> None:
        """Report for the last time and end."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._thread.join()
        self.report(last=True)

    def _run(self) -> None:
        while not self._stopped.wait(self.every):
            self.report(last=False)
