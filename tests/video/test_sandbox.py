"""Decoding in a process of its own: the same pictures, and nothing that a file can do to us."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from exvad.data.world import Scene, render_video
from exvad.video.chunks import Chunk, plan_chunks
from exvad.video.container import VideoError
from exvad.video.decoding import decode_chunk, read_frames
from exvad.video.sandbox import DecodingProcess

MIB = 2**20


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sandbox") / "a.mp4"
    render_video(Scene(1, "Arson", min_snippets=11, max_snippets=13), path)
    return path


@pytest.fixture
def box() -> Iterator[DecodingProcess]:
    with DecodingProcess(seconds=20) as box:
        yield box


def children() -> list[psutil.Process]:
    return psutil.Process().children()


def speaking(words: str) -> list[str]:
    """A program that answers every question with these words."""
    program = f"import sys\nfor line in sys.stdin: sys.stdout.write({words!r}); sys.stdout.flush()"
    return [sys.executable, "-c", program]


def test_plan_and_pictures_are_those_of_this_process(video: Path, box: DecodingProcess) -> None:
    info, chunks = box.plan("a", video, 16, 5)
    assert (info, chunks) == plan_chunks("a", video, 16, 5)
    assert len(chunks) > 1
    for chunk in chunks:
        theirs, ours = box.decode(chunk, 90), decode_chunk(chunk, 90)
        np.testing.assert_array_equal(theirs.frames, ours.frames)
        np.testing.assert_array_equal(theirs.times, ours.times)
        assert theirs.problems == ours.problems


def test_frames_are_those_of_this_process(video: Path, box: DecodingProcess) -> None:
    times = [3.2, 0.0, 99.0]
    for theirs, ours in zip(
        box.frames(video, times, 60), read_frames(video, times, 60), strict=True
    ):
        np.testing.assert_array_equal(theirs, ours)
    with pytest.raises(VideoError, match="no such file"):
        box.frames(video.with_name("none.mp4"), times)
    with (
        DecodingProcess(command=speaking('{"shapes": [[9, 9, 4]]}\n')) as liar,
        pytest.raises(VideoError, match="nonsense"),
    ):
        liar.frames(video, [0.0])


def test_what_is_no_video_is_refused_in_the_same_words(
    tmp_path: Path, box: DecodingProcess
) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("no video\n" * 99)
    with pytest.raises(VideoError) as theirs:
        box.plan("text", path, 16, 256)
    with pytest.raises(VideoError) as ours:
        plan_chunks("text", path, 16, 256)
    assert str(theirs.value) == str(ours.value)


def test_one_process_serves_many_files_and_is_gone_afterwards(video: Path) -> None:
    before = {child.pid for child in children()}
    with DecodingProcess() as box:
        for _ in range(3):
            box.plan("a", video, 16, 256)
        (own,) = [child for child in children() if child.pid not in before]
    assert not own.is_running()


def test_a_death_costs_one_file_and_the_next_gets_a_new_process(
    video: Path, box: DecodingProcess
) -> None:
    _, chunks = box.plan("a", video, 16, 256)
    (own,) = [child for child in children() if "sandbox_child" in " ".join(child.cmdline())]
    own.kill()
    own.wait()
    assert len(box.decode(chunks[0]).frames) == chunks[0].num_snippets, "nothing was under way"
    (own,) = [child for child in children() if "sandbox_child" in " ".join(child.cmdline())]
    own.send_signal(signal.SIGSTOP)
    threading.Timer(0.3, own.kill).start()
    with pytest.raises(VideoError, match="died of it"):
        box.decode(chunks[0])
    assert len(box.decode(chunks[0]).frames) == chunks[0].num_snippets


def test_what_takes_too_long_is_given_up(video: Path) -> None:
    with DecodingProcess(seconds=1) as box:
        _, chunks = box.plan("a", video, 16, 256)
        (own,) = [child for child in children() if "sandbox_child" in " ".join(child.cmdline())]
        own.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(VideoError, match="longer than 1 s"):
            box.decode(chunks[0])
        assert time.monotonic() - began < 4
        assert not own.is_running()


def test_what_needs_too_much_memory_is_given_up(video: Path) -> None:
    with DecodingProcess(max_bytes=400 * MIB) as box:
        _, chunks = box.plan("a", video, 1, 4000)
        with pytest.raises(VideoError, match=r"needs more than 0\.4 GiB|died of it|memory"):
            box.decode(_many(chunks[0], 40_000))
        assert len(box.decode(chunks[0]).frames)


def _many(chunk: Chunk, count: int) -> Chunk:
    """A chunk of so many snippets that their pictures fill the memory."""
    return Chunk(**{**chunk.to_row(), "times": (0.0,) * count, "pts": (), "seeks": ()})


def test_questions_from_several_threads_wait_for_each_other(
    video: Path, box: DecodingProcess
) -> None:
    _, chunks = box.plan("a", video, 16, 4)
    found: dict[int, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = {}

    def decode(number: int) -> None:
        found[number] = box.decode(chunks[number % len(chunks)], 90).frames

    threads = [threading.Thread(target=decode, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, frames in found.items():
        np.testing.assert_array_equal(frames, decode_chunk(chunks[number % len(chunks)], 90).frames)
    assert len(found) == 8


def test_secrets_stay_here(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    with DecodingProcess() as box:
        box.plan("a", video, 16, 256)
        (own,) = [child for child in children() if "sandbox_child" in " ".join(child.cmdline())]
        assert "hunter2" not in Path(f"/proc/{own.pid}/environ").read_text()


def test_only_local_files_are_taken(box: DecodingProcess) -> None:
    with pytest.raises(ValueError, match="only local files"):
        box.plan("a", "s3://bucket/a.mp4", 16, 256)


@pytest.mark.parametrize(
    "words",
    [
        "rubbish\n",
        "[]\n",
        "{}\n",
        json.dumps({"shape": [10**6, 10**6, 10**6, 3], "times": [], "problems": []}) + "\n",
        json.dumps({"shape": [1, 2, 2, 3], "times": [0.0], "problems": []}) + "\n" + "x" * 99,
        json.dumps({"shape": [-1, 2, 2, 3], "times": [0.0], "problems": 3}) + "\n",
        "x" * 99,
    ],
)
def test_a_process_that_was_taken_over_can_only_talk_nonsense(video: Path, words: str) -> None:
    _, chunks = plan_chunks("a", video, 16, 256)
    with (
        DecodingProcess(seconds=1, command=speaking(words)) as box,
        pytest.raises(VideoError, match=r"nonsense|longer than"),
    ):
        box.decode(chunks[0])


def test_it_ends_with_its_parent(video: Path, tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        "import sys, time\n"
        "from exvad.video.sandbox import DecodingProcess\n"
        "box = DecodingProcess()\n"
        "box.plan('a', sys.argv[1], 16, 256)\n"
        "print(box._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    with subprocess.Popen(
        [sys.executable, program, video], stdout=subprocess.PIPE, env=environment
    ) as parent:
        assert parent.stdout is not None
        own = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        own.wait(timeout=10)
