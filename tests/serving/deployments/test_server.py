"""`exvad serve`: refuses what is unsafe, serves what is asked, and ends on Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from exvad.cli.main import main
from exvad.client import Client
from exvad.data.world.render import render_video
from exvad.data.world.scene import Scene
from tests.helpers.checkpoints import save
from tests.helpers.processes import stop


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "camera-server"])
def test_other_machines_are_let_in_only_with_keys(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--host", host]) == 2
    assert "set api_keys" in capsys.readouterr().err


def test_a_settings_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--settings", "no.yaml"]) == 2
    assert "no.yaml does not exist" in capsys.readouterr().err


def said_until(lines: IO[str], wanted: str) -> str:
    """Return what is said up to a line that holds what is wanted."""
    said = ""
    for line in lines:
        said += line
        if wanted in line:
            return said
    raise AssertionError(f"it has ended: {said}")


@pytest.mark.slow
def test_a_checkpoint_is_served_until_ctrl_c(tmp_path: Path) -> None:
    checkpoint, video = save(tmp_path / "checkpoint"), tmp_path / "robbery.mp4"
    render_video(Scene(4, "Robbery", 11, 12), video)
    (tmp_path / "serve.yaml").write_text(f"spool: {tmp_path}/spool\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    command = [
        sys.executable, "-m", "exvad.cli.main", "serve", "--port", str(port),
        "--checkpoint", str(checkpoint), "--settings", str(tmp_path / "serve.yaml"),
    ]  # fmt: skip
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            before = said_until(process.stderr, f"serving on http://127.0.0.1:{port}")
            with Client(f"http://127.0.0.1:{port}", retries=8) as client:
                answer = client.analyze(video, timeout=120)
            assert answer.explanation is not None
            assert answer.explanation.category == "Robbery"
            process.send_signal(signal.SIGINT)
            _, after = process.communicate(timeout=60)
        finally:
            if process.poll() is None:
                stop(process)
    assert process.returncode == 0, before + after
    assert "taken up at the next start" in after
