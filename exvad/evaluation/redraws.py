"""The headline figures of redrawn test sets, which the bootstrap asks for hundreds of times.

Scores are sorted, and segments found and matched, once: a draw only counts them anew. That is exact
because nothing in a video's segments depends on the other videos, but for the floor of `strict`
(the lowest score of a class in all videos): of every video there are the segments it has where it
holds that floor itself, and those it has where another one lies lower.

N videos · T snippets · S segments · L levels of the score · C classes · I thresholds
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.metrics import IOUS, FrameEvent, Protocol
from exvad.metrics.frames import count_frames, rank_figures
from exvad.metrics.matching import match_segments, spans_of
from exvad.metrics.segments import Segments, strict_segments, vadclip_segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.evaluation.scored import Scored

    Floats = NDArray[np.floating]
    Integers = NDArray[np.int64]

ALWAYS, HOLDING, ABOVE = 0, 1, 2


class Redraws:
    """Measures draws of a test set's videos: what `Scored.headline` says of them, faster.

    Segments of equal score may come in another order than there.

    Args:
        scored: the test set.
    """

    def __init__(self, scored: Scored) -> None:
        videos, lengths = scored.videos, scored.lengths
        self._abnormal_N = scored.abnormal
        self._right_N = np.array(
            [name in video.labels for name, video in zip(scored.named, videos, strict=True)]
        )
        self._videos = RankRedraws(
            scored.video_scores_N, self._abnormal_N, ~self._abnormal_N, np.arange(len(videos))
        )
        self._frames: RankRedraws | None = None
        self._detection: dict[Protocol, DetectionRedraws] = {}
        if not scored.events_known:
            return
        snippets = [len(row) for row in scored.scores]
        events = [video.frame_events() for video in videos]
        positive_T, negative_T = count_frames(snippets, events, lengths, scored.stride)
        owner_T = np.repeat(np.arange(len(videos)), snippets)
        self._frames = RankRedraws(np.concatenate(scored.scores), positive_T, negative_T, owner_T)
        for protocol, own in scored.class_events.items():
            self._detection[protocol] = DetectionRedraws(
                scored.probabilities, own, scored.manifest.classes, protocol, scored.stride
            )

    def __call__(self, chosen: Integers) -> Mapping[str, float | None]:
        """Return the figures of the videos with these numbers; repeated numbers count again."""
        count_N = np.bincount(chosen, minlength=len(self._right_N))
        figures: dict[str, float | None] = {}
        for suffix, counted_N in (("", count_N), ("_abnormal", count_N * self._abnormal_N)):
            pair = self._frames.figures(counted_N) if self._frames else None
            figures[f"frame_auc{suffix}"], figures[f"frame_ap{suffix}"] = pair or (None, None)
        ranking = self._videos.figures(count_N)
        figures["video_auc"] = ranking[0] if ranking else None
        figures["class_accuracy"] = float((self._right_N * count_N).sum() / count_N.sum())
        for protocol, detection in self._detection.items():
            by_iou = detection.per_iou(count_N)
            figures |= {f"map_{protocol}_{iou:.1f}": value for iou, value in by_iou.items()}
            figures[f"map_{protocol}_average"] = float(np.mean(list(by_iou.values())))
        return figures


class RankRedraws:
    """AUC and AP of redrawn videos.

    Args:
        score_T: scores of all videos, one after the other.
        positive_T: how many positives each stands for.
        negative_T: how many negatives.
        video_T: the video each belongs to.
    """

    def __init__(
        self, score_T: Floats, positive_T: Any, negative_T: Any, video_T: Integers
    ) -> None:
        levels, level_T = np.unique(score_T, return_inverse=True)
        self._level_T = len(levels) - 1 - level_T
        self._positive_T, self._negative_T, self._video_T = positive_T, negative_T, video_T

    def figures(self, count_N: Integers) -> tuple[float, float] | None:
        """Return AUC and AP where video n is there count_N[n] times; None for one kind only."""
        weight_T = count_N[self._video_T]
        positive_L = np.bincount(self._level_T, self._positive_T * weight_T)
        negative_L = np.bincount(self._level_T, self._negative_T * weight_T)
        if not positive_L.any() or not negative_L.any():
            return None
        return rank_figures(positive_L, negative_L)


@dataclass(frozen=True)
class _Matched:
    """A class's segments, best first, and its events.

    Args:
        video_S: whose each segment is.
        when_S: whether it is there always, or only where its video holds the floor or lies above.
        hits: per IoU, the numbers of the segments that hit.
        events_N: events of the class in each video.
    """

    video_S: Integers
    when_S: Integers
    hits: list[Integers]
    events_N: Integers

    def shown(self, count_N: Integers, holding_N: NDArray[np.bool_]) -> Integers:
        """Return how often each segment is there."""
        there_S = np.where(holding_N[self.video_S], self.when_S != ABOVE, self.when_S != HOLDING)
        weight_S: Integers = count_N[self.video_S] * there_S
        return weight_S

    def precision(self, weight_S: Integers, count_N: Integers) -> NDArray[np.float64]:
        """Return AP per IoU where the segments are there so often."""
        ends_S = np.cumsum(weight_S)
        precision_I = np.zeros(len(self.hits))
        for row, hit in enumerate(self.hits):
            weight = weight_S[hit]
            found = np.arange(1, weight.sum() + 1)
            # The copies of a hit take the ranks up to its end, one each.
            copy = found - np.repeat(np.cumsum(weight) - weight, weight)
            rank = np.repeat(ends_S[hit] - weight, weight) + copy
            if len(found):
                precision_I[row] = (found / rank).sum() / (self.events_N * count_N).sum()
        return precision_I


class DetectionRedraws:
    """mAP of redrawn videos; see `exvad.metrics.detection_map` for the arguments."""

    def __init__(
        self,
        scores: Sequence[Floats],
        events: Sequence[Sequence[FrameEvent]],
        classes: Sequence[str],
        protocol: Protocol,
        frames_per_snippet: int,
    ) -> None:
        self._strict = protocol == "strict"
        counted = list(classes[1:] if self._strict else classes)
        self._lowest_NC = np.full((len(scores), len(counted)), np.inf)
        if self._strict:
            kept = [n for n, own in enumerate(events) if any(e[2] in counted for e in own)]
            rows = [scores[n][:, 1:].astype(np.float64) for n in kept]
            for number, rows_TC in zip(kept, rows, strict=True):
                self._lowest_NC[number] = rows_TC.min(axis=0)
            below_C = np.full(len(counted), -np.inf)
            found = [
                (HOLDING, _joined([strict_segments([own]) for own in rows], kept)),
                (ABOVE, _joined([strict_segments([own], below_C) for own in rows], kept)),
            ]
        else:
            found = [(ALWAYS, vadclip_segments(scores, frames_per_snippet))]
        self._classes = [
            _matched(found, column, spans_of(events, label), len(scores), frames_per_snippet)
            for column, label in enumerate(counted)
        ]

    def per_iou(self, count_N: Integers) -> dict[float, float]:
        """Return mAP in percent per IoU where video n is there count_N[n] times."""
        drawn = count_N > 0
        floor_C = np.min(self._lowest_NC, axis=0, where=drawn[:, None], initial=np.inf)
        precision = []
        for column, own in enumerate(self._classes):
            weight_S = own.shown(count_N, self._lowest_NC[:, column] == floor_C[column])
            if not self._strict and not weight_S.any():
                return dict.fromkeys(IOUS, 0.0)
            precision.append(own.precision(weight_S, count_N))
        mean_I = 100 * np.mean(precision, axis=0)
        return dict(zip(IOUS, mean_I.tolist(), strict=True))


def _joined(parts: Sequence[Segments], videos: Sequence[int]) -> Segments:
    """Join the segments of single videos, each under its video's number."""
    numbered = [
        part._replace(video_S=np.full(len(part.score_S), number))
        for part, number in zip(parts, videos, strict=True)
    ]
    return Segments._make(map(np.concatenate, zip(*[strict_segments([]), *numbered], strict=True)))


def _matched(
    found: Sequence[tuple[int, Segments]],
    column: int,
    spans: dict[int, Integers],
    videos: int,
    frames_per_snippet: int,
) -> _Matched:
    parts, whens, hit_parts = [], [], []
    for when, segments in found:
        own = segments.take(segments.column_S == column)
        own = own.take(np.argsort(-own.score_S, kind="stable"))
        parts.append(own)
        whens.append(np.full(len(own.score_S), when))
        hit_parts.append(match_segments(own, spans, frames_per_snippet, IOUS))
    score_S = np.concatenate([part.score_S for part in parts])
    video_S = np.concatenate([part.video_S for part in parts])
    order = np.lexsort((video_S, -score_S))
    hit_IS = np.concatenate(hit_parts, axis=1)[:, order]
    events_N = np.zeros(videos, np.int64)
    for number, own_G in spans.items():
        events_N[number] = len(own_G)
    return _Matched(
        video_S[order],
        np.concatenate(whens)[order],
        [np.flatnonzero(hit_S) for hit_S in hit_IS],
        events_N,
    )
