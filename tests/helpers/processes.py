"""Processes that tests start: the `exvad` command, free ports, and stopping of what was started."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]


def exvad_command(*arguments: object) -> list[str]:
    """Return the command line of an `exvad` verb."""
    return [sys.executable, "-m", "exvad.cli", *map(str, arguments)]


def run_exvad(
    *arguments: object,
    folder: Path = ROOT,
    timeout: float = 580,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run an `exvad` verb to its end; stop it with all its processes if it takes too long.

    Args:
        arguments: the verb and its arguments.
        folder: the working folder.
        timeout: seconds.
        environment: variables to add to those of the tests.
    """
    command = exvad_command(*arguments)
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            stop(process, gently=False)
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def free_port() -> int:
    """Return a TCP port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def descendants_named(process: subprocess.Popen[Any], name: str) -> list[psutil.Process]:
    """Return the running descendants of a process that have a name in their command line."""
    named = []
    for member in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            if name in " ".join(member.cmdline()):
                named.append(member)
    return named


def stop(process: subprocess.Popen[Any], gently: bool = True) -> None:
    """Stop a process and its descendants, and nothing else.

    Args:
        process: the process.
        gently: whether to send SIGTERM first; otherwise only SIGKILL.
    """
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    if gently:
        process.terminate()
        psutil.wait_procs(family, timeout=20)
    for member in family:
        if member.is_running():
            member.kill()
    process.wait(30)
