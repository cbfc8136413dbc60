"""The manifest of a data set: its classes, its videos and their splits.

The constructor validates: it lists every problem, not only the first. `manifest_files.py` reads and
writes manifests.

C classes
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from exvad.data.manifest_checks import find_problems
from exvad.data.records import ManifestError, Split, Video

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Manifest:
    """The classes of a data set and its videos.

    Args:
        classes: class names in the order of the network's outputs, the normal class first.
        videos: in any order; test videos are evaluated in this order.
        notes: what was settled while reading, one sentence each; commands show them.

    Raises:
        ManifestError: the manifest is invalid.
    """

    classes: tuple[str, ...]
    videos: tuple[Video, ...]
    notes: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        locations = [f"video {i} ({video.video_id!r})" for i, video in enumerate(self.videos, 1)]
        problems = find_problems(self.classes, self.videos, locations, "manifest")
        if problems:
            raise ManifestError([f"{location}: {problem}" for location, problem in problems])
        videos = tuple(
            video if video.normal == self.normal else replace(video, normal=self.normal)
            for video in self.videos
        )
        object.__setattr__(self, "videos", videos)

    @property
    def normal(self) -> str:
        """The name of the normal class."""
        return self.classes[0]

    def of_split(self, split: Split) -> tuple[Video, ...]:
        """Return the videos of one split, in the manifest's order."""
        return tuple(video for video in self.videos if video.split == split)

    def by_id(self) -> dict[str, Video]:
        """Return the videos by their id."""
        return {video.video_id: video for video in self.videos}

    def target(self, video: Video) -> NDArray[np.float32]:
        """Return the labels of a video as a multi-hot vector, float32 [C]."""
        target_C = np.zeros(len(self.classes), dtype=np.float32)
        for label in video.labels:
            target_C[self.classes.index(label)] = 1
        return target_C

    def with_validation(self, fraction: float, seed: int) -> Manifest:
        """Move some training videos to the validation split; `hold_out` chooses them.

        Args:
            fraction: share of the training videos, 0 ≤ fraction < 1.
            seed: another seed chooses other videos.

        Returns:
            A new manifest in the same order, or this one if it has validation videos already.

        Raises:
            ValueError: `fraction` is out of range.
        """
        chosen = hold_out(self.of_split("train"), fraction, seed)
        if self.of_split("val") or not chosen:
            return self
        videos = tuple(
            replace(video, split="val") if video.video_id in chosen else video
            for video in self.videos
        )
        return replace(self, videos=videos)

    def fingerprint(self) -> str:
        """Return the SHA-256 (hex) of the content, without row order and the videos' folders."""
        content = [list(self.classes), sorted(_content(video) for video in self.videos)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def hold_out(videos: Iterable[Video], fraction: float, seed: int) -> frozenset[str]:
    """Choose videos to hold out of training, stratified by label set.

    The choice depends on ids, labels and seed only, not on the order of the videos. At least one
    video of every label set stays in training. At least one video of every single label with two
    or more videos is held out, so that no class is missing on either side.

    Args:
        videos: the training videos.
        fraction: share of each label set, rounded, 0 ≤ fraction < 1.
        seed: another seed chooses other videos.

    Returns:
        The ids of the videos to hold out; empty for a fraction of 0.

    Raises:
        ValueError: `fraction` is out of range.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"the held-out fraction is {fraction}; it must be from 0 to below 1")
    ids_by_labels: dict[frozenset[str], list[str]] = defaultdict(list)
    for video in videos:
        ids_by_labels[frozenset(video.labels)].append(video.video_id)
    chosen: set[str] = set()
    for labels, ids in ids_by_labels.items():
        minimum = 1 if len(labels) == 1 and fraction > 0 else 0
        count = min(len(ids) - 1, max(minimum, math.floor(fraction * len(ids) + 0.5)))
        chosen.update(sorted(ids, key=lambda video_id: _rank(video_id, seed))[:count])
    return frozenset(chosen)


def _rank(video_id: str, seed: int) -> str:
    # A hash instead of a random generator: adding a video does not change the rank of the others.
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
            sorted((event.start, event.end, event.label) for event in video.timed_events),
        ]
    )
