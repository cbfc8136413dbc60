"""Jobs in processes of their own, for the commands that run several jobs one after another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence


class JobFailedError(ValueError):
    """A job of a larger command failed."""


def run_job(verb: str, arguments: Sequence[str]) -> None:
    """Run an `exvad` command in a process of its own, with a private Ray session.

    Args:
        verb: the command, such as `train`.
        arguments: its arguments.

    Raises:
        JobFailedError: the job ended with another exit code than 0.
    """
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")
    finished = subprocess.run(
        [sys.executable, "-m", "exvad.cli", verb, *arguments], env=environment, check=False
    )
    if finished.returncode:
        raise JobFailedError(
            f"exvad {verb} {_describe_end(finished.returncode)}; its messages are above. "
            "Run the same command again to continue from there."
        )


def _describe_end(code: int) -> str:
    """Return what ended a job, from the return code of its process."""
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    return f"was killed ({name})" + (", perhaps for lack of memory" if name == "SIGKILL" else "")
