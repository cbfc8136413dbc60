"""`exvad serve` without a checkpoint, in a process of its own: videos and streams get answers."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from exvad.client import Client
from exvad.data.world import Scene, render_video
from tests.helpers.processes import exvad_command, free_port, stop
from tests.helpers.videos import write_video
from tests.helpers.waiting import holds_within

STARTUP_SECONDS = 200

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_server_without_training_answers_about_videos_and_streams(tmp_path: Path) -> None:
    video = tmp_path / "robbery.mp4"
    render_video(Scene(3, "Robbery", 11, 12), video)
    write_video(tmp_path / "door.ts", 200)
    (tmp_path / "zero.yaml").write_text(
        "clip: {model: 'package:clip'}\nzero_shot: {normal: [people jog here]}\n"
    )
    (tmp_path / "serve.yaml").write_text(f"spool: {tmp_path}/spool\nallowed_root: {tmp_path}\n")
    port, log_path = free_port(), tmp_path / "serve.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            exvad_command("serve", "--checkpoint", "zero.yaml", "--settings", "serve.yaml",
                          "--port", port),
            cwd=tmp_path,
            env={**os.environ, "RAY_TMPDIR": tempfile.mkdtemp(prefix="ray")},
            stdout=log,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        with Client(f"http://127.0.0.1:{port}") as client:
            ready = holds_within(
                STARTUP_SECONDS,
                lambda: process.poll() is not None or "serving on" in read(log_path),
            )
            assert ready, read(log_path)
            assert process.poll() is None, read(log_path)
            analysis = client.wait(client.submit(video).id).require_result()
            assert len(analysis.scores) > 0
            assert "zero-shot" in analysis.model
            stream = client.watch(path="door.ts", name="door", normal=["people wait here"])
            scored = holds_within(60, lambda: client.get_stream(stream.id).score is not None)
            assert scored, client.get_stream(stream.id)
    finally:
        stop(process, gently=True)
    assert "Traceback" not in read(log_path)


def read(path: Path) -> str:
    """Return the text of a log so far."""
    return path.read_text(errors="replace")
