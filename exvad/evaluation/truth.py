"""The ground truth of a test set on the clock of its videos: events in frames, cut at the end.

Metrics count `stride` frames per snippet. Where snippets last a number of seconds, they have other
numbers of frames; then the events are also put on the scale of the metrics.

T snippets
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from exvad.data.annotations.clock import FrameClock, events_in_frames, fit_to_length
from exvad.data.records import Event

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.data.records import Video
    from exvad.store.feature_bank import VideoFeatures

_HOW_TO_CORRECT = "correct the manifest; the column events_fps has the rate that frames count at"


@dataclass(frozen=True)
class GroundTruth:
    """The test videos with events in frames of their files.

    Args:
        videos: in the order of the manifest.
        counted: the same as metrics count them, with `stride` frames to every snippet.
        beyond: video id → the events beyond its end, one phrase each.
        unlocated: ids of abnormal videos whose events all begin after their end. When they are
            abnormal is unknown, so they count in metrics of whole videos only.
        clocks: when the frames of each video are shown.
    """

    videos: tuple[Video, ...]
    counted: tuple[Video, ...]
    beyond: dict[str, list[str]]
    unlocated: frozenset[str]
    clocks: tuple[FrameClock, ...] = ()

    def notes(self) -> list[str]:
        """Return a sentence per video with events beyond its end."""
        sentences = []
        for video_id, phrases in self.beyond.items():
            effect = (
                ": it counts in metrics of whole videos only, as nobody can say when it is abnormal"
                if video_id in self.unlocated
                else ""
            )
            sentences.append(f"{video_id}: {'; '.join(phrases)}{effect}; {_HOW_TO_CORRECT}")
        return sentences


def locate_events(
    videos: Sequence[Video],
    bank: Mapping[str, VideoFeatures],
    stride: int,
    stride_seconds: float = 0.0,
) -> GroundTruth:
    """Put the events of test videos on the clock of their files.

    Args:
        videos: the test videos.
        bank: their features, which have the times of the snippets and the real length.
        stride: frames per snippet of the features.
        stride_seconds: seconds per snippet, in place of `stride`; 0 to count frames.
    """
    located: list[Video] = []
    clocks: list[FrameClock] = []
    counted: list[Video] = []
    beyond: dict[str, list[str]] = {}
    unlocated: set[str] = set()
    for video in videos:
        features = bank[video.video_id]
        frames_T = _first_frames(features, stride, stride_seconds)
        clock = _frame_clock(features, frames_T)
        clocks.append(clock)
        in_frames = events_in_frames(video, clock)
        # A published benchmark states the length that its figures are computed with.
        length = video.num_frames if video.snippets is not None else None
        fitted, phrases = fit_to_length(in_frames, length or features.num_frames)
        if video.snippets is None:
            fitted = replace(fitted, num_frames=features.num_frames)
        located.append(fitted)
        counted.append(
            _count_by_snippets(fitted, frames_T, features.num_frames, stride)
            if stride_seconds
            else fitted
        )
        if phrases:
            beyond[video.video_id] = phrases
        had_times = bool(in_frames.events or in_frames.spans)
        if video.abnormal and had_times and not fitted.frame_events():
            unlocated.add(video.video_id)
    return GroundTruth(tuple(located), tuple(counted), beyond, frozenset(unlocated), tuple(clocks))


def _frame_clock(features: VideoFeatures, frames_T: NDArray[np.float64]) -> FrameClock:
    """Return when the frames of a video are shown: by their own times, as far as they are stored.

    Args:
        features: of the video.
        frames_T: first frame of each snippet.
    """
    points_k2 = features.clock
    if not len(points_k2):  # features of earlier code, or imported ones
        points_k2 = np.stack([frames_T, np.asarray(features.times, np.float64)], axis=1)
    return FrameClock(features.num_frames, features.fps, *points_k2.T.tolist())


def _first_frames(
    features: VideoFeatures, stride: int, stride_seconds: float
) -> NDArray[np.float64]:
    """Return the number of the first frame of each snippet, [T]; estimated for seconds."""
    times_T = np.asarray(features.times, np.float64)
    if not stride_seconds:
        return np.arange(len(times_T), dtype=np.float64) * stride
    if len(features.clock):
        clock = _frame_clock(features, times_T)
        return np.array([clock.frame_at(time) for time in times_T.tolist()], np.float64)
    frame = 1 / features.fps
    steps = np.diff(times_T)
    # Where nothing was recorded, the next snippet begins later than this one can last.
    is_gap = steps > stride_seconds + 1.5 * frame
    lasting = np.where(is_gap, max(stride_seconds, frame), steps)
    frames_T: NDArray[np.float64] = np.concatenate([[0.0], np.cumsum(lasting)]) * features.fps
    return frames_T


def _count_by_snippets(
    video: Video, frames_T: NDArray[np.float64], num_frames: int, stride: int
) -> Video:
    """Return a video with its length and events in units of `stride` to a snippet.

    Args:
        video: the video, in frames of its file.
        frames_T: first frame of each snippet.
        num_frames: frames of the file.
        stride: frames that metrics count per snippet.
    """
    borders = np.append(frames_T, max(num_frames, frames_T[-1] + 1))
    units = np.arange(len(borders)) * stride

    def count(frame: int) -> int:
        return round(float(np.interp(frame, borders, units)))

    return replace(
        video,
        events=tuple(
            Event(count(event.start), max(count(event.end), count(event.start) + 1), event.label)
            for event in video.events
        ),
        spans=tuple((count(start), count(end)) for start, end in video.spans),
        num_frames=len(frames_T) * stride,
    )
