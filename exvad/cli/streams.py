"""Standard output that is closed, full or no longer read: a sentence and an exit code."""

from __future__ import annotations

import errno
import io
import os
import sys

from exvad.cli.exit_codes import FAILED, REFUSED
from exvad.data.storage.errors import reason_of

CLOSED = "standard output is closed; to drop the output, redirect it to /dev/null"


def prepare_streams() -> bool:
    """Connect closed standard streams to nothing; return whether the output was open.

    Otherwise the next file that is opened gets the number of the closed stream, and whatever
    prints without Python would write into that file.
    """
    output_was_open = sys.stdout is not None
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files need not be UTF-8, and the encoding of a terminal may lack characters.
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    return output_was_open


def output_failure(cause: OSError | None = None) -> int | None:
    """Write what is left of the output; return the exit code if that is not possible.

    A reader that has seen enough, such as `head`, is no error to speak of; other reasons are
    printed as a sentence. Later output is dropped, so that Python does not fail over it at exit.

    Args:
        cause: the error that ended the work, if it may be one of the output.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        cause = error
    else:
        if cause is None or cause.filename is not None or cause.errno != errno.EPIPE:
            return None
    _drop_output()
    if cause.errno == errno.EPIPE:
        return FAILED
    print_error(f"the output can't be written ({reason_of(cause)})")
    return REFUSED


def print_error(message: str) -> None:
    """Print a message on standard error, if anyone can read it.

    Args:
        message: a sentence without the name of the program.
    """
    try:
        print(f"exvad: {message}", file=sys.stderr, flush=True)
    except OSError:  # its reader is gone, too, or its disk is full: the exit code remains
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
