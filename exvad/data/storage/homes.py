"""`~` in paths, also for users without a home folder, whom containers often have."""

from __future__ import annotations

import os
from pathlib import Path


def expand_home(path: str | Path) -> Path:
    """Return a path with the home folder in place of `~`; unchanged where there is none."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own fails without a home
