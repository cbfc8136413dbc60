"""Jobs in processes of their own, for the commands that run several jobs one after another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from exvad.pipeline.termination import EXIT_INTERRUPTED, ReportedInterruptError, TerminatedError

# What a job may take to end after Ctrl-C, and after it was asked by SIGTERM.
INTERRUPTED_SECONDS, TERMINATED_SECONDS = 5.0, 20.0


class JobFailedError(ValueError):
    """A job of a larger command failed."""


def run_job(verb: str, arguments: Sequence[str]) -> None:
    """Run an `exvad` command in a process of its own, with a private Ray session.

    Args:
        verb: the command, such as `train`.
        arguments: its arguments.

    Raises:
        JobFailedError: the job ended with another exit code than 0.
        KeyboardInterrupt: this process or the job was interrupted; the job has ended, too. It is a
            `ReportedInterruptError` if the job has said so to the user.
    """
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")
    command = [sys.executable, "-m", "exvad.cli", verb, *arguments]
    with subprocess.Popen(command, env=environment) as process:
        try:
            code = process.wait()
        except BaseException as error:
            _end(process, asks=isinstance(error, TerminatedError))
            if isinstance(error, KeyboardInterrupt) and process.returncode == EXIT_INTERRUPTED:
                raise ReportedInterruptError from None
            raise
    if code == EXIT_INTERRUPTED:
        raise ReportedInterruptError
    if code:
        raise JobFailedError(
            f"exvad {verb} {_describe_end(code)}; its messages are above. "
            "Run the same command again to continue from there."
        )


def _end(process: subprocess.Popen[bytes], asks: bool) -> None:
    """Let a job end, so that nothing of it runs on.

    Args:
        process: the job.
        asks: whether to ask it at once. A terminal sends Ctrl-C to the job itself, too.
    """
    patience = 0.0 if asks else INTERRUPTED_SECONDS
    for seconds, stop in ((patience, process.terminate), (TERMINATED_SECONDS, process.kill)):
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            stop()


def _describe_end(code: int) -> str:
    """Return what ended a job, from the return code of its process."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # Python names only the first and the last of the real-time signals
        name = f"signal {-code}"
    return f"was killed ({name})" + (", perhaps for lack of memory" if name == "SIGKILL" else "")
