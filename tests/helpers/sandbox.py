"""Programs in place of the sandbox's child process."""

from __future__ import annotations

import sys


def responding(response: str) -> list[str]:
    """Return the command of a program that sends the same response to every request."""
    program = (
        f"import sys\nfor line in sys.stdin: sys.stdout.write({response!r}); sys.stdout.flush()"
    )
    return [sys.executable, "-c", program]
