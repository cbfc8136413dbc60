"""`exvad watch` from end to end: a file that grows, a camera, a broken file, and Ctrl-C."""

from __future__ import annotations

import _thread
import io
import json
import re
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exvad.cli.main import main
from tests.helpers.rtsp import rtsp_camera
from tests.helpers.scene_memory import write_fire_memory
from tests.helpers.videos import write_video

NUM_FRAMES = 160  # ten snippets of 0.64 s
# An alert that begins as soon as alerts may begin, and lasts as long as the stream.
ALWAYS = ["--on", "0", "--off", "0", "--least-seconds", "0"]


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let Ctrl-C interrupt, also where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def footage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A working directory with a memory of scenes; the bytes of a stream."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_fire_memory(tmp_path / "memory.json")
    return write_video(tmp_path / "clip.ts", NUM_FRAMES, size=(64, 48)).read_bytes()


def watch(*arguments: str) -> int:
    """Watch without a checkpoint, by a memory of two scenes."""
    settings = ["--memory", "memory.json", "--set", "clip.model=package:clip"]
    return main(["watch", *arguments, *ALWAYS, *settings])


class Listener(io.StringIO):
    """A standard stream that calls a function when it has received a text.

    Args:
        text: the text.
        action: the function.
    """

    def __init__(self, text: str, action: Any) -> None:
        super().__init__()
        self._text, self._action = text, action

    def write(self, text: str) -> int:
        """Take a text."""
        written = super().write(text)
        if self._action is not None and self._text in self.getvalue():
            action, self._action = self._action, None
            action()
        return written


def test_alerts_of_a_growing_file_are_printed_while_it_grows(
    footage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    door, half = Path("door.ts"), len(footage) // 2
    door.write_bytes(footage[:half])

    def grow() -> None:
        with door.open("ab") as file:
            file.write(footage[half:])

    output, notes = Listener('"began"', grow), io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", notes)
    assert watch("gate=door.ts", "--idle-seconds", "3", "--json") == 0
    records = list(map(json.loads, output.getvalue().splitlines()))
    assert {record["stream"] for record in records} == {"gate"}
    kinds = [record["notice"]["kind"] for record in records if "notice" in record]
    assert (kinds[0], kinds[-1]) == ("connected", "ended")
    began, *_, ended = (record["alert"] for record in records if "alert" in record)
    assert (began["state"], ended["state"], ended["label"]) == ("began", "ended", "Fire")
    assert ended["explanation"]["reason"]
    assert door.read_bytes() == footage
    assert ended["end"] > 5  # the last snippet, which was not there when the alert began
    assert "gate: 1 alert in 0:" in notes.getvalue()


def test_a_file_that_is_no_video_fails_alone(
    footage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("broken.ts").write_text("no video" * 1000)
    assert watch("clip.ts", "broken.ts", "--idle-seconds", "0.2") == 1
    captured = capsys.readouterr()
    assert "clip.ts  alert 1  Fire ends" in captured.out
    assert "broken.ts: can't be read (Invalid data" in captured.err
    assert "broken.ts: no frame was seen" in captured.err
    assert "broken.ts: if this is a finished video, `exvad analyze` may read it" in captured.err
    assert "clip.ts: 1 alert in 0:05.8" in captured.err


def test_ctrl_c_ends_alerts_and_the_watch_of_a_camera_that_refuses_the_password(
    footage: bytes, ctrl_c: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def interrupt() -> None:
        assert begun.wait(60)
        _thread.interrupt_main()

    with rtsp_camera(footage, "viewer:right") as camera:
        output = Listener("Fire begins", begun.set)
        notes = Listener(
            "refuses the user name", threading.Thread(target=interrupt, daemon=True).start
        )
        monkeypatch.setattr(sys, "stdout", output)
        monkeypatch.setattr(sys, "stderr", notes)
        wrong = camera.url.replace("right", "wrong")
        assert watch(f"yard={wrong}", "door=clip.ts") == 130
    began, ended = output.getvalue().splitlines()
    assert "door  alert 1  Fire begins" in began
    assert "door  alert 1  Fire ends" in ended
    assert "yard: the camera refuses the user name or the password; trying" in notes.getvalue()
    assert "yard: no frame was seen\ndoor: 1 alert in 0:0" in notes.getvalue()
    assert "stopped; run" not in notes.getvalue()
    assert "crashed" not in notes.getvalue()


def test_no_stream_is_watched_on_where_the_system_gives_no_thread_for_another(
    footage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def start_first(thread: threading.Thread) -> None:
        if re.fullmatch(r"ThreadPoolExecutor-\d+_1", thread.name):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_first)
    with pytest.raises(RuntimeError, match="can't start"):
        watch("a=clip.ts", "b=clip.ts", "--idle-seconds", "20")
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]
