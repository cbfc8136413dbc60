"""Output that is closed, full or no longer read ends in a sentence and an exit code."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

SHOW, COMPLETION = "config show", "--print-completion bash"


def run_in_shell(arguments: str, redirection: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a shell that redirects its streams."""
    command = f"{shlex.quote(sys.executable)} -m exvad.cli {arguments} {redirection}"
    return subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device of a full disk")
@pytest.mark.parametrize("arguments", [SHOW, COMPLETION])
def test_a_full_disk_is_a_sentence(arguments: str) -> None:
    finished = run_in_shell(arguments, "> /dev/full")
    assert finished.returncode == 2
    assert re.fullmatch(
        r"exvad: the output (or a file )?can't be written \(No space left on device\)\n",
        finished.stderr,
    )


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    for arguments in (SHOW, COMPLETION):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as output:
            finished = subprocess.run(
                [sys.executable, "-m", "exvad.cli", *arguments.split()],
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
                timeout=60,
            )
        assert (finished.returncode, finished.stderr) == (1, "")


def test_closed_output_is_refused_before_the_work() -> None:
    finished = run_in_shell(SHOW, ">&-")
    assert finished.returncode == 2
    assert finished.stderr == (
        "exvad: standard output is closed; to drop the output, redirect it to /dev/null\n"
    )


def test_closed_error_output_and_input_change_nothing() -> None:
    finished = run_in_shell(SHOW, "<&- 2>&-")
    assert finished.returncode == 0
    assert finished.stdout.startswith("run: ")
    assert run_in_shell("config show modle.tau=1", "2>&-").returncode == 2


def test_a_message_may_hold_bytes_that_are_no_text() -> None:
    finished = run_in_shell("config show --preset \"$(printf 'caf\\351')\"", "")
    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr
    assert "caf" in finished.stderr
