"""Records of a data set: a video, its events, and the error that lists a manifest's problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
FRAMES_PER_SNIPPET = 16  # of the published benchmarks, whatever the stride of the features

_MAX_SHOWN = 20


class ManifestError(ValueError):
    """A manifest is invalid; the message has one problem per line and says what to do.

    Args:
        problems: all problems, each `location: description`; the message shows the first 20.

    Attributes:
        problems: all problems.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        lines = self.problems[:_MAX_SHOWN]
        if len(self.problems) > _MAX_SHOWN:
            lines.append(f"… and {len(self.problems) - _MAX_SHOWN} more problems")
        lines.append("Correct the problems above and try again.")
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Event:
    """An interval of a video that shows one class: frames start ≤ f < end."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """An interval of a video that shows one class, in seconds from the start of the video.

    Args:
        start: seconds, at least 0.
        end: seconds, exclusive.
        label: the class.
    """

    start: float
    end: float
    label: str


@dataclass(frozen=True, slots=True)
class Video:
    """One video of a data set with its labels.

    Args:
        video_id: unique name of the video in every table and report.
        path: a local path or a URI that the storage layer opens (`s3://…`).
        split: `train`, `val` or `test`.
        labels: the classes it shows; the normal class stands alone.
        events: when they happen. Only evaluation reads them: training is weakly supervised and
            uses video-level labels. An end may lie beyond the last frame, as it does in some
            official files; scoring stops at the last frame.
        num_frames: length in frames, if known.
        fps: frames per second, if known.
        snippets: number of 16-frame snippets that a published benchmark scores, if it fixes that.
        spans: the abnormal frames as half-open `(start, end)`, if a benchmark publishes them
            apart from the events and the two differ. Empty: those of the events.
        timed_events: more events, in seconds. Evaluation converts them by the frames' own times;
            see `exvad.data.annotations.clock`.
        normal: the name of the normal class; a `Manifest` sets it on its videos.
    """

    video_id: str
    path: str
    split: Split
    labels: tuple[str, ...]
    events: tuple[Event, ...] = ()
    num_frames: int | None = None
    fps: float | None = None
    snippets: int | None = None
    spans: tuple[tuple[int, int], ...] = ()
    timed_events: tuple[TimedEvent, ...] = ()
    normal: str = field(default="Normal", compare=False, repr=False)

    @property
    def abnormal(self) -> bool:
        """Whether any label is not the normal class."""
        return any(label != self.normal for label in self.labels)

    @property
    def scored_frames(self) -> int | None:
        """The number of frames that are scored; None if unknown.

        It is 16 × `snippets` where a benchmark fixes the snippets, else the length. The two differ:
        the benchmark's features end up to 15 frames before the video does or, for a few videos, up
        to 15 frames after it.
        """
        if self.snippets is None:
            return self.num_frames
        return FRAMES_PER_SNIPPET * self.snippets

    def class_events(self) -> list[tuple[int, int, str]]:
        """Return the events as `(start, end, label)`: the ground truth of detection mAP."""
        return [(event.start, event.end, event.label) for event in self.events]

    def frame_events(self) -> list[tuple[int, int, str]]:
        """Return the abnormal intervals as `(start, end, label)`: that of frame-level AUC and AP.

        These are the `spans`, under the first label of the video, or else the events of abnormal
        classes.
        """
        if self.spans:
            return [(start, end, self.labels[0]) for start, end in self.spans]
        return [event for event in self.class_events() if event[2] != self.normal]
