"""The clock of a video in few points is right for every frame, and knows the gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from exvad.data.annotations.clock import FrameClock
from exvad.video.chunks import plan_chunks
from exvad.video.footage.clock_points import clock_points, gaps_of
from exvad.video.survey import survey_packets
from tests.helpers.sound import write_late_video

FPS = 10.0
STRIDE = 16


def points_of(
    seconds: NDArray[np.float64], gaps: list[tuple[float, float]] | None = None
) -> NDArray[np.float64]:
    """Return the points of a clock at ten frames per second."""
    snippets = np.arange(0, len(seconds), STRIDE)
    return clock_points(seconds, FPS, float(seconds[-1]) + 0.1, gaps or [], snippets)


def clock_of(points: NDArray[np.float64], num_frames: int) -> FrameClock:
    return FrameClock(num_frames, FPS, points[:, 0].tolist(), points[:, 1].tolist())


def test_a_constant_rate_has_one_point() -> None:
    assert points_of(np.arange(100) / FPS).tolist() == [[100, 10.0]]


@pytest.mark.parametrize("kind", ["uneven", "two rates", "one pause"])
def test_every_frame_has_its_own_time(kind: str) -> None:
    steps = np.full(199, 0.1)
    if kind == "uneven":
        steps = np.random.default_rng(0).uniform(0.02, 0.3, 199)
    elif kind == "two rates":
        steps[100:] = 0.04
    else:
        steps[103] = 1.5
    seconds = np.concatenate([[0.0], np.cumsum(steps)])
    clock = clock_of(points_of(seconds), 200)
    assert [clock.frame_at(second) for second in seconds] == list(range(200))
    assert np.allclose([clock.seconds_at(frame) for frame in range(200)], seconds, atol=0.025)


def test_a_gap_and_a_clock_that_was_set_are_known() -> None:
    seconds = np.concatenate([np.arange(30), 6000 + np.arange(40), 6040 + np.arange(30)]) / FPS
    gaps = [(3.0, 600.0), (604.0, 604.0)]
    points = points_of(seconds, gaps)
    assert gaps_of(points) == tuple(gaps)
    clock = clock_of(points, 100)
    assert [clock.frame_at(second) for second in (2.9, 3.0, 300.0, 600.0, 600.1)] == [
        29, 30, 30, 30, 31,
    ]  # fmt: skip
    assert (clock.end_of(30), clock.seconds_at(30)) == (3.0, 600.0)
    assert clock.seconds_at(100) == pytest.approx(607.0)


def test_chunks_have_the_points_of_their_frames(shared_data: Path) -> None:
    path = shared_data.parent / "cases" / "A-motion-recording-with-a-gap.mkv"
    info, chunks = plan_chunks("a", path, STRIDE, snippets_per_chunk=1)
    points = np.concatenate([chunk.clock for chunk in chunks]).reshape(-1, 2)
    assert gaps_of(points) == info.gaps
    np.testing.assert_allclose(info.gaps, [(3.2, 603.2)])
    assert points[-1].tolist() == [info.num_frames, info.duration]
    for chunk in chunks[:-1]:
        frames = chunk.clock[::2]
        assert all(chunk.first_frame <= frame < chunk.first_frame + STRIDE for frame in frames)
    seconds = survey_packets(path).seconds
    clock = clock_of(points, info.num_frames)
    assert [clock.frame_at(second) for second in seconds] == list(range(info.num_frames))


@pytest.mark.parametrize(("suffix", "lead"), [("mp4", 2.0), ("mkv", 0.5), ("mp4", 0.0)])
def test_sound_before_the_first_frame_is_the_lead_of_players(
    tmp_path: Path, suffix: str, lead: float
) -> None:
    info = survey_packets(write_late_video(tmp_path / f"a.{suffix}", lead, num_frames=20)).info
    assert info.lead == pytest.approx(lead, abs=0.03)
    assert info.duration == pytest.approx(2.0)
