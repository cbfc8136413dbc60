"""Errors of other packages, such as those that Ray passes on: the message for the user in them."""

from __future__ import annotations

import errno
import re
from pathlib import Path

# Ray raises a bare exception for this.
RAY_TIMEOUT = "The current node timed out during startup"
# What torch on a CPU, torch on a GPU, NumPy and Ray say when the memory is full.
NO_MEMORY = re.compile(
    r"can't allocate memory|out of memory|Unable to allocate|running low on memory"
)
# Errors of a disk that nothing in exvad is to blame for.
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def describe_error(error: Exception) -> str | None:
    """Return the message for the user about an error that exvad did not raise itself.

    Args:
        error: the error.

    Returns:
        None if there is no such message, so that it is a defect.
    """
    text = str(error)
    if (message := user_error(text)) is not None:
        return message
    if isinstance(error, MemoryError) or NO_MEMORY.search(text):
        found = next((line.strip() for line in text.splitlines() if NO_MEMORY.search(line)), "")
        return (
            f"the memory is too small{found and f' ({found})'}: lower batch sizes, lengths or "
            "numbers of processes, or use a machine with more"
        )
    return None


def user_error(traceback: str) -> str | None:
    """Return the message for the user in a remote traceback, or None if there is none.

    Args:
        traceback: the text of an exception that Ray passed on.
    """
    if RAY_TIMEOUT in traceback:
        return "Ray did not start in time; this machine may be busy: run the same command again"
    message: str | None = None
    raised_by_exvad = False
    for line in traceback.splitlines():
        if frame := re.match(r'\s*File "(.+)", line \d+', line):
            raised_by_exvad = "exvad" in Path(frame[1]).parts
            continue
        failure = re.match(r"(?:\w+\.)*\w*Error: \[Errno (\d+)\] (.+)$", line.strip())
        if failure is not None and int(failure[1]) in UNWRITABLE:
            message = f"{failure[2]}; make room or rights there and run the same command again"
            continue
        error = re.match(r"(exvad\.[\w.]+Error|ValueError): (.+)$", line.strip())
        # A ValueError of exvad is a message for the user; one of a library is a defect.
        if error is not None and (raised_by_exvad or error[1] != "ValueError"):
            message = error[2]
    return message
