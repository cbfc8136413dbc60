"""Errors that Ray passes on from actors and tasks: find the message meant for the user."""

from __future__ import annotations

import re
from pathlib import Path

# Ray raises a bare exception for this.
RAY_TIMEOUT = "The current node timed out during startup"


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
        error = re.match(r"(exvad\.[\w.]+Error|ValueError): (.+)$", line.strip())
        # A ValueError of exvad is a message for the user; one of a library is a defect.
        if error is not None and (raised_by_exvad or error[1] != "ValueError"):
            message = error[2]
    return message
