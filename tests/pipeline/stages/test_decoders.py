"""The decoder of a worker process of a job: confined, long-lived, and its crash costs one video."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from exvad.config import Config, load_config
from exvad.pipeline.stages.decoders import frame_reader, job_decoder
from exvad.video.container import VideoError
from exvad.video.decoder import Decoder, InProcessDecoder
from exvad.video.decoding import read_frames
from exvad.video.sandbox import DecodingProcess
from tests.helpers.videos import draw_index, read_indices, write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("decoders") / "v.mp4", 40)


def configured(mode: str, *settings: str) -> Config:
    return load_config("demo", [f"stages.sandbox={mode}", *settings])


def starter(decoder: Decoder) -> psutil.Process:
    """Return the process that starts those of the requests of one decoder."""
    assert isinstance(decoder, DecodingProcess)
    # Earlier tests of this process may have left sandboxes, whose limits differ.
    command = {"exvad.video.sandbox_child", str(decoder.max_bytes)}
    children = psutil.Process().children()
    (child,) = (child for child in children if command <= set(child.cmdline()))
    (starter,) = child.children()
    return starter


def test_tasks_of_a_worker_process_share_a_confined_decoder(video: Path) -> None:
    decoder = job_decoder(configured("best"))
    assert isinstance(decoder, DecodingProcess)
    assert decoder.confinement().layers
    assert job_decoder(configured("best")) is decoder
    _, chunks = decoder.plan("v", video, 16, 256)
    expected = InProcessDecoder().decode(chunks[0], 24)
    np.testing.assert_array_equal(decoder.decode(chunks[0], 24).frames, expected.frames)
    assert isinstance(job_decoder(configured("off")), InProcessDecoder)


def test_a_crash_fails_one_video_and_the_next_one_is_decoded(video: Path) -> None:
    decoder = job_decoder(configured("best", "data.short_side=1234"))
    decoder.plan("v", video, 16, 256)
    process = starter(decoder)
    process.send_signal(signal.SIGSTOP)
    threading.Timer(0.3, process.kill).start()
    with pytest.raises(VideoError, match="crashed the decoding process"):
        decoder.plan("v", video, 16, 256)
    assert decoder.plan("v", video, 16, 256)[0].num_frames == 40


@pytest.mark.parametrize("mode", ["best", "off"])
def test_single_frames_are_the_same_with_and_without_sandbox(video: Path, mode: str) -> None:
    with frame_reader(configured(mode)) as read:
        (theirs,) = read(video, [0.5], 24)
    np.testing.assert_array_equal(theirs, read_frames(video, [0.5], 24)[0])


@pytest.mark.parametrize("mode", ["best", "off"])
def test_the_frames_of_a_folder_are_counted_at_its_rate(tmp_path: Path, mode: str) -> None:
    for index in range(20):
        Image.fromarray(draw_index(index, (64, 48))).save(tmp_path / f"{index}.png")
    with frame_reader(configured(mode)) as read:
        assert read_indices(read(tmp_path, [1.25, 0.0], 24, 10)) == [12, 0]
