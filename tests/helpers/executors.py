"""An executor of which a test decides when it works."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class ManualExecutor(Executor):
    """Runs the submitted call when it is told to."""

    def __init__(self) -> None:
        self.future: Future[Any] = Future()
        self.call: Callable[[], Any] | None = None

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.future, self.call = Future(), lambda: function(*args, **kwargs)
        return self.future

    def run(self) -> None:
        assert self.call is not None
        self.future.set_result(self.call())
