"""The README's commands and lines about the server, run as they are printed."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exvad.config import load_config
from exvad.detector.detector import Detector
from exvad.serving.api.keys import SCOPES, Keys
from exvad.serving.queue.analyses import Queue
from exvad.serving.settings import load_settings
from exvad.serving.workers.analysis_worker import Worker
from tests.helpers.checkpoints import save
from tests.helpers.live_server import Live, broadcast
from tests.helpers.rtsp import rtsp_camera
from tests.helpers.videos import write_video

README = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")
CURLS = re.findall(r"^(curl .+)$", README, re.M)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A server that watches and analyzes, with a clip beside it."""
    detector = Detector(save(tmp_path / "checkpoint"))
    live = Live(tmp_path, detector)
    queue = Queue(live.server.settings.database_path)
    worker = Worker(detector, queue, live.server.settings)
    thread = threading.Thread(target=worker.run, args=(live.server.stopped,), daemon=True)
    thread.start()
    live.server.threads.append(thread)
    write_video(tmp_path / "clip.mp4", 48, size=(64, 48))
    yield live
    live.end()


def test_the_commands_and_the_python_lines_work(
    live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = live.server.url.removeprefix("http://")

    def run(command: str) -> str:
        quiet = command.replace("curl ", "curl -s --max-time 60 ", 1)
        told = subprocess.run(
            quiet.replace("localhost:8000", address),
            shell=True, cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return told.stdout

    submit, widen, watch, watch_file, follow = CURLS
    assert json.loads(run(submit))["state"] == "done"
    assert json.loads(run(widen))["result"]["untrained"] == ["shoplifting"]
    with rtsp_camera(broadcast(), "") as camera:
        begun: dict[str, Any] = json.loads(
            run(watch.replace("rtsp://camera.example/door", camera.url))
        )
        assert begun["state"] == "waiting", begun
        live.until(begun["id"], lambda found: found["seconds"] is not None)
        live.http.delete(f"/v1/streams/{begun['id']}")
    (live.root / "door.ts").write_bytes(broadcast())
    number = json.loads(run(watch_file))["id"]
    assert "event: ended" in run(follow.replace("/ID/", f"/{number}/"))

    (lines,) = re.findall(r"```python\n(.+?)```", README, re.S)
    monkeypatch.chdir(tmp_path)
    exec(compile(lines.replace("http://localhost:8000", live.server.url), "README.md", "exec"), {})
    assert "start=" in capsys.readouterr().out


def test_the_yaml_examples_are_ones_the_project_knows(tmp_path: Path) -> None:
    preset, settings = re.findall(r"```yaml\n(.+?)```", README, re.S)
    (tmp_path / "my.yaml").write_text(preset)
    config = load_config(str(tmp_path / "my.yaml"), [])
    assert config.data.kind == "folder"
    assert config.llm.model.startswith("meta-llama/")
    (tmp_path / "serve.yaml").write_text(settings)
    assert load_settings(str(tmp_path / "serve.yaml")).url_networks


def test_the_hash_of_a_key_is_what_the_server_looks_for(tmp_path: Path) -> None:
    (command,) = re.findall(r"`(printf [^`]+)`", README)
    told = subprocess.run(
        command.replace("KEY", "s3cret"), shell=True, capture_output=True, text=True, check=True
    )
    (tmp_path / "keys").write_text(f"submit {told.stdout.split()[0]}\n")
    assert Keys(tmp_path / "keys").rank("s3cret") == SCOPES.index("submit")
