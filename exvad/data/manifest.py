"""The manifest: which videos there are, what they show, and which split they belong to.

A manifest that exists is valid: the constructor lists every problem it finds, not only the first.
`manifest_files.py` reads and writes it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from exvad.data.manifest_checks import find_problems
from exvad.data.records import ManifestError, Split, Video

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


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
