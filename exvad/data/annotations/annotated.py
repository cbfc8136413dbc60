"""Annotations of videos as the files of tools have them, between reading and writing.

A file of one tool becomes `Annotations`, and `Annotations` become a file of another tool or a
manifest. Times stay in the unit that the file has, because not every file has the frame rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from exvad.data.annotations.clock import FrameClock, events_in_frames
from exvad.data.records import Event, Split, TimedEvent, Video
from exvad.data.storage.video_names import VIDEO_SUFFIXES


class AnnotationError(ValueError):
    """A file of annotations can't be read, written or converted; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """What a person wrote about an interval of a video; seconds, the end exclusive."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class AnnotatedVideo:
    """One video of a file of annotations.

    Args:
        name: the video as the file names it, with folders where it has them.
        labels: classes of the whole video, as far as the file has them.
        events: events in frames of the video, counted from 0, the end exclusive.
        timed_events: events in seconds.
        scores: score of each timed event, 0 to 1, None where it has none; empty if all have none.
        sentences: descriptions of intervals.
        fps: frames per second, if the file has it.
        num_frames: length, if the file has it.
        split: the split, if the file has it.
        predicted: whether a model made the annotations.
    """

    name: str
    labels: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    timed_events: tuple[TimedEvent, ...] = ()
    scores: tuple[float | None, ...] = ()
    sentences: tuple[Sentence, ...] = ()
    fps: float | None = None
    num_frames: int | None = None
    split: Split | None = None
    predicted: bool = False

    @property
    def stem(self) -> str:
        """The name without the suffix of a video; other dots are part of it."""
        path = PurePosixPath(self.name)
        return str(path.with_suffix("")) if path.suffix.lower() in VIDEO_SUFFIXES else self.name

    def all_labels(self) -> tuple[str, ...]:
        """Return the labels of the video and its events, each once."""
        events = [event.label for event in self.events]
        timed = [event.label for event in self.timed_events]
        return tuple(dict.fromkeys((*self.labels, *events, *timed)))

    def event_labels(self) -> set[str]:
        """Return the labels of the events."""
        return {e.label for e in self.events} | {e.label for e in self.timed_events}

    def in_seconds(self) -> list[tuple[TimedEvent, float | None]]:
        """Return all events in seconds with their scores; None for those that people marked.

        Raises:
            AnnotationError: there are events in frames, and the rate is unknown.
        """
        fps = self.rate() if self.events else 0
        marked = [TimedEvent(e.start / fps, e.end / fps, e.label) for e in self.events]
        scores = self.scores or (None,) * len(self.timed_events)
        return [(event, None) for event in marked] + list(
            zip(self.timed_events, scores, strict=True)
        )

    def in_frames(self) -> list[tuple[Event, float | None]]:
        """Return all events in frames with their scores; None for those that people marked.

        Raises:
            AnnotationError: there are events in seconds, and the rate is unknown.
        """
        if not self.timed_events:
            return [(event, None) for event in self.events]
        clock = FrameClock(self.num_frames or 0, self.rate())
        video = events_in_frames(self.video("train"), clock)
        scores = self.scores or (None,) * len(self.timed_events)
        return list(zip(video.events, (*(None for _ in self.events), *scores), strict=True))

    def video(self, split: Split, normal: str = "Normal", path: str = "") -> Video:
        """Return the video as a row of a manifest.

        Args:
            split: its split, where the file has none.
            normal: the label of a video without labels and events.
            path: where it lies; its name by default.
        """
        return Video(
            video_id=PurePosixPath(self.stem).name if "://" in self.name else self.stem,
            path=path or self.name,
            split=self.split or split,
            labels=self.all_labels() or (normal,),
            events=self.events,
            timed_events=self.timed_events,
            num_frames=self.num_frames,
            fps=self.fps,
        )

    def rate(self) -> float:
        """Return the frame rate.

        Raises:
            AnnotationError: it is unknown.
        """
        if self.fps is None:
            raise AnnotationError(
                f"the frame rate of {self.name} is not known, and frames and seconds can't be "
                "converted without it: give the folder of the videos (--videos) or the rate (--fps)"
            )
        return self.fps


def known_scores(scores: Sequence[float | None]) -> tuple[float | None, ...]:
    """Return the scores; none at all if every one of them is None."""
    return tuple(scores) if any(score is not None for score in scores) else ()


@dataclass(frozen=True, slots=True)
class Annotations:
    """The content of a file of annotations.

    Args:
        videos: in the order of the file.
        classes: classes that the file declares, the normal class first where it has one.
        notes: what was settled or left out while reading, one sentence each.
    """

    videos: tuple[AnnotatedVideo, ...]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)

    def all_classes(self) -> tuple[str, ...]:
        """Return the declared classes and, after them, the other labels in alphabetical order."""
        labels = {label for video in self.videos for label in video.all_labels()}
        return (*self.classes, *sorted(labels - set(self.classes)))

    def with_note(self, note: str) -> Annotations:
        """Return the annotations with one more note."""
        return replace(self, notes=(*self.notes, note))
