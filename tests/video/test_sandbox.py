"""The sandbox: the same frames as in this process, and limits on what a file can do."""

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

from exvad.data.storage.errors import StorageError
from exvad.data.world import Scene, render_video
from exvad.video.chunks import Chunk, plan_chunks
from exvad.video.container import VideoError
from exvad.video.decoding import decode_chunk, read_frames
from exvad.video.sandbox import DecodingProcess
from tests.helpers.object_store import Faults, object_store
from tests.helpers.sandbox import responding

MIB = 2**20


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sandbox") / "a.mp4"
    render_video(Scene(1, "Arson", min_snippets=11, max_snippets=13), path)
    return path


@pytest.fixture
def sandbox() -> Iterator[DecodingProcess]:
    with DecodingProcess(seconds=20) as sandbox:
        yield sandbox


def sandbox_child(sandbox: DecodingProcess) -> psutil.Process:
    """Return the process that starts those of the requests; there is only one."""
    assert sandbox._process is not None
    (child,) = psutil.Process(sandbox._process.pid).children()
    return child


def test_plan_and_decode_return_what_this_process_does(
    video: Path, sandbox: DecodingProcess
) -> None:
    info, chunks = sandbox.plan("a", video, 16, 5)
    assert (info, chunks) == plan_chunks("a", video, 16, 5)
    assert len(chunks) > 1
    for chunk in chunks:
        theirs, ours = sandbox.decode(chunk, 90), decode_chunk(chunk, 90)
        np.testing.assert_array_equal(theirs.frames, ours.frames)
        np.testing.assert_array_equal(theirs.times, ours.times)
        assert theirs.problems == ours.problems


def test_read_frames_returns_what_this_process_does(video: Path, sandbox: DecodingProcess) -> None:
    times = [3.2, 0.0, 99.0]
    for theirs, ours in zip(
        sandbox.read_frames(video, times, 60), read_frames(video, times, 60), strict=True
    ):
        np.testing.assert_array_equal(theirs, ours)
    with pytest.raises(VideoError, match="no such file"):
        sandbox.read_frames(video.with_name("none.mp4"), times)
    with (
        DecodingProcess(command=responding('{"shapes": [[9, 9, 4]]}\n')) as liar,
        pytest.raises(VideoError, match="invalid response"),
    ):
        liar.read_frames(video, [0.0])


def test_plan_refuses_a_file_with_the_same_message(
    tmp_path: Path, sandbox: DecodingProcess
) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("no video\n" * 99)
    with pytest.raises(VideoError) as theirs:
        sandbox.plan("text", path, 16, 256)
    with pytest.raises(VideoError) as ours:
        plan_chunks("text", path, 16, 256)
    assert str(theirs.value) == str(ours.value)


def test_one_process_serves_many_files_and_ends_with_the_sandbox(video: Path) -> None:
    with DecodingProcess() as sandbox:
        for _ in range(3):
            sandbox.plan("a", video, 16, 256)
        child = sandbox_child(sandbox)
    assert not child.is_running()


def test_a_crash_costs_one_file_and_the_next_gets_a_new_process(
    video: Path, sandbox: DecodingProcess
) -> None:
    _, chunks = sandbox.plan("a", video, 16, 256)
    child = sandbox_child(sandbox)
    child.kill()
    child.wait()
    assert len(sandbox.decode(chunks[0]).frames) == chunks[0].num_snippets, (
        "there was no request in progress"
    )
    child = sandbox_child(sandbox)
    child.send_signal(signal.SIGSTOP)
    threading.Timer(0.3, child.kill).start()
    with pytest.raises(VideoError, match="decoding crashed the decoding process"):
        sandbox.decode(chunks[0])
    assert len(sandbox.decode(chunks[0]).frames) == chunks[0].num_snippets


def test_decode_stops_after_its_time_limit(video: Path) -> None:
    with DecodingProcess(seconds=1) as sandbox:
        _, chunks = sandbox.plan("a", video, 16, 256)
        child = sandbox_child(sandbox)
        child.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(VideoError, match="longer than 1 s"):
            sandbox.decode(chunks[0])
        assert time.monotonic() - began < 4
        assert not child.is_running()


