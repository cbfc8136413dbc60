"""Snippets: every n-th frame, or one in every so many seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exvad.video.chunks import Chunk, plan_chunks
from exvad.video.footage.sampling import Sampling
from exvad.video.sandbox import DecodingProcess
from tests.helpers.videos import decode_video, write_video


def test_frames_are_counted_without_a_duration() -> None:
    assert Sampling(16).choose(np.arange(40) / 25).tolist() == [0, 16, 32]


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(5, [0, 4, 7, 10, 13]), (25, [0, 16, 32, 48, 64]), (30, [0, 20, 39, 58, 77])],
)
def test_a_snippet_begins_with_the_first_frame_at_or_after_its_time(
    fps: int, expected: list[int]
) -> None:
    seconds = np.array([index / fps for index in range(3 * fps)])
    assert Sampling(16, 0.64).choose(seconds).tolist() == expected
    rounded = np.array([round(second, 3) for second in seconds.tolist()])
    assert Sampling(16, 0.64).choose(rounded).tolist() == expected


def test_without_frames_there_are_no_snippets() -> None:
    seconds = np.array([0, 0.5, 1.0, 601.2, 601.4, 602.1])
    assert Sampling(16, 0.5).choose(seconds).tolist() == [0, 1, 2, 3, 5]
    slow = np.array([0, 2.0, 4.0, 6.0, 8.0])
    assert Sampling(16, 0.5).choose(slow).tolist() == [0, 1, 2, 3, 4]


@given(
    st.lists(st.floats(0.002, 3), min_size=1, max_size=60),
    st.integers(1, 20),
    st.just(0.0) | st.floats(0.01, 5),
)
def test_frames_that_arrive_one_by_one_are_chosen_alike(
    steps: list[float], stride: int, duration: float
) -> None:
    seconds = np.cumsum([0.0, *steps])
    sampling = Sampling(stride, duration)
    newest, chosen = -1, []
    for index, time in enumerate(seconds.tolist()):
        if (snippet := sampling.snippet_of(index, time)) > newest:
            newest = snippet
            chosen.append(index)
    assert chosen == sampling.choose(seconds).tolist()
    assert chosen[0] == 0


@pytest.mark.parametrize(("stride", "seconds"), [(0, 0.0), (16, -1.0), (16, float("nan"))])
def test_a_snippet_of_no_length_is_refused(stride: int, seconds: float) -> None:
    with pytest.raises(ValueError, match="give at least 1 frame"):
        Sampling(stride, seconds)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.ts"])
def test_a_snippet_means_the_same_at_every_rate(tmp_path: Path, name: str) -> None:
    """The same ten seconds at 25 and at 5 frames per second have snippets at the same times."""
    counts, times = {}, {}
    for fps in (25, 5):
        folder = tmp_path / str(fps)
        folder.mkdir()
        path = write_video(folder / name, 10 * fps, fps=fps)
        info, chunks = plan_chunks("clip", path, 16, 4, 0.8)
        times[fps] = [time for chunk in chunks for time in chunk.times]
        counts[fps] = [index for chunk in chunks for index in chunk.frame_indices]
        assert all(Chunk.from_row(chunk.to_row()) == chunk for chunk in chunks)
        with DecodingProcess() as process:
            assert process.plan("clip", path, 16, 4, 0.8) == (info, chunks)
    assert counts[25] == list(range(0, 250, 20))
    assert counts[5] == list(range(0, 50, 4))
    assert times[5] == pytest.approx(times[25], abs=1e-3)
    assert len(decode_video(tmp_path / "25" / name, 16)[0]) == 16, "frames are still counted"


def test_chunks_of_seconds_are_decoded(tmp_path: Path) -> None:
    milliseconds = np.cumsum([0, *[40] * 30, *[400] * 20]).tolist()
    path = write_video(tmp_path / "clip.mkv", 51, milliseconds=milliseconds)
    expected = Sampling(16, 0.5).choose(np.array(milliseconds) / 1000).tolist()
    indices, times, problems, _ = decode_video(path, 16, 3, stride_seconds=0.5)
    assert indices == expected
    assert times == pytest.approx([milliseconds[index] / 1000 for index in expected])
    assert problems == []
