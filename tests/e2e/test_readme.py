"""The README's commands and examples about the server, executed as they are printed."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from exvad.config import load_config
from exvad.detector.detector import Detector
from exvad.serving.api.keys import ApiKeys
from exvad.serving.settings import load_settings
from tests.helpers.checkpoints import save_untrained_checkpoint
from tests.helpers.live_server import LiveServer, encode_broadcast
from tests.helpers.rtsp import rtsp_camera
from tests.helpers.videos import write_video

README = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")
SERVER = "localhost:8000"
CAMERA = "rtsp://camera.example/door"
CURL_COMMANDS = re.findall(r"^(curl .+)$", README, re.M)


def run_in_shell(command: str, folder: Path) -> str:
    """Run a command and return its output."""
    completed = subprocess.run(
        command, shell=True, cwd=folder, capture_output=True, text=True, check=True
    )
    return completed.stdout


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveServer]:
    """A server that analyzes videos and watches streams, in a folder with a clip."""
    detector = Detector(save_untrained_checkpoint(tmp_path / "checkpoint"))
    live = LiveServer(tmp_path, detector)
    live.start_worker(detector)
    write_video(tmp_path / "clip.mp4", 48, size=(64, 48))
    yield live
    live.stop()


def test_readme_curl_commands_and_client_example_work(
    live: LiveServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = live.url.removeprefix("http://")

    def curl(command: str) -> str:
        command = command.replace("curl ", "curl -s --max-time 60 ", 1).replace(SERVER, address)
        return run_in_shell(command, tmp_path)

    submit, submit_with_categories, watch_camera, watch_file, follow = CURL_COMMANDS
    assert json.loads(curl(submit))["state"] == "done"
    widened = json.loads(curl(submit_with_categories))
    assert widened["result"]["untrained"] == ["shoplifting"]
    with rtsp_camera(encode_broadcast(), "") as camera:
        stream = json.loads(curl(watch_camera.replace(CAMERA, camera.url)))
        assert stream["state"] == "waiting", stream
        live.wait_for_stream(stream["id"], lambda status: status["seconds"] is not None)
        live.client.delete(f"/v1/streams/{stream['id']}")
    (live.root / "door.ts").write_bytes(encode_broadcast())
    stream_id = json.loads(curl(watch_file))["id"]
    assert "event: ended" in curl(follow.replace("/ID/", f"/{stream_id}/"))

    examples = re.findall(r"```python\n(.+?)```", README, re.S)
    (example,) = [example for example in examples if "exvad.client" in example]
    monkeypatch.chdir(tmp_path)
    exec(compile(example.replace(f"http://{SERVER}", live.url), "README.md", "exec"), {})
    assert "start=" in capsys.readouterr().out


def test_readme_yaml_examples_are_valid(tmp_path: Path) -> None:
    preset, settings = re.findall(r"```yaml\n(.+?)```", README, re.S)
    (tmp_path / "my.yaml").write_text(preset)
    config = load_config(str(tmp_path / "my.yaml"), [])
    assert config.data.kind == "folder"
    assert config.llm.model.startswith("meta-llama/")
    (tmp_path / "serve.yaml").write_text(settings)
    assert load_settings(str(tmp_path / "serve.yaml")).url_networks


def test_readme_hashes_a_key_as_the_server_does(tmp_path: Path) -> None:
    (command,) = re.findall(r"`(printf [^`]+)`", README)
    sha256 = run_in_shell(command.replace("KEY", "s3cret"), tmp_path).split()[0]
    (tmp_path / "keys").write_text(f"submit {sha256}\n")
    assert ApiKeys(tmp_path / "keys").lookup_scope("s3cret") == "submit"
