"""What all jobs share: the Ray session and progress on the terminal."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress


console = Console(stderr=True)


@contextmanager
def chatter_hidden() -> Iterator[None]:
    """Hide what Ray prints as it starts and ends; its errors come as exceptions all the same."""
    kept = {stream: os.dup(number) for number, stream in ((1, sys.stdout), (2, sys.stderr))}
    for stream in kept:
        stream.flush()
    with Path(os.devnull).open("w") as nowhere:
        for number in (1, 2):
            os.dup2(nowhere.fileno(), number)
        try:
            yield
        finally:
            for number, (stream, own) in enumerate(kept.items(), 1):
                stream.flush()
                os.dup2(own, number)
                os.close(own)


@contextmanager
def ray_session() -> Iterator[None]:
    """Join the cluster a job was submitted to, or start a private one on this machine.

    Without RAY_ADDRESS a Ray cluster that happens to run here is left alone.
    """
    import ray
    import ray.data

    address = os.environ.get("RAY_ADDRESS", "local")
    private = {"include_dashboard": False} if address == "local" else {}
    with chatter_hidden():
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **private)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield
    finally:
        ray.shutdown()


def progress_bar() -> Progress:
    """Return a progress display for the terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
