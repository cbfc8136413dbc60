"""TODO"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Split = Literal["train", "val", "test"]


FRAMES_PER_SNIPPET = 16  # of the published benchmarks, whatever stride the features are taken at


_SHOWN = 20


class ManifestError(ValueError):
    """A manifest that cannot be used; the message has one problem a line and what to do.

    Args:
        problems: all problems found, each `place: what`; the message shows the first 20.

    Attributes:
        problems: all of them.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        lines = self.problems[:_SHOWN]
        if len(self.problems) > _SHOWN:
            lines.append(f"… and {len(self.problems) - _SHOWN} more problems")
        lines.append("Nothing was taken over. Correct what is named above and try again.")
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Event:
    """A stretch of a video that shows one class: frames `start` up to, not including, `end`."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Video:
    """One video and what is known of it.

    Args:
        video_id: its unique name in every table and report.
        path: a local path or any URI the storage layer opens (`s3://…`).
        split: `train`, `val` or `test`.
        labels: the classes it shows; the normal class stands alone.
        events: when they happen. Used to evaluate; training never looks at those of a train video,
            because the supervision is weak: video-level labels only. An end may lie beyond the
            last frame (the official files have such), and scoring stops at the last frame.
        num_frames: length in frames, where known.
        fps: frames per second, where known.
        snippets: how many 16-frame snippets a published benchmark scores, where it fixes that.
        spans: the abnormal frames as half-open `(start, end)`, where a benchmark publishes them
            apart from the events and they are not the same frames. Empty: those of the events.
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
    normal: str = field(default="Normal", compare=False, repr=False)

    @property
    def abnormal(self) -> bool:
        """Whether any label is another than the normal class."""
        return any(label != self.normal for label in self.labels)

    @property
    def scored_frames(self) -> int | None:
        """The frames a published benchmark scores, 16 × snippets, else the length; None: unknown.

        The two are not the same: the snippets were counted on features that end up to 15 frames
        before the video does, or, for a few videos, up to 15 frames after it.
        """
        if self.snippets is None:
            return self.num_frames
        return FRAMES_PER_SNIPPET * self.snippets

    def class_events(self) -> list[tuple[int, int, str]]:
        """The events as `(start, end, label)`: the ground truth of `metrics.detection_map`."""
        return [(event.start, event.end, event.label) for event in self.events]

    def frame_events(self) -> list[tuple[int, int, str]]:
        """The abnormal stretches as `(start, end, label)`: that of `metrics.frame_auc_ap`.

        Where `spans` are given they are taken, under the first label of the video; otherwise the
        events of abnormal classes.
        """
        if self.spans:
            return [(start, end, self.labels[0]) for start, end in self.spans]
        return [event for event in self.class_events() if event[2] != self.normal]
