"""What all jobs share: command line, Ray session, and progress on the terminal."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress

    from exvad.config import Config

console = Console(stderr=True)

# Ray's own chatter would bury what the job has to say; set these to see it.
QUIET = {
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "TQDM_DISABLE": "1",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


class JobParser(argparse.ArgumentParser):
    """A command line whose overrides may stand before, between and after its options."""

    def parse_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """Parse; options and overrides may be mixed."""
        return self.parse_intermixed_args(args, namespace)


def parser(description: str) -> argparse.ArgumentParser:
    """Return the command line every job understands."""
    parser = JobParser(
        description=description,
        epilog="Every setting of the preset can be overridden: section.field=value "
        "(see exvad/config.py).",
    )
    parser.add_argument(
        "--preset", default="demo", help="demo, ucf_crime, xd_violence, or a YAML file"
    )
    parser.add_argument("overrides", nargs="*", metavar="section.field=value")
    return parser


def run(main: Callable[[Sequence[str]], int]) -> None:
    """Run a job's main function and leave with its exit code; user errors are one sentence."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        code = main(sys.argv[1:])
    except ValueError as error:
        _complain(str(error))
        code = 2
    except Exception as error:  # Ray wraps what actors raise in types of its own
        reason = user_error(str(error))
        if reason is None:
            raise
        _complain(reason)
        code = 2
    except KeyboardInterrupt:
        console.print("stopped; run the same command again to go on")
        code = 130
    sys.exit(code)


def user_error(trace: str) -> str | None:
    """Find the sentence meant for the user in what Ray passed on from an actor or task."""
    found: str | None = None
    raised_by_us = False
    for line in trace.splitlines():
        if frame := re.match(r'\s*File "(.+)", line \d+', line):
            raised_by_us = "exvad" in Path(frame[1]).parts
            continue
        error = re.match(r"(exvad\.[\w.]+Error|ValueError): (.+)$", line.strip())
        # A ValueError of ours is a sentence for the user, one of a library is a defect.
        if error is not None and (raised_by_us or error[1] != "ValueError"):
            found = error[2]
    return found


def _complain(sentence: str) -> None:
    console.print("error:", sentence, style="red", highlight=False, soft_wrap=True, markup=False)


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


def configure(arguments: argparse.Namespace) -> Config:
    """Read the configuration a job was called with."""
    from exvad.config import load_config

    return load_config(arguments.preset, arguments.overrides)
