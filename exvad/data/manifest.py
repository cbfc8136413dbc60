"""The manifest: which videos there are, what they show, and which split they belong to.

One row per video, in a Parquet or CSV file (`manifest_read.py` tells the formats). A manifest that
exists is valid: the constructor and `read` list every problem they find, not only the first.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from exvad.data.manifest_checks import find_problems

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

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


@dataclass(frozen=True, slots=True)
class Manifest:
    """The classes of a dataset and its videos.

    Args:
        classes: class names in the order the model knows them, the normal class first.
        videos: in any order; test videos are evaluated in this one.

    Raises:
        ManifestError: it is not valid.
    """

    classes: tuple[str, ...]
    videos: tuple[Video, ...]

    def __post_init__(self) -> None:
        places = [f"video {i} ({video.video_id!r})" for i, video in enumerate(self.videos, 1)]
        problems = find_problems(self.classes, self.videos, places, "manifest")
        if problems:
            raise ManifestError([f"{place}: {problem}" for place, problem in problems])
        normal = self.classes[0]
        named = (v if v.normal == normal else replace(v, normal=normal) for v in self.videos)
        object.__setattr__(self, "videos", tuple(named))

    @property
    def normal(self) -> str:
        """The name of the normal class."""
        return self.classes[0]

    @classmethod
    def read(cls, path: str | os.PathLike[str], classes: Sequence[str] | None = None) -> Manifest:
        """Read a manifest file; see `manifest_read.py` for the formats.

        Args:
            path: a `.parquet` or `.csv` file. Relative video paths in it are relative to its
                folder; those with `://` stay as they are.
            classes: class names, the normal class first; they go before those the file names.
                Where neither is there: the normal class, then the other labels by alphabet.

        Raises:
            ManifestError: the file is missing, unreadable or not valid; lists every problem.
        """
        from exvad.data.manifest_read import read_manifest

        return read_manifest(Path(path), classes)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the manifest atomically as `.parquet` or `.csv`, by the suffix of `path`.

        Videos below the folder of `path` are written relative to it, so the two can move together.

        Raises:
            ManifestError: another suffix, or something that CSV cannot hold.
            OSError: the disk is full, the folder is read-only, and so on.
        """
        from exvad.data.manifest_write import write_manifest

        write_manifest(self, Path(path))

    def of_split(self, split: Split) -> tuple[Video, ...]:
        """The videos of one split, in the manifest's order."""
        return tuple(video for video in self.videos if video.split == split)

    def by_id(self) -> dict[str, Video]:
        """The videos by their id."""
        return {video.video_id: video for video in self.videos}

    def target(self, video: Video) -> npt.NDArray[np.float32]:
        """The labels of a video as a multi-hot vector `[C]`, float32, in the order of `classes`."""
        import numpy as np

        target_C = np.zeros(len(self.classes), dtype=np.float32)
        for label in video.labels:
            target_C[self.classes.index(label)] = 1
        return target_C

    def with_validation(self, fraction: float, seed: int) -> Manifest:
        """Move some training videos to the validation split; see `hold_out` for which.

        Args:
            fraction: of the training videos, 0 ≤ fraction < 1.
            seed: another seed chooses other videos.

        Returns:
            A new manifest in the same order; this one where it has validation videos already.

        Raises:
            ValueError: `fraction` is out of range.
        """
        chosen = hold_out(self.of_split("train"), fraction, seed)
        if self.of_split("val") or not chosen:
            return self
        return replace(
            self,
            videos=tuple(
                replace(video, split="val") if video.video_id in chosen else video
                for video in self.videos
            ),
        )

    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything but the order of the rows and the folders videos lie in."""
        content = [list(self.classes), sorted(_content(video) for video in self.videos)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def hold_out(videos: Iterable[Video], fraction: float, seed: int) -> frozenset[str]:
    """Choose videos to hold out of training, stratified by label set.

    The choice depends on ids, labels and seed alone, never on the order of the videos. Of every
    label set at least one video stays; of a single label with two videos or more at least one is
    chosen, so that no class is lost on either side.

    Args:
        videos: the training videos.
        fraction: of each label set, rounded, 0 ≤ fraction < 1.
        seed: another seed chooses other videos.

    Returns:
        The ids chosen; none for a fraction of 0.

    Raises:
        ValueError: `fraction` is out of range.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"the held-out fraction is {fraction}; it must be from 0 to below 1")
    groups: dict[frozenset[str], list[str]] = defaultdict(list)
    for video in videos:
        groups[frozenset(video.labels)].append(video.video_id)
    chosen: set[str] = set()
    for labels, ids in groups.items():
        least = 1 if len(labels) == 1 and fraction > 0 else 0
        count = min(len(ids) - 1, max(least, math.floor(fraction * len(ids) + 0.5)))
        chosen.update(sorted(ids, key=lambda name: _draw(name, seed))[:count])
    return frozenset(chosen)


def _draw(video_id: str, seed: int) -> str:
    # A hash, not a generator: adding a video moves no other one's place in the draw.
    return hashlib.sha256(f"{seed}:{video_id}".encode()).hexdigest()


def _content(video: Video) -> str:
    return json.dumps(
        [
            video.video_id,
            PurePosixPath(video.path).name,
            video.split,
            sorted(video.labels),
            sorted(video.class_events()),
            video.num_frames,
            None if video.fps is None else float(video.fps),
            video.snippets,
            sorted(video.spans),
        ]
    )
