"""The ground truth of a test set on the clock of its videos: events in frames, cut at the end.

T snippets
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from exvad.data.annotations.clock import FrameClock, events_in_frames, fit_to_length

if TYPE_CHECKING:
    from exvad.data.records import Video
    from exvad.store.feature_bank import VideoFeatures

_HOW_TO_CORRECT = "correct the manifest; the column events_fps has the rate that frames count at"


@dataclass(frozen=True)
class GroundTruth:
    """The test videos with events in frames of their files.

    Args:
        videos: in the order of the manifest.
        beyond: video id → the events beyond its end, one phrase each.
        unlocated: ids of abnormal videos whose events all begin after their end. When they are
            abnormal is unknown, so they count in metrics of whole videos only.
    """

    videos: tuple[Video, ...]
    beyond: dict[str, list[str]]
    unlocated: frozenset[str]

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
    videos: Sequence[Video], bank: Mapping[str, VideoFeatures], stride: int
) -> GroundTruth:
    """Put the events of test videos on the clock of their files.

    Args:
        videos: the test videos.
        bank: their features, which have the times of the snippets and the real length.
        stride: frames per snippet of the features.
    """
    located: list[Video] = []
    beyond: dict[str, list[str]] = {}
    unlocated: set[str] = set()
    for video in videos:
        features = bank[video.video_id]
        times_T = np.asarray(features.times)
        frames_T = np.arange(len(times_T)) * stride
        clock = FrameClock(features.num_frames, features.fps, frames_T.tolist(), times_T.tolist())
        in_frames = events_in_frames(video, clock)
        # A published benchmark states the length that its figures are computed with.
        length = video.num_frames if video.snippets is not None else None
        fitted, phrases = fit_to_length(in_frames, length or features.num_frames)
        if video.snippets is None:
            fitted = replace(fitted, num_frames=features.num_frames)
        located.append(fitted)
        if phrases:
            beyond[video.video_id] = phrases
        had_times = bool(in_frames.events or in_frames.spans)
        if video.abnormal and had_times and not fitted.frame_events():
            unlocated.add(video.video_id)
    return GroundTruth(tuple(located), beyond, frozenset(unlocated))
