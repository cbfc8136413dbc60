"""`exvad serve` refuses unsafe settings, serves a checkpoint, and stops at Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import IO

import pytest
from ray import serve
from ray.exceptions import ActorDiedError

from exvad.cli.main import main
from exvad.client import Client
from exvad.data.world.render import render_video
from exvad.data.world.scene import Scene
from exvad.pipeline.session import ray_session
from exvad.serving.deployments.server import check_host, check_port, deploy, start_serve
from exvad.serving.settings import ServerSettings
from tests.helpers.checkpoints import save_untrained_checkpoint
from tests.helpers.processes import exvad_command, free_port, stop


def test_a_server_that_does_not_start_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(**_: object) -> None:
        raise ActorDiedError

    monkeypatch.setattr(serve, "start", die)
    monkeypatch.setattr(serve, "shutdown", lambda: None)
    with pytest.raises(ValueError, match="Ray Serve did not start in time"):
        start_serve("127.0.0.1", 0)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "camera-server"])
def test_serve_refuses_other_machines_without_api_keys(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--host", host]) == 2
    assert "set api_keys" in capsys.readouterr().err


def test_serve_refuses_a_port_that_is_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    assert f"--port {port} can't be used" in capsys.readouterr().err


def test_serve_says_whether_the_address_or_the_port_is_wrong(tmp_path: Path) -> None:
    keys = ServerSettings(api_keys=tmp_path / "keys")
    check_host("no.such.invalid", keys)
    with pytest.raises(ValueError, match=r"--host no\.such\.invalid can't be used"):
        check_port("no.such.invalid", 0)
    with pytest.raises(ValueError, match=r"--port 70000: a port is a number up to 65535"):
        check_port("127.0.0.1", 70000)


def test_serve_names_a_missing_settings_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--settings", "no.yaml"]) == 2
    assert "no.yaml does not exist" in capsys.readouterr().err


def read_until(lines: IO[str], text: str) -> str:
    """Return the lines up to the first one that contains a text."""
    read = ""
    for line in lines:
        read += line
        if text in line:
            return read
    raise AssertionError(f"the process has ended: {read}")


@pytest.mark.slow
def test_serve_analyzes_videos_until_ctrl_c(tmp_path: Path) -> None:
    checkpoint = save_untrained_checkpoint(tmp_path / "checkpoint")
    video = tmp_path / "robbery.mp4"
    render_video(Scene(4, "Robbery", 11, 12), video)
    (tmp_path / "serve.yaml").write_text(f"spool: {tmp_path}/spool\n")
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    command = exvad_command(
        "serve", "--port", port, "--checkpoint", checkpoint, "--settings", tmp_path / "serve.yaml"
    )
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            before = read_until(process.stderr, f"serving on http://127.0.0.1:{port}")
            with Client(f"http://127.0.0.1:{port}", retries=8) as client:
                analysis = client.analyze(video, timeout=120)
            assert analysis.explanation is not None
            assert analysis.explanation.category == "Robbery"
            process.send_signal(signal.SIGINT)
            _, after = process.communicate(timeout=60)
        finally:
            if process.poll() is None:
                stop(process)
    assert process.returncode == 0, before + after
    assert "accepted videos are analyzed after the next start" in after


@serve.deployment
class Broken:
    def __init__(self) -> None:
        raise OSError("there are no weights")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Ray, about its own settings
def test_replica_that_cannot_start_is_a_sentence() -> None:
    with ray_session(niceness=0):
        start_serve("127.0.0.1", free_port())
        with pytest.raises(ValueError, match=r"Broken: OSError: there are no weights\)$"):
            deploy(Broken.bind())  # type: ignore[attr-defined]
        serve.shutdown()
