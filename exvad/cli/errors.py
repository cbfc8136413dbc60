"""From what Ray reports about a failed actor or task to the sentence meant for the user."""

from __future__ import annotations

import re
from pathlib import Path


def user_error(trace: str) -> str | None:
    """Return the sentence for the user in a remote traceback, or None if there is none.

    Args:
        trace: the text of an exception that Ray passed on.
    """
    sentence: str | None = None
    raised_by_us = False
    for line in trace.splitlines():
        if frame := re.match(r'\s*File "(.+)", line \d+', line):
            raised_by_us = "exvad" in Path(frame[1]).parts
            continue
        error = re.match(r"(exvad\.[\w.]+Error|ValueError): (.+)$", line.strip())
        # A ValueError of ours is a sentence for the user, one of a library is a defect.
        if error is not None and (raised_by_us or error[1] != "ValueError"):
            sentence = error[2]
    return sentence
