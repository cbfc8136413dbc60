"""The summary metrics of bootstrap resamples, computed from scores that are sorted only once.

Scores are sorted, and segments are found and matched, once for all resamples; a resample only
weights them. This is exact because the segments of a video do not depend on other videos, with one
exception: the lowest level of the `strict` protocol (the floor) is a class's lowest score in all
videos. Each video therefore has two sets of `strict` segments: those where the video itself holds
the floor, and those where the floor lies below all its scores.

N videos · T snippets · S segments · L distinct score values · C classes · I IoU thresholds
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exvad.evaluation.resampled_frames import ResampledFrames, ResampledRanking
from exvad.evaluation.scored import FRAME_METRICS, Scored, flat_map_metrics
from exvad.metrics import IOUS, FrameEvent, Protocol
from exvad.metrics.detection import videos_with_events
from exvad.metrics.matching import event_spans, match_segments
from exvad.metrics.segments import Segments, join_segments, strict_segments, vadclip_segments
from exvad.metrics.types import Floats, Integers

# When a segment exists: always, only where its video holds the floor, or only where it does not.
ALWAYS, HOLDS_FLOOR, ABOVE_FLOOR = 0, 1, 2


class ResampledMetrics:
    """Computes the metrics of `Scored.summary` for many resamples of the videos.

    Segments of equal score may be ordered differently than in `Scored.summary`.

    Args:
        scored: the test set.
    """

    def __init__(self, scored: Scored) -> None:
        videos = scored.videos
        self._correct_N = scored.correct
        self._located_N = scored.located
        self._videos = ResampledRanking(
            scored.video_scores_N,
            scored.abnormal.astype(np.int64),
            (~scored.abnormal).astype(np.int64),
            np.arange(len(videos)),
        )
        self._frames: ResampledFrames | None = None
        self._detection: dict[Protocol, ResampledDetection] = {}
        if not scored.events_known:
            return
        self._frames = ResampledFrames(scored)
        for protocol, class_events in scored.class_events.items():
            self._detection[protocol] = ResampledDetection(
                scored.probabilities,
                class_events,
                scored.manifest.classes,
                protocol,
                scored.frames_per_snippet,
            )

    def __call__(self, chosen_N: Integers) -> Mapping[str, float | None]:
        """Return the metrics of the videos with these indices; repeated indices count again."""
        count_N = np.bincount(chosen_N, minlength=len(self._correct_N))
        located_N = count_N * self._located_N
        metrics: dict[str, float | None] = dict.fromkeys(FRAME_METRICS)
        if self._frames is not None:
            metrics |= self._frames(count_N)
        video_metrics = self._videos.auc_ap(count_N)
        metrics["video_auc"] = video_metrics[0] if video_metrics else None
        metrics["class_accuracy"] = float((self._correct_N * count_N).sum() / count_N.sum())
        for protocol, detection in self._detection.items():
            per_iou = detection.per_iou(located_N)
            metrics |= flat_map_metrics(protocol, per_iou, float(np.mean(list(per_iou.values()))))
        return metrics


@dataclass(frozen=True)
class _MatchedClass:
    """A class's segments, the best first, with its events.

    Args:
        video_S: index of each segment's video.
        condition_S: when each segment exists: ALWAYS, HOLDS_FLOOR or ABOVE_FLOOR.
        hits: per IoU threshold, the indices of the segments that hit an event.
        events_N: events of the class in each video.
    """

    video_S: Integers
    condition_S: Integers
    hits: list[Integers]
    events_N: Integers

    def weights(self, count_N: Integers, holds_floor_N: NDArray[np.bool_]) -> Integers:
        """Return how often each segment occurs in a resample, [S].

        Args:
            count_N: how often each video occurs.
            holds_floor_N: which videos hold the floor of the resample.
        """
        exists_S = np.where(
            holds_floor_N[self.video_S],
            self.condition_S != ABOVE_FLOOR,
            self.condition_S != HOLDS_FLOOR,
        )
        weight_S: Integers = count_N[self.video_S] * exists_S
        return weight_S

    def average_precision(self, weight_S: Integers, count_N: Integers) -> NDArray[np.float64]:
        """Return AP per IoU threshold, [I], with each segment counted `weight_S` times."""
        last_rank_S = np.cumsum(weight_S)
        precision_I = np.zeros(len(self.hits))
        for row, hit in enumerate(self.hits):
            weight = weight_S[hit]
            hits_so_far = np.arange(1, weight.sum() + 1)
            # The copies of a hit have consecutive ranks; the last of them is `last_rank_S`.
            rank = np.repeat(last_rank_S[hit] - np.cumsum(weight), weight) + hits_so_far
            if len(hits_so_far):
                num_events = (self.events_N * count_N).sum()
                precision_I[row] = (hits_so_far / rank).sum() / num_events
        return precision_I


class ResampledDetection:
    """Detection mAP of resampled videos; see `exvad.metrics.detection_map` for the arguments."""

    def __init__(
        self,
        scores: Sequence[Floats],
        events: Sequence[Sequence[FrameEvent]],
        classes: Sequence[str],
        protocol: Protocol,
        frames_per_snippet: int,
    ) -> None:
        self._strict = protocol == "strict"
        counted_classes = list(classes[1:] if self._strict else classes)
        self._lowest_NC = np.full((len(scores), len(counted_classes)), np.inf)
        if self._strict:
            videos = videos_with_events(events, counted_classes)
            rows = [scores[video][:, 1:].astype(np.float64) for video in videos]
            for video, rows_TC in zip(videos, rows, strict=True):
                self._lowest_NC[video] = rows_TC.min(axis=0)
            below_C = np.full(len(counted_classes), -np.inf)
            holding = [strict_segments([rows_TC]) for rows_TC in rows]
            above = [strict_segments([rows_TC], below_C) for rows_TC in rows]
            segments = [
                (HOLDS_FLOOR, _join_videos(holding, videos)),
                (ABOVE_FLOOR, _join_videos(above, videos)),
            ]
        else:
            segments = [(ALWAYS, vadclip_segments(scores, frames_per_snippet))]
        self._classes = [
            _match_class(
                segments, column, event_spans(events, label), len(scores), frames_per_snippet
            )
            for column, label in enumerate(counted_classes)
        ]

    def per_iou(self, count_N: Integers) -> dict[float, float]:
        """Return mAP in percent per IoU threshold with each video counted `count_N` times."""
        drawn_N1 = (count_N > 0)[:, None]
        floor_C = np.min(self._lowest_NC, axis=0, where=drawn_N1, initial=np.inf)
        precisions = []
        for column, matched in enumerate(self._classes):
            holds_floor_N = self._lowest_NC[:, column] == floor_C[column]
            weight_S = matched.weights(count_N, holds_floor_N)
            if not self._strict and not weight_S.any():
                return dict.fromkeys(IOUS, 0.0)
            precisions.append(matched.average_precision(weight_S, count_N))
        mean_I = 100 * np.mean(precisions, axis=0)
        return dict(zip(IOUS, mean_I.tolist(), strict=True))


def _join_videos(parts: Sequence[Segments], videos: Sequence[int]) -> Segments:
    """Concatenate the segments of single videos, each with its video's index."""
    return join_segments(
        [
            part._replace(video_S=np.full(len(part.score_S), video))
            for part, video in zip(parts, videos, strict=True)
        ]
    )


