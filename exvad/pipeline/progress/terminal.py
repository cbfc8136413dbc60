"""Output of the jobs: one console, and one style of progress, with and without a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from exvad.pipeline.progress.lines import ProgressLines

# Names of videos and paths may hold brackets and colons, which are no markup.
console = Console(stderr=True, markup=False, emoji=False)


_made_by: ContextVar[Callable[[], Progress] | None] = ContextVar("made_by", default=None)


@contextmanager
def bars_made_by(make: Callable[[], Progress]) -> Iterator[None]:
    """Make `progress_bar` return what a function makes, inside the block and in this thread.

    Args:
        make: returns a new progress display.
    """
    token = _made_by.set(make)
    try:
        yield
    finally:
        _made_by.reset(token)


def progress_bar() -> Progress:
    """Return a progress display: a bar on a terminal, a line a minute elsewhere."""
    if (make := _made_by.get()) is not None:
        return make()
    if not console.is_terminal:
        return ProgressLines(console)
    return Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