def test_decode_stops_at_its_memory_limit(video: Path) -> None:
    with DecodingProcess(max_bytes=400 * MIB) as sandbox:
        _, chunks = sandbox.plan("a", video, 1, 4000)
        with pytest.raises(VideoError, match=r"needs more than 0\.4 GiB|crashed|memory"):
            sandbox.decode(_many(chunks[0], 40_000))
        assert len(sandbox.decode(chunks[0]).frames)


def _many(chunk: Chunk, count: int) -> Chunk:
    """Return the chunk with so many snippets that its frames fill the memory."""
    return Chunk(**{**chunk.to_row(), "times": (0.0,) * count, "pts": (), "seeks": ()})


def test_requests_of_several_threads_wait_for_each_other(
    video: Path, sandbox: DecodingProcess
) -> None:
    _, chunks = sandbox.plan("a", video, 16, 4)
    decoded: dict[int, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = {}

    def decode(number: int) -> None:
        decoded[number] = sandbox.decode(chunks[number % len(chunks)], 90).frames

    threads = [threading.Thread(target=decode, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, frames in decoded.items():
        np.testing.assert_array_equal(frames, decode_chunk(chunks[number % len(chunks)], 90).frames)
    assert len(decoded) == 8


def test_the_child_has_no_secrets_in_its_environment(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    with DecodingProcess() as sandbox:
        sandbox.plan("a", video, 16, 256)
        child = sandbox_child(sandbox)
        assert "hunter2" not in Path(f"/proc/{child.pid}/environ").read_text()


def test_a_video_in_a_bucket_is_read_by_the_parent(video: Path, sandbox: DecodingProcess) -> None:
    with object_store() as bucket:
        uri = bucket.put("a.mp4", video.read_bytes())
        info, chunks = sandbox.plan("a", uri, 16, 5)
        assert (info, chunks) == plan_chunks("a", uri, 16, 5)
        for chunk in chunks:
            theirs, ours = sandbox.decode(chunk, 90), decode_chunk(chunk, 90)
            np.testing.assert_array_equal(theirs.frames, ours.frames)
        with pytest.raises(VideoError, match="no such file"):
            sandbox.plan("a", bucket.url("none.mp4"), 16, 5)
        bucket.proxy.faults = [Faults("403", 99)]
        with pytest.raises(StorageError, match=r"a\.mp4"):
            sandbox.decode(chunks[0], 90)
    with pytest.raises(VideoError, match="web address"):
        sandbox.plan("a", "https://example.com/a.mp4", 16, 256)


@pytest.mark.parametrize(
    "response",
    [
        "rubbish\n",
        "[]\n",
        "{}\n",
        json.dumps({"shape": [10**6, 10**6, 10**6, 3], "times": [], "problems": []}) + "\n",
        json.dumps({"shape": [1, 2, 2, 3], "times": [0.0], "problems": []}) + "\n" + "x" * 99,
        json.dumps({"read": [0, 10]}) + "\n",
        json.dumps({"shape": [-1, 2, 2, 3], "times": [0.0], "problems": 3}) + "\n",
        "x" * 99,
    ],
)
def test_responses_of_a_compromised_child_are_refused(video: Path, response: str) -> None:
    _, chunks = plan_chunks("a", video, 16, 256)
    with (
        DecodingProcess(seconds=1, command=responding(response)) as sandbox,
        pytest.raises(VideoError, match=r"invalid response|longer than"),
    ):
        sandbox.decode(chunks[0])


def test_the_child_exits_with_its_parent(video: Path, tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        "import sys, time\n"
        "from exvad.video.sandbox import DecodingProcess\n"
        "sandbox = DecodingProcess()\n"
        "sandbox.plan('a', sys.argv[1], 16, 256)\n"
        "print(sandbox._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with subprocess.Popen(
        [sys.executable, program, video], stdout=subprocess.PIPE, env=environment
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        child.wait(timeout=10)