def _match_class(
    segments: Sequence[tuple[int, Segments]],
    column: int,
    spans: dict[int, Integers],
    num_videos: int,
    frames_per_snippet: int,
) -> _MatchedClass:
    """Match the segments of one class with its events.

    Args:
        segments: sets of segments, each with the condition under which they exist.
        column: column of the class in the scores.
        spans: video index → [G, 2] frames of the class's events.
        num_videos: N.
        frames_per_snippet: frames in a snippet.
    """
    parts, conditions, hit_parts = [], [], []
    for condition, candidates in segments:
        ranked = candidates.take(candidates.class_S == column)
        ranked = ranked.take(np.argsort(-ranked.score_S, kind="stable"))
        parts.append(ranked)
        conditions.append(np.full(len(ranked.score_S), condition))
        hit_parts.append(match_segments(ranked, spans, frames_per_snippet, IOUS))
    joined = join_segments(parts)
    order_S = np.lexsort((joined.video_S, -joined.score_S))
    hit_IS = np.concatenate(hit_parts, axis=1)[:, order_S]
    events_N = np.zeros(num_videos, np.int64)
    for video, span_G2 in spans.items():
        events_N[video] = len(span_G2)
    return _MatchedClass(
        joined.video_S[order_S],
        np.concatenate(conditions)[order_S],
        [np.flatnonzero(hit_S) for hit_S in hit_IS],
        events_N,
    )
