"""Seconds and frames of a video: convert events, and name those beyond the end of the video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from exvad.data.records import Event, Video


@dataclass(frozen=True)
class FrameClock:
    """When the frames of a video are shown.

    Args:
        num_frames: frames of the video.
        fps: frames per second, on average.
        frames: numbers of some frames whose times are known, increasing; may be empty. Estimated
            ones need not be whole. A frame after a gap is there twice.
        seconds: the times of those frames, increasing; first the end of the frame before a gap.
    """

    num_frames: int
    fps: float
    frames: Sequence[float] = ()
    seconds: Sequence[float] = ()

    def frame_at(self, seconds: float) -> int:
        """Return the number of the frame that begins closest to a time.

        Between known times it is interpolated; outside of them the average rate counts.
        """
        if not len(self.seconds):
            return round(seconds * self.fps)
        first, last = self.seconds[0], self.seconds[-1]
        if seconds <= first:
            return max(0, round(self.frames[0] + (seconds - first) * self.fps))
        if seconds >= last:
            return round(self.frames[-1] + (seconds - last) * self.fps)
        return round(float(np.interp(seconds, self.seconds, self.frames)))

    def seconds_at(self, frame: float) -> float:
        """Return the time at which a frame begins."""
        return self._seconds_at(frame, 0)

    def end_of(self, frame: float) -> float:
        """Return the time at which the frame before this one ends.

        It is the time at which this one begins, unless nothing was recorded in between.
        """
        return self._seconds_at(frame, -1)

    def _seconds_at(self, frame: float, side: int) -> float:
        if not len(self.seconds):
            return frame / self.fps
        same = np.flatnonzero(np.asarray(self.frames) == frame)
        if len(same):  # the last time of a frame is its beginning, the first one the end before
            return float(self.seconds[same[-1 if side == 0 else 0]])
        if frame < self.frames[0]:
            return self.seconds[0] + (frame - self.frames[0]) / self.fps
        if frame > self.frames[-1]:
            return self.seconds[-1] + (frame - self.frames[-1]) / self.fps
        return float(np.interp(frame, self.frames, self.seconds))


def events_in_frames(video: Video, clock: FrameClock) -> Video:
    """Return the video with all its events in frames.

    An event of less than a frame gets one frame.

    Args:
        video: the video.
        clock: when its frames are shown.
    """
    timed = []
    for event in video.timed_events:
        start = clock.frame_at(event.start)
        timed.append(Event(start, max(start + 1, clock.frame_at(event.end)), event.label))
    return replace(video, events=(*video.events, *timed), timed_events=())


def fit_to_length(video: Video, num_frames: int) -> tuple[Video, list[str]]:
    """Cut the events of a video at its end, and name those that lie beyond it.

    The events of a published benchmark (`Video.snippets`) are named but stay as published, because
    the figures of the literature are computed with them.

    Args:
        video: the video, with its events in frames.
        num_frames: its length.

    Returns:
        The video with the events that begin before its end, and one phrase per event that ends
        after it.
    """
    phrases = [
        f"{event.label}:{event.start}-{event.end} "
        + ("begins" if event.start >= num_frames else "ends")
        + f" after the last of {num_frames} frames"
        for event in video.events
        if event.end > num_frames
    ]
    if video.snippets is not None:
        return video, phrases
    events = tuple(
        replace(event, end=min(event.end, num_frames))
        for event in video.events
        if event.start < num_frames
    )
    spans = tuple((start, min(end, num_frames)) for start, end in video.spans if start < num_frames)
    phrases += [
        f"the span {start}-{end} goes beyond the last of {num_frames} frames"
        for start, end in video.spans
        if end > num_frames
    ]
    return replace(video, events=events, spans=spans), phrases


def beyond_the_end(video: Video) -> list[str]:
    """Name the events beyond the end of a video, as far as the manifest has its length and rate."""
    if video.num_frames is None:
        return []
    if video.fps is not None:
        video = events_in_frames(video, FrameClock(video.num_frames, video.fps))
    return fit_to_length(video, video.num_frames or 0)[1]
