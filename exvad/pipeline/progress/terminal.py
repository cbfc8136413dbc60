"""Output of the jobs: one console, and one style of progress, with and without a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from exvad.pipeline.progress.lines import ProgressLines

# Names of videos and paths may hold brackets and colons, which are no markup.
console = Console(stderr=True, markup=False, emoji=False)


def progress_bar() -> Progress:
    """Return a progress display: a bar on a terminal, a line a minute elsewhere."""
    if not console.is_terminal:
        return ProgressLines(console)
    return Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
