"""TODO"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.data.benchmarks import vadclip_events
from exvad.data.manifest import Manifest
from exvad.metrics import IOUS, Protocol, detection_map, frame_auc_ap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.data.records import Video

PROTOCOLS: tuple[Protocol, ...] = ("vadclip", "strict")


@dataclass(frozen=True)
class Scored:
    """What a detector says of test videos beside what is true of them.

    Args:
        manifest: the test videos, in order, with the classes.
        scores: anomaly scores per snippet of each video, [T].
        probabilities: class probabilities per snippet, [T, C].
        video_scores_N: anomaly score of each whole video.
        named: the class each video is given.
        stride: frames per snippet.
    """

    manifest: Manifest
    scores: list[NDArray[np.float32]]
    probabilities: list[NDArray[np.float32]]
    video_scores_N: NDArray[np.float64]
    named: list[str]
    stride: int

    @property
    def videos(self) -> tuple[Video, ...]:
        """The test videos."""
        return self.manifest.videos

    @cached_property
    def abnormal(self) -> NDArray[np.bool_]:
        """Which videos are abnormal."""
        return np.array([video.abnormal for video in self.videos])

    @cached_property
    def events_known(self) -> bool:
        """Whether it is known when things happen: every abnormal video has events."""
        timed = [bool(video.events or video.spans) for video in self.videos if video.abnormal]
        return bool(timed) and all(timed)

    @cached_property
    def lengths(self) -> list[int]:
        """Frames that are scored, per video."""
        return [
            len(rows) * self.stride
            if video.snippets is not None
            else video.num_frames or len(rows) * self.stride
            for rows, video in zip(self.scores, self.videos, strict=True)
        ]

    @cached_property
    def class_events(self) -> dict[Protocol, list[Any]]:
        """The events of each video, as each protocol counts them."""
        frames = {video.video_id: n for video, n in zip(self.videos, self.lengths, strict=True)}
        return {
            "vadclip": vadclip_events(self.manifest, frames),
            "strict": [video.class_events() for video in self.videos],
        }

    def headline(self, chosen_N: NDArray[np.intp] | None = None) -> dict[str, float | None]:
        """Return the headline figures of all videos, or of the chosen ones.

        Frame figures and class accuracy are 0 to 1, mAP is percent. What can't be told is None:
        frame figures and mAP where no one knows when things happen, figures that need normal and
        abnormal videos where there is but one kind.
        """
        chosen = range(len(self.videos)) if chosen_N is None else [int(n) for n in chosen_N]
        right = [self.named[n] in self.videos[n].labels for n in chosen]
        figures: dict[str, float | None] = {
            **self._frame_figures(chosen, ""),
            **self._frame_figures([n for n in chosen if self.abnormal[n]], "_abnormal"),
            "video_auc": self._video_auc(list(chosen)),
            "class_accuracy": float(np.mean(right)),
        }
        for protocol in PROTOCOLS:
            found = self._detection_map(protocol, chosen) if self.events_known else None
            by_iou = dict.fromkeys(IOUS) if found is None else found.per_iou
            figures |= {f"map_{protocol}_{iou:.1f}": value for iou, value in by_iou.items()}
            figures[f"map_{protocol}_average"] = None if found is None else found.average
        return figures

    def _frame_figures(self, chosen: Sequence[int], suffix: str) -> dict[str, float | None]:
        names = (f"frame_auc{suffix}", f"frame_ap{suffix}")
        events = [self.videos[n].frame_events() for n in chosen]
        if not self.events_known or not any(events):
            return dict.fromkeys(names)
        whole = all(
            sum(min(end, self.lengths[n]) - start for start, end, _ in own) >= self.lengths[n]
            for n, own in zip(chosen, events, strict=True)
        )
        if whole:
            return dict.fromkeys(names)
        scores, lengths = [self.scores[n] for n in chosen], [self.lengths[n] for n in chosen]
        return dict(zip(names, frame_auc_ap(scores, events, lengths, self.stride), strict=True))

    def _video_auc(self, chosen: list[int]) -> float | None:
        from sklearn.metrics import roc_auc_score

        abnormal = self.abnormal[chosen]
        if abnormal.all() or not abnormal.any():
            return None
        return float(roc_auc_score(abnormal, self.video_scores_N[chosen]))

    def _detection_map(self, protocol: Protocol, chosen: Sequence[int]):  # type: ignore[no-untyped-def]
        return detection_map(
            [self.probabilities[n] for n in chosen],
            [self.class_events[protocol][n] for n in chosen],
            self.manifest.classes,
            protocol,
            self.stride,
        )

    def detection(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return mAP per protocol and IoU, and the same per class; None where events are unknown.

        Both in percent: {protocol: {"0.1": …, "average": …}}, {protocol: {class: {"0.1": …}}}.
        """
        if not self.events_known:
            return None
        figures: dict[str, Any] = {}
        per_class: dict[str, Any] = {}
        for protocol in PROTOCOLS:
            found = self._detection_map(protocol, range(len(self.videos)))
            figures[protocol] = {**_by_iou(found.per_iou), "average": found.average}
            per_class[protocol] = {
                label: {**_by_iou(own), "average": float(np.mean(list(own.values())))}
                for label, own in found.per_class.items()
            }
        return figures, per_class

    def confusion(self) -> list[list[int]]:
        """Return how often videos of a class (row) are given a class (column)."""
        number = {label: index for index, label in enumerate(self.manifest.classes)}
        confusion_CC = np.zeros((len(number), len(number)), dtype=int)
        for video, label in zip(self.videos, self.named, strict=True):
            confusion_CC[number[video.labels[0]], number[label]] += 1
        rows: list[list[int]] = confusion_CC.tolist()
        return rows

    def random_baseline(self, seed: int = 0) -> Scored:
        """Return what blind guessing says of the same videos: the random row of the tables."""
        rng = np.random.default_rng(seed)
        probabilities = [rng.dirichlet(np.ones(row.shape[1]), len(row)).astype(np.float32)
                         for row in self.probabilities]  # fmt: skip
        return Scored(
            self.manifest,
            [rng.random(len(row)).astype(np.float32) for row in self.scores],
            probabilities,
            rng.random(len(self.videos)),
            [str(name) for name in rng.choice(self.manifest.classes, len(self.videos))],
            self.stride,
        )


def _by_iou(figures: dict[float, float]) -> dict[str, float]:
    return {f"{iou:.1f}": value for iou, value in figures.items()}
