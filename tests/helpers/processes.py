"""Processes that tests start, and end with all that they started themselves."""

from __future__ import annotations

import subprocess
from typing import Any

import psutil


def stop(process: subprocess.Popen[Any], gently: bool = True) -> None:
    """End a process and its descendants, and nothing else; without `gently`, by kill -9."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    if gently:
        process.terminate()
        psutil.wait_procs(family, timeout=20)
    for member in family:
        if member.is_running():
            member.kill()
    process.wait(30)
